"""Chunks that are run elsewhere, followed in a ledger that may be away."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from calib.errors import Unavailable
from calib.ledger.campaigns import set_control, set_plan
from calib.ledger.ledger import open_ledger
from flows import chunk
from flows.chunk import ChunkRuns, Wishes
from flows.interrupts import Endings


def test_ledger_that_is_away_does_not_end_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked again, for the operator's wish and for what is left."""
    monkeypatch.setattr(chunk, "BEAT", 0.0)
    troubles = ["beat", "chunks"]

    def tell(what: str, answer: Any) -> Any:
        if what in troubles:
            troubles.remove(what)
            raise Unavailable("the ledger is away")
        return answer

    heart = SimpleNamespace(beat=lambda: tell("beat", "run"))
    backlog: Any = SimpleNamespace(chunks=lambda: tell("chunks", {}))

    assert ChunkRuns("night", 1, backlog, heart, Endings()).run() == "run"
    assert troubles == []


def test_wishes_are_one_query(tmp_path: Any) -> None:
    """They are asked for every other second, by each chunk."""
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        ledger.write(lambda c: set_plan(c, "night", context="hst_1.pmap", plan="{}"))
        ledger.write(lambda c: set_control(c, "night", "pause"))
        asked = []

        def ask(question: Any) -> Any:
            return ledger.ask(lambda rows: question(lambda *query: asked.append(1) or rows(*query)))

        counted: Any = SimpleNamespace(ask=ask)
        assert Wishes(counted, "night").beat() == "pause"
    assert len(asked) == 1
