"""What is wrong with campaigns, and how they end, as events of Prefect: automations act on them.

``hst.campaign.failing``, ``.stalled``, ``.recovered``, ``.finished`` and ``.stopped``, of the
resource ``hst.campaign.NAME``. Events can be lost (Prefect drops them in bursts): the ledger and
the dashboard show the same alerts by the same rule.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from prefect.context import SyncClientContext
from prefect.events import emit_event

from calib.ledger.alerts import Alert, Kind
from flows.run_page import tell

PREFIX = "hst.campaign"

# A process that is gone is a campaign that stands still: whoever waits for one waits for both.
EVENTS = {"failing": "failing", "stalled": "stalled", "lost": "stalled"}

# A campaign that is paused, cancelled or interrupted has not finished.
_FINISHED = frozenset({"completed", "failed"})


class Bell:
    """Tells the alerts of one session, each once for as long as it lasts.

    Parameters
    ----------
    campaign
        Its name.
    details
        What else each event says: context, address of the dashboard.
    """

    def __init__(self, campaign: str, details: Mapping[str, Any]) -> None:
        self._campaign, self._details = campaign, dict(details)
        self._told: dict[Kind, Alert] = {}

    def look(self, alerts: Iterable[Alert]) -> None:
        """Tell what is new, and what is over."""
        now = {each.kind: each for each in alerts}
        for kind, alert in now.items():
            if kind not in self._told:
                tell("campaign is %s: %s", kind, alert.reason, level=logging.WARNING)
                tell_alert(alert, self._details)
        for gone in self._told.keys() - now.keys():
            tell("campaign is no longer %s", gone)
            over = {"kind": gone, "since": self._told[gone].since}
            _emit(self._campaign, "recovered", {**self._details, **over})
        self._told = dict(now)

    def end(self, outcome: str, message: str, counts: Mapping[str, int]) -> None:
        """Tell how the session ended."""
        word = "finished" if outcome in _FINISHED else "stopped"
        payload = {"outcome": outcome, "reason": message, "counts": dict(counts)}
        _emit(self._campaign, word, {**self._details, **payload})


def tell_alert(alert: Alert, details: Mapping[str, Any]) -> None:
    """Emit the event of an alert; of one episode it has always the same number."""
    payload = {
        "kind": alert.kind,
        "since": alert.since,
        "reason": alert.reason,
        "session": alert.session,
    }
    _emit(alert.campaign, EVENTS[alert.kind], {**details, **payload}, number=number_of(alert))


def number_of(alert: Alert) -> UUID:
    """Return the number of an alert's event: that of its episode."""
    words = (PREFIX, alert.campaign, alert.session, alert.kind, alert.since)
    return uuid5(NAMESPACE_URL, ":".join(map(str, words)))


def was_told(alert: Alert) -> bool:
    """Ask the server whether an alert's event is there: its session, or an earlier look, told it.

    Raises
    ------
    PrefectException, HTTPError
        The server does not answer.
    """
    wanted = {"filter": {"id": {"id": [str(number_of(alert))]}}, "limit": 1}
    with SyncClientContext.get_or_create() as kept:
        answer = kept.client.request("POST", "/events/filter", json=wanted)
    return bool(answer.json()["events"])


def _emit(campaign: str, word: str, payload: Mapping[str, Any], number: UUID | None = None) -> None:
    emit_event(
        event=f"{PREFIX}.{word}",
        resource={
            "prefect.resource.id": f"{PREFIX}.{campaign}",
            "prefect.resource.name": campaign,
        },
        payload={"campaign": campaign, **payload},
        id=number,
    )
