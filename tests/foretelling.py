"""Steps that the tests of forecasts share."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from astropy.io import fits

from calib.records import Outcome
from calib.stages import sequence
from calib.stages.forecast import forecast
from calib.stages.outlook import DatasetForecast
from calib.stages.planning import Request, plan_jobs
from calib.stages.sequence import Stages, process_dataset

# The stages once each: what blocks would be tried again for seconds otherwise.
ONCE = Stages(
    sequence.run_fetch,
    sequence.run_bestrefs,
    sequence.run_calibrate,
    sequence.run_preview,
    sequence.run_archive,
    sequence.run_state_message,
)


def look(request: Request, *names: str, **options: Any) -> dict[str, DatasetForecast]:
    """Return the forecast by dataset."""
    return {each.dataset: each for each in forecast(request, names, **options).datasets}


def process(request: Request, name: str, stages: Stages = ONCE) -> Outcome:
    """Process one dataset, every stage tried once."""
    return process_dataset(plan_jobs(request, [name])[0], stages)


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of change of every file and folder."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        found[str(path)] = (status.st_size, status.st_mtime_ns)
    return found


def change(path: Path, **cards: Any) -> None:
    """Change cards of a primary header."""
    with fits.open(path, mode="update", checksum=True) as hdus:
        hdus[0].header.update(cards)


def pack(folder: Path, dataset: str) -> None:
    """Put the files of an exposure into a tar file, in place of them."""
    raw = folder / f"{dataset}_raw.fits"
    with tarfile.open(folder / f"{dataset}.tar.gz", "w:gz") as tar:
        tar.add(raw, raw.name)
    raw.unlink()


def failing(error: Exception) -> Callable[..., Any]:
    """Return a stage that fails."""

    def fail(*_given: Any) -> Any:
        raise error

    return fail
