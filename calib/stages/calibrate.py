"""Stage 3: calibration by the engine that covers the dataset, and drizzling where it is due."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from calib.engines.protocol import CalibrationRequest, Engine
from calib.engines.stage2 import Stage2Plan, calibrate_and_drizzle
from calib.records import Products, RawInputs, References
from calib.stages.bestrefs import updated_inputs
from calib.stages.engine import engine_of
from calib.stages.environment import environment_of, versions_of
from calib.stages.job import Job, key_of
from calib.stages.stage2 import is_as_planned, plan_of
from calib.stages.visits import is_combined, visit_settings
from calib.stages.workfolder import Finished, StageFolder


def calibrate(
    job: Job,
    inputs: RawInputs,
    references: References,
    *,
    before: Callable[[], None] = lambda: None,
) -> Finished[Products]:
    """Make the products of a dataset.

    Parameters
    ----------
    job, inputs, references
        What is calibrated, and with what.
    before
        Called before anything is computed, and not where an earlier attempt did it.

    Raises
    ------
    UnsupportedMode
        No engine at hand covers the dataset completely.
    ConfigError
        It must be drizzled, and there is no program for that (exit code 24).
    EngineError, DataError
        As the engine and :mod:`calib.engines.stage2_run` say; nothing half-made is left.
    """
    engine = engine_of(job, inputs)
    plan = plan_of(job, inputs)
    plan.check()
    place = _place(job, engine, inputs, references, plan)

    def work(folder: Path) -> Products:
        before()
        request = request_of(job, updated_inputs(job, inputs), references, folder)
        return calibrate_and_drizzle(engine, request, plan)

    return place.run(work, still_valid=lambda found: is_as_planned(found, plan))


def finished_calibrate(
    job: Job, engine: Engine, inputs: RawInputs, references: References
) -> Products | None:
    """Return the products that an earlier attempt made and that would be used again."""
    plan = plan_of(job, inputs)
    found = _place(job, engine, inputs, references, plan).load()
    return found if found is not None and is_as_planned(found, plan) else None


def request_of(
    job: Job, inputs: RawInputs, references: References, folder: Path
) -> CalibrationRequest:
    """Return what the engine is asked for.

    Parameters
    ----------
    inputs
        With headers that name the references.
    folder
        Where the products go.
    """
    return CalibrationRequest(
        dataset=job.dataset,
        inputs=inputs,
        references=references,
        output=folder,
        overrides=job.options.overrides,
        threads=job.options.threads,
        environment=environment_of(job, inputs),
        astrometry=job.options.astrometry,
    )


def calibrate_key(
    job: Job,
    engine: Engine,
    inputs: RawInputs,
    references: References,
    plan: Stage2Plan | None = None,
) -> str:
    """Return what decides numbers and headers; no plan: nothing is drizzled."""
    # What was calibrated without stage 2 because it was not installed is left as it is, with a
    # word on that; what asks for none has no such word.
    drizzled = plan is not None and (plan.record or plan.said)
    return key_of(
        "calibrate",
        sorted(file.sha256 for file in inputs.files),
        references.context,
        [vars(use) for exposure in references.exposures for use in exposure.references],
        engine.name,
        engine.numbers_version,
        dataclasses.asdict(job.options.overrides),
        *([job.options.env] if job.options.env else []),
        versions_of(job, inputs),
        *([drizzled] if drizzled else []),
        *([visit_settings(job)] if is_combined(job.id) else []),
    )


def reference_checksums(references: References) -> list[str]:
    """Return one line per exposure and keyword, sorted.

    The content counts where the file is opened. Of the others only the name does: whether
    they happen to lie in this cache changes nothing.
    """
    return sorted(
        f"{exposure.file} {use.keyword} {use.name} {use.sha1 if use.required else ''}"
        for exposure in references.exposures
        for use in exposure.references
    )


def _place(
    job: Job, engine: Engine, inputs: RawInputs, references: References, plan: Stage2Plan
) -> StageFolder[Products]:
    key = calibrate_key(job, engine, inputs, references, plan)
    return StageFolder(job.folder / "calibrate", Products, key)
