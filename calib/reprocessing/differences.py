"""What a person reads before a reprocessing runs: its canaries beside what was there before."""

from __future__ import annotations

from pathlib import Path

from calib.ledger.reprocessing_reports import Reprocessing


def write_difference_report(ledger: str, reprocessing: Reprocessing, folder: Path) -> Path:
    """Write the difference report of a reprocessing; the path of ``index.html`` comes back.

    Parameters
    ----------
    ledger
        URL of the ledger.
    reprocessing
        The reprocessing, whose campaign NAME-canary has run.
    folder
        The folder of the report: replaced whole where it is there.
    """
    raise NotImplementedError
