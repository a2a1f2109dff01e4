"""A reprocessing at its review, with a difference report of one canary."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path

from PIL import Image

from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger
from calib.ledger.reprocessing_reports import reprocessings
from calib.ledger.reprocessings import NewMark, NewReprocessing, advance, enter_reprocessing
from calib.reprocessing.canary_page import canary_page
from calib.reprocessing.canary_records import CanaryDifference, Summary
from calib.reprocessing.canary_runs import Publication
from calib.reprocessing.pictures import Pictures
from calib.reprocessing.product_records import (
    PERCENTILES,
    BitChange,
    FlagDifference,
    HeaderChange,
    ImageSetDifference,
    PlaneDifference,
    ProductDifference,
    Spread,
)

OLD, NEW = "hst_9001.pmap", "hst_9002.pmap"
CANARY, OTHER, VISIT = "j8bt05njq", "j8bt06niq", "acs_8bt_05"
CHANGES = {"DARKFILE": ("a<b>_drk.fits", "b_drk.fits")}
_SPREAD = Spread(40, -1.0, 2.0, 0.1, 0.05, 0.3, 0.2, {str(place): 0.0 for place in PERCENTILES})
_AT = "2026-11-20T10:00:00.000000+00:00"


def drawn(shade: int) -> bytes:
    """Return a picture as PNG."""
    made = io.BytesIO()
    Image.new("L", (24, 24), shade).save(made, "PNG")
    return made.getvalue()


def difference() -> CanaryDifference:
    """Return a canary whose image, flags and header differ."""
    plane = PlaneDifference("SCI", 1_000, 40, where_changed=_SPREAD)
    flags = FlagDifference("DQ", 1_000, 3, (BitChange(16, "hot pixel", 2, 1),))
    product = ProductDifference(
        f"{CANARY}_flt.fits",
        "flt",
        "data",
        headers=(
            HeaderChange("0", "DARKFILE", "DARKFILE= 'a'", "DARKFILE= '<b>'", is_reference=True),
        ),
        sets=(ImageSetDifference(1, "ELECTRONS", (plane,), flags),),
    )
    before, now = (Publication(run, run, _AT, is_current=True, campaign=None) for run in (OLD, NEW))
    summary = Summary(product.name, 0.04, 0.05, 2.0, 0.001, "ELECTRONS", 2, 1)
    return CanaryDifference(
        CANARY, "acs", "ipst", 1, CHANGES, "processed", None, before, now, (product,), summary
    )


def review(ledger: Ledger, work: Path, name: str = "july") -> Path:
    """Enter a reprocessing, bring it to its review, and write its report; return the folder."""
    marks = [
        NewMark(parse_dataset(CANARY), 1, CHANGES, is_canary=True),
        NewMark(parse_dataset(OTHER), 1, CHANGES),
        NewMark(parse_dataset(VISIT), 2, CHANGES, left_out="no <i>engine</i>"),
    ]
    new = NewReprocessing(name, OLD, NEW, "context", "{}")
    ledger.write(lambda c: enter_reprocessing(c, new, marks, who="test"))
    folder = work / "reprocessings" / name / "differences"
    folder.mkdir(parents=True)
    (one,) = ledger.ask(lambda rows: reprocessings(rows, name))
    found = difference()
    shades = (drawn(10), drawn(90), drawn(200))
    pictures = {
        found.products[0].name: {
            1: Pictures(*shades, 24, 24, 1, 2.0, is_mean=True, low=0.0, high=9.0)
        }
    }
    (folder / f"{CANARY}.html").write_text(canary_page(found, pictures, one))
    numbers = {"schema": 1, "written_at": _AT, "canaries": [asdict(found)]}
    (folder / "report.json").write_text(json.dumps(numbers))
    (folder / "index.html").write_text("the report")
    report = str(folder / "index.html")
    for state in ("canary", "review"):
        ledger.write(lambda c, s=state: advance(c, name, s, who="test", report=report))
    return folder
