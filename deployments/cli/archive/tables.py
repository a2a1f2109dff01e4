"""How the `archive` commands show things: tables, sizes, times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from calib.ledger.location import hide_credentials
from calib.ledger.products import Amount
from deployments.cli.console import err, out

# Width of what goes to a file or a pipe, characters: so that a product stays on one line.
PIPE_WIDTH = 240

_UNITS = ("kB", "MB", "GB", "TB", "PB")
_THOUSAND = 1000.0


def screen() -> Console:
    """Return the console to print to: as wide as it is, and wide where nobody looks."""
    return out if out.is_terminal else Console(width=PIPE_WIDTH, highlight=False)


def plain_table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """Return a table without lines, the columns named in `right` set to the right."""
    table = Table(*columns, box=None, pad_edge=False, header_style="dim")
    for column in table.columns:
        column.justify = "right" if column.header in right else "left"
        column.overflow = "fold"
    return table


def print_rows(
    console: Console,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: tuple[str, ...] = (),
) -> None:
    """Print rows of plain text as a table.

    Where they fit they are set here: rich takes more than half a millisecond for each row.
    """
    lines = [tuple(columns), *map(tuple, rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    if sum(widths) + 2 * len(widths) > console.width:
        table = plain_table(*columns, right=right)
        for line in lines[1:]:
            table.add_row(*map(escape, line))
        console.print(table)
        return
    sides = ["rjust" if name in right else "ljust" for name in columns]
    texts = [
        "  ".join(
            getattr(text, side)(width + len(text) - cell_len(text))
            for text, side, width in zip(line, sides, widths, strict=True)
        ).rstrip()
        for line in lines
    ]
    console.out(texts[0], style="dim", highlight=False)
    console.out("\n".join(texts[1:]), highlight=False)


def size_text(size: float) -> str:
    """Return a number of bytes for people: ``1.2 MB``."""
    if size < _THOUSAND:
        return f"{size:.0f} B"
    for unit in _UNITS:
        size /= _THOUSAND
        if size < _THOUSAND or unit == _UNITS[-1]:
            break
    return f"{size:.1f} {unit}"


def time_text(time: str | None) -> str:
    """Shorten an ISO time to seconds."""
    return "" if time is None else time[:19].replace("T", " ")


def cell(value: object) -> str:
    """Return a value as the text of a cell, empty for None."""
    return "" if value is None else escape(str(value))


def count_text(number: int, word: str) -> str:
    """Return a number with its word: ``1 product``, ``2 products``."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def amounts_text(amounts: Mapping[str, Amount]) -> str:
    """Return how much there is of each type: ``3 products, 1.2 MB (flt 2, raw 1)``."""
    number = sum(each.products for each in amounts.values())
    size = size_text(sum(each.bytes for each in amounts.values()))
    types = ", ".join(f"{name or '?'} {each.products:,}" for name, each in amounts.items())
    return f"{count_text(number, 'product')}, {size} ({types})"


def tell_no_ledger(url: str) -> None:
    """Say on stderr that there is nothing to read."""
    message = f"nothing was published yet: there is no ledger at {hide_credentials(url)}"
    err.print(escape(message), soft_wrap=True)
