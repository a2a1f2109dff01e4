"""Sums over all datasets, which pages share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calib.ledger import campaign_reports
from calib.ledger.ledger import Ledger
from calib.records import Outcome
from deployments.dashboard.reader import Kept
from deployments.dashboard.sums import SUMS, with_kept_sums
from tests.campaign_ledger import WAITING, end
from tests.deployments.dashboard.conftest import Client

ONE = {"campaign_id": 1}


def test_sums_are_asked_once_and_all_else_always() -> None:
    """Two pages that count the same share an answer, and neither can spoil it."""
    asked: list[str] = []

    def rows(query: str, _parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        asked.append(query)
        return [{"number": len(asked)}]

    ask = with_kept_sums(rows, Kept(60.0))
    counts = campaign_reports.SUMS[0]
    ask(counts, ONE)[0].pop("number")
    assert ask(counts, ONE) == [{"number": 1}]
    assert ask(counts, {"campaign_id": 2}) == [{"number": 2}]
    assert [ask("SELECT 1", {})[0]["number"] for _ in range(2)] == [3, 4]


def test_pages_of_a_campaign_share_what_they_count(client: Client) -> None:
    """Every sum is one that some page asks, to the letter; no page asks one of them twice."""
    asked = client(period=60.0)
    desk = asked.app.state.desk
    for page in ("", "/datasets", "/errors", "/workers", "/gallery"):
        assert asked.get(f"/campaigns/spring{page}").status_code == 200
    assert asked.get("/errors").status_code == 200
    assert asked.get("/contexts").status_code == 200
    kept = [key[1] for key in desk.kept._found if key[0] == "sums"]
    assert {*kept} == SUMS
    assert len(kept) == len(SUMS)


def test_who_changes_something_sees_what_is(client: Client, ledger: Ledger) -> None:
    """A page may be a moment old; what an action looks at is not."""
    desk = client(period=60.0).app.state.desk

    def counts(rows: Any) -> dict[str, int]:
        (found,) = campaign_reports.campaigns(rows, "spring")
        return dict(found.counts)

    before = desk.look(counts)
    end(ledger, "spring", Outcome(WAITING, "error", "no", 22, "NotFound"))
    assert desk.look(counts) == before
    assert desk.reader.ask(counts)["error"] == before["error"] + 1
