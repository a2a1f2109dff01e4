"""Exports: types, formats by name, whole files or none."""

from __future__ import annotations

import csv
import json
import sys
from datetime import UTC
from pathlib import Path

import campaign_story as story
import pytest

from calib.campaigns.cost_files import Export, export_costs, format_of
from calib.errors import ConfigError
from calib.ledger.costs import JOBS, STAGES, TABLES
from calib.ledger.ledger import Ledger

ALL = Export(STAGES, None, "/work")


@pytest.mark.parametrize("name", TABLES)
def test_parquet_has_types(ledger: Ledger, tmp_path: Path, name: str) -> None:
    """Integers, floats, texts and UTC times in microseconds, empty where nothing is known."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    story.tell(ledger)
    target = tmp_path / "costs.parquet"
    wanted = Export(TABLES[name], None, "/work")
    count = ledger.ask(lambda ask: export_costs(ask, wanted, "parquet", target))
    table = parquet.read_table(target)
    kinds = {
        "integer": pa.int64(),
        "number": pa.float64(),
        "text": pa.string(),
        "time": pa.timestamp("us", tz="UTC"),
    }
    expected = {column: kinds[kind] for column, kind in TABLES[name].columns.items()}
    assert {field.name: field.type for field in table.schema} == expected
    assert [field.name for field in table.schema if not field.nullable] == ["id"]
    assert table.num_rows == count > 0
    if name == "stages":
        first = table.to_pylist()[0]
        assert first["started_at"].tzinfo is not None
        assert first["started_at"].astimezone(UTC).year >= 2026
        assert (first["wall"], first["disk"]) == (0.5, None)


def test_csv_and_json_lines_agree(ledger: Ledger, tmp_path: Path) -> None:
    """Both have every row and column; CSV has an empty cell for what is not known."""
    story.tell(ledger)
    csv_file, lines_file = tmp_path / "a.csv", tmp_path / "a.jsonl"
    counts = {
        ledger.ask(lambda ask: export_costs(ask, ALL, "csv", csv_file)),
        ledger.ask(lambda ask: export_costs(ask, ALL, "jsonl", lines_file)),
    }
    with csv_file.open(newline="") as stream:
        rows = [*csv.DictReader(stream)]
    lines = [json.loads(line) for line in lines_file.read_text().splitlines()]
    assert counts == {len(rows)} == {len(lines)} == {8}
    for row, line in zip(rows, lines, strict=True):
        assert row == {name: "" if v is None else str(v) for name, v in line.items()}


def test_a_file_is_replaced_only_on_demand(ledger: Ledger, tmp_path: Path) -> None:
    """An export never takes the place of a file unasked; asked, it does so whole."""
    story.tell(ledger)
    target = tmp_path / "jobs.csv"
    target.write_text("precious")
    wanted = Export(JOBS, story.NAME, "/work")
    with pytest.raises(ConfigError, match="--replace"):
        ledger.ask(lambda ask: export_costs(ask, wanted, "csv", target))
    assert target.read_text() == "precious"
    assert ledger.ask(lambda ask: export_costs(ask, wanted, "csv", target, replace=True)) == 5
    with target.open(newline="") as stream:
        assert len([*csv.DictReader(stream)]) == 5
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".csv"] == ["jobs.csv"]
    assert not [*tmp_path.glob(".part-*")]


def test_what_fails_leaves_the_old_file(ledger: Ledger, tmp_path: Path) -> None:
    """A ledger that goes away in the middle leaves the file as it was, and no other."""
    target = tmp_path / "a.jsonl"
    target.write_text("old")

    def broken(query: str, _: object) -> list[dict[str, object]]:
        if "MAX(id)" in query:
            return [{"last": 1}]
        raise ConnectionError("gone")

    with pytest.raises(ConfigError, match="gone"):
        export_costs(broken, ALL, "jsonl", target, replace=True)  # type: ignore[arg-type]
    assert target.read_text() == "old"
    assert not [*tmp_path.glob(".part-*")]


def test_without_pyarrow(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parquet without pyarrow is refused before anything is written, with what to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"hstflow\[parquet\]"):
        ledger.ask(lambda ask: export_costs(ask, ALL, "parquet", tmp_path / "a.parquet"))
    with pytest.raises(ConfigError, match="needs a file"):
        ledger.ask(lambda ask: export_costs(ask, ALL, "parquet", None))
    assert not (tmp_path / "a.parquet").exists()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x/a.parquet", "parquet"),
        ("a.b.csv", "csv"),
        ("a.jsonl", "jsonl"),
        ("blackboardAWS.snapshot", "blackboard"),
        ("blackboard", "blackboard"),
        ("blackboard.txt", "blackboard"),
    ],
)
def test_names_tell_formats(name: str, expected: str) -> None:
    """The end of a name tells the format, as CALCLOUD's name for the blackboard does."""
    assert format_of(name) == expected


@pytest.mark.parametrize("name", ["a", "a.txt", "-", "parquet"])
def test_a_name_that_tells_nothing_is_refused(name: str) -> None:
    """Other names need --format."""
    with pytest.raises(ConfigError, match="--format"):
        format_of(name)
