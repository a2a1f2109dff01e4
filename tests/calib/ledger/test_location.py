"""Where the ledger is, and what of its address may be seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.ledger.location import as_url, hide_credentials, ledger_url, sqlite_file


def test_default_is_in_the_users_data_folder(own_home: Path) -> None:
    """Without HSTFLOW_LEDGER the ledger is a file in the user's data folder."""
    expected = own_home / ".local" / "share" / "hstflow" / "ledger.db"
    assert ledger_url({}) == f"sqlite:///{expected}"


@pytest.mark.parametrize("blank", ["", "  "])
def test_blank_setting_is_the_default(blank: str) -> None:
    """An empty HSTFLOW_LEDGER is as good as none."""
    assert ledger_url({"HSTFLOW_LEDGER": blank}) == ledger_url({})


def test_setting_wins() -> None:
    """HSTFLOW_LEDGER is taken as it is where it is a URL."""
    url = "postgresql://me@host/hst"
    assert ledger_url({"HSTFLOW_LEDGER": url}) == url


def test_path_becomes_a_sqlite_url(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain path names a SQLite file, relative to here or to the home folder."""
    monkeypatch.chdir(own_home)
    assert as_url("a/l.db") == f"sqlite:///{own_home}/a/l.db"
    assert as_url("~/l.db") == f"sqlite:///{own_home}/l.db"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////home/me/l.db", "/home/me/l.db"),
        ("sqlite+pysqlite:////home/me/l.db", "/home/me/l.db"),
        ("sqlite:///l.db", "l.db"),
        ("sqlite:////l.db?timeout=3", "/l.db"),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("postgresql://host/l.db", None),
    ],
)
def test_file_of_a_url(url: str, path: str | None) -> None:
    """Three slashes begin a relative path, four an absolute one; memory is not a file."""
    assert sqlite_file(url) == (None if path is None else Path(path))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:pw@host/hst", "postgresql://host/hst"),
        ("postgresql://me:p@w@host/hst", "postgresql://host/hst"),
        ("cannot reach https://me@host/x now", "cannot reach https://host/x now"),
        ("s3://bucket/a@b.fits", "s3://bucket/a@b.fits"),
        ("https://h/x?a=1&X-Amz-Signature=beef&b=2", "https://h/x?a=1&X-Amz-Signature=***&b=2"),
        ("https://h/x?access_token=beef", "https://h/x?access_token=***"),
        ("postgresql://h/x?password=beef", "postgresql://h/x?password=***"),
        ("mail me@host, is it a token?", "mail me@host, is it a token?"),
    ],
)
def test_credentials_are_hidden(text: str, shown: str) -> None:
    """Users, passwords, tokens and signatures go; everything else stays."""
    assert hide_credentials(text) == shown


@given(st.text(st.characters(exclude_characters="/ \t\n@", exclude_categories=["Z", "C"])))
def test_no_password_survives(password: str) -> None:
    """Whatever a password is made of, hiding leaves the host alone, and hiding twice is once."""
    shown = hide_credentials(f"postgresql://me:{password}@host/hst")
    assert shown == "postgresql://host/hst"
    assert hide_credentials(shown) == shown
