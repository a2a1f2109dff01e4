"""Rows of what was made elsewhere, and rows that are written anew, on each kind of database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert

from calib.errors import ArchiveError, ConfigError
from calib.ids import parse_dataset
from calib.ledger import schema
from calib.ledger.ingested import (
    KnownFile,
    Origin,
    add_data_ids,
    add_origins,
    ensure_ingested_run,
    enter_data_ids,
    known_files,
    set_current_runs,
)
from calib.ledger.ledger import Ledger
from calib.ledger.publications import (
    Published,
    PublishedFile,
    record_data_ids,
    record_publications,
)
from calib.ledger.recovery import (
    Recovered,
    add_recovered,
    check_lengths,
    ensure_recovered_run,
    known_manifests,
)
from calib.ledger.reports import current_run_of, history_of, jobs_of
from calib.records import (
    DataId,
    ExposureReferences,
    InputFile,
    Member,
    References,
    ReferenceUse,
)

DATASET = parse_dataset("j8bt05njq")
FLT = PublishedFile("j8bt05njq_flt.fits", "flt", "j8bt05njq", "a" * 64, 2**33)
PUBLISHED = Published("r1", "j8bt05njq", "file:///o", (FLT,), "2026-01-02", "f", "b" * 64)
USE = ReferenceUse("BIASFILE", "b.fits", "b.fits", "c" * 40, required=True)
REFERENCES = References("hst_1.pmap", "", (ExposureReferences("x_raw.fits", (USE, USE)),))
RECOVERED = Recovered(
    DATASET,
    PUBLISHED,
    Origin("hst_1.pmap", "auto", "0.1"),
    is_ingested=False,
    campaign="nightly",
    inputs=(InputFile("x_raw.fits", "", "d" * 64, 2**33, "raw", "x"),) * 2,
    references=REFERENCES,
    data_ids=(DataId("j8bt05njq", "acs", "8bt", "05"),),
    members=(Member("j8bt05nkq", "EXP-CRJ", present=True),),
)


def recover(ledger: Ledger, found: Recovered = RECOVERED) -> int:
    """Write a publication down with its run."""

    def write(connection: Any) -> int:
        ensure_recovered_run(connection, found, "file:/o")
        return add_recovered(connection, [found])

    return ledger.write(write)


def run_of(ledger: Ledger) -> dict[str, Any]:
    """Return the only run."""
    (row,) = ledger.ask(lambda rows: rows("SELECT * FROM run", {}))
    return row


def test_an_ingested_run_says_what_its_datasets_agree_on(ledger: Ledger) -> None:
    """Silence changes nothing; the first word counts until another contradicts it."""
    number = ledger.write(lambda c: ensure_ingested_run(c, "r1", "https://me:pw@host/o"))
    for place, stays in (("https://host/o", False), ("elsewhere", True)):
        known = ledger.write(
            lambda c, p=place, s=stays: ensure_ingested_run(c, "r1", p, is_in_place=s)
        )
        assert known == number
    assert run_of(ledger)["output"] == "https://host/o"
    said = []
    for origin in (Origin(), Origin("c1", "calacs", "1"), Origin("c1"), Origin("c1", "x", "2")):
        ledger.write(lambda c, origin=origin: add_origins(c, "r1", {origin}))
        row = run_of(ledger)
        said.append((row["context"], row["engine"], row["engine_version"]))
    assert said == [
        ("", "", ""),
        ("c1", "calacs", "1"),
        ("c1", "calacs", "1"),
        ("c1", "mixed", "mixed"),
    ]


def test_a_name_means_one_thing(ledger: Ledger) -> None:
    """Neither a collection's name nor that of a run of ours is taken."""
    row = {"name": "best", "kind": "chain", "created_at": "t", "updated_at": "t"}
    ledger.write(lambda c: c.execute(insert(schema.collection), row))
    with pytest.raises(ConfigError, match="a chain has this name"):
        ledger.write(lambda c: ensure_ingested_run(c, "best", "o"))
    recover(ledger)
    with pytest.raises(ConfigError, match="was processed here"):
        ledger.write(lambda c: ensure_ingested_run(c, "r1", "o"))
    ledger.write(lambda c: ensure_ingested_run(c, "r2", "o"))
    with pytest.raises(ConfigError, match="lies in another output"):
        ledger.write(lambda c: ensure_ingested_run(c, "r2", "elsewhere"))


def test_known_files_are_those_that_exist(ledger: Ledger) -> None:
    """By dataset and name; a pruned publication has none."""
    recover(ledger)
    pruned = replace(PUBLISHED, dataset="j8bt05nkq")
    ledger.write(lambda c: record_publications(c, [pruned]))
    remove = "UPDATE publication SET removed_at = 't' WHERE dataset = 'j8bt05nkq'"
    ledger.write(lambda c: c.exec_driver_sql(remove))

    found = ledger.ask(lambda rows: known_files(rows, "r1", ["j8bt05njq", "j8bt05nkq", "x"]))
    assert found == {"j8bt05njq": {FLT.name: KnownFile(FLT.sha256, FLT.size)}}
    assert ledger.ask(lambda rows: known_files(rows, "r1", [])) == {}
    assert ledger.write(lambda c: known_manifests(c, "r1")) == {"j8bt05njq": "b" * 64}


def test_current_stays_unless_replaced(ledger: Ledger) -> None:
    """Many at once; only the word for it takes the place of another run."""
    recover(ledger)
    ledger.write(lambda c: ensure_ingested_run(c, "r2", "o"))
    ledger.set_current(DATASET, "r1")
    names = ["j8bt05njq", "j8bt05nkq", "j8bt05nkq"]
    for replace_it, expected in ((False, "r1"), (True, "r2")):
        ledger.write(lambda c, r=replace_it: set_current_runs(c, "r2", names, replace=r))
        assert ledger.ask(lambda rows: current_run_of(rows, "j8bt05njq")) == expected
        assert ledger.ask(lambda rows: current_run_of(rows, "j8bt05nkq")) == "r2"


def test_names_do_not_take_the_place_of_headers(ledger: Ledger) -> None:
    """A data id that is there stays as it is."""
    said = DataId("j8bt05njq", "acs", "8bt", "05", detector="HRC")
    ledger.write(lambda c: record_data_ids(c, [said]))
    ledger.write(lambda c: add_data_ids(c, [replace(said, detector=None)]))
    (row,) = ledger.ask(lambda rows: rows("SELECT detector FROM data_id", {}))
    assert row["detector"] == "HRC"


@pytest.mark.parametrize("card", [{"exptime": 1.0}, {"target": "M31"}, {"observed_at": "2002"}])
def test_a_header_takes_the_place_of_names(ledger: Ledger, card: dict[str, Any]) -> None:
    """An ingest and a rebuild tell a header from a name by the same rule; put adds only."""
    name = DataId("j8bt05njq", "acs", "8bt", "05", detector="WFC")
    ledger.write(lambda c: enter_data_ids(c, [name]))
    header = replace(name, detector="HRC", **card)
    put = replace(RECOVERED, is_ingested=True, is_put=True, data_ids=(header,))
    for recovered, expected in ((put, "WFC"), (replace(RECOVERED, data_ids=(header,)), "HRC")):
        run = "put" if recovered.is_put else "r1"
        there = replace(recovered, published=replace(PUBLISHED, run=run))
        ledger.write(lambda c, t=there: (ensure_recovered_run(c, t, "o"), add_recovered(c, [t])))
        (row,) = ledger.ask(lambda rows: rows("SELECT detector FROM data_id", {}))
        assert row["detector"] == expected
    ledger.write(lambda c: enter_data_ids(c, [name]))
    (row,) = ledger.ask(lambda rows: rows("SELECT detector FROM data_id", {}))
    assert row["detector"] == "HRC"


def test_a_recovered_publication_has_all_that_it_told(ledger: Ledger) -> None:
    """Job, attempt, inputs, references, members; what is told twice is written once."""
    assert recover(ledger) == 1

    (job,) = ledger.ask(lambda rows: jobs_of(rows, "j8bt05njq"))
    assert (job.campaign, job.state, job.attempts, job.context) == (
        "nightly",
        "processed",
        1,
        "hst_1.pmap",
    )
    for view in ("inputs", "references_used"):
        rows = ledger.ask(lambda rows, view=view: rows(f"SELECT run FROM {view}", {}))  # noqa: S608 - our own names
        assert [row["run"] for row in rows] == ["r1"]
    assert len(ledger.ask(lambda rows: history_of(rows, "j8bt05njq"))) == 1
    assert len(ledger.ask(lambda rows: rows("SELECT * FROM member", {}))) == 1


def test_a_job_that_is_there_stays(ledger: Ledger) -> None:
    """Its campaign has the job already: the publication hangs on a job of `rebuilt`."""
    ledger.plan("nightly", [DATASET], "r1", context="hst_1.pmap")
    recover(ledger)

    jobs = ledger.ask(lambda rows: jobs_of(rows, "j8bt05njq"))
    assert [(job.campaign, job.state) for job in jobs] == [
        ("nightly", "planned"),
        ("rebuilt", "processed"),
    ]


def test_what_no_column_holds_is_refused_before(ledger: Ledger) -> None:
    """A text that is too long is named with its column; PostgreSQL would refuse the batch."""
    check_lengths(RECOVERED)
    for changes, column in (
        ({"campaign": "c" * 256}, "campaign.name"),
        ({"origin": Origin("c" * 256)}, "run.context"),
        ({"inputs": (replace(RECOVERED.inputs[0], name="n" * 256),)}, "input_used.name"),
        ({"published": replace(PUBLISHED, files=(replace(FLT, name="n" * 256),))}, "product.name"),
    ):
        with pytest.raises(ArchiveError, match=f"{column} is too long"):
            check_lengths(replace(RECOVERED, **changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target": "a\x00b"}, "data_id.target has a character that is none"),
        ({"target": "\ud800"}, "data_id.target has a character that is none"),
        ({"detector": "D" * 33}, "data_id.detector is too long"),
        ({"proposal": 2**31}, "data_id.proposal is too large"),
        ({"exptime": float("nan")}, "data_id.exptime is no number"),
    ],
)
def test_odd_values_are_refused_before(changes: dict[str, Any], said: str) -> None:
    """What one of the databases would not take, or could not be exported."""
    found = replace(DataId("j8bt05njq", "acs", "8bt", "05"), **changes)
    with pytest.raises(ArchiveError, match=said):
        check_lengths(replace(RECOVERED, data_ids=(found,)))
