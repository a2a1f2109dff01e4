"""Asking the ledger for a long time, and keeping answers."""

from __future__ import annotations

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from calib.errors import NotFound, Unavailable
from calib.ledger.ledger import Ledger
from calib.ledger.readers import open_readers
from calib.ledger.reports import Rows
from calib.ledger.revision import VERSION_TABLE
from deployments.dashboard import reader as readers
from deployments.dashboard.reader import Kept, Later, Reader
from tests.campaign_ledger import DONE, enter
from tests.deployments.dashboard.conftest import Client

SLOW = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n"


def names(rows: Rows) -> list[str]:
    """Return the names of all campaigns."""
    return [row["name"] for row in rows("SELECT name FROM campaign ORDER BY id", {})]


def test_each_question_sees_what_is_new(ledger: Ledger) -> None:
    """A connection that stays open does not keep an old state."""
    asked = Reader(ledger.url)
    assert asked.ask(names) == ["spring"]
    enter(ledger, "summer", (DONE,))
    assert asked.ask(names) == ["spring", "summer"]


def test_one_question_sees_one_state(ledger: Ledger) -> None:
    """What is written while a question is answered is seen by the next one."""

    def twice(rows: Rows) -> tuple[list[str], list[str]]:
        before = names(rows)
        enter(ledger, "summer", (DONE,))
        return before, names(rows)

    assert Reader(ledger.url).ask(twice) == (["spring"], ["spring"])


def test_reader_holds_no_writer_up(ledger: Ledger) -> None:
    """Between two questions nothing is held: the log of SQLite can be written back whole."""
    asked = Reader(ledger.url)
    asked.ask(names)
    enter(ledger, "summer", (DONE,))
    path = ledger.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection:
        (is_busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert not is_busy


def test_ledger_that_appears_is_replaced_and_upgraded_is_seen(
    client: Client, tmp_path: Path, campaign_template: Path
) -> None:
    """No restart is needed for a first ledger, another file, or another version of it."""
    path = tmp_path / "later.db"
    asked = client(ledger=f"sqlite:///{path}")
    first = asked.get("/")
    assert (first.status_code, "no ledger yet" in first.text) == (200, True)
    path.write_bytes(campaign_template.read_bytes())
    assert "spring" in asked.get("/").text
    other = tmp_path / "other.db"
    other.write_bytes(campaign_template.read_bytes())
    _run(other, "UPDATE campaign SET name = 'autumn'")
    other.replace(path)
    assert "autumn" in asked.get("/").text
    _run(path, f"UPDATE {VERSION_TABLE} SET version_num = '0001'")  # noqa: S608 - a constant
    old = asked.get("/")
    assert (old.status_code, "hstflow ledger upgrade" in old.text) == (503, True)
    assert str(tmp_path) not in old.text
    path.unlink()
    assert asked.get("/").status_code == 200


def test_ledger_that_is_away_comes_back(
    client: Client, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it cannot be read the page says so, without where it is, and looks again."""
    asked = client()
    stat = Path.stat

    def away(path: Path, **options: bool) -> object:
        if path.name == "ledger.db":
            raise OSError(5, "Input/output error", str(path))
        return stat(path, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "stat", away)
        answer = asked.get("/")
        ready = asked.get("/ready")
    assert (answer.status_code, ready.status_code) == (503, 503)
    assert answer.headers["retry-after"] == "5"
    assert ledger.url.removeprefix("sqlite:///") not in answer.text
    assert asked.get("/").status_code == 200


def test_question_that_takes_too_long_is_ended(ledger: Ledger) -> None:
    """One page cannot hold the ledger for ever, and the connection is good again."""
    opened = open_readers(ledger.url, most=1, patience=0.05)
    asked = ExitStack()
    rows = asked.enter_context(opened.open())
    assert rows is not None
    with pytest.raises(Unavailable, match="interrupted"), asked:
        rows(SLOW, {})
    with opened.open() as rows:
        assert rows is not None
        assert names(rows) == ["spring"]


def test_closing_ends_questions(ledger: Ledger) -> None:
    """Ctrl-C does not wait for a page that takes long."""
    opened = open_readers(ledger.url)
    began = threading.Event()

    def ask() -> None:
        with opened.open() as rows:
            assert rows is not None
            began.set()
            rows(SLOW, {})

    with ThreadPoolExecutor() as pool:
        asked = pool.submit(ask)
        assert began.wait(5)
        opened.close()
        assert isinstance(asked.exception(timeout=5), Unavailable)


def test_more_questions_than_turns_wait_and_are_refused(ledger: Ledger) -> None:
    """Connections are bounded: who waits too long is told to come again."""
    opened = open_readers(ledger.url, most=1, patience=0.02)
    with (
        opened.open(patience=5),
        pytest.raises(Unavailable, match="too many"),
        opened.open(),
    ):
        pass


@pytest.mark.parametrize("many", [16])
def test_many_who_ask_at_once_wait_for_one_answer(many: int) -> None:
    """The ledger is asked once, and all are told the same."""
    kept, made = Kept(60.0), []
    gate = threading.Barrier(many)

    def make() -> int:
        made.append(1)
        time.sleep(0.02)
        return len(made)

    def ask(_: int) -> int:
        gate.wait(5)
        return kept.get("a", make)

    with ThreadPoolExecutor(many) as pool:
        assert {*pool.map(ask, range(many))} == {1}
    assert len(made) == 1


@pytest.mark.parametrize("error", [NotFound("no"), RuntimeError("bug")])
def test_failure_is_not_kept(error: Exception) -> None:
    """Who asks again after a failure, expected or not, gets a new answer."""
    kept = Kept(60.0)

    def fail() -> int:
        raise error

    with pytest.raises(type(error)):
        kept.get("a", fail)
    assert kept.get("a", lambda: 7) == 7


def test_those_who_wait_for_a_bug_try_themselves() -> None:
    """An unexpected failure is of the one who met it; nobody waits for ever."""
    kept = Kept(60.0)
    began, go_on = threading.Event(), threading.Event()

    def fail() -> int:
        began.set()
        go_on.wait(5)
        raise RuntimeError("bug")

    with ThreadPoolExecutor() as pool:
        first = pool.submit(kept.get, "a", fail)
        assert began.wait(5)
        second = pool.submit(kept.get, "a", lambda: 7)
        go_on.set()
        assert isinstance(first.exception(timeout=5), RuntimeError)
        assert second.result(timeout=5) == 7


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither many short answers nor some long ones fill the memory."""
    monkeypatch.setattr(readers, "_CHARACTERS", 1_000)
    kept = Kept(60.0)
    for number in range(2 * readers._KEPT):
        kept.get(number, lambda: "")
    assert len(kept._found) <= readers._KEPT
    for number in range(20):
        kept.get(("long", number), lambda: "x" * 300)
    assert sum(size for _, _, size in kept._found.values()) <= 1_000


def test_long_answer_is_made_beside_and_again_where_it_changed() -> None:
    """Who asks gets the last answer at once; the same mark needs no new one."""
    later, made = Later(0.0), []

    def make() -> int:
        made.append(1)
        return len(made)

    assert later.get("a", make, mark=1, patience=5) == 1
    later.wait()
    time.sleep(0.01)
    assert later.get("a", make, mark=1) == 1
    assert len(made) == 1
    later.get("a", make, mark=2)
    later.wait()
    assert later.get("a", make, mark=2) == 2


def test_long_answer_that_fails_keeps_the_last_one() -> None:
    """A ledger that is away for a while does not empty the page."""
    later = Later(0.0)
    assert later.get("a", lambda: 1, mark=1, patience=5) == 1
    later.wait()

    def fail() -> int:
        raise Unavailable("away")

    time.sleep(0.01)
    later.get("a", fail, mark=2)
    later.wait()
    assert later.get("a", fail, mark=1) == 1


def _run(path: Path, command: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(command)
        connection.commit()
