"""Finding products by any part of what they are."""

from __future__ import annotations

from typing import Any

import pytest

from calib.ledger.ledger import Ledger
from calib.ledger.products import ProductQuery, find_products
from calib.ledger.publications import (
    Published,
    PublishedFile,
    record_data_ids,
    record_publications,
)
from calib.records import DataId

RUN = {"context": "c", "engine": "e", "engine_version": "1", "output": "file:/o"}
THEN = "2026-01-01T00:00:00"


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """Return a ledger with two exposures, one of them in two runs."""
    found = [
        published("r1", "j8bt05njq"),
        published("r2", "j8bt05njq"),
        published("r1", "jbxx01abq"),
    ]
    hrc = DataId("j8bt05njq", "acs", "8bt", "05", "HRC", "F606W", 9025, "M_31", THEN)
    wfc = DataId("jbxx01abq", "acs", "bxx", "01", "WFC", "F814W;POL0V", 12345, "M31", "2027")
    for run in ("r1", "r2"):
        ledger.ensure_run(run, parameters={}, **RUN)
    ledger.write(lambda c: (record_publications(c, found), record_data_ids(c, [hrc, wfc])))
    return ledger


def published(run: str, dataset: str) -> Published:
    """Return a publication of a raw and a flt."""
    files = tuple(
        PublishedFile(f"{dataset}_{kind}.fits", kind, dataset, None, 1) for kind in ("raw", "flt")
    )
    return Published(run, dataset, f"file:///o/{run}/{dataset}", files, THEN)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, 6),
        ({"types": ("flt",)}, 3),
        ({"types": ("flt", "raw"), "runs": ("r2",)}, 2),
        ({"datasets": ("j8bt*",)}, 4),
        ({"names": ("*_fl?.fits",)}, 3),
        ({"detector": "WFC"}, 2),
        ({"filter": "POL0V"}, 2),
        ({"filter": "F606W", "types": ("raw",)}, 2),
        ({"target": "M_31"}, 4),
        ({"target": "M_*"}, 4),
        ({"proposal": 12345}, 2),
        ({"program": "8bt", "visit": "05"}, 4),
        ({"begins": "2026", "ends": "2027"}, 4),
        ({"begins": "2027"}, 2),
        ({"rootnames": ("nobody",)}, 0),
        ({"limit": 2}, 2),
        ({"current": True}, 0),
    ],
)
def test_products_by_what_they_are(filled: Ledger, asked: dict[str, Any], expected: int) -> None:
    """Fields hold together, values of a field are alternatives; _ is no wild card."""
    assert len(filled.ask(lambda rows: find_products(rows, ProductQuery(**asked)))) == expected
