"""Publications: one or many at once, the same again, and what a run refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Table, select, update

from calib.errors import ArchiveError, ConfigError
from calib.ledger import schema
from calib.ledger.collections import tag_products
from calib.ledger.holdings import tagged
from calib.ledger.ledger import Attempt, Ledger
from calib.ledger.publications import (
    Published,
    PublishedFile,
    dataset_type,
    record_data_ids,
    record_members,
    record_publications,
)
from calib.records import DataId, Member

Begin = Callable[..., Attempt]
RUN: dict[str, Any] = {
    "context": "hst_1.pmap",
    "engine": "native",
    "engine_version": "1.0",
    "parameters": {},
    "output": "file:///out",
}
FLT = PublishedFile("j8bt05njq_flt.fits", "flt", "j8bt05njq", "a" * 64, 2**33)
CRJ = PublishedFile("j8bt05njq_crj.fits", "crj", "j8bt05njq", "b" * 64, 1)
PUBLISHED = Published(
    "r1",
    "j8bt05njq",
    "https://me:pw@host/out/r1/acs/j8bt05njq/",
    (FLT,),
    "2026-11-23T06:20:41.000000+00:00",
    tombstones=(("j8bt05njq_crj.fits", "r0"),),
)


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """Return a ledger with a run."""
    ledger.ensure_run("r1", **RUN)
    return ledger


def all_rows(ledger: Ledger, table: Table) -> list[dict[str, Any]]:
    """Return a table as dictionaries."""
    return ledger.write(
        lambda c: [dict(row) for row in c.execute(select(table).order_by("id")).mappings()]
    )


def record(ledger: Ledger, *found: Published) -> int:
    """Record publications and return how many are new."""
    return ledger.write(lambda c: record_publications(c, found))


def test_same_publication_again_changes_nothing(filled: Ledger) -> None:
    """Recording twice gives one row each, with the files and the tombstones that came with it."""
    assert [record(filled, PUBLISHED), record(filled, PUBLISHED)] == [1, 0]
    (publication,) = all_rows(filled, schema.publication)
    assert publication["uri"] == "https://host/out/r1/acs/j8bt05njq"
    (product,) = all_rows(filled, schema.product)
    assert (product["type"], product["sha256"], product["size"]) == ("flt", "a" * 64, 2**33)
    assert product["uri"] is None, "it lies in the folder of its publication"
    (gone,) = all_rows(filled, schema.tombstone)
    assert (gone["name"], gone["last_run"]) == ("j8bt05njq_crj.fits", "r0")


def test_publication_names_its_attempt(filled: Ledger, begin: Begin) -> None:
    """What an attempt published hangs on it: that is where its inputs are."""
    attempt = begin()
    filled.record_publication(attempt, PUBLISHED)
    assert all_rows(filled, schema.publication)[0]["attempt_id"] == attempt.id


def test_other_content_is_refused(filled: Ledger) -> None:
    """Another file under a name that the run has is refused, with all that came with it."""
    record(filled, PUBLISHED)
    other = replace(PUBLISHED, files=(CRJ, replace(FLT, sha256="c" * 64)))
    with pytest.raises(ArchiveError, match=r"other content.*j8bt05njq_flt.fits"):
        record(filled, other)
    assert [row["sha256"] for row in all_rows(filled, schema.product)] == ["a" * 64]


def test_more_files_join(filled: Ledger) -> None:
    """Files that come later join the publication; those without checksum say nothing new."""
    record(filled, PUBLISHED)
    assert record(filled, replace(PUBLISHED, files=(replace(FLT, sha256=None), CRJ))) == 0
    assert [row["name"] for row in all_rows(filled, schema.product)] == [FLT.name, CRJ.name]


def test_pruned_publication_comes_back(filled: Ledger) -> None:
    """What was pruned and is published again has its new files, and is there again."""
    record(filled, PUBLISHED)
    filled.write(lambda c: c.execute(schema.publication.update().values(removed_at="then")))
    record(filled, replace(PUBLISHED, files=(CRJ,), tombstones=()))
    assert all_rows(filled, schema.publication)[0]["removed_at"] is None
    assert [row["name"] for row in all_rows(filled, schema.product)] == [CRJ.name]
    assert all_rows(filled, schema.tombstone) == []


def test_tags_outlive_pruning(filled: Ledger) -> None:
    """A dataset that was pruned and is there again keeps its tags, but for files it lost."""
    record(filled, replace(PUBLISHED, files=(FLT, CRJ)))
    filled.write(lambda c: tag_products(c, "paper", [1, 2]))
    pruned = update(schema.publication).values(removed_at="2026")
    filled.write(lambda c: c.execute(pruned))
    record(filled, replace(PUBLISHED, files=(replace(FLT, sha256="c" * 64),)))
    assert filled.ask(lambda rows: tagged(rows, "paper")) == [1]
    (product,) = all_rows(filled, schema.product)
    assert (product["id"], product["sha256"]) == (1, "c" * 64)
    assert len(all_rows(filled, schema.tombstone)) == 1


def test_unknown_run_is_refused(ledger: Ledger) -> None:
    """Publications need their run."""
    with pytest.raises(ConfigError, match=r"no such run.*r1"):
        record(ledger, PUBLISHED)


def test_many_at_once(filled: Ledger) -> None:
    """Files stay with their publication, however many come at once."""
    names = [f"j8bt{number:05d}" for number in range(500)]
    many = [
        replace(PUBLISHED, dataset=n, files=(replace(FLT, name=f"{n}_flt.fits", rootname=n),))
        for n in names
    ]
    assert record(filled, *many, PUBLISHED) == 501
    query = select(schema.publication.c.dataset, schema.product.c.rootname).join(schema.product)
    pairs = filled.write(lambda c: [tuple(row) for row in c.execute(query)])
    assert sorted(pairs) == sorted((name, name) for name in [*names, "j8bt05njq"])


def test_latest_data_id_counts(ledger: Ledger) -> None:
    """A data id is brought up to date by the next word about it."""
    first = DataId("j8bt05njq", "acs", "8bt", "05", filter="F606W")
    for each in (first, replace(first, detector="HRC")):
        ledger.write(lambda c, each=each: record_data_ids(c, [each, each]))
    (row,) = all_rows(ledger, schema.data_id)
    assert (row["detector"], row["filter"], row["visit"]) == ("HRC", "F606W", "05")


def test_members_take_the_place_of_those_before(ledger: Ledger) -> None:
    """The rows of an association are those of its latest table."""
    for names in (("J8BT05NJQ", "J8BT05NKQ"), ("J8BT05NJQ",)):
        table = [Member(name, "EXP-CRJ", present=True) for name in names]
        ledger.write(lambda c, table=table: record_members(c, "j8bt05010", table))
    (row,) = all_rows(ledger, schema.member)
    assert (row["association"], row["rootname"], row["present"]) == ("j8bt05010", "j8bt05njq", True)


@pytest.mark.parametrize(
    ("name", "role", "kind"),
    [
        ("j8bt05njq_flt.fits", "product", "flt"),
        ("previews/j8bt05njq_flt_thumb.jpg", "preview", "preview"),
        ("la8q99030_x1dsum.fits", "product", "x1dsum"),
        ("j8bt05njq.tra", "product", "tra"),
        ("logs/process.txt", "log", "log"),
        ("la8q99030_rawtag_a.fits", "product", "rawtag_a"),
        ("j8bt05njq_blv_tmp.fits", "product", "blv_tmp"),
        ("hst_9025_05_acs_hrc_total_j8bt05_drz.fits", "product", "drz"),
        ("x.tar.gz", "product", "tar.gz"),
        ("README", "product", ""),
    ],
)
def test_dataset_type_of_a_file(name: str, role: str, kind: str) -> None:
    """The type is the last part of the name, or the extension; what is no product is its role."""
    assert dataset_type(name, role) == kind
