"""The lines that a campaign leaves in the log of its flow run: few, and each says something."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from calib.ledger.campaign_excerpt import Line, failed_since
from calib.ledger.campaign_overview import Overview, failed_in, jobs_in, overview_of
from calib.ledger.campaign_reports import LEFT, Campaign
from calib.ledger.ledger import Ledger
from calib.records import utc_now
from flows.campaign_pages import duration
from flows.run_page import tell

# A line of progress for each twentieth of the campaign, but not more often than each quarter of a
# minute; and one every five minutes where there is anything new.
SHARE = 0.05
OFTEN, SELDOM = 15.0, 300.0

# Failed datasets that have a line of their own; of the others a campaign page tells.
MOST_LINES = 100

# Ends are dated by the host where they happen, before they are in the ledger: it is looked back
# for longer than a write takes, and clocks of hosts differ.
_BACK = timedelta(seconds=60)


class Journal:
    """Lines about one session.

    Parameters
    ----------
    how
        Where it runs, for people: ``local, 2 workers``.
    """

    def __init__(self, how: str) -> None:
        self._how = how
        self._since = utc_now()
        self._told: set[tuple[int, int]] = set()
        self._failed: int | None = None
        self._began, self._ended = 0.0, 0
        self._shown, self._next, self._latest = 0.0, 0.0, 0.0

    def begin(self, found: Campaign, now: float) -> None:
        """Tell what is to be done."""
        tell(
            "campaign %s began: %d datasets, %d finished before, %d to do; %s; context %s",
            found.name,
            found.total,
            found.finished,
            jobs_in(found, LEFT),
            self._how,
            found.context,
        )
        self._failed, self._shown = failed_in(found), _share(found)
        self._began, self._ended = now, _ended(found)
        self._next, self._latest = now + OFTEN, now + SELDOM

    def look(self, ledger: Ledger, found: Campaign, now: float) -> None:
        """Tell what has failed since, and how far it is where that is worth a line."""
        if failed_in(found) != self._failed:
            self._failed = failed_in(found)
            since, most = self._back(), 2 * MOST_LINES
            failed = ledger.ask(lambda rows: failed_since(rows, found.id, since, most))
            self._tell_failures(failed)
        share = _share(found)
        is_due = share - self._shown >= SHARE and now >= self._next
        if is_due or (share != self._shown and now >= self._latest):
            self._shown, self._next, self._latest = share, now + OFTEN, now + SELDOM
            _tell_progress(ledger.ask(lambda rows: overview_of(rows, found)))

    def end(self, found: Campaign, outcome: str, now: float) -> None:
        """Tell how it ended; why is in the state of the flow run."""
        spent, ended = duration(now - self._began), _ended(found) - self._ended
        tell("campaign %s after %s, in which %d datasets ended", outcome, spent, ended)

    def _back(self) -> str:
        back = datetime.fromisoformat(self._since) - _BACK
        return back.isoformat(timespec="microseconds")

    def _tell_failures(self, failed: Sequence[Line]) -> None:
        new = [each for each in failed if (each.id, each.attempts) not in self._told]
        room = MOST_LINES - len(self._told)
        for line in new[:room]:
            self._told.add((line.id, line.attempts))
            self._since = max(self._since, line.updated_at)
            _tell_failure(line)
        if 0 < room <= len(new):
            tell("further failures are not told here, but in the table and in the ledger")


def _tell_progress(now: Overview) -> None:
    found = now.campaign
    rate = f"; {now.rate:.1f} a minute" if now.rate else ""
    left = f", about {duration(now.seconds_left)} left" if now.seconds_left else ""
    text = "%d of %d ended (%.0f %%), %d failed%s%s"
    tell(text, _ended(found), found.total, 100 * _share(found), failed_in(found), rate, left)


def _tell_failure(line: Line) -> None:
    reason = " ".join((line.reason or "no reason is known").split())[:300]
    kind = line.error_class or line.state
    text = "%s %s: %s: %s (attempt %d)"
    ended = "failed" if line.state == "error" else "is blocked"
    tell(text, line.dataset, ended, kind, reason, line.attempts, level=logging.WARNING)


def _ended(found: Campaign) -> int:
    """Return how many have ended, well or not."""
    return found.total - jobs_in(found, LEFT)


def _share(found: Campaign) -> float:
    return _ended(found) / found.total if found.total else 1.0
