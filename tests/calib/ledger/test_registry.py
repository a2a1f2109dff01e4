"""What exists: runs are write-once, products know what made them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Table, select

from calib.errors import ConfigError, Interrupted
from calib.ids import DatasetId
from calib.ledger import schema
from calib.ledger.ledger import Attempt, Ledger
from calib.ledger.publications import Published, PublishedFile
from calib.ledger.reports import current_run_of
from calib.records import (
    ExposureReferences,
    InputFile,
    Outcome,
    RawInputs,
    References,
    ReferenceUse,
)

Begin = Callable[..., Attempt]
RUN: dict[str, Any] = {
    "context": "hst_1.pmap",
    "engine": "native",
    "engine_version": "1.0",
    "parameters": {"b": 1, "a": {"x": [1, 2]}},
    "output": "file:///out",
}
FLT = Published(
    "r1",
    "j8bt05njq",
    "file:///out/runs/r1/acs/j8bt05njq",
    (PublishedFile("j8bt05njq_flt.fits", "flt", "j8bt05njq", "a" * 64, 2**33),),
    "2026-11-23T06:20:41.000000+00:00",
)


def all_rows(ledger: Ledger, table: Table) -> list[dict[str, Any]]:
    """Return a table without its numbers and times."""
    rows = ledger._store.read(lambda c: c.execute(select(table).order_by("id")).mappings().all())
    dropped = ("id", "created_at", "recorded_at", "updated_at")
    return [{k: v for k, v in row.items() if k not in dropped} for row in rows]


def reference(keyword: str, name: str = "a_bia.fits", sha1: str | None = "b" * 40) -> ReferenceUse:
    """Return a reference that was found, or N/A."""
    return ReferenceUse(keyword, name, f"/refs/{name}" if sha1 else None, sha1, required=True)


def choice(header: dict[str, str], *uses: ReferenceUse) -> References:
    """Return what bestrefs chose for one exposure."""
    return References("hst_1.pmap", "14.0", (ExposureReferences("x_raw.fits", uses, header),))


def test_run_is_made_once(ledger: Ledger) -> None:
    """The same run again is the same row; the order of parameters means nothing."""
    number = ledger.ensure_run("r1", **RUN)
    turned = {**RUN, "parameters": {"a": {"x": [1, 2]}, "b": 1}}
    assert ledger.ensure_run("r1", **turned) == number
    (row,) = all_rows(ledger, schema.run)
    assert json.loads(row["parameters"]) == RUN["parameters"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("context", "hst_2.pmap"),
        ("engine", "calacs"),
        ("engine_version", "1.1"),
        ("parameters", {"b": 2}),
        ("output", "file:///elsewhere"),
    ],
)
def test_run_is_write_once(ledger: Ledger, field: str, value: object) -> None:
    """The same name with any other content is refused, and nothing changes."""
    ledger.ensure_run("r1", **RUN)
    before = all_rows(ledger, schema.run)
    with pytest.raises(ConfigError, match=f"run r1 exists with another {field}: .*write-once"):
        ledger.ensure_run("r1", **{**RUN, field: value})
    assert all_rows(ledger, schema.run) == before


@pytest.mark.parametrize("parameters", [{"mast_token": "x"}, {"s3": {"Secret_Key": "x"}}])
def test_secret_parameter_is_refused(ledger: Ledger, parameters: dict[str, Any]) -> None:
    """A parameter that looks like a secret never reaches the database, at any depth."""
    with pytest.raises(ConfigError, match="looks like a secret"):
        ledger.ensure_run("r1", **{**RUN, "parameters": parameters})
    assert all_rows(ledger, schema.run) == []


def test_output_is_stored_without_credentials(ledger: Ledger) -> None:
    """The place of a run is stored without a password, and found again with one."""
    place = {**RUN, "output": "https://me:pw@host/out"}
    assert ledger.ensure_run("r1", **place) == ledger.ensure_run("r1", **place)
    assert all_rows(ledger, schema.run)[0]["output"] == "https://host/out"


def test_inputs_of_an_attempt(ledger: Ledger, begin: Begin) -> None:
    """Input files are kept with their checksums; a stage that is tried again replaces them."""
    attempt = begin()
    raw = InputFile("j8bt05njq_raw.fits", "/in/raw", "c" * 64, 2**33, "raw", "j8bt05njq")
    spt = InputFile("j8bt05njq_spt.fits", "/in/spt", "d" * 64, 10, "spt", "j8bt05njq")
    for files in ((spt,), (raw, spt), (raw,)):
        source = "https://me:pw@host/in?token=x"
        ledger.record_inputs(attempt, RawInputs("j8bt05njq", source, files))
    (row,) = all_rows(ledger, schema.input_used)
    assert (row["name"], row["sha256"], row["size"]) == (raw.name, raw.sha256, 2**33)
    assert row["source"] == "https://host/in?token=***"
    ledger.record_inputs(attempt, RawInputs("j8bt05njq", "file:/in", ()))
    assert all_rows(ledger, schema.input_used) == []


def test_references_of_an_attempt(ledger: Ledger, begin: Begin) -> None:
    """References are kept by exposure and keyword, also those that are absent or N/A."""
    attempt = begin()
    used = (reference("BIASFILE"), reference("DARKFILE", "n/a", None))
    for chosen in (choice({}, reference("FLSHFILE")), choice({"DETECTOR": "HRC"}, *used)):
        ledger.record_references(attempt, chosen)
    rows = all_rows(ledger, schema.reference_used)
    assert [(r["keyword"], r["name"], r["sha1"], r["present"], r["required"]) for r in rows] == [
        ("BIASFILE", "a_bia.fits", "b" * 40, True, True),
        ("DARKFILE", "n/a", None, False, True),
    ]
    (header,) = all_rows(ledger, schema.exposure_header)
    assert json.loads(header["header"]) == {"DETECTOR": "HRC"}, "the latest header counts"


def test_next_attempt_leaves_the_evidence_of_the_last(
    ledger: Ledger, dataset: DatasetId, begin: Begin
) -> None:
    """What an attempt read stays with it: a later one does not rewrite it."""
    for name in ("old_bia.fits", "new_bia.fits"):
        attempt = begin()
        ledger.record_references(attempt, choice({}, reference("BIASFILE", name)))
        ledger.finish_attempt(attempt, Outcome(dataset.name, "error", "a test"))
    names = [row["name"] for row in all_rows(ledger, schema.reference_used)]
    assert names == ["old_bia.fits", "new_bia.fits"]


def test_unknown_run_is_refused(ledger: Ledger, dataset: DatasetId, begin: Begin) -> None:
    """Products and pointers need a run that exists."""
    with pytest.raises(ConfigError, match=r"no such run.*r9"):
        ledger.record_publication(begin(), replace(FLT, run="r9"))
    with pytest.raises(ConfigError, match=r"no such run.*r9"):
        ledger.set_current(dataset, "r9")


def test_current_run_moves(ledger: Ledger, dataset: DatasetId) -> None:
    """A dataset has at most one current run: the last that was set."""
    assert ledger.ask(lambda rows: current_run_of(rows, dataset.name)) is None
    for name in ("r1", "r2", "r2"):
        ledger.ensure_run(name, **RUN)
        ledger.set_current(dataset, name)
        assert ledger.ask(lambda rows: current_run_of(rows, dataset.name)) == name
    assert len(all_rows(ledger, schema.current_run)) == 1


def test_closed_attempt_records_nothing(ledger: Ledger, dataset: DatasetId, begin: Begin) -> None:
    """Inputs, references and products of an attempt that is closed are refused."""
    ledger.ensure_run("r1", **RUN)
    attempt = begin()
    ledger.finish_attempt(attempt, Outcome(dataset.name, "error", "a test"))
    for write in (
        lambda: ledger.record_inputs(attempt, RawInputs("j8bt05njq", "file:/in", ())),
        lambda: ledger.record_references(attempt, choice({}, reference("BIASFILE"))),
        lambda: ledger.record_publication(attempt, FLT),
    ):
        with pytest.raises(Interrupted):
            write()
    for table in (schema.reference_used, schema.exposure_header, schema.product):
        assert all_rows(ledger, table) == []
