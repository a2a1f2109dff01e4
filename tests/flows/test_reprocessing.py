"""The flow `reprocess` where another process, or the ledger, keeps it from its work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from calib.errors import HstflowError, InOtherHands, Unavailable
from flows import reprocessing
from flows.reprocessing import reprocess

Refuse = Callable[[HstflowError], None]


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Return a function that lets nobody take a reprocessing on, with an error."""

    def refuse(error: HstflowError) -> None:
        @contextmanager
        def holding(*_: object) -> Iterator[None]:
            raise error
            yield

        monkeypatch.setattr(reprocessing, "holding", holding)
        monkeypatch.setattr(reprocessing, "enter_wanted", lambda _: "july")
        entered = SimpleNamespace(name="july", new_context="hst_9002.pmap")
        monkeypatch.setattr(reprocessing, "reprocessing_of", lambda *_: entered)

    return refuse


def test_what_another_process_has_is_nothing_to_do(refuse: Refuse) -> None:
    """A second trigger ends well, and says who has it."""
    refuse(InOtherHands("reprocessing july is in the hands of pid 7 on elsewhere"))

    state = reprocess.fn(name="july")

    assert state.is_completed()
    assert "nothing to do here: reprocessing july is in the hands of pid 7" in str(state.message)


def test_ledger_that_is_away_fails_the_run(refuse: Refuse) -> None:
    """Nobody would look again at a run that ended well and did nothing."""
    refuse(Unavailable("the ledger does not answer"))

    with pytest.raises(Unavailable, match="does not answer"):
        reprocess.fn(name="july")
