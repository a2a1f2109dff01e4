"""How commands show things: tables, times, amounts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from calib.ledger.location import hide_credentials
from calib.ledger.products import Amount
from deployments.cli.console import count_text, err, size_text


def plain_table(*columns: str, right: tuple[str, ...] = (), whole: tuple[str, ...] = ()) -> Table:
    """Return a table without lines.

    Parameters
    ----------
    columns
        Their titles.
    right
        Those set to the right.
    whole
        Those kept on one line; the others are folded where the screen is narrow.
    """
    table = Table(*columns, box=None, pad_edge=False, header_style="dim")
    for column in table.columns:
        column.justify = "right" if column.header in right else "left"
        column.no_wrap = column.header in whole
        column.overflow = "ellipsis" if column.no_wrap else "fold"
    return table


def print_rows(
    console: Console,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: tuple[str, ...] = (),
    spare: tuple[str, ...] = (),
    whole: tuple[str, ...] = (),
) -> None:
    """Print rows of plain text as a table.

    On a narrow screen the columns in `spare` are left out one after the other, and of the
    others those in `whole` stay on one line (what is typed or copied). Rows that fit
    are set here: rich takes more than half a millisecond for each.
    """
    kept = dict(zip(columns, zip(*rows, strict=True), strict=True))
    widths = {name: max(map(cell_len, (name, *texts))) for name, texts in kept.items()}
    for name in spare:
        if not _fits(widths, console):
            kept.pop(name)
            widths.pop(name)
    if _fits(widths, console):
        _print_plain(console, kept, widths, right)
        return
    table = plain_table(*kept, right=right, whole=whole)
    for row in zip(*kept.values(), strict=True):
        table.add_row(*map(escape, row))
    console.print(table)


def _fits(widths: Mapping[str, int], console: Console) -> bool:
    return sum(widths.values()) + 2 * (len(widths) - 1) <= console.width


def _print_plain(
    console: Console,
    columns: Mapping[str, Sequence[str]],
    widths: Mapping[str, int],
    right: tuple[str, ...],
) -> None:
    set_columns = [
        [_set(text, widths[name], to_right=name in right) for text in (name, *texts)]
        for name, texts in columns.items()
    ]
    head, *lines = ("  ".join(row).rstrip() for row in zip(*set_columns, strict=True))
    console.out(head, style="dim", highlight=False)
    console.out("\n".join(lines), highlight=False)


def _set(text: str, width: int, *, to_right: bool) -> str:
    blanks = " " * (width - cell_len(text))
    return blanks + text if to_right else text + blanks


def time_text(time: str | None) -> str:
    """Shorten an ISO time to seconds."""
    return "" if time is None else time[:19].replace("T", " ")


def cell(value: object) -> str:
    """Return a value as the text of a cell, empty for None."""
    return "" if value is None else escape(str(value))


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
