"""Reading a ledger without SQLAlchemy, without changing it, and without getting in the way."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from calib.errors import ConfigError
from calib.ids import DatasetId, parse_dataset
from calib.ledger.ledger import Attempt, Ledger, open_ledger
from calib.ledger.reading import open_reader
from calib.ledger.reports import (
    Rows,
    count_states,
    current_run_of,
    history_of,
    jobs_of,
    recent_jobs,
    stages_of,
    states_in,
)
from calib.records import Outcome

Begin = Callable[..., Attempt]
RunAsUser = Callable[..., "subprocess.CompletedProcess[str]"]


def everything(rows: Rows) -> list[object]:
    """Return the answers to all questions."""
    jobs = recent_jobs(rows)
    return [
        jobs,
        recent_jobs(rows, campaign="adhoc", state="error", number=1),
        count_states(rows),
        count_states(rows, campaign="nightly"),
        [jobs_of(rows, job.dataset, campaign=job.campaign) for job in jobs],
        [history_of(rows, job.dataset) for job in jobs],
        [stages_of(rows, job) for job in jobs],
        [current_run_of(rows, job.dataset) for job in jobs],
        states_in(rows, "nightly"),
    ]


def test_reader_and_ledger_give_the_same_answers(url: str, ledger: Ledger, begin: Begin) -> None:
    """The standard library and SQLAlchemy read the same from the same ledger."""
    ledger.plan("nightly", [parse_dataset("j8bt05nkq")], "r1", context="hst_1.pmap")
    attempt = begin()
    ledger.close_stage(ledger.open_stage(attempt, "fetch"), "done")
    ledger.finish_attempt(attempt, Outcome(attempt.dataset, "error", "a test", 22, "NotFound"))
    with open_reader(url) as rows:
        assert rows is not None
        answers = everything(rows)
    assert answers == ledger.ask(everything)
    assert answers[2] == {"planned": 1, "error": 1}
    assert answers[3] == {"planned": 1}
    assert answers[8] == {"j8bt05nkq": "planned"}


def test_latest_jobs_come_first(ledger: Ledger) -> None:
    """The jobs that changed last come first, as many as asked for, of the campaign or state."""
    for letter in "abc":
        name = parse_dataset(f"j8bt05n{letter}q")
        ledger.submit("nightly", name, "r1", context="hst_1.pmap")
    ledger.plan("other", [parse_dataset("j8bt05ndq")], "r1", context="hst_1.pmap")

    def names(**wanted: object) -> str:
        jobs = ledger.ask(lambda rows: recent_jobs(rows, **wanted))  # type: ignore[arg-type]
        return "".join(job.dataset[7] for job in jobs)

    assert names() == "dcba"
    assert names(number=2) == "dc"
    assert names(campaign="nightly", number=2) == "cb"
    assert names(state="planned") == "d"
    assert names(campaign="nobody") == ""


def test_no_ledger_is_nothing_and_makes_nothing(tmp_path: Path) -> None:
    """Asking a ledger that does not exist gives None and leaves no file."""
    with open_reader(f"sqlite:///{tmp_path}/l.db") as rows:
        assert rows is None
    assert list(tmp_path.iterdir()) == []


def test_empty_database_is_no_ledger_yet(tmp_path: Path) -> None:
    """A file without tables (another process is just making it) is no ledger yet."""
    (tmp_path / "l.db").touch()
    with open_reader(f"sqlite:///{tmp_path}/l.db") as rows:
        assert rows is None


def test_text_file_is_refused(tmp_path: Path) -> None:
    """A file that is no database is a ConfigError that names it."""
    (tmp_path / "l.db").write_text("simple = true\n" * 100)
    with (
        pytest.raises(ConfigError, match=r"cannot be read.*l\.db"),
        open_reader(f"sqlite:///{tmp_path}/l.db"),
    ):
        pass


@pytest.mark.parametrize(
    ("version", "advice"), [("9999", "upgrade hstflow"), ("0000", "hstflow ledger upgrade")]
)
def test_other_schema_is_refused(tmp_path: Path, template: Path, version: str, advice: str) -> None:
    """A ledger of another hstflow is not read: the message says which side to upgrade."""
    path = shutil.copy(template, tmp_path / "l.db")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE hstflow_ledger_version SET version_num = ?", [version])
    with (
        pytest.raises(ConfigError, match=f"{advice}.*found schema {version}"),
        open_reader(f"sqlite:///{path}"),
    ):
        pass


def test_reader_cannot_write(url: str, ledger: Ledger, dataset: DatasetId) -> None:
    """What reads cannot change anything, even by mistake (SQLite)."""
    if not url.startswith("sqlite"):
        pytest.skip("a PostgreSQL reader has the rights of its user")
    ledger.submit("adhoc", dataset, "r1", context="hst_1.pmap")

    def delete() -> None:
        with open_reader(url) as rows:
            assert rows is not None
            rows("DELETE FROM transition", {})

    with pytest.raises(ConfigError, match="readonly"):
        delete()
    assert len(ledger.history(dataset)) == 2


def test_reader_does_not_wait_for_a_writer(tmp_path: Path, template: Path) -> None:
    """While somebody writes, a reader sees the state before."""
    path = shutil.copy(template, tmp_path / "l.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        writer.execute("INSERT INTO campaign (name, created_at) VALUES ('nightly', '')")
        with open_reader(f"sqlite:///{path}") as rows:
            assert rows is not None
            assert rows("SELECT * FROM campaign", {}) == []
        writer.rollback()


@pytest.mark.parametrize("busy", [False, True])
def test_ledger_in_a_folder_of_somebody_else(
    template: Path, python_as_user: RunAsUser, dataset: DatasetId, busy: bool
) -> None:
    """The status of a colleague's ledger can be read without any right to write there."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = shutil.copy(template, folder / "l.db")
        ledger = open_ledger(str(path))
        ledger.submit("adhoc", dataset, "r1", context="hst_1.pmap")
        if not busy:
            ledger.close()
        for each in folder.iterdir():
            each.chmod(0o444)
        folder.chmod(0o555)
        done = python_as_user(
            "os.environ['HSTFLOW_LEDGER'] = sys.argv[1];deployments.cli.status.status()", str(path)
        )
        folder.chmod(0o755)
        ledger.close()
    assert "submitted 1" in done.stdout


def test_reading_needs_no_sqlalchemy(template: Path) -> None:
    """A SQLite ledger is read with the standard library alone."""
    code = (
        "import sys; from calib.ledger.reading import open_reader\n"
        "with open_reader('sqlite:///' + sys.argv[1]) as rows: assert rows\n"
        "print({'sqlalchemy', 'psutil', 'pydantic', 'numpy'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, str(template)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_path_is_the_url_of_a_file(tmp_path: Path) -> None:
    """Who has a path only reads the same ledger."""
    open_ledger(str(tmp_path / "l.db")).close()

    with open_reader(str(tmp_path / "l.db")) as rows:
        assert rows is not None
    with open_reader(str(tmp_path / "none.db")) as rows:
        assert rows is None
