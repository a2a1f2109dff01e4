"""How the process of a campaign ends, with a server or a ledger that is away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from calib.errors import ConfigError, Unavailable
from flows import campaign
from flows.campaign import Result
from flows.work import Work

DONE = Result("completed", "all 1 datasets are finished", {"processed": 1})


@pytest.fixture
def dead_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Point at a server that does not answer; do not wait for it."""
    monkeypatch.setattr(campaign, "wait_for_server", lambda: False)
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        yield


class Books:
    """A ledger that is away for some steps; it notes what is written."""

    def __init__(self, away: Callable[[str], bool] = lambda _: False) -> None:
        self.steps: list[str] = []
        self._away = away

    def mark_dead_owners(self) -> None:
        """Look for the dead."""
        self._do("dead")

    def ask(self, _question: object) -> list[str]:
        """Find nothing."""
        return []

    def write(self, change: Callable[[object], Any]) -> Any:
        """Do what stands in for a change of the ledger."""
        return change(self)

    def close(self, outcome: str, message: str) -> None:
        """Note how a session ended."""
        self._do(f"{outcome}: {message}")

    def _do(self, step: str) -> None:
        self.steps.append(step)
        if self._away(step):
            raise Unavailable("the ledger is away")


def run(monkeypatch: pytest.MonkeyPatch, books: Books, work: Callable[[], Result]) -> Result:
    """Run a session that does what a test says."""
    held = SimpleNamespace(id=1, campaign_id=1)
    plan: Any = SimpleNamespace(
        name="night",
        request=SimpleNamespace(
            ledger="books",
            work="work",
            options=SimpleNamespace(keep_scratch=False),
            profile=None,
            context="hst_9001.pmap",
        ),
    )
    monkeypatch.setattr(campaign, "require_rules", lambda *_: None)
    monkeypatch.setattr(campaign, "ledger_of", lambda _: books)
    monkeypatch.setattr(campaign, "open_session", lambda *_, **__: held)
    monkeypatch.setattr(campaign, "set_control", lambda *_: None)
    monkeypatch.setattr(campaign, "close_session", lambda _c, _h, *end: books.close(*end))
    monkeypatch.setattr(campaign, "close_left_stages", lambda *_: 0)
    monkeypatch.setattr(campaign._Session, "_work", lambda _: work())
    return campaign._run(plan, Work())


@pytest.mark.usefixtures("dead_server")
def test_campaign_runs_though_its_server_is_dead(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Prefect's client raises an error that is none of Prefect's own."""
    assert run(monkeypatch, Books(), lambda: DONE) == DONE
    assert "Failed to reach API" in caplog.text


def _stop() -> Result:
    raise KeyboardInterrupt


def _refuse() -> Result:
    raise ConfigError("no such runner")


def _break() -> Result:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("work", "error", "said"),
    [
        (_stop, KeyboardInterrupt, "interrupted: the process was stopped"),
        (_refuse, ConfigError, "interrupted: ConfigError: no such runner"),
        (_break, OSError, "interrupted: OSError: [Errno 28] No space left on device"),
    ],
)
def test_ledger_that_is_away_at_the_end_hides_no_reason(
    monkeypatch: pytest.MonkeyPatch,
    work: Callable[[], Result],
    error: type[BaseException],
    said: str,
) -> None:
    """What is raised is why the session ended, and all steps of the end are done."""
    began = []
    books = Books(lambda step: step != "dead" or began.append(1) or len(began) > 1)
    monkeypatch.setattr(campaign, "has_server", lambda: False)
    with pytest.raises(error):
        run(monkeypatch, books, work)

    assert books.steps == ["dead", "dead", said]
