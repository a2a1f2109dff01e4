"""What exists: runs are write-once, products know what made them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Table, select

from calib.errors import ArchiveError, ConfigError, Interrupted
from calib.ids import DatasetId
from calib.ledger import schema
from calib.ledger.ledger import Attempt, Ledger
from calib.ledger.registry import suffix_of
from calib.ledger.reports import current_run_of
from calib.records import (
    ExposureReferences,
    InputFile,
    Outcome,
    ProductFile,
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
FLT = ProductFile("j8bt05njq_flt.fits", "/scratch/j8bt05njq_flt.fits", "a" * 64, 2**33)


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


def test_products_name_their_attempt(ledger: Ledger, dataset: DatasetId, begin: Begin) -> None:
    """A product knows run, attempt, type, checksum, size and place; again changes nothing."""
    ledger.ensure_run("r1", **RUN)
    attempt = begin()
    for _ in range(2):
        ledger.record_products(attempt, "r1", dataset, "file:///out/r1/acs/j8bt05njq/", [FLT])
    (row,) = all_rows(ledger, schema.product)
    assert row["attempt_id"] == attempt.id
    assert (row["suffix"], row["sha256"], row["size"]) == ("flt", FLT.sha256, 2**33)
    assert row["uri"] == "file:///out/r1/acs/j8bt05njq/j8bt05njq_flt.fits"


def test_products_are_write_once(ledger: Ledger, dataset: DatasetId, begin: Begin) -> None:
    """Another file under a name that the run has is refused, with all that came with it."""
    ledger.ensure_run("r1", **RUN)
    attempt = begin()
    ledger.record_products(attempt, "r1", dataset, "file:///out", [FLT])
    crj = ProductFile("j8bt05njq_crj.fits", "/p", "e" * 64, 1)
    changed = ProductFile(FLT.name, FLT.path, "f" * 64, FLT.size)
    with pytest.raises(ArchiveError, match=r"other content.*j8bt05njq_flt.fits"):
        ledger.record_products(attempt, "r1", dataset, "file:///out", [crj, changed])
    assert [row["sha256"] for row in all_rows(ledger, schema.product)] == [FLT.sha256]


def test_rebuilt_products_have_no_attempt(ledger: Ledger, dataset: DatasetId) -> None:
    """A ledger rebuilt from manifests has products that nobody remembers making."""
    ledger.ensure_run("r1", **RUN)
    ledger.record_products(None, "r1", dataset, "file:///out", [FLT])
    assert all_rows(ledger, schema.product)[0]["attempt_id"] is None


def test_unknown_run_is_refused(ledger: Ledger, dataset: DatasetId, begin: Begin) -> None:
    """Products and pointers need a run that exists."""
    with pytest.raises(ConfigError, match=r"no such run.*r9"):
        ledger.record_products(begin(), "r9", dataset, "file:///out", [FLT])
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
        lambda: ledger.record_products(attempt, "r1", dataset, "file:///out", [FLT]),
    ):
        with pytest.raises(Interrupted):
            write()
    for table in (schema.reference_used, schema.exposure_header, schema.product):
        assert all_rows(ledger, table) == []


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("j8bt05njq_flt.fits", "flt"),
        ("previews/j8bt05njq_flt_thumb.jpg", "thumb"),
        ("la8q99030_x1dsum.fits", "x1dsum"),
        ("j8bt05njq.tra", "tra"),
        ("process_logs/x.tar.gz", "tar.gz"),
        ("README", ""),
    ],
)
def test_dataset_type_of_a_product(name: str, suffix: str) -> None:
    """The type is the last part of the name, or the extension where there is but one part."""
    assert suffix_of(name) == suffix
