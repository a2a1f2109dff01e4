"""Headers that the ledger has: the newest of each exposure, page by page, with what was used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert

from calib.ids import DatasetId
from calib.ledger.exposure_headers import count_recorded, recorded_headers
from calib.ledger.ledger import Attempt, Ledger
from calib.ledger.publications import Published, PublishedFile
from calib.ledger.schema import exposure_header
from calib.records import ExposureReferences, References, ReferenceUse

Begin = Callable[..., Attempt]
RUN: dict[str, Any] = {
    "context": "hst_1.pmap",
    "engine": "native",
    "engine_version": "1.0",
    "parameters": {},
    "output": "file:///out",
}
AT = "2026-11-23T06:00:0{}.000000+00:00"


def record(ledger: Ledger, *rows: tuple[str, str, str, int]) -> None:
    """Record headers: dataset, exposure, context, second."""
    values = [
        {
            "dataset": dataset,
            "exposure": f"{exposure}_raw.fits",
            "context": context,
            "header": f'{{"CCDGAIN": "{second}.0"}}',
            "recorded_at": AT.format(second),
        }
        for dataset, exposure, context, second in rows
    ]
    ledger.write(lambda connection: connection.execute(insert(exposure_header), values))


@pytest.mark.parametrize("page", [1, 2, 100])
def test_newest_of_each_exposure(ledger: Ledger, page: int) -> None:
    """One for each exposure of each dataset, in name order, whatever the page."""
    record(
        ledger,
        ("j8bt06o6q", "j8bt06o6q", "hst_1.pmap", 1),
        ("j8bt05020", "j8bt05nkq", "hst_1.pmap", 1),
        ("j8bt05020", "j8bt05njq", "hst_2.pmap", 3),
        ("j8bt05020", "j8bt05njq", "hst_1.pmap", 4),
        ("j8bt05020", "j8bt05njq", "hst_3.pmap", 2),
        ("j8bt06o6q", "j8bt06o6q", "hst_2.pmap", 1),
    )
    found = ledger.ask(lambda rows: list(recorded_headers(rows, page=page)))
    assert [(each.dataset, each.exposure, each.context) for each in found] == [
        ("j8bt05020", "j8bt05njq", "hst_1.pmap"),
        ("j8bt05020", "j8bt05nkq", "hst_1.pmap"),
        ("j8bt06o6q", "j8bt06o6q", "hst_2.pmap"),
    ]
    assert found[0].header == {"CCDGAIN": "4.0"}
    assert ledger.ask(count_recorded) == 3


def test_nothing_recorded(ledger: Ledger) -> None:
    """A new ledger knows no exposure."""
    assert ledger.ask(lambda rows: list(recorded_headers(rows))) == []
    assert ledger.ask(count_recorded) == 0


def test_references_of_current_products(ledger: Ledger, dataset: DatasetId, begin: Begin) -> None:
    """What the current product was made with; a dataset without one is left out."""
    attempt = begin()
    use = ReferenceUse("DARKFILE", "a_drk.fits", "/refs/a_drk.fits", "b" * 40, required=True)
    chosen = ExposureReferences("j8bt05njq_raw.fits", (use,), {"CCDGAIN": "2.0"})
    ledger.record_references(attempt, References("hst_1.pmap", "14.0", (chosen,)))
    record(ledger, ("j8bt06o6q", "j8bt06o6q", "hst_1.pmap", 1))
    assert ledger.ask(lambda rows: list(recorded_headers(rows, references=True))) == []
    ledger.ensure_run("r1", **RUN)
    file = PublishedFile("j8bt05njq_flt.fits", "flt", "j8bt05njq", "a" * 64, 1)
    ledger.record_publication(
        attempt, Published("r1", dataset.name, "file:///out/r1", (file,), AT.format(5))
    )
    ledger.set_current(dataset, "r1")
    (found,) = ledger.ask(lambda rows: list(recorded_headers(rows, references=True)))
    assert (found.dataset, found.exposure) == ("j8bt05njq", "j8bt05njq")
    assert found.references == {"DARKFILE": "a_drk.fits"}
