"""`hstflow archive get`: products out of the archive, verified."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

from calib.errors import ConfigError, HstflowError, NotFound
from calib.ledger.location import hide_credentials, ledger_url
from calib.ledger.products import Product, ProductQuery, find_products
from calib.ledger.reading import open_reader
from calib.ledger.reports import Rows
from deployments.cli.console import (
    Flag,
    Several,
    err,
    expand_names,
    out,
    print_json,
    size_text,
)

# How the last word looks where it is a folder and not a product. A folder that happens to be there
# says nothing: ./j8bt05njq is what an earlier call made of the dataset j8bt05njq.
_FOLDER_STARTS = ("file:", "./", "../", "/", "~")


def get(
    *arguments: str,
    type: Annotated[list[str] | None, Parameter(name=["--type", "-t"], negative=())] = None,  # noqa: A002 - the word of the option
    run: Several = None,
    in_: Annotated[Several, Parameter(name=["--in", "--collection", "-c"])] = None,
    json: Flag = False,
) -> int:
    """Copy products to DEST/DATASET/NAME, each held against its registered checksum.

    Files appear whole. Those that are there already with the right bytes are passed over, so the
    same command goes on where it was stopped; other files are never overwritten. Exit code 25
    if a product has changed or is gone; the others are copied all the same.

    Parameters
    ----------
    arguments
        PRODUCT or DATASET: file names (j8bt05njq_flt.fits, 'j8bt*_flt.fits'), paths as `archive
        products --path` gives them, datasets with all their files, or @FILE with one a line.
        DEST: a folder, as the last word: ./FOLDER, FOLDER/, /FOLDER or file:FOLDER (default: the
        current folder).
    type
        Only this dataset type: flt, raw, preview, log...; may be repeated.
    run
        From this run, not from the current version; may be repeated.
    in_
        Run, chain or tag to look in: a dataset comes from the first that holds it. May be
        repeated, and is searched in order.
    json
        Write JSON to stdout.
    """
    names, folder = _split(arguments)
    types, runs, places = (tuple(expand_names(each or ())) for each in (type, run, in_))
    query = ProductQuery(types=types, runs=runs, collections=places)
    products = _choose(names, query)
    outcomes = _copy_all(products, folder)
    if json:
        print_json([_plain(product, *outcome) for product, outcome in outcomes])
    else:
        _show(outcomes)
    return next((error.code for _, (_, _, error) in outcomes if error is not None), 0)


Outcome = tuple[Path | None, bool, HstflowError | None]


def _split(arguments: Sequence[str]) -> tuple[list[str], Path]:
    """Return names and folder."""
    words, folder = list(arguments), Path()
    last = words[-1] if words else ""
    if _is_folder(last):
        folder = Path(words.pop().removeprefix("file:")).expanduser()
    names = expand_names(words)
    if not names:
        expected = "file names such as j8bt05njq_flt.fits, or datasets"
        raise ConfigError("no product was named", expected=expected)
    return list(dict.fromkeys(names)), folder


def _is_folder(word: str) -> bool:
    """Tell whether a word is DEST: it is written as a folder, and is not the path of a file."""
    looks_so = word in {".", ".."} or word.startswith(_FOLDER_STARTS) or word.endswith("/")
    return looks_so and not Path(word).expanduser().is_file()


def _choose(names: Sequence[str], query: ProductQuery) -> list[Product]:
    """Return the products that were asked for; every name must stand for one."""
    url = ledger_url(os.environ)
    with open_reader(url) as rows:
        if rows is None:
            raise NotFound(
                "nothing was published yet: there is no ledger", path=hide_credentials(url)
            )
        found = {name: _matching(rows, name, query) for name in names}
    if missing := [name for name, products in found.items() if not products]:
        raise NotFound(
            "the registry has no such product"
            + ("" if query.runs or query.collections else " that is current"),
            path=hide_credentials(url),
            expected=" ".join(missing),
            found=f"nothing; {_advice(missing[-1])}",
        )
    from calib.repository.retrieval import refuse_ambiguous

    products = list({p.id: p for those in found.values() for p in those}.values())
    refuse_ambiguous(products)
    return products


def _advice(missing: str) -> str:
    if Path(missing).is_dir():
        return f"a folder to copy to is written ./{missing}"
    return "`hstflow archive products` lists what there is"


def _matching(rows: Rows, name: str, query: ProductQuery) -> list[Product]:
    """Return the products that a word stands for: path, file name, dataset, or exposure of one."""
    path = Path(name).expanduser()
    if "/" in name and path.is_file() and (found := _lying_at(rows, path.resolve(), query)):
        return found
    query = replace(query, current=not (query.runs or query.collections))
    if "." in name or "*" in name or "/" in name:
        return find_products(rows, replace(query, names=(name,)))
    return find_products(rows, replace(query, datasets=(name.lower(),))) or find_products(
        rows, replace(query, rootnames=(name.lower(),))
    )


def _lying_at(rows: Rows, path: Path, query: ProductQuery) -> list[Product]:
    """Return the product whose file this is, of whatever version."""
    from calib.stores.transfer import local_path

    found = find_products(rows, replace(query, names=(path.name, f"*/{path.name}")))
    places = [(each, local_path(each.uri)) for each in found]
    return [each for each, place in places if place is not None and place.resolve() == path]


def _copy_all(products: Sequence[Product], folder: Path) -> list[tuple[Product, Outcome]]:
    outcomes: list[tuple[Product, Outcome]] = []
    with _progress(products) as (progress, task):
        for product in products:
            progress.update(task, description=escape(product.name))
            outcomes.append((product, _copy(product, folder)))
            progress.advance(task, product.size)
    return outcomes


def _copy(product: Product, folder: Path) -> Outcome:
    from calib.repository.retrieval import copy_out, place_below

    try:
        target = place_below(product, folder)
        return target, copy_out(product, target), None
    except HstflowError as error:
        return None, False, error


@contextmanager
def _progress(products: Sequence[Product]) -> Iterator[tuple[Progress, TaskID]]:
    """Show how many bytes of all are there, on a terminal only."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        yield progress, progress.add_task("", total=sum(product.size for product in products))


def _plain(
    product: Product, path: Path | None, is_new: bool, error: HstflowError | None
) -> dict[str, Any]:
    return {
        "dataset": product.dataset,
        "run": product.run,
        "name": product.name,
        "type": product.type,
        "path": None if path is None else str(path.absolute()),
        "sha256": product.sha256,
        "size": product.size,
        "copied": is_new,
        "error": None if error is None else str(error),
    }


def _show(outcomes: Sequence[tuple[Product, Outcome]]) -> None:
    for _, (path, is_new, error) in outcomes:
        if error is not None:
            err.print(f"[red]{type(error).__name__}[/red] {escape(str(error))}", soft_wrap=True)
        elif not is_new:
            out.print(f"{escape(str(path))}  [cyan]was there[/cyan]", soft_wrap=True)
        else:
            out.print(escape(str(path)), soft_wrap=True)
    new = [product for product, (_, is_new, _) in outcomes if is_new]
    failed = sum(error is not None for _, (_, _, error) in outcomes)
    size = size_text(sum(product.size for product in new))
    words = [f"{len(new)} copied ({size})", f"{len(outcomes) - len(new) - failed} there before"]
    out.print(", ".join([*words, *([f"[red]{failed} failed[/red]"] if failed else [])]))
