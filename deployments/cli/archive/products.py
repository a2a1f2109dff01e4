"""`hstflow archive products`: which products exist."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

from cyclopts import Parameter, validators
from rich.markup import escape

from calib.ledger.location import hide_credentials, ledger_url
from calib.ledger.products import Amount, Product, count_products, find_products
from calib.ledger.reading import open_reader
from deployments.cli.archive.selection import Selection
from deployments.cli.console import Flag, err, out, print_json, size_text
from deployments.cli.tables import (
    amounts_text,
    print_rows,
    tell_no_ledger,
    time_text,
)

# Lines of a table that a person can still want to scroll through.
MOST_ROWS = 1000


@dataclass(frozen=True)
class ProductsOutput:
    """How products are listed.

    Attributes
    ----------
    number
        Most products to list. Without it a table stops at 1000, and --json, --uri and --path
        give all.
    uri
        Print URIs only, one a line.
    path
        Print paths only, one a line (the URI of what lies in a bucket).
    json
        Write JSON to stdout.
    """

    number: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None
    uri: Flag = False
    path: Flag = False
    json: Flag = False

    @property
    def limit(self) -> int | None:
        """Most products to ask for."""
        for_programs = self.json or self.is_lines
        return self.number if self.number is not None or for_programs else MOST_ROWS

    @property
    def is_lines(self) -> bool:
        """Whether places are printed, and nothing is counted."""
        return (self.uri or self.path) and not self.json


def products(
    *names: str,
    selection: Annotated[Selection | None, Parameter(name="*")] = None,
    output: Annotated[ProductsOutput | None, Parameter(name="*")] = None,
) -> int:
    """List products by what they show, what they are and where they were made.

    Nothing that was pruned is listed. The mark * is that of the current version.

    Parameters
    ----------
    names
        Datasets, exposures or files, with * and ? (quoted), or @FILE with one a line.
    """
    selection, output = selection or Selection(), output or ProductsOutput()
    url = ledger_url(os.environ)
    query = selection.query(names, limit=output.limit)
    found: list[Product] = []
    amounts: dict[str, Amount] = {}
    with open_reader(url) as rows:
        if rows is not None:
            found = find_products(rows, query)
            if not output.is_lines:
                amounts = count_products(rows, replace(query, limit=None))
    if output.json:
        print_json(_report(url, found, amounts, exists=rows is not None))
    elif rows is None:
        tell_no_ledger(url)
    elif output.is_lines:
        lines = (place_of(each) if output.path else each.uri for each in found)
        sys.stdout.writelines(f"{line}\n" for line in lines)
    else:
        _print(found, amounts)
    return 0


def place_of(product: Product) -> str:
    """Return the path of a product; of what does not lie in a folder here, its URI."""
    from calib.stores.transfer import local_path

    path = local_path(product.uri)
    return product.uri if path is None else str(path)


def print_products(found: Sequence[Product]) -> None:
    """Print products as a table, the current ones marked."""
    columns = ("", "file", "dataset", "detector", "filter", "began (UTC)", "target", "size", "run")
    rows = (
        (
            "*" if each.is_current else "",
            each.name,
            each.dataset,
            each.detector or "",
            each.filter or "",
            time_text(each.observed_at),
            each.target or "",
            size_text(each.size),
            each.run,
        )
        for each in found
    )
    spare = ("dataset", "target", "began (UTC)", "detector")
    print_rows(out, columns, rows, right=("size",), spare=spare)


def _report(
    url: str, found: Sequence[Product], amounts: dict[str, Amount], *, exists: bool
) -> dict[str, Any]:
    return {
        "ledger": hide_credentials(url),
        "exists": exists,
        "number": sum(each.products for each in amounts.values()),
        "types": {name: asdict(each) for name, each in amounts.items()},
        "products": [asdict(each) for each in found],
    }


def _print(found: Sequence[Product], amounts: dict[str, Amount]) -> None:
    if not found:
        err.print("no such product")
        return
    print_products(found)
    out.print(escape(amounts_text(amounts)), style="dim")
    total = sum(each.products for each in amounts.values())
    if total > len(found):
        out.print(f"{total - len(found):,} more: --number {total}")
