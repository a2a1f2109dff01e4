"""Settings come from HSTFLOW_* variables and are refused with the variable's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from calib.errors import ConfigError
from calib.instruments.reference_memory import MEMORY, default_limit
from tasks.settings import limit_reference_memory, load_settings


def test_defaults_need_no_variable(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any variable everything has a place in the user's home."""
    monkeypatch.delenv("HSTFLOW_WORK")
    monkeypatch.delenv("HSTFLOW_LEDGER")

    settings = load_settings()

    assert settings.work.is_relative_to(own_home)
    assert str(own_home) in settings.ledger
    assert (settings.engine, settings.messages, settings.thumb) == ("auto", "none", None)


def test_caldp_home_is_the_work_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """CALDP_HOME works where HSTFLOW_WORK is not set, and gives way where it is."""
    monkeypatch.setenv("CALDP_HOME", str(tmp_path / "caldp"))
    assert load_settings().work != tmp_path / "caldp"

    monkeypatch.delenv("HSTFLOW_WORK")
    assert load_settings().work == tmp_path / "caldp"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HSTFLOW_THUMB", "huge"),
        ("HSTFLOW_MESSAGES", "loud"),
        ("HSTFLOW_PREVIEWS", "maybe"),
        ("HSTFLOW_REFERENCE_MEMORY", "lots"),
        ("HSTFLOW_REFERENCE_MEMORY", "-1"),
    ],
)
def test_unusable_value_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """A value that cannot be used is a ConfigError with the variable and the value."""
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigError, match=name) as caught:
        load_settings()
    assert value in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "most", "kept"),
    [("0", None, 0), ("1.5 KiB", None, 1536), ("2MB", 10, 10), (None, None, default_limit())],
)
def test_reference_memory_is_read_with_units(
    monkeypatch: pytest.MonkeyPatch, setting: str | None, most: int | None, kept: int
) -> None:
    """Bytes with or without a unit, 0 for none; never more than there is room for."""
    monkeypatch.setattr(MEMORY, "limit", MEMORY.limit)  # put back afterwards
    if setting is not None:
        monkeypatch.setenv("HSTFLOW_REFERENCE_MEMORY", setting)

    assert limit_reference_memory(load_settings(), most) == kept
    assert kept == MEMORY.limit


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("~/mine.db", "sqlite:///{home}/mine.db"),
        (" /data/mine.db ", "sqlite:////data/mine.db"),
        ("postgresql://host/name", "postgresql://host/name"),
        ("", None),
    ],
)
def test_the_ledger_may_be_a_path(
    own_home: Path, monkeypatch: pytest.MonkeyPatch, text: str, url: str | None
) -> None:
    """A path is a SQLite file, as for the commands that only read; empty is not set."""
    monkeypatch.delenv("HSTFLOW_LEDGER")
    default = load_settings().ledger
    monkeypatch.setenv("HSTFLOW_LEDGER", text)

    assert load_settings().ledger == (url.format(home=own_home) if url else default)
