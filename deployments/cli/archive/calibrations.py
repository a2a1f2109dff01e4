"""`hstflow archive calibrations`: which references of your own are valid when."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

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
)
from calib.ledger.dates import parse_date
from calib.ledger.location import hide_credentials, ledger_url
from calib.ledger.reading import open_reader
from deployments.cli.console import Flag, out, print_json
from deployments.cli.tables import cell, plain_table, tell_no_ledger, time_text


def calibrations(
    collection: str | None = None,
    /,
    *,
    at: str | None = None,
    instrument: str | None = None,
    detector: str | None = None,
    json: Flag = False,
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
    url = ledger_url(os.environ)
    wanted = (instrument and instrument.lower(), detector and detector.upper(), moment)
    every: list[CalibrationCollection] = []
    found: list[Certification] = []
    with open_reader(url) as rows:
        if rows is not None and collection is None:
            every = list_calibrations(rows)
        elif rows is not None and collection is not None:
            found = [each for each in calibrations_in(rows, collection) if each.is_for(*wanted)]
    if json:
        about = {"ledger": hide_credentials(url), "exists": rows is not None}
        print_json({**about, **_content(collection, every, found)})
    elif rows is None:
        tell_no_ledger(url)
    elif collection is None:
        _show_all(every)
    else:
        _show(found)
    return 0


def _content(
    collection: str | None, every: list[CalibrationCollection], found: list[Certification]
) -> dict[str, Any]:
    if collection is None:
        return {"collections": [asdict(each) for each in every]}
    references = [{**asdict(each), "present": Path(each.path).is_file()} for each in found]
    return {"collection": collection, "references": references}


def _show_all(found: list[CalibrationCollection]) -> None:
    if not found:
        out.print("no calibration collection; `hstflow archive certify` makes one")
    else:
        table = plain_table("collection", "files", "changed (UTC)", "note", right=("files",))
        for each in found:
            changed = time_text(each.updated_at)
            table.add_row(cell(each.name), str(each.references), changed, cell(each.note))
        out.print(table)


def _show(found: list[Certification]) -> None:
    if not found:
        out.print("nothing is valid")
    else:
        out.print(_table(found))


def _table(found: list[Certification]) -> Table:
    columns = ("instrument", "detector", "keyword", "from", "before", "reference")
    table = plain_table(*columns, "file", whole=columns)
    for each in found:
        dates = [shown_date(text or "") for text in (each.begins_at, each.ends_at)]
        here = Path(each.path).is_file()
        place = escape(each.path) if here else f"[red]{escape(each.path)}: not there[/red]"
        camera = (each.instrument.upper(), each.detector or ANY)
        table.add_row(*camera, each.keyword, *dates, escape(each.reference), place)
    return table
