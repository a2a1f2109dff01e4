"""Folders of the work folder that are no run's, and the names that runs leave to them."""

from __future__ import annotations

from calib.archive.layout import check_run_name
from calib.errors import ConfigError
from calib.ids import RUN_NAMES

BUNDLES = "failed"  # what is kept of datasets that failed
SKIPPED = "skipped"  # what is kept of datasets of which there was nothing to make
DASK = "dask"  # scratch of Dask
MESSAGES = "messages"  # message files where there is no output
SESSIONS = "campaigns"  # logs of sessions in the background
INGEST = "ingest"  # scratch of `archive ingest`
REPROCESSINGS = "reprocessings"  # reports of reprocessings, by name

TAKEN = frozenset({BUNDLES, SKIPPED, DASK, MESSAGES, SESSIONS, INGEST, REPROCESSINGS})


def check_work_name(run: str) -> str:
    """Return the name of a run unchanged where its work may have a folder of that name.

    Raises
    ------
    ConfigError
        It is no name of a run, or a folder of the work folder has it.
    """
    if check_run_name(run) in TAKEN:
        expected = f"{RUN_NAMES}, and none of {', '.join(sorted(TAKEN))}"
        raise ConfigError(
            "the work folder keeps this name for itself", expected=expected, found=run
        )
    return run
