"""A copy of the ledger: consistent, complete or not there."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from calib.errors import ConfigError
from calib.ids import DatasetId
from calib.ledger.backup import back_up
from calib.ledger.ledger import open_ledger


def test_copy_is_a_ledger(tmp_path: Path, dataset: DatasetId) -> None:
    """The copy has what was committed, also while the ledger is open, and works as a ledger."""
    url, target = f"sqlite:///{tmp_path}/l.db", tmp_path / "copy.db"
    with open_ledger(url) as ledger:
        ledger.submit("adhoc", dataset, "r1", context="hst_1.pmap")
        size = back_up(url, target)
        expected = ledger.history(dataset)
    assert size == target.stat().st_size
    with open_ledger(str(target)) as copy:
        assert copy.history(dataset) == expected
    assert not list(tmp_path.glob("*.part"))


def test_copy_replaces_nothing(tmp_path: Path) -> None:
    """An existing file is never replaced, and nothing is left beside it."""
    url, target = f"sqlite:///{tmp_path}/l.db", tmp_path / "copy.db"
    open_ledger(url).close()
    target.write_text("precious")
    with pytest.raises(ConfigError, match=r"the backup exists.*copy\.db"):
        back_up(url, target)
    assert target.read_text() == "precious"
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:////nowhere/l.db", "no ledger to back up"),
        ("postgresql://me:secret@host/hst", "use pg_dump"),
    ],
)
def test_what_cannot_be_copied(tmp_path: Path, url: str, words: str) -> None:
    """A ledger that is not there or on a server is a ConfigError."""
    with pytest.raises(ConfigError, match=words) as caught:
        back_up(url, tmp_path / "copy.db")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"simple = true\n" * 100])
def test_failed_copy_leaves_nothing(tmp_path: Path, content: bytes) -> None:
    """A copy that fails half-way leaves no file: neither the target nor a part of it."""
    source = tmp_path / "l.db"
    source.write_bytes(content)
    target = tmp_path / "missing" / "copy.db" if not content else tmp_path / "copy.db"
    with pytest.raises(ConfigError, match="cannot be copied"):
        back_up(f"sqlite:///{source}", target)
    assert [path.name for path in tmp_path.iterdir()] == ["l.db"]


def test_copy_is_one_file(tmp_path: Path) -> None:
    """The copy needs no log file beside it."""
    url, target = f"sqlite:///{tmp_path}/l.db", tmp_path / "copy.db"
    open_ledger(url).close()
    back_up(url, target)
    connection = sqlite3.connect(target)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    connection.close()
