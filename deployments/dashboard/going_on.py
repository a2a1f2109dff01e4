"""Has the work of a campaign go on after something was changed, without a terminal."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from calib.errors import ConfigError, NotFound, Unavailable
from deployments.dashboard.prefect_api import server_of

log = logging.getLogger(__name__)

# Flow and deployment, as prefect.yaml names them.
RESUME = "campaign-resume/campaign-resume"
REPROCESS = "reprocess/reprocess"

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)

# What came of asking Prefect, as an address of ours carries it, and in words.
WORDS: Mapping[str, str] = {
    "started": "Prefect was asked to go on: its worker takes the run within half a minute.",
    "none": "This dashboard knows no Prefect server (PREFECT_API_URL), so nobody was asked.",
    "away": "The Prefect server did not answer, or refused: the log of the dashboard says why.",
    "missing": "The Prefect server has no deployment for it: run hstflow deploy.",
}


@dataclass(frozen=True)
class Asked:
    """What came of asking Prefect: a word of :data:`WORDS`, and the flow runs that it began."""

    word: str
    runs: tuple[str, ...] = ()

    def filters(self) -> dict[str, Any]:
        """Return it as words of an address."""
        return {"went": self.word, "run": list(self.runs)}


def has_prefect() -> bool:
    """Tell whether there is a Prefect server to ask."""
    return bool(os.environ.get("PREFECT_API_URL", "").strip())


def go_on(deployment: str, names: Iterable[str], key: str) -> Asked:
    """Ask Prefect to run a deployment for each name; never twice for one key.

    Parameters
    ----------
    deployment
        :data:`RESUME` or :data:`REPROCESS`: its flow takes a ``name``.
    names
        Campaigns or reprocessings.
    key
        Of what a person did, which may be sent twice.
    """
    runs: list[str] = []
    try:
        server = server_of(os.environ)
        if server is None:
            return Asked("none")
        for name in names:
            again = f"dashboard-{deployment}-{name}-{key}"
            runs.append(server.start(deployment, {"name": name}, again))
    except NotFound as error:
        log.warning("%s", error)
        return Asked("missing", tuple(runs))
    except (Unavailable, ConfigError) as error:
        log.warning("the work does not go on by itself: %s", error)
        return Asked("away", tuple(runs))
    return Asked("started", tuple(runs)) if runs else Asked("")


def read_asked(word: str, runs: Iterable[str]) -> Asked:
    """Return what an address says of it; what is no word or number of ours is left out."""
    known = word if word in WORDS else ""
    return Asked(known, tuple(run for run in runs if _UUID.fullmatch(run))[:50])
