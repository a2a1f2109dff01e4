"""Preview as a Prefect task; thumbnails become image artifacts of the run."""

from __future__ import annotations

import base64
import logging
import re
from pathlib import Path

import httpx
from prefect.artifacts import create_image_artifact
from prefect.exceptions import PrefectException

from calib.ledger.ledger import Attempt
from calib.records import Previews, Products, RawInputs
from calib.stages.job import Job
from calib.stages.sequence import run_preview
from calib.stages.workfolder import Finished
from tasks.policies import stage_task

log = logging.getLogger(__name__)

# A data URL lives in the server's database: only small pictures belong there.
LARGEST_ARTIFACT = 50_000

_FORMATS = {".jpg": "jpeg", ".png": "png"}


@stage_task("preview")
def preview(
    job: Job, attempt: Attempt, inputs: RawInputs, products: Products
) -> Finished[Previews]:
    """Draw the previews and show the thumbnails in the run's page."""
    finished = run_preview(job, attempt, inputs, products)
    for file in finished.record.files:
        if file.name.endswith(("_thumb.jpg", "_thumb.png")) and file.size <= LARGEST_ARTIFACT:
            _show(Path(file.path))
    return finished


def _show(thumb: Path) -> None:
    """Put a thumbnail into the run's page; a server that is away costs the picture alone."""
    picture = base64.b64encode(thumb.read_bytes()).decode()
    try:
        create_image_artifact(
            image_url=f"data:image/{_FORMATS[thumb.suffix]};base64,{picture}",
            key=re.sub(r"[^a-z0-9]+", "-", f"preview-{thumb.stem}".lower()),
            description=f"Preview of {thumb.stem.removesuffix('_thumb')}",
        )
    except (httpx.HTTPError, PrefectException) as error:
        log.warning("%s is not shown in the run's page: %s", thumb.name, error)
