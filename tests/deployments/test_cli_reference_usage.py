"""`hstflow reference usage`: which products were made with a reference."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from databases import template
from small_registry import ALONE, ASSOCIATION, BIAS, fill

from calib.ledger.ledger import open_ledger
from deployments.cli.main import run

__all__ = ["template"]

Usage = Callable[..., tuple[int, str, str]]


@pytest.fixture
def usage(
    template: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Usage:
    """Return a function that asks a ledger of an association and an exposure."""
    path = tmp_path / "usage.db"
    path.write_bytes(template.read_bytes())
    with open_ledger(str(path)) as opened:
        fill(opened)
    monkeypatch.setenv("HSTFLOW_LEDGER", f"sqlite:///{path}")

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(["reference", "usage", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_uses_are_counted_and_listed(usage: Usage) -> None:
    """By run and instrument, then one line for each exposure and keyword."""
    code, out, _ = usage(f"jref${BIAS.upper()}")
    assert code == 0
    assert "2 datasets, 3 uses" in out
    assert "BIASFILE" in out


def test_json_and_lists_are_for_programs(usage: Usage, tmp_path: Path) -> None:
    """Every use as JSON; names of datasets alone, each once, for @FILE."""
    names = tmp_path / "refs.txt"
    names.write_text(f"{BIAS}  # a bias\n")
    found = json.loads(usage(f"@{names}", "--json")[1])["uses"]
    assert [(each["dataset"], each["is_current"]) for each in found] == [
        (ASSOCIATION, False),
        (ASSOCIATION, False),
        (ALONE, True),
    ]
    assert usage(BIAS, "--list")[1].split() == [ASSOCIATION, ALONE]
    assert usage(BIAS, "--list", "--current")[1].split() == [ALONE]


def test_what_nothing_used_is_said(usage: Usage) -> None:
    """Unused is an answer, not an error; N/A is no reference."""
    code, out, _ = usage("nobody_drk.fits", "N/A")
    assert (code, "no product was made with" in out) == (0, True)


def test_without_a_ledger(usage: Usage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing was published, and nothing is made."""
    monkeypatch.setenv("HSTFLOW_LEDGER", f"sqlite:///{tmp_path / 'none.db'}")
    code, _, err = usage(BIAS)
    assert (code, "there is no ledger" in " ".join(err.split())) == (0, True)
    assert not (tmp_path / "none.db").exists()
    assert json.loads(usage(BIAS, "--json")[1])["uses"] == []
