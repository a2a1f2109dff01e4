"""The stages of benchmarks/campaign_native.py: the native engine on full frames, and nothing else.

The calibration is the real one, and all that belongs to a campaign; fetch, bestrefs, preview and
archive do nothing, since ``hstflow calibrate`` does none of them.
"""

from __future__ import annotations

import json
import os
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import campaign_stages
from calibrate import Case, describe, request_of

from calib.engines.native import NativeEngine
from calib.engines.protocol import CalibrationRequest
from calib.ledger.ledger import Attempt
from calib.records import Archived, Products, RawInputs, References
from calib.stages.archive import Made
from calib.stages.job import Job
from calib.stages.policy import with_retries
from calib.stages.recording import recorded
from calib.stages.sequence import Stages, guarded
from calib.stages.workfolder import Finished
from tasks.policies import stage_task

TRASH = "HSTFLOW_BENCHMARK_TRASH"  # a folder whose content is removed
CASE = "HSTFLOW_BENCHMARK_CASE"  # name, folder of raw files, folder of references, as JSON


@cache
def case_request() -> CalibrationRequest:
    """Return what is asked of the engine for the first raw file."""
    name, raws, references = json.loads(os.environ[CASE])
    first = min(Path(raws).glob("*_raw.fits"))
    return request_of(Case(name, (first,), None, Path(references)), Path())


def calibrate(
    job: Job, attempt: Attempt, _inputs: RawInputs, _references: References
) -> Finished[Products]:
    """Calibrate the raw file of this name."""
    raw = Path(json.loads(os.environ[CASE])[1]) / f"{job.dataset}_raw.fits"
    asked = case_request()
    exposure = replace(asked.references.exposures[0], file=raw.name)
    request = replace(
        asked,
        dataset=job.dataset,
        inputs=RawInputs(job.dataset, "file:", (describe(raw, "raw"),)),
        references=replace(asked.references, exposures=(exposure,)),
        output=job.folder / "calibrate",
    )
    with recorded(job, attempt, "calibrate"):
        made = guarded(job, attempt, "calibrate", lambda: NativeEngine().calibrate(request))
    return Finished(made, reused=False)


def archive(job: Job, attempt: Attempt, made: Made) -> Archived:
    """Publish nothing; the benchmark removes the products, so that memory does not fill."""
    (job.folder / "calibrate").rename(Path(os.environ[TRASH]) / job.dataset)
    return campaign_stages.archive(job, attempt, made)


def _plain(stage: str, function: Any) -> Any:
    return lambda *arguments: with_retries(stage, lambda: function(*arguments))


_OWN = {"calibrate": calibrate, "archive": archive}
_NAMES = [field.name for field in fields(Stages)]
PLAIN = Stages(
    **{
        name: _plain(name, _OWN[name]) if name in _OWN else getattr(campaign_stages.PLAIN, name)
        for name in _NAMES
    }
)
TASKS = Stages(
    **{
        name: stage_task(name)(_OWN[name]) if name in _OWN else getattr(campaign_stages.TASKS, name)
        for name in _NAMES
    }
)
