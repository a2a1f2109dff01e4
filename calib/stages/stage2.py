"""Whether a dataset is drizzled after it is calibrated, and which references that takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from calib.engines.astrometry import AstrometryMode
from calib.engines.stage2 import Stage2Plan, Stage2Policy, plan_stage2
from calib.fitsfile import primary_header
from calib.records import RawInputs
from calib.references.stage2_types import STAGE2_TYPES
from calib.stages.job import Job
from calib.switches import Overrides

# drizzlepac.mdzhandler, which reads the parameters of a drizzle from it.
_ALWAYS = frozenset({"MDRIZTAB"})

# What a header has where no file is needed.
_NO_FILE = frozenset({"", "N/A"})

# NPOLFILE replaced it (stwcs.updatewcs): old headers name one, and nothing opens it any more.
_REPLACED = frozenset({"DGEOFILE"})


def plan_of(job: Job, inputs: RawInputs) -> Stage2Plan:
    """Return what becomes of the dataset of a job after its exposures are calibrated.

    Raises
    ------
    NotFound, CorruptFile
        The first exposure cannot be read.
    DataError
        Its DRIZCORR has no known value.
    """
    options = job.options
    if options.stage2 == "never":
        return Stage2Plan()
    files = [Path(file.path) for file in inputs.calibrated]
    return plan_of_files(files, options.stage2, options.astrometry, options.overrides)


def plan_of_files(
    files: Sequence[Path],
    policy: Stage2Policy,
    astrometry: AstrometryMode,
    overrides: Overrides,
) -> Stage2Plan:
    """Return what becomes of exposures that lie somewhere; the first one counts.

    Raises
    ------
    NotFound, CorruptFile, DataError
        As :func:`plan_of`.
    """
    headers = [primary_header(path) for path in files[:1]]
    return plan_stage2(policy, astrometry, headers, overrides)


def with_stage2_references(
    required: Callable[[Mapping[str, Any]], tuple[str, ...]], plan: Stage2Plan
) -> Callable[[Mapping[str, Any]], tuple[str, ...]]:
    """Return what calibration opens, and what drizzling opens where it is done, as one question."""
    if not plan.runs:
        return required

    def both(header: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*required(header), *stage2_references(header))))

    return both


def stage2_references(header: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the reference keywords that drizzling an exposure opens.

    Without MDRIZTAB runastrodriz ends with an error; the others are opened where they name a
    file.

    Parameters
    ----------
    header
        Primary header.
    """
    types = STAGE2_TYPES.get(str(header.get("INSTRUME", "")).strip().lower(), frozenset())
    return tuple(
        keyword
        for keyword in sorted(types - _REPLACED)
        if keyword in _ALWAYS or str(header.get(keyword) or "").strip().upper() not in _NO_FILE
    )
