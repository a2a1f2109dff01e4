"""Each current product is compared from the context that it was made on."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from databases import ledger, template, url
from sqlalchemy import insert

from calib.errors import ContextError
from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger
from calib.ledger.publications import (
    Published,
    PublishedFile,
    record_members,
    record_publications,
)
from calib.ledger.rows import short_reads
from calib.ledger.schema import exposure_header
from calib.records import Member
from calib.references.changes import AffectedExposure, ExposureHeader
from calib.references.header_sources import headers_of_files
from calib.reprocessing.current import compare_current, select_current
from calib.simulate.observatory import Observatory

__all__ = ["ledger", "template", "url"]

ON_OLD, ON_NEW, NEVER, LOST, MIXED = (f"j8bt05{end}q" for end in ("aa", "ab", "ac", "ad", "ae"))
UNKNOWN = "hst_0001.pmap"


@pytest.fixture
def known(ledger: Ledger, observatory: Observatory) -> Ledger:
    """Return a ledger with the same exposure under five names, current on different contexts."""
    (header, *_) = headers_of_files(sorted(observatory.raws.glob("*_raw.fits")))
    old, new = observatory.contexts
    for name in (ON_OLD, ON_NEW, NEVER, LOST, MIXED):
        record(ledger, name, header, old)
    bases = {ON_OLD: old, ON_NEW: new, LOST: UNKNOWN, MIXED: "mixed"}
    for name, context in bases.items():
        make_current(ledger, name, context)
    return ledger


def record(ledger: Ledger, name: str, header: ExposureHeader, context: str) -> None:
    """Record the header of an exposure, as processing does."""
    values = {
        "dataset": name,
        "exposure": f"{name}_raw.fits",
        "context": context,
        "header": json.dumps(dict(header.header)),
        "recorded_at": "2026-11-23T06:00:00.000000+00:00",
    }
    ledger.write(lambda connection: connection.execute(insert(exposure_header), values))


def make_current(ledger: Ledger, name: str, context: str) -> None:
    """Make the run of a context that of a dataset."""
    run = f"on-{context}"
    ledger.ensure_run(
        run, context=context, engine="native", engine_version="1", parameters={}, output="file:/o"
    )
    file = PublishedFile(f"{name}_flt.fits", "flt", name, "a" * 64, 1)
    made = Published(run, name, f"file:/o/{run}", (file,), "2026-11-23T06:20:41.000000+00:00")
    ledger.write(lambda c: record_publications(c, [made]))
    ledger.set_current(parse_dataset(name), run)


def compared(
    ledger: Ledger, observatory: Observatory, new: str, otherwise: str | None = None
) -> list[AffectedExposure]:
    """Return what differs."""
    return list(compare_current(observatory.profile, new, short_reads(ledger), otherwise=otherwise))


def test_each_is_compared_from_its_own(known: Ledger, observatory: Observatory) -> None:
    """What is on the new context, or has no product, is left alone; lost rules are a problem."""
    old, new = observatory.contexts
    found = {each.dataset: each for each in compared(known, observatory, new)}
    assert set(found) == {ON_OLD, LOST}
    assert [each.keyword for each in found[ON_OLD].changes] == ["DARKFILE"]
    assert str(found[LOST].problem).startswith(f"{UNKNOWN}: ")
    assert found[LOST].instrument == "acs"
    back = {each.dataset for each in compared(known, observatory, old)}
    assert back == {ON_NEW, LOST}, "the way back is that of those on the newer one alone"


def test_products_from_elsewhere_are_compared_as_it_is_said(
    known: Ledger, observatory: Observatory
) -> None:
    """Their run may name no context."""
    old, new = observatory.contexts
    assert {e.dataset for e in compared(known, observatory, new, old)} == {ON_OLD, LOST, MIXED}


def test_headers_pass_by(known: Ledger, observatory: Observatory) -> None:
    """Those that are compared, for who shows how far it is."""
    seen = []

    def passed(headers: Iterator[ExposureHeader]) -> Iterator[ExposureHeader]:
        for each in headers:
            seen.append(each.dataset)
            yield each

    list(
        compare_current(
            observatory.profile, observatory.contexts[1], short_reads(known), passed=passed
        )
    )
    assert seen == [ON_OLD]


def test_new_rules_that_cannot_be_read_are_refused(known: Ledger, observatory: Observatory) -> None:
    """Nothing is affected by a context that is not there."""
    with pytest.raises(ContextError):
        compared(known, observatory, "hst_9999.pmap")


@pytest.mark.parametrize(
    ("state", "is_marked"), [("never", False), ("new", False), ("old", True), ("elsewhere", True)]
)
def test_association_is_marked_for_itself(
    known: Ledger, observatory: Observatory, state: str, is_marked: bool
) -> None:
    """Not because an exposure of it is affected where that is a dataset of its own, too."""
    old, new = observatory.contexts
    (header, *_) = headers_of_files(sorted(observatory.raws.glob("*_raw.fits")))
    asn = "j8bt05020"
    known.write(lambda c: record_members(c, asn, [Member(ON_OLD.upper(), "EXP-CRJ", present=True)]))
    if state != "elsewhere":
        record(known, asn, header, old)
    if state != "never":
        make_current(known, asn, new if state == "new" else old)
    found = select_current(compared(known, observatory, new), new, short_reads(known))
    marked = {each.dataset.name for each in found.marks}
    assert (asn in marked) == is_marked
    assert marked - {asn} == {ON_OLD, LOST}
