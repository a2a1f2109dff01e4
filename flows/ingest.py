"""Files made elsewhere become a run, as a Prefect flow: what a scheduled deployment calls."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from prefect import flow, get_run_logger

from calib.errors import HstflowError
from calib.ledger.ledger import open_ledger
from calib.ledger.publications import Transfer
from calib.repository.candidates import IngestRequest
from calib.repository.ingest import Ingested, ingest
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


@flow(
    name="ingest-files",
    flow_run_name="ingest-{run}",
    persist_result=False,
    description="Make HST files of CALDP, MAST or others a run: copied, linked or in place.",
)
def ingest_files(
    uri: str,
    output_uri: str | None = None,
    run: str | None = None,
    template: str = "auto",
    transfer: Transfer = "copy",
    current: bool = False,
    headers: bool = True,
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
    template, transfer
        As of ``hstflow archive ingest``.
    current
        Make these versions current also where others are.
    headers
        Read headers; otherwise names say what files show.

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
    settings, log = load_settings(), get_run_logger()
    request = IngestRequest(
        uri=uri,
        run=run,
        output=output_uri,
        template=template,
        transfer=transfer,
        is_current=current,
        headers=headers,
        scratch=settings.work / "ingest",
    )
    with open_ledger(settings.ledger) as ledger:
        done = ingest(request, ledger)
    log.info("%s: %d datasets new, %d known", uri, done.new, done.known)
    for each in done.refused:
        log.error("%s refused: %s", each.dataset, each.reason)
    if done.refused:
        raise IngestFailed(f"{len(done.refused)} datasets were refused", done=done)
    return asdict(done)
