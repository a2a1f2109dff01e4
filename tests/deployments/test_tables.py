"""Tables: whole where they fit, readable on a narrow screen."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from deployments.cli.tables import plain_table, print_rows


@pytest.mark.parametrize("width", [80, 20])
def test_rows_are_whole_on_any_screen(width: int) -> None:
    """Columns stand below each other where they fit; on a narrow screen cells are folded."""
    console = Console(file=io.StringIO(), width=width)
    rows = [("a" * 9, "1", "[b]"), ("c", "10", "\u661f")]
    print_rows(console, ("name", "n", "target"), rows, right=("n",))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    words = [word for line in lines for word in line.split()]
    assert {"1", "10", "[b]", "\u661f"} <= set(words)
    if width == 80:
        assert lines[1:] == ["aaaaaaaaa   1  [b]", "c          10  \u661f"]


@pytest.mark.parametrize(("width", "expected"), [(9, "a b c d"), (8, "a c d"), (3, "c d")])
def test_narrow_screen_leaves_columns_out(width: int, expected: str) -> None:
    """Columns that can be spared go one after the other, until the rest fits."""
    console = Console(file=io.StringIO(), width=width + 1)
    print_rows(console, "abcd", [("1", "2", "3", "4")], spare=("b", "a"))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines()[0].split() == expected.split()


def test_a_table_keeps_columns_whole() -> None:
    """On a narrow screen names stay on one line, and the text behind them is folded."""
    console = Console(file=io.StringIO(), width=24)
    table = plain_table("name", "size", "why", right=("size",), whole=("name",))
    table.add_row("j8bt05njq", "1 B", "w" * 30)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[1].startswith("j8bt05njq   1 B  w")
    assert sum(line.count("w") for line in lines[1:]) == 30
