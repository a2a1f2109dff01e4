"""Which registered files are the inputs of a dataset that is made again."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from calib.errors import ConfigError
from calib.ids import parse_dataset
from calib.ledger.collections import define_chain, tag_products
from calib.ledger.ledger import Ledger
from calib.ledger.products import ProductQuery, find_products
from calib.ledger.publications import (
    Published,
    PublishedFile,
    dataset_type,
    record_members,
    record_publications,
)
from calib.ledger.registry import set_current
from calib.records import Member
from calib.repository.inputs import registered_inputs

RUN = {"context": "c", "engine": "e", "engine_version": "1", "output": "file:/o"}
EXPOSURE, OTHER, ASN = "j8bt06nyq", "j8bt06nzq", "j8bt06040"
FAR = "j8zz99abq"  # a member that the registry knows by the table only


def publish(ledger: Ledger, run: str, dataset: str, day: int, *names: str) -> None:
    """Enter a publication of files of these names."""
    files = tuple(
        PublishedFile(name, dataset_type(name), name[:9], f"{run}-{name}"[:64], day)
        for name in names
    )
    uri, when = f"file:///o/{run}/{dataset}", f"2026-01-{day:02d}T00:00:00"
    ledger.ensure_run(run, parameters={}, **RUN)
    ledger.write(lambda c: record_publications(c, [Published(run, dataset, uri, files, when)]))


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """Return a ledger with an exposure in three runs, and an association with its members."""
    raw, spt, flt = (f"{EXPOSURE}_{kind}.fits" for kind in ("raw", "spt", "flt"))
    publish(ledger, "old", EXPOSURE, 1, raw, spt, flt)
    publish(ledger, "new", EXPOSURE, 2, raw, flt)
    publish(ledger, "support", EXPOSURE, 3, spt)
    publish(ledger, "asn", ASN, 4, f"{ASN}_asn.fits", raw, f"{OTHER}_raw.fits", f"{ASN}_crj.fits")
    publish(ledger, "far", FAR, 5, f"{FAR}_raw.fits")
    ledger.write(lambda c: record_members(c, ASN, [Member(FAR, "EXP-CRJ", present=True)]))
    return ledger


def runs_of(ledger: Ledger, dataset: str, source: str) -> dict[str, str]:
    """Return the run of each input file."""
    name = parse_dataset(dataset)
    found = ledger.ask(lambda rows: registered_inputs(rows, name, source))
    return {file: each.run for file, each in found.items()}


@pytest.mark.parametrize(
    ("source", "current", "expected"),
    [
        ("archive:", None, {"raw": "new"}),
        ("archive:", "old", {"raw": "old", "spt": "old"}),
        ("archive:", "support", {"raw": "new"}),
        ("archive:old", None, {"raw": "old", "spt": "old"}),
        ("archive:asn", None, {"raw": "asn"}),
        ("archive:support,old", None, {"raw": "old", "spt": "old"}),
        ("archive:chained", None, {"raw": "old", "spt": "old"}),
        ("archive:tagged", None, {"raw": "asn"}),
        ("archive:far", None, {}),
        ("archive:empty", None, {}),
    ],
)
def test_files_of_an_exposure_come_from_one_publication(
    filled: Ledger, source: str, current: str | None, expected: dict[str, str]
) -> None:
    """Collections in order, else the current version, else the newest that has the raw."""
    filled.write(lambda c: define_chain(c, "chained", ["support", "old", "new"]))
    filled.write(lambda c: define_chain(c, "empty", []))
    raws = filled.ask(
        lambda rows: find_products(rows, ProductQuery(runs=("asn",), rootnames=(EXPOSURE,)))
    )
    filled.write(lambda c: tag_products(c, "tagged", [raw.id for raw in raws]))
    if current:
        filled.write(lambda c: set_current(c, parse_dataset(EXPOSURE), current))

    found = runs_of(filled, EXPOSURE, source)

    assert found == {f"{EXPOSURE}_{kind}.fits": run for kind, run in expected.items()}


def test_association_brings_its_visit_and_its_members(filled: Ledger) -> None:
    """Table and raws published with it come first; a member elsewhere comes too; no products."""
    filled.write(lambda c: set_current(c, parse_dataset(EXPOSURE), "new"))

    assert runs_of(filled, ASN, "archive:asn") == {
        f"{ASN}_asn.fits": "asn",
        f"{EXPOSURE}_raw.fits": "asn",
        f"{OTHER}_raw.fits": "asn",
    }
    assert runs_of(filled, ASN, "archive:asn,far")[f"{FAR}_raw.fits"] == "far"
    assert runs_of(filled, ASN, "archive:")[f"{FAR}_raw.fits"] == "far"


def test_files_are_described_as_registered(filled: Ledger) -> None:
    """Address, checksum and size are those of the registry."""
    name = parse_dataset(EXPOSURE)
    found = filled.ask(lambda rows: registered_inputs(rows, name, "archive:new"))
    file = found[f"{EXPOSURE}_raw.fits"]

    assert file.uri == f"file:///o/new/{EXPOSURE}/{EXPOSURE}_raw.fits"
    assert (file.sha256, file.size) == (f"new-{EXPOSURE}_raw.fits", 2)


@pytest.mark.parametrize("source", ["archive:nobody", "archive:old,nobody"])
def test_unknown_collection_is_refused(filled: Ledger, source: str) -> None:
    """The message names it."""
    with pytest.raises(ConfigError, match="nobody"):
        runs_of(filled, EXPOSURE, source)


@pytest.mark.parametrize("names", [(), ("l8bt06nyq_rawtag_a.fits", "l8bt06nyq_rawtag_b.fits")])
def test_cos_segments_are_inputs(ledger: Ledger, names: Sequence[str]) -> None:
    """Suffixes with an underscore count; an empty registry gives nothing."""
    if names:
        publish(ledger, "cos", "l8bt06nyq", 1, *names, "l8bt06nyq_x1d.fits")

    assert list(runs_of(ledger, "l8bt06nyq", "archive:")) == list(names)


def test_names_in_capitals_are_files_too(ledger: Ledger) -> None:
    """On every kind of database; what is no FITS file is none."""
    publish(ledger, "old", EXPOSURE, 1, f"{EXPOSURE}_raw.FITS", f"{EXPOSURE}_raw.txt")
    assert runs_of(ledger, EXPOSURE, "archive:") == {f"{EXPOSURE}_raw.fits": "old"}
