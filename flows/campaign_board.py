"""The artifacts of a campaign: how far it is, its datasets, a report, the last pictures."""

from __future__ import annotations

from collections.abc import Sequence

from calib.ledger.alerts import Alert
from calib.ledger.campaign_excerpt import (
    ORDER,
    Thumbnail,
    excerpt,
    slowest,
    thumbnails_since,
)
from calib.ledger.campaign_overview import Overview, jobs_in, overview_of
from calib.ledger.campaign_reports import LEFT, Campaign, failures_of
from calib.ledger.cost_summaries import stage_summaries
from calib.ledger.ledger import Ledger
from calib.ledger.reports import Rows
from calib.records import utc_now
from flows.artifacts import LARGEST_PICTURE, Shelf, key_of
from flows.campaign_pages import Costs, Story, contact_sheet, matrix, matrix_text, report
from flows.pictures import read_picture

# Rows of the table: some 60 kB in Prefect's database.
MOST_ROWS = 300

# A page is brought up to date for each so many datasets, but not more often than each tenth of a
# minute, and each minute where anything has changed.
EVERY = 50
OFTEN, SELDOM = 10.0, 60.0

# Pictures of the last finished datasets, and the last failures beside them.
MOST_PICTURES = 12
MOST_FAILED = 8

# What a campaign cost is added up for so many datasets: half a second of the database.
MOST_ADDED_UP = 10_000
_SLOWEST = 5


class Board:
    """The artifacts of one session of a campaign.

    Parameters
    ----------
    shelf
        Where they are shown.
    dashboard
        Address of the dashboard, for links; None: it is not known.
    """

    def __init__(self, shelf: Shelf, dashboard: str | None) -> None:
        self._shelf, self._dashboard = shelf, dashboard
        self._since = utc_now()
        self._pictures: dict[str, str | None] = {}
        self._ended: int | None = None
        self._counts: dict[str, int] = {}
        self._next = self._latest = 0.0

    def look(self, ledger: Ledger, found: Campaign, alerts: Sequence[Alert], now: float) -> None:
        """Bring up to date what is worth it now.

        Raises
        ------
        PrefectException, HTTPError
            The server does not take it.
        HstflowError
            The ledger does not answer.
        """
        self._show_progress(found)
        ended = found.total - jobs_in(found, LEFT)
        if self._ended is None:
            self._ended, self._next, self._latest = ended, now + OFTEN, now + SELDOM
        many = abs(ended - self._ended) >= EVERY and now >= self._next
        if many or (dict(found.counts) != self._counts and now >= self._latest):
            self._ended, self._counts = ended, dict(found.counts)
            self._next, self._latest = now + OFTEN, now + SELDOM
            overview = ledger.ask(lambda rows: overview_of(rows, found))
            failures = ledger.ask(lambda rows: failures_of(rows, found.id))
            story = Story(overview, failures, alerts, dashboard=self._dashboard)
            self._show_pages(ledger, story)

    def end(self, ledger: Ledger, found: Campaign, outcome: str, remarks: Sequence[str]) -> None:
        """Show all of it for the last time; what it cost, too.

        Parameters
        ----------
        ledger, found
            The campaign as it is now.
        outcome
            How its session ended, which the ledger does not know yet.
        remarks
            What else is to be said.

        Raises
        ------
        PrefectException, HTTPError, HstflowError
            As :meth:`look`.
        """
        self._show_progress(found)
        is_small = found.total <= MOST_ADDED_UP
        costs = ledger.ask(lambda rows: _costs_of(rows, found.id)) if is_small else None
        failures = ledger.ask(lambda rows: failures_of(rows, found.id))
        now = Overview(found, outcome)
        self._show_pages(ledger, Story(now, failures, (), costs, self._dashboard, remarks))

    def _show_progress(self, found: Campaign) -> None:
        percent = round(100 * found.finished / max(1, found.total), 1)
        key = key_of("campaign-progress", found.name)
        self._shelf.progress(key, percent, f"Campaign {found.name}")

    def _show_pages(self, ledger: Ledger, story: Story) -> None:
        found = story.campaign
        lines = ledger.ask(lambda rows: excerpt(rows, found.id, found.counts, MOST_ROWS))
        key, text = key_of("campaign-matrix", found.name), matrix_text(found, lines)
        self._shelf.table(key, matrix(lines, self._dashboard), text)
        key = key_of("campaign-report", found.name)
        self._shelf.markdown(key, report(story), f"Campaign {found.name}")
        self._show_pictures(ledger, found)

    def _show_pictures(self, ledger: Ledger, found: Campaign) -> None:
        """Show the last pictures; without any there is no sheet."""
        thumbs = ledger.ask(
            lambda rows: thumbnails_since(
                rows, found.id, self._since, most=4 * MOST_PICTURES, largest=LARGEST_PICTURE
            )
        )
        one_each = {each.dataset: each for each in reversed(thumbs)}
        newest = list(reversed(one_each.values()))[:MOST_PICTURES]
        shown = [(t.dataset, t.name, url) for t in newest if (url := self._picture(t))]
        if not shown:
            return
        bad = {state: found.counts.get(state, 0) for state in ORDER[:2]}
        failed = ledger.ask(lambda rows: excerpt(rows, found.id, bad, MOST_FAILED)).lines
        page = contact_sheet(shown, failed, self._dashboard)
        text = f"Campaign {found.name}: the last pictures"
        self._shelf.markdown(key_of("campaign-pictures", found.name), page, text)

    def _picture(self, thumb: Thumbnail) -> str | None:
        """Return a picture as a data URL; read once."""
        if thumb.uri not in self._pictures:
            if len(self._pictures) > 2 * MOST_PICTURES:
                del self._pictures[next(iter(self._pictures))]
            self._pictures[thumb.uri] = read_picture(thumb)
        return self._pictures[thumb.uri]


def _costs_of(rows: Rows, campaign_id: int) -> Costs:
    return Costs(stage_summaries(rows, campaign_id), slowest(rows, campaign_id, _SLOWEST))
