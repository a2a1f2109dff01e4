"""`hstflow context watch`: look at the operational context, and start what follows from it."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, validators

from calib.errors import BESTREFS, DONE, GENERIC
from calib.references.profile import load_profile
from deployments.cli.console import Flag, err, out, print_json

if TYPE_CHECKING:
    from flows.context_watch import Look

Minutes = Annotated[float, Parameter(validator=validators.Number(gt=0))]
Patience = Annotated[float, Parameter(validator=validators.Number(gte=0))]

# Minutes between two looks, as the deployment `context-watch` has it: contexts change some times
# a month.
EVERY = 15.0
PATIENCE = 10.0


def watch(
    *,
    profile: str | None = None,
    once: Flag = False,
    every: Minutes = EVERY,
    patience: Patience = PATIENCE,
    json: Flag = False,
) -> int:
    """Ask CRDS for its operational context, say what is new, and start what follows from it.

    It does what the deployment `context-watch` does by the clock. With a Prefect server
    (PREFECT_API_URL) a change becomes the event hst.crds.context.changed, and reprocessings
    that nobody is at work on go on as runs of the deployment `reprocess`; without one, the
    commands for that are named. The first look at a server only remembers its context. With
    --once the exit code is 0, 27 where the server does not answer, 1 where Prefect does not.

    Parameters
    ----------
    profile
        onsite, offsite, cloud or a file: which server.
    once
        Look once; otherwise until Ctrl-C.
    every
        Minutes between two looks.
    patience
        Minutes that the event has to start a reprocessing, and that one may stand still,
        before a run is started for it.
    json
        Write JSON to stdout, a document for each look.
    """
    try:
        while True:
            seen = _look(profile, timedelta(minutes=patience))
            _show(seen, as_json=json)
            if once:
                return _code(seen)
            time.sleep(60 * every)
    except KeyboardInterrupt:
        return DONE


def _code(seen: Look) -> int:
    if seen.sight is None:
        return BESTREFS
    return GENERIC if seen.trouble else DONE


def _look(profile: str | None, patience: timedelta) -> Look:
    from calib.stages.recording import ledger_of
    from flows.context_watch import look_once
    from tasks.settings import load_settings

    settings = load_settings()
    found = load_profile(profile or settings.profile, os.environ)
    return look_once(ledger_of(settings.ledger), found, patience=patience)


def _show(seen: Look, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(seen))
        return
    for line in seen.says:
        out.print(f"{datetime.now(UTC):%Y-%m-%d %H:%M}  {line}", markup=False, soft_wrap=True)
    if seen.trouble:
        err.print(seen.trouble, style="red", markup=False, soft_wrap=True)


def _as_json(seen: Look) -> dict[str, Any]:
    due = seen.verdict.due
    return {
        "sight": None if seen.sight is None else asdict(seen.sight),
        "due": None if due is None else asdict(due),
        "says": list(seen.says),
        "trouble": seen.trouble,
    }
