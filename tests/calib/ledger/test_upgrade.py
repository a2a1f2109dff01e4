"""The schema: from nothing, from older code, from newer code, from somebody else."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

from calib.errors import ConfigError
from calib.ledger.ledger import open_ledger
from calib.ledger.revision import REVISION, VERSION_TABLE
from calib.ledger.schema import metadata
from calib.ledger.store import Store
from calib.ledger.upgrade import MIGRATIONS


def set_version(path: Path, version: str) -> None:
    """Pretend that another hstflow made a ledger."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE hstflow_ledger_version SET version_num = ?", [version])


def test_migrated_schema_is_that_of_the_tables(url: str) -> None:
    """The migrations, run on an empty database, make exactly the tables of schema.py."""

    def differences(connection: Connection) -> list[object]:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, metadata))

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
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(text(OLD_RUN))
        for number, (name, suffix) in enumerate(OLD_FILES.items(), start=1):
            values = {"id": number, "name": name, "suffix": suffix, "uri": f"file:///o/d/{name}"}
            connection.execute(text(OLD_PRODUCT), values)
    engine.dispose()
    with open_ledger(str(path)) as ledger:
        found = ledger.ask(lambda rows: rows(NEW_PRODUCTS, {}))
    assert [tuple(row.values()) for row in found] == [
        ("r1", "j8bt05010", "j8bt05njq_flt.fits", "flt", "j8bt05njq"),
        ("r1", "j8bt05010", "previews/j8bt05njq_flt_thumb.jpg", "preview", "j8bt05njq"),
        ("r1", "j8bt05010", "logs/process.txt", "log", "j8bt05010"),
    ]


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
