"""The schema: from nothing, from older code, from newer code, from somebody else."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from quick_ledgers import replayed, tables
from sqlalchemy import Connection, create_engine, text

from calib.errors import ConfigError
from calib.ids import parse_dataset
from calib.ledger import upgrade
from calib.ledger.ledger import open_ledger
from calib.ledger.revision import REVISION, VERSION_TABLE
from calib.ledger.schema import metadata
from calib.ledger.store import Store
from calib.ledger.upgrade import MIGRATIONS

MIGRATE = upgrade._run_alembic  # as it is before any test


def set_version(path: Path, version: str) -> None:
    """Pretend that another hstflow made a ledger."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE hstflow_ledger_version SET version_num = ?", [version])


@pytest.fixture(autouse=True)
def migrated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the migrations for each new ledger, as users do."""
    monkeypatch.setattr(upgrade, "_run_alembic", MIGRATE)


def test_ledgers_of_other_tests_are_what_the_migrations_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Table by table, view by view, index by index."""
    open_ledger(str(tmp_path / "migrated.db")).close()
    monkeypatch.setattr(upgrade, "_run_alembic", replayed(MIGRATE))
    open_ledger(str(tmp_path / "replayed.db")).close()

    assert tables(tmp_path / "replayed.db") == tables(tmp_path / "migrated.db")


def test_migrated_schema_is_that_of_the_tables(url: str) -> None:
    """The migrations, run on an empty database, make exactly the tables of schema.py."""
    store = Store(url)
    assert store.read(differences) == []
    store.close()


def test_revision_is_the_last_migration() -> None:
    """The revision that readers know is the head of the migrations."""
    script = ScriptDirectory(str(MIGRATIONS))
    assert script.get_heads() == [REVISION]


def test_folder_and_schema_are_made(tmp_path: Path) -> None:
    """A ledger comes into being where there was nothing, folders included; URL or path."""
    path = tmp_path / "new" / "100% new" / "ledger.db"
    with open_ledger(str(path)) as ledger:
        assert ledger.url == f"sqlite:///{path}"
        assert ledger.count_states() == {}
    assert path.exists()


def test_write_ahead_log_is_on(tmp_path: Path) -> None:
    """A ledger is in WAL mode: readers never wait for the writer."""
    open_ledger(str(tmp_path / "l.db")).close()
    with closing(sqlite3.connect(tmp_path / "l.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_up_to_date_ledger_opens_without_alembic(template: Path) -> None:
    """Workers open a ledger often: only one that is behind pays for alembic."""
    code = (
        "import sys; from calib.ledger.ledger import open_ledger;"
        "open_ledger(sys.argv[1]).close(); print('alembic' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(template)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_newer_ledger_is_refused(tmp_path: Path) -> None:
    """A ledger of a newer hstflow stays untouched; the message says what to do."""
    path = tmp_path / "l.db"
    open_ledger(str(path)).close()
    set_version(path, "9999")
    with pytest.raises(
        ConfigError, match=rf"upgrade hstflow .*expected schema {REVISION}; found schema 9999"
    ):
        open_ledger(str(path))


def test_file_of_another_program_is_refused(tmp_path: Path) -> None:
    """A SQLite file with tables of another program is left alone."""
    path = tmp_path / "prefect.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE flow_run (id TEXT)")
    with pytest.raises(ConfigError, match=r"another program.*flow_run"):
        open_ledger(str(path))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("flow_run",)]


def test_upgrade_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Making a schema is a line in the log."""
    with caplog.at_level(logging.INFO, logger="calib.ledger"):
        open_ledger(str(tmp_path / "l.db")).close()
    assert f"schema none -> {REVISION}" in caplog.text


def test_products_move_under_their_publications(tmp_path: Path) -> None:
    """Products of schema 0001 keep run, attempt, name, checksum and place; views are there."""
    path = tmp_path / "l.db"
    with made_as(f"sqlite:///{path}", "0001") as connection:
        connection.execute(text(OLD_RUN))
        for number, (name, suffix) in enumerate(OLD_FILES.items(), start=1):
            values = {"id": number, "name": name, "suffix": suffix, "uri": f"file:///o/d/{name}"}
            connection.execute(text(OLD_PRODUCT), values)
    with open_ledger(str(path)) as ledger:
        found = ledger.ask(lambda rows: rows(NEW_PRODUCTS, {}))
    assert [tuple(row.values()) for row in found] == [
        ("r1", "j8bt05010", "j8bt05njq_flt.fits", "flt", "j8bt05njq"),
        ("r1", "j8bt05010", "previews/j8bt05njq_flt_thumb.jpg", "preview", "j8bt05njq"),
        ("r1", "j8bt05010", "logs/process.txt", "log", "j8bt05010"),
    ]


@pytest.mark.parametrize(
    ("ended_at", "seconds"),
    [
        ("2026-01-31T12:00:00.500000+00:00", 90.5),  # from 11:58:30
        ("2026-01-31T10:58:30.000000+00:00", 0.0),  # the clock was set back by an hour
        (None, None),
    ],
)
def test_how_attempts_ended_is_filled_in(
    empty: str, ended_at: str | None, seconds: float | None
) -> None:
    """A job of schema 0004 gets the seconds of its last attempt, and the stage that failed."""
    with made_as(empty, "0004") as connection:
        for statement in FAILED_JOB.split(";"):
            connection.exec_driver_sql(statement)
        connection.execute(text("UPDATE attempt SET ended_at = :at WHERE id = 2"), {"at": ended_at})
    with open_ledger(empty) as ledger:
        (job,) = ledger.ask(lambda rows: rows("SELECT failed_stage, seconds FROM job", {}))
    assert job["failed_stage"] == "calibrate"
    assert job["seconds"] == (None if seconds is None else pytest.approx(seconds, abs=0.01))


def test_ledger_of_0004_is_whole_afterwards(empty: str) -> None:
    """Rows of schema 0004 stay, the tables become those of now, and jobs can be added."""
    with made_as(empty, "0004") as connection:
        for statement in FAILED_JOB.split(";"):
            connection.exec_driver_sql(statement)
        set_sequences(connection)
    with open_ledger(empty) as ledger:
        ledger.submit("c", parse_dataset("j8bt05njq"), "r", context="x")
        jobs = ledger.ask(lambda rows: rows("SELECT dataset, state FROM job ORDER BY id", {}))
        stages = ledger.ask(lambda rows: rows("SELECT COUNT(*) AS number FROM stage_run", {}))
        checked = ledger.ask(lambda rows: rows("SELECT COUNT(*) AS number FROM verification", {}))
    assert [(job["dataset"], job["state"]) for job in jobs] == [
        ("d", "error"),
        ("j8bt05njq", "submitted"),
    ]
    assert (stages[0]["number"], checked[0]["number"]) == (4, 0)
    store = Store(empty)
    assert store.read(differences) == []
    store.close()


@pytest.fixture
def empty(url: str, tmp_path: Path) -> str:
    """Return the URL of a database without a ledger, of each kind."""
    return url if url.startswith("postgresql") else f"sqlite:///{tmp_path / 'empty.db'}"


@contextmanager
def made_as(url: str, revision: str) -> Iterator[Connection]:
    """Make a ledger as hstflow made it at a revision; rows may be added."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        yield connection
    engine.dispose()


def set_sequences(connection: Connection) -> None:
    """Let PostgreSQL number new rows behind those that were entered with their numbers."""
    if connection.dialect.name == "postgresql":
        for table in ("campaign", "job", "attempt"):
            place = f"pg_get_serial_sequence('{table}', 'id')"
            words = f"SELECT setval({place}, MAX(id)) FROM {table}"  # noqa: S608 - names are ours
            connection.exec_driver_sql(words)


def differences(connection: Connection) -> list[object]:
    """Return in what the tables of a database differ from those of schema.py."""
    options = {"version_table": VERSION_TABLE, "compare_type": True}
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, metadata))


FAILED_JOB = """
INSERT INTO campaign (id, name, created_at) VALUES (1, 'c', 'then');
INSERT INTO job (id, campaign_id, dataset, kind, instrument, run, context, state, attempts,
  error_class, created_at, updated_at)
VALUES (1, 1, 'd', 'exp', 'acs', 'r', 'x', 'error', 2, 'EngineError', 'then', 'then');
INSERT INTO attempt (id, job_id, number, host, pid, process_started, token, started_at,
  heartbeat_at, ended_at)
VALUES (1, 1, 1, 'h', 1, 1, 't', '2026-01-31T10:00:00.000000+00:00', 'x',
  '2026-01-31T11:00:00.000000+00:00'),
  (2, 1, 2, 'h', 1, 1, 't', '2026-01-31T11:58:30.000000+00:00', 'x',
  '2026-01-31T12:00:00.500000+00:00');
INSERT INTO stage_run (attempt_id, stage, state, started_at) VALUES (1, 'fetch', 'error', 'then'),
  (2, 'fetch', 'done', 'then'), (2, 'calibrate', 'error', 'then'),
  (2, 'state-message', 'done', 'then')
"""

OLD_FILES = {
    "j8bt05njq_flt.fits": "flt",
    "previews/j8bt05njq_flt_thumb.jpg": "thumb",
    "logs/process.txt": "txt",
}
OLD_RUN = "INSERT INTO run VALUES (1, 'r1', 'c', 'native', '1', '{}', 'file:///o', 'then')"
OLD_PRODUCT = """INSERT INTO product
(id, run_id, dataset, name, suffix, sha256, size, uri, created_at)
VALUES (:id, 1, 'j8bt05010', :name, :suffix, 'aa', 1, :uri, 'then')"""
NEW_PRODUCTS = "SELECT run, dataset, name, type, rootname FROM products ORDER BY id"
