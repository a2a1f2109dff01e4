"""What a dataset needs is held against what it is granted, before any work is done."""

from __future__ import annotations

from pathlib import Path

from calib.archive.disk import free_bytes
from calib.campaigns.model import predict
from calib.campaigns.retries import decide
from calib.cost_model import FORESEEN, Features, Model
from calib.errors import ARCHIVE, OUR_MEMORY, OutOfMemory, Unavailable
from calib.ledger.predictions import last_costs, load_model
from calib.stages.job import Job
from calib.stages.recording import ledger_of

# Models by ledger, read once in a process: a campaign keeps to what was known at its start.
_models: dict[str, Model | None] = {}


def check_disk(job: Job) -> None:
    """Refuse to fetch what the work folder has no room for.

    Raises
    ------
    Unavailable
        Fewer bytes are free than the job is granted; other jobs may give some back.
    """
    needed = job.grant.disk
    if needed is None:
        return
    free = free_bytes(Path(job.work))
    if free < needed:
        raise Unavailable(
            "the work folder has no room",
            dataset=job.dataset,
            path=job.work,
            expected=f"{needed / 1e9:.2f} GB free",
            found=f"{free / 1e9:.2f} GB",
            code=ARCHIVE,
        )


def check_memory(job: Job, features: Features) -> None:
    """Give a job back at once that is predicted to need more than it is granted.

    The headers tell more than the name, which is all that the campaign knew; what an earlier
    campaign has measured tells more than both. Only where a larger rung is left: a prediction
    alone does not end a job.

    Raises
    ------
    OutOfMemory
        It is predicted to need more.
    """
    granted = job.grant.memory
    if granted is None or not job.grant.is_supervised:
        return
    known = ledger_of(job.ledger).ask(lambda rows: last_costs(rows, [job.dataset]))
    expected = predict(features, _model(job.ledger), job.id, known.get(job.dataset))
    if expected.memory <= granted or decide(OutOfMemory.__name__, OUR_MEMORY, job.grant) is None:
        return
    raise OutOfMemory(
        FORESEEN,
        dataset=job.dataset,
        expected=f"at most {granted / 1e9:.2f} GB",
        found=f"{expected.memory / 1e9:.2f} GB ({expected.note})",
        need=expected.memory,
    )


def _model(ledger: str) -> Model | None:
    if ledger not in _models:
        _models[ledger] = ledger_of(ledger).ask(load_model)
    return _models[ledger]
