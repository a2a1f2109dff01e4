"""What is kept of a dataset without products: enough to see why, small enough for thousands.

``WORK/failed/RUN/ID/`` holds ``outcome.json`` (how it ended, what it was granted), the end of
the log and of what a program said, the primary headers of its exposures and the records of
the stages that were finished. It stays when the work folder is cleaned, and goes when the dataset
succeeds.
``WORK/skipped/RUN/ID/`` holds the same of a dataset of which there was nothing to make: what a
program said of it is in the log.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from calib.errors import HstflowError
from calib.records import Outcome, utc_now
from calib.stages.job import Job
from calib.stages.joblog import LOG_NAME
from calib.stages.policy import STAGES
from calib.stages.workfolder import RECORD, private_folder
from calib.stages.workplaces import BUNDLES, SKIPPED

log = logging.getLogger(__name__)

# Bytes of one file of a bundle: ten thousand failed datasets are 10 GB at the very most, and
# about 0.2 GB as they come.
MOST = 256 * 1024

# Exposures whose headers are kept: an association repeats itself.
_HEADERS = 8


def bundle_folder(job: Job, state: str = "error") -> Path:
    """Return where the bundle of a job that came to a state is kept."""
    kept = SKIPPED if state == "skipped" else BUNDLES
    return Path(job.work) / kept / job.run / job.dataset


def write_bundle(job: Job, number: int, outcome: Outcome) -> Path | None:
    """Keep what tells why a job has no products, in place of an older bundle.

    A bundle that cannot be written is a warning: the ledger has the error.

    Returns
    -------
    Path or None
        Its folder; None where it could not be written.
    """
    place = bundle_folder(job, outcome.state)
    try:
        with private_folder(place) as folder:
            for name, text in _contents(job, number, outcome):
                (folder / name).write_text(text[-MOST:], encoding="utf-8")
            remove_bundle(job)
            folder.rename(place)
    except (OSError, HstflowError) as error:
        log.warning("the bundle was not written: %s", error)
        return None
    log.info("what tells why is kept in %s", place)
    return place


def remove_bundle(job: Job) -> None:
    """Remove the bundle of a job that has succeeded after all."""
    for state in ("error", "skipped"):
        shutil.rmtree(bundle_folder(job, state), ignore_errors=True)


def _contents(job: Job, number: int, outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Yield name and text of each file of a bundle."""
    record = {
        "outcome": asdict(outcome),
        "attempt": number,
        "grant": asdict(job.grant),
        "faults": [str(fault) for fault in job.options.faults],
        "at": utc_now(),
    }
    yield "outcome.json", json.dumps(record, indent=2, sort_keys=True)
    said = sorted(job.folder.glob("*.log"))
    for path in (job.folder / LOG_NAME, *said):
        if path.exists():
            yield path.name, _end_of(path)
    yield "headers.txt", "\n".join(_headers(job))
    for stage in STAGES:
        path = job.folder / stage / RECORD
        if path.exists():
            yield f"{stage}.json", path.read_text(encoding="utf-8")


def _end_of(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - MOST))
        return file.read().decode(errors="replace")


def _headers(job: Job) -> Iterator[str]:
    """Yield the primary headers of the inputs, of those that can be read."""
    from calib.fitsfile import primary_header

    for path in _exposures(job)[:_HEADERS]:
        yield f"# {path.name}"
        with suppress(HstflowError):
            yield "\n".join(f"{key} = {value!r}" for key, value in primary_header(path).items())


def _exposures(job: Job) -> list[Path]:
    """Return the raws, or the calibrated images of a visit or skycell."""
    folder = job.folder / "fetch"
    images = [*folder.glob("*_flc.fits"), *folder.glob("*_flt.fits")]
    return sorted([*folder.glob("*_raw*.fits")] or images)
