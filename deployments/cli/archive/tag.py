"""`hstflow archive tag`: products chosen by hand, under a name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from calib.errors import ConfigError
from calib.ledger.holdings import TAG, kind_of, tagged
from calib.ledger.location import hide_credentials, ledger_url
from calib.ledger.products import Product, ProductQuery, count_products, find_products
from calib.ledger.reading import open_reader
from deployments.cli.archive.products import print_products
from deployments.cli.archive.selection import Selection
from deployments.cli.console import Flag, count_text, err, out, print_json
from deployments.cli.tables import amounts_text, tell_no_ledger


@dataclass(frozen=True)
class TagFlags:
    """What `hstflow archive tag` does.

    Attributes
    ----------
    remove
        Take the products out of the tag; without any, forget the tag. The products stay.
    note
        A word about the tag.
    json
        Write JSON to stdout.
    """

    remove: Flag = False
    note: str | None = None
    json: Flag = False


def tag(
    name: str,
    *products: str,
    selection: Annotated[Selection | None, Parameter(name="*")] = None,
    flags: Annotated[TagFlags | None, Parameter(name="*")] = None,
) -> int:
    """Show a tag, or put products into it: files chosen by hand, such as those of a paper.

    A tag keeps pointing at the very files that it was given, whatever becomes current later.
    It holds one product of a dataset under one name.

    Parameters
    ----------
    name
        Its name; made if it is new.
    products
        Files, exposures or datasets, with * and ? (quoted), or @FILE with one a line. Of those
        in several runs the current version is meant, unless --run or --in says another.
    """
    selection, flags = selection or Selection(), flags or TagFlags()
    url = ledger_url(os.environ)
    chosen = bool(products) or not selection.is_empty
    if flags.remove and flags.note is not None and not chosen:
        raise ConfigError("a tag that is forgotten takes no note", found=name)
    if flags.remove and not chosen:
        _forget(url, name)
    elif chosen or flags.note is not None:
        _change(url, name, selection.query(products) if chosen else None, flags)
    if chosen or not flags.remove:
        _show(url, name, json=flags.json)
    return 0


def _forget(url: str, name: str) -> None:
    from calib.ledger.collections import remove_collection
    from calib.ledger.ledger import open_ledger

    with open_ledger(url) as ledger:
        ledger.ask(lambda rows: tagged(rows, name))  # refuses what is no tag
        ledger.write(lambda c: remove_collection(c, name))
    err.print(f"{escape(name)}: forgotten")


def _change(url: str, name: str, query: ProductQuery | None, flags: TagFlags) -> None:
    """Put what is found into the tag, or take it out."""
    from calib.ledger.collections import ensure_collection, tag_products, untag_products
    from calib.ledger.ledger import open_ledger

    change, done = (untag_products, "taken out") if flags.remove else (tag_products, "put in")
    with open_ledger(url) as ledger:
        numbers: list[int] = []
        if query is not None:
            meant = _meant(query, name, remove=flags.remove)
            numbers = [each.id for each in ledger.ask(lambda rows: find_products(rows, meant))]
            if not numbers:
                message = "no product was found" + (" in the tag" if flags.remove else "")
                raise ConfigError(message, found=" ".join(query.words) or None)
        number = ledger.write(lambda c: change(c, name, numbers))
        if flags.note is not None:
            ledger.write(lambda c: ensure_collection(c, name, TAG, note=flags.note))
    err.print(f"{escape(name)}: {count_text(number, 'product')} {done}")


def _meant(query: ProductQuery, name: str, *, remove: bool) -> ProductQuery:
    if remove:
        return replace(query, collections=(name, *query.collections))
    says_which = query.runs or query.collections or query.sha256
    return query if says_which else replace(query, current=True)


def _show(url: str, name: str, *, json: bool) -> None:
    query = ProductQuery(collections=(name,))
    with open_reader(url) as rows:
        if rows is None:
            if json:
                print_json(_report(url, name, None))
            else:
                tell_no_ledger(url)
            return
        if kind_of(rows, name) != TAG:
            message = "the ledger has no tag of this name"
            raise ConfigError(message, found=name)
        found, amounts = find_products(rows, query), count_products(rows, query)
    if json:
        print_json(_report(url, name, found))
    elif found:
        print_products(found)
        out.print(escape(amounts_text(amounts)), style="dim")
    else:
        err.print(f"{escape(name)} holds nothing")


def _report(url: str, name: str, found: Sequence[Product] | None) -> dict[str, Any]:
    return {
        "ledger": hide_credentials(url),
        "exists": found is not None,
        "name": name,
        "products": [asdict(each) for each in found or ()],
    }
