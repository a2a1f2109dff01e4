"""Opening and writing where something is in the way."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError

from calib.errors import ConfigError, Unavailable
from calib.ids import DatasetId
from calib.ledger import database, store
from calib.ledger.ledger import Ledger, open_ledger
from calib.ledger.publications import record_data_ids
from calib.ledger.reports import Rows
from calib.records import DataId

RunAsUser = Callable[..., "subprocess.CompletedProcess[str]"]

OPEN = """
try:
    open_ledger(sys.argv[1])
except ConfigError as error:
    print(error)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Return a folder that every user can reach, unlike tmp_path."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite://", "needs a SQLite file or a PostgreSQL"),
        ("sqlite:///:memory:", "needs a SQLite file or a PostgreSQL"),
        ("mysql://me:secret@host/hst", "needs a SQLite file or a PostgreSQL"),
        ("postgresql://me:secret@host:port/hst", "not the URL of a ledger"),
        ("nonsense://me:secret@host", "needs a SQLite file or a PostgreSQL"),
    ],
)
def test_unusable_url_is_refused(url: str, words: str) -> None:
    """Other databases, memory and nonsense are refused, without showing a password."""
    with pytest.raises(ConfigError, match=words) as caught:
        open_ledger(url)
    assert "secret" not in str(caught.value)


def test_postgresql_without_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without psycopg the message says what to install."""
    monkeypatch.setattr(database, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"hstflow\[postgres\]") as caught:
        open_ledger("postgresql://me:secret@host/hst")
    assert "secret" not in str(caught.value)


def test_silent_server_is_a_config_error() -> None:
    """A PostgreSQL server that is not there is named, without the password."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    with pytest.raises(ConfigError, match="cannot be opened") as caught:
        open_ledger("postgresql://me:secret@127.0.0.1:1/hst")
    assert "127.0.0.1:1/hst" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    """A folder that cannot be made is a ConfigError that names it."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=f"cannot be made.*{tmp_path / 'file' / 'sub'}"):
        open_ledger(f"sqlite:///{tmp_path}/file/sub/l.db")


def test_directory_is_not_a_ledger(tmp_path: Path) -> None:
    """A path that is a folder is a ConfigError."""
    with pytest.raises(ConfigError, match="unable to open database file"):
        open_ledger(f"sqlite:///{tmp_path}")


def test_text_file_is_not_a_ledger(tmp_path: Path) -> None:
    """A file that is no database is a ConfigError, and stays as it is."""
    path = tmp_path / "l.db"
    path.write_text("simple = true\n" * 100)
    with pytest.raises(ConfigError, match="not a database"):
        open_ledger(f"sqlite:///{path}")
    assert path.read_text() == "simple = true\n" * 100


def test_read_only_file_is_refused(
    open_folder: Path, template: Path, python_as_user: RunAsUser
) -> None:
    """A ledger that we may read but not write is a ConfigError at once, not at the first job."""
    path = open_folder / "l.db"
    shutil.copy(template, path)
    path.chmod(stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
    open_folder.chmod(0o777)
    done = python_as_user(OPEN, f"sqlite:///{path}")
    assert "cannot be opened or written: attempt to write a readonly database" in done.stdout
    assert str(path) in done.stdout


def test_unwritable_folder_is_refused(open_folder: Path, python_as_user: RunAsUser) -> None:
    """A new ledger in a folder that we may not write is a ConfigError."""
    open_folder.chmod(0o555)
    done = python_as_user(OPEN, f"sqlite:///{open_folder}/l.db")
    assert "unable to open database file" in done.stdout
    done = python_as_user(OPEN, f"sqlite:///{open_folder}/sub/l.db")
    assert "the folder of the ledger cannot be made" in done.stdout
    open_folder.chmod(0o755)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait milliseconds where the ledger waits seconds."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(store, "_PAUSES", (0.01, 0.05, 0.2))


@pytest.mark.usefixtures("impatient")
def test_locked_for_good_is_unavailable(tmp_path: Path, dataset: DatasetId) -> None:
    """A database that somebody keeps locked is Unavailable in the end, which is retried."""
    path = tmp_path / "l.db"
    with open_ledger(str(path)) as ledger, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="database is locked"):
            ledger.submit("adhoc", dataset, "r1", context="hst_1.pmap")
        assert ledger.jobs_of(dataset) == [], "readers do not wait"


@pytest.mark.usefixtures("impatient")
def test_locked_for_a_while_is_waited_for(tmp_path: Path, dataset: DatasetId) -> None:
    """A write that finds the database locked is tried again, as a whole."""
    path = tmp_path / "l.db"
    with (
        open_ledger(str(path)) as ledger,
        closing(sqlite3.connect(path, check_same_thread=False)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.15, other.rollback)
        release.start()
        ledger.submit("adhoc", dataset, "r1", context="hst_1.pmap")
        release.join()
        assert [change.to_state for change in ledger.history(dataset)] == ["planned", "submitted"]


def test_full_disk_is_unavailable_and_leaves_nothing(tmp_path: Path, dataset: DatasetId) -> None:
    """A write that finds no room is Unavailable; nothing is half written."""

    def allow_no_growth(connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute("PRAGMA max_page_count=1")

    path = str(tmp_path / "l.db")
    open_ledger(path).close()
    with open_ledger(path) as ledger:
        ledger._store.close()
        event.listen(ledger._store._engine, "connect", allow_no_growth)
        with pytest.raises(Unavailable, match="database or disk is full"):
            ledger.plan("big", [_exposure(n) for n in range(2000)], "r1", context="hst_1.pmap")
        assert ledger.count_states() == {}


def test_bug_is_not_dressed_up(ledger: Ledger) -> None:
    """A broken constraint is our bug: it is neither retried nor called Unavailable."""
    query = text("INSERT INTO current_run (id, dataset, run_id, updated_at) VALUES (1,'x',77,'')")
    with pytest.raises(IntegrityError):
        ledger._store.write(lambda c: c.execute(query))


def test_reading_cannot_reach_a_removed_ledger(tmp_path: Path) -> None:
    """A ledger whose folder is gone is Unavailable, not a traceback of SQLite."""
    folder = tmp_path / "sub"
    ledger = open_ledger(str(folder / "l.db"))
    ledger.close()
    shutil.rmtree(folder)
    with pytest.raises(Unavailable, match="unable to open"):
        ledger.count_states()
    ledger.close()


def test_forked_child_uses_its_own_connection(tmp_path: Path) -> None:
    """A child of fork never writes through the connection of its parent."""
    code = """
import os, sys
from calib.ids import parse_dataset
from calib.ledger.ledger import open_ledger

def connection():
    return ledger._store.read(lambda c: c.connection.driver_connection)

with open_ledger(sys.argv[1]) as ledger:
    of_parent = connection()
    assert connection() is of_parent, "one process keeps its connection"
    child = os.fork()
    if not child:
        assert connection() is not of_parent
        ledger.submit("adhoc", parse_dataset("j8bt05njq"), "r1", context="c")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert connection() is of_parent
    print(ledger.count_states())
"""
    command = [sys.executable, "-c", code, str(tmp_path / "l.db")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "{'submitted': 1}\n"


def _exposure(number: int) -> DatasetId:
    return DatasetId(f"j{number:07d}q", "ipst", "acs")


@pytest.mark.parametrize("proposal", [2**70, -(2**70)])
def test_value_that_does_not_fit_is_named(ledger: Ledger, proposal: int) -> None:
    """A number that no column holds is no trouble of the database: trying again is no use."""
    found = DataId("j8bt05njq", "acs", "8bt", "05", proposal=proposal)
    with pytest.raises(ConfigError, match="takes no such value"):
        ledger.write(lambda c: record_data_ids(c, [found]))
    assert ledger.ask(lambda rows: rows("SELECT * FROM data_id", {})) == []


def test_half_a_character_is_named(ledger: Ledger) -> None:
    """Text that cannot be encoded, as JSON may hold it, is refused in words."""
    found = DataId("j8bt05njq", "acs", "8bt", "05", target="\ud800")
    with pytest.raises(ConfigError, match="takes no such value"):
        ledger.write(lambda c: record_data_ids(c, [found]))


def test_question_sees_one_state(url: str, dataset: DatasetId) -> None:
    """What another process writes meanwhile does not show between two statements."""
    with open_ledger(url) as ledger, open_ledger(url) as other:
        job = ledger.submit("adhoc", dataset, "r1", context="hst_1.pmap")

        def look(rows: Rows) -> list[list[dict[str, Any]]]:
            first = rows("SELECT state FROM job", {})
            other.change_state(job, "cancelled", "enough")
            return [first, rows("SELECT state FROM job", {})]

        assert ledger.ask(look) == [[{"state": "submitted"}]] * 2
        assert ledger.count_states() == {"cancelled": 1}
