"""Whether a dataset is drizzled after it is calibrated, and which references that takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from calib.engines.astrometry import MODES
from calib.engines.program import RUNASTRODRIZ, find_program
from calib.engines.stage2 import (
    ASTROMETRY,
    INSTRUMENTS,
    Stage2Plan,
    absent_program,
    plan_stage2,
)
from calib.environment import merged
from calib.records import Products, RawInputs
from calib.references.stage2_types import STAGE2_TYPES
from calib.stages.engine import headers_of
from calib.stages.environment import environment_of
from calib.stages.job import Job
from calib.switches import names_file

# drizzlepac.mdzhandler, which reads the parameters of a drizzle from it.
_ALWAYS = frozenset({"MDRIZTAB"})

# NPOLFILE replaced it (stwcs.updatewcs): old headers name one, and nothing opens it any more.
_REPLACED = frozenset({"DGEOFILE"})


def plan_of(job: Job, inputs: RawInputs, products: Products | None = None) -> Stage2Plan:
    """Return what becomes of the dataset of a job after its exposures are calibrated.

    Parameters
    ----------
    job, inputs
        What is calibrated; the first exposure decides.
    products
        Where they are made already: they say how they were aligned, whatever is asked now.

    Raises
    ------
    NotFound, CorruptFile
        The first exposure, or the dataset's file of variables, cannot be read.
    DataError
        Its DRIZCORR has no known value.
    """
    options = job.options
    if options.stage2 == "never":
        return Stage2Plan()
    headers = headers_of(inputs)
    done = products.parameters.get(ASTROMETRY) if products else None
    astrometry = next((mode for mode in MODES if mode == done), options.astrometry)
    environ = merged(os.environ, environment_of(job, inputs))
    return plan_stage2(options.stage2, astrometry, headers, options.overrides, environ)


def check_program(job: Job) -> None:
    """Refuse, before anything is downloaded, what must be drizzled and cannot be.

    Raises
    ------
    ConfigError
        As :meth:`calib.engines.stage2.Stage2Plan.check`.
    """
    is_ours = job.id.kind == "ipst" and job.id.instrument in INSTRUMENTS
    if job.options.stage2 == "always" and is_ours and find_program(RUNASTRODRIZ) is None:
        raise absent_program()


def is_as_planned(products: Products, plan: Stage2Plan) -> bool:
    """Tell whether products are aligned as a plan says; the service may have ceased to answer."""
    return products.parameters.get(ASTROMETRY, plan.astrometry) == plan.astrometry


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
        if keyword in _ALWAYS or names_file(header, keyword)
    )
