"""Files made elsewhere become a run, as a Prefect flow: what a scheduled deployment calls."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from prefect import flow, get_run_logger
from prefect.runtime import flow_run

from calib.errors import HstflowError
from calib.ledger.ledger import open_ledger
from calib.repository.ingest import Ingested, ingest
from flows.parameters import IngestOptions, build_ingest
from tasks.settings import load_settings


class IngestFailed(HstflowError):
    """Some datasets were refused; the others are ingested.

    Parameters
    ----------
    done
        What was new, known and refused.
    """

    def __init__(self, message: str, *, done: Ingested) -> None:
        super().__init__(message, code=done.code)
        self.done = done


def name_run() -> str:
    """Return the name of a flow run: of the run that it fills, else of where the files are."""
    parameters = flow_run.parameters
    return f"ingest-{parameters.get('run') or parameters['uri']}"


@flow(
    name="ingest-files",
    flow_run_name=name_run,
    persist_result=False,
    description="Make HST files of CALDP, MAST or others a run: copied, linked or in place.",
)
def ingest_files(
    uri: str,
    output_uri: str | None = None,
    run: str | None = None,
    options: IngestOptions | None = None,
) -> dict[str, Any]:
    """Ingest files as a flow run; again with the same parameters it takes what is new.

    Parameters
    ----------
    uri
        ``file:FOLDER`` or ``s3://BUCKET/PREFIX``.
    output_uri
        The archive; None for ``in-place``.
    run
        Name of the run that takes them; None where the template has ``{run}``.
    options
        Template, transfer and what else ``hstflow archive ingest`` takes.

    Returns
    -------
    dict
        Counts of what was new and known, and the files that no template takes.

    Raises
    ------
    IngestFailed
        Datasets were refused; each is in the log with its reason.
    HstflowError
        As for :func:`calib.repository.ingest.ingest`.
    """
    log = get_run_logger()
    request = build_ingest(uri, output_uri, run, options or IngestOptions())
    with open_ledger(load_settings().ledger) as ledger:
        done = ingest(request, ledger)
    log.info("%s: %d datasets new, %d known", uri, done.new, done.known)
    for each in done.refused:
        log.error("%s refused: %s", each.dataset, each.reason)
    if done.refused:
        raise IngestFailed(f"{len(done.refused)} datasets were refused", done=done)
    return asdict(done)
