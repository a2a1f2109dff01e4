"""An answer from the form of a paused flow run, written in the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from calib.ledger.ledger import Ledger, open_ledger
from calib.ledger.reprocessing_reports import reprocessings
from calib.ledger.reprocessings import NewReprocessing, advance, enter_reprocessing
from flows import approval


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return a ledger with a reprocessing at its review."""
    new = NewReprocessing("july", None, "hst_9002.pmap", "list", "{}")
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as found:
        found.write(lambda c: enter_reprocessing(c, new, [], who="test"))
        for state in ("canary", "review"):
            found.write(lambda c, to=state: advance(c, "july", to, who="test"))  # type: ignore[misc]
        yield found


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_answer_in_the_ledger_that_came_first_stays(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, decision: str
) -> None:
    """Also where it came after the form had looked: the run goes on with what is decided."""
    ledger.write(lambda c: advance(c, "july", "rejected", who="me", note="no"))
    monkeypatch.setattr(approval, "_state", lambda *_: "review")
    answer = approval.Approval.model_validate({"decision": decision, "who": "other"})
    assert approval._take(ledger, "july", answer)
    (one,) = ledger.ask(lambda rows: reprocessings(rows, "july"))
    assert (one.state, one.reason) == ("rejected", "no")
