"""Stage 4: preview pictures of the raw exposures and the products."""

from __future__ import annotations

import logging
from pathlib import Path

from calib.errors import PreviewError
from calib.preview.previews import make_previews
from calib.records import Previews, Products, RawInputs
from calib.stages.job import Job, key_of
from calib.stages.workfolder import Finished, StageFolder

log = logging.getLogger(__name__)


def preview(job: Job, inputs: RawInputs, products: Products) -> Finished[Previews]:
    """Make the pictures that MAST users expect beside every file.

    Raises
    ------
    PreviewError
        Previews are required and one could not be made; otherwise that is a warning.
    """
    if job.options.previews == "none":
        return Finished(Previews(), reused=False)
    place = _place(job, products)
    finished = place.run(
        lambda folder: _draw(job, inputs, products, folder), still_valid=_is_complete
    )
    _judge(job, finished.record)
    return finished


def finished_preview(job: Job, products: Products) -> Previews | None:
    """Return the pictures that an earlier attempt drew and that would be used again."""
    found = None if job.options.previews == "none" else _place(job, products).load()
    return found if found is not None and _is_complete(found) else None


def _is_complete(previews: Previews) -> bool:
    """Tell whether every picture was drawn: what failed before is tried again."""
    return not previews.warnings


def _place(job: Job, products: Products) -> StageFolder[Previews]:
    key = key_of("preview", job.options.thumb, [file.sha256 for file in products.files])
    return StageFolder(job.folder / "preview", Previews, key)


def _draw(job: Job, inputs: RawInputs, products: Products, folder: Path) -> Previews:
    files = [Path(file.path) for file in inputs.exposures]
    files += [Path(file.path) for file in products.files]
    return make_previews(
        files,
        folder,
        instrument=job.id.instrument,
        kind=job.id.kind,
        thumb=job.options.thumb,
    )


def _judge(job: Job, previews: Previews) -> None:
    for warning in previews.warnings:
        log.warning("%s", warning)
    if previews.warnings and job.options.previews == "required":
        raise PreviewError(
            "; ".join(previews.warnings), dataset=job.dataset, expected="a preview of every file"
        )
