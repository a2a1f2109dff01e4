"""`hstflow archive calibrations`: which references of your own are valid when."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.markup import escape
from rich.table import Table

from calib.errors import ConfigError
from calib.ledger.calibrations import (
    ANY,
    CalibrationCollection,
    Certification,
    calibrations_in,
    list_calibrations,
    shown_date,
    unknown,
)
from calib.ledger.dates import parse_date
from calib.ledger.location import ledger_url
from calib.ledger.reading import open_reader
from deployments.cli.console import out, print_json


def calibrations(
    collection: str | None = None,
    /,
    *,
    at: str | None = None,
    instrument: str | None = None,
    detector: str | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """List calibration collections, or the references of one with their dates.

    Parameters
    ----------
    collection
        Name of a collection.
    at
        Only what is valid for an exposure that starts then: 2004-05-01, 2004-05-01T12:30:00.
    instrument
        Only references of this instrument.
    detector
        Only what is valid for this detector.
    json
        Write JSON to stdout.
    """
    if collection is None and any((at, instrument, detector)):
        raise ConfigError("no collection was named", expected="the name of one")
    moment = None if at is None else parse_date(at)
    with open_reader(ledger_url(os.environ)) as rows:
        if collection is None:
            _show_all([] if rows is None else list_calibrations(rows), json=json)
            return 0
        if rows is None:
            raise unknown(collection, None)
        found = calibrations_in(rows, collection)
    wanted = (instrument and instrument.lower(), detector and detector.upper(), moment)
    _show([each for each in found if each.is_for(*wanted)], json=json)
    return 0


def _show_all(found: list[CalibrationCollection], *, json: bool) -> None:
    if json:
        print_json([asdict(each) for each in found])
    elif not found:
        out.print("no calibration collection; `hstflow archive certify` makes one")
    else:
        table = Table("collection", "files", "changed (UTC)", "note", box=None, pad_edge=False)
        for each in found:
            changed = each.updated_at[:19].replace("T", " ")
            table.add_row(each.name, str(each.references), changed, escape(each.note or ""))
        out.print(table)


def _show(found: list[Certification], *, json: bool) -> None:
    if json:
        print_json([_record(each) for each in found])
    elif not found:
        out.print("nothing is valid")
    else:
        out.print(_table(found))


def _record(each: Certification) -> dict[str, Any]:
    return {**asdict(each), "present": Path(each.path).is_file()}


def _table(found: list[Certification]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("instrument", "detector", "keyword", "from", "before", "reference"):
        table.add_column(name, no_wrap=True)
    table.add_column("file")
    for each in found:
        dates = [shown_date(text or "") for text in (each.begins_at, each.ends_at)]
        here = Path(each.path).is_file()
        place = escape(each.path) if here else f"[red]{escape(each.path)}: not there[/red]"
        camera = (each.instrument.upper(), each.detector or ANY)
        table.add_row(*camera, each.keyword, *dates, escape(each.reference), place)
    return table
