"""Arguments in CALDP's order, and lists of names."""

from __future__ import annotations

import io
import logging
import re
from pathlib import Path

import pytest
from rich.console import Console

from calib.errors import ConfigError
from deployments.cli import console
from deployments.cli.console import (
    STEPS,
    expand_names,
    showing_steps,
    size_text,
    split_arguments,
)


@pytest.mark.parametrize(
    ("tokens", "datasets", "places"),
    [
        (["j8bt05njq"], ["j8bt05njq"], []),
        (["j8bt05njq", "file:in"], ["j8bt05njq"], ["file:in"]),
        (["a", "b", "file:in", "none", "onsite"], ["a", "b"], ["file:in", "none", "onsite"]),
        (["@list", "astroquery:", "s3://b/p"], ["@list"], ["astroquery:", "s3://b/p"]),
    ],
)
def test_arguments_are_split_at_the_first_uri(
    tokens: list[str], datasets: list[str], places: list[str]
) -> None:
    """DATASET... [INPUT_URI] [OUTPUT_URI] [PROFILE]: names end where the first URI begins."""
    assert split_arguments(tokens) == (datasets, places)


def test_names_from_commas_and_files(tmp_path: Path) -> None:
    """Commas separate; a list file has a name a line, blanks and comments passed over."""
    path = tmp_path / "list"
    path.write_text("j8bt05njq\n\n  # all of these\nj8bt06o6q # good\n")

    assert expand_names(["a,b", f"@{path}"]) == ["a", "b", "j8bt05njq", "j8bt06o6q"]


def test_missing_list_file(tmp_path: Path) -> None:
    """A list that cannot be read is a bad command."""
    with pytest.raises(ConfigError, match="list cannot be read"):
        expand_names([f"@{tmp_path / 'nothing'}"])


@pytest.mark.parametrize("tokens", [["@LIST"], [""], [","], [" ", ",,"]])
def test_tokens_without_a_name(tokens: list[str], tmp_path: Path) -> None:
    """They never become "no name", which stands for everything."""
    (tmp_path / "list").write_text("\n  # none today\n")

    with pytest.raises(ConfigError, match="the list names nothing"):
        expand_names(token.replace("LIST", str(tmp_path / "list")) for token in tokens)
    assert expand_names([]) == []
    assert expand_names(["", "a, b"]) == ["a", "b"]


def test_steps_are_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line of calibration follows the name; brackets are text; levels are put back."""
    shown = shown_by(monkeypatch, terminal=True)

    assert "x_raw.fits  (1 of 2)  dark: done [in] 0.1 s" in plain(shown)


def test_pipe_gets_no_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody looks, stderr has errors and warnings only."""
    assert not shown_by(monkeypatch, terminal=False).strip()


def shown_by(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> str:
    """Return what stderr gets of one step; the logger is afterwards as it was."""
    stream = io.StringIO()
    screen = Console(file=stream, force_terminal=terminal, width=100)
    monkeypatch.setattr(console, "err", screen)
    logger = logging.getLogger(STEPS)
    level = logger.level
    with screen.status("") as status, showing_steps(status) as show:
        show("x_raw.fits  (1 of 2)")
        logger.info("dark: done [in] 0.1 s")
        if terminal:  # now, instead of waiting for the spinner's next turn
            screen.print(status.renderable)
    assert (logger.level, logger.handlers) == (level, [])
    return stream.getvalue()


def plain(text: str) -> str:
    """Return text without a terminal's control sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_960, "1.0 MB"),
        (3.4e15, "3.4 PB"),
        (10**19, "10000.0 PB"),
    ],
)
def test_bytes_in_words(size: float, words: str) -> None:
    """Three digits and a unit of 1000."""
    assert size_text(size) == words
