"""`hstflow reference usage`: which products were made with a reference, from the ledger."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from rich.markup import escape

from calib.errors import DONE
from calib.ids import parse_dataset
from calib.ledger.location import ledger_url
from calib.ledger.reading import open_reader
from calib.ledger.reference_usage import ReferenceUsage, usage_of
from deployments.cli.console import Flag, count_text, err, expand_names, out, print_json
from deployments.cli.tables import print_rows, tell_no_ledger

# Uses that are listed where nobody asks for all.
_FIRST = 20


def usage(
    *names: str, current: Flag = False, list_: Flag = False, all_: Flag = False, json: Flag = False
) -> int:
    """Show which products were made with a reference: run, dataset, exposure, keyword.

    For example: `hstflow reference usage n3o1059hj_drk.fits`. What was made with a bad one is
    made again by `hstflow campaign plan NAME --with-reference n3o1059hj_drk.fits`, or some of it
    by `hstflow reference usage n3o1059hj_drk.fits --current --list > ids.txt` and @ids.txt.
    The exit code is 0 also where nothing used it.

    Parameters
    ----------
    names
        Names of references, also as in headers (jref$n3o1059hj_drk.fits), or sha1 checksums;
        @FILE: one a line.
    current
        Only products that are current: what people get when they ask for the dataset.
    list_
        Names of datasets alone, one a line.
    all_
        List every use, not the first 20.
    json
        Write JSON to stdout, with every use.
    """
    words = expand_names(names)
    url = ledger_url(os.environ)
    with open_reader(url) as rows:
        found = [] if rows is None else usage_of(rows, words, current=current)
    if json:
        print_json({"references": words, "uses": [asdict(each) for each in found]})
    elif list_:
        sys.stdout.writelines(f"{name}\n" for name in dict.fromkeys(e.dataset for e in found))
    elif rows is None:
        tell_no_ledger(url)
    else:
        _show(words, found, len(found) if all_ else _FIRST)
    return DONE


def _show(words: Sequence[str], found: Sequence[ReferenceUsage], most: int) -> None:
    if not found:
        out.print(f"no product was made with {escape(', '.join(words))}", soft_wrap=True)
        return
    _show_counts(found)
    out.print()
    columns = ("reference", "keyword", "run", "dataset", "exposure", "current")
    lines = [
        (e.reference, e.keyword, e.run, e.dataset, e.exposure, "yes" if e.is_current else "")
        for e in found[:most]
    ]
    print_rows(out, columns, lines, spare=("reference", "exposure"))
    if len(found) > most:
        err.print(f"and {len(found) - most:,} more: --all, or --json", soft_wrap=True)


def _show_counts(found: Sequence[ReferenceUsage]) -> None:
    """Print how many datasets of each run and instrument there are."""
    datasets = {(e.run, e.dataset): e for e in found}
    every = Counter((e.run, parse_dataset(e.dataset).instrument) for e in datasets.values())
    now = Counter(
        (e.run, parse_dataset(e.dataset).instrument) for e in datasets.values() if e.is_current
    )
    names = {e.dataset for e in found}
    out.print(f"{count_text(len(names), 'dataset')}, {count_text(len(found), 'use')}")
    columns = ("run", "instrument", "datasets", "current")
    lines = [(*kind, f"{number:,}", f"{now[kind]:,}") for kind, number in sorted(every.items())]
    print_rows(out, columns, lines, right=columns[2:])
