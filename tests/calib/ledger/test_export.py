"""Export and import: between databases and back without a change, and what is refused."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from calib.cost_model import Features
from calib.errors import ConfigError
from calib.ids import parse_dataset
from calib.ledger.campaigns import NewJob, enter_jobs, set_plan
from calib.ledger.export import export_ledger, import_ledger
from calib.ledger.ledger import Attempt, Ledger, current_owner, open_ledger
from calib.ledger.predictions import record_features
from calib.ledger.publications import Published, PublishedFile, record_publications
from calib.ledger.schema import metadata
from calib.ledger.sessions import close_session, open_session
from calib.records import Member

Begin = Callable[..., Attempt]
TEXT = 'é\u2028 "quoted"\\ \n line \U0001f680'


@pytest.fixture
def filled(ledger: Ledger, begin: Begin) -> Ledger:
    """Return a ledger with rows in tables of both halves, and of every kind of column."""
    attempt = begin()
    ledger.close_stage(ledger.open_stage(attempt, "fetch"), "error", error=TEXT)
    place: dict[str, Any] = {"context": "hst_1.pmap", "engine": "e", "engine_version": "1"}
    ledger.ensure_run("r1", parameters={"a": 0.1}, output="file:/o", **place)
    file = PublishedFile("j8bt05njq_flt.fits", "flt", "j8bt05njq", None, 2**40)
    found = Published("r1", "j8bt05njq", "file:/o/r1", (file,), "2026", tombstones=(("x", "r0"),))
    members = [Member("j8bt05njq", "EXP-CRJ", present) for present in (True,)]
    ledger.record_publication(attempt, found, (), members)
    ledger.write(lambda c: c.execute(insert(metadata.tables["member"]), [ABSENT]))
    ledger.set_current(parse_dataset("j8bt05njq"), "r1")
    _fill_campaign(ledger, attempt)
    return ledger


def _fill_campaign(ledger: Ledger, attempt: Attempt) -> None:
    """Add a campaign with its session and a job of every column, features and a model."""
    new = NewJob(
        parse_dataset("acs_8ph_01"),
        "f" * 64,
        memory=2**40,
        disk=2**41,
        priority=-3,
        time_scale=0.1,
        overrides={"env": {"A": TEXT}},
    )
    place: dict[str, Any] = {"run": "r1", "context": "hst_1.pmap", "chunk_size": 500}
    ledger.write(lambda c: set_plan(c, "nightly", context="hst_1.pmap", plan=TEXT, priority=7))
    ledger.write(lambda c: enter_jobs(c, "nightly", [new], **place))
    session = ledger.write(lambda c: open_session(c, "nightly", current_owner(), flow_run="f"))
    ledger.write(lambda c: close_session(c, session, "failed", TEXT))
    features = Features(2, 68.8, 1, 1, 2, 0, 1, 1, 0)
    ledger.write(lambda c: record_features(c, attempt, features))
    trained = {"target": "memory", "trained_at": "2026", "examples": 12, "content": "{}"}
    ledger.write(lambda c: c.execute(insert(metadata.tables["prediction"]), [trained]))


ABSENT = {"association": "j8bt05020", "rootname": "j8bt05nkq", "type": "EXP-CRJ", "present": False}


def everything(ledger: Ledger) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of all tables."""
    return ledger.write(
        lambda c: {
            table.name: [dict(row) for row in c.execute(select(table).order_by("id")).mappings()]
            for table in metadata.sorted_tables
        }
    )


@pytest.mark.parametrize("name", ["ledger.jsonl", "ledger.jsonl.gz"])
def test_an_export_fills_another_ledger(
    filled: Ledger, url: str, template: Path, tmp_path: Path, name: str
) -> None:
    """All rows come back with their numbers and types, from either database, and again the same."""
    counts = export_ledger(url, tmp_path / name)
    with open_ledger(str(shutil.copy(template, tmp_path / "other.db"))) as other:
        assert import_ledger(tmp_path / name, other) == counts
        assert everything(other) == everything(filled)
        assert counts["product"] == 1
        assert counts["member"] == 2
        campaign_rows = ("campaign_session", "feature", "prediction")
        assert [counts[name] for name in campaign_rows] == [1, 1, 1]
        export_ledger(f"sqlite:///{tmp_path / 'other.db'}", tmp_path / f"again-{name}")
    assert (tmp_path / f"again-{name}").read_bytes() == (tmp_path / name).read_bytes()
    assert [*tmp_path.glob("*.part")] == []


def test_a_ledger_moves_into_this_database_and_goes_on(
    ledger: Ledger, template: Path, tmp_path: Path
) -> None:
    """After an import new rows get numbers of their own (sequences of PostgreSQL)."""
    with open_ledger(str(shutil.copy(template, tmp_path / "old.db"))) as old:
        for name in ("first", "second"):
            old.ensure_campaign(name)
        before = everything(old)
    export_ledger(f"sqlite:///{tmp_path / 'old.db'}", tmp_path / "e.jsonl")
    import_ledger(tmp_path / "e.jsonl", ledger)

    assert everything(ledger) == before
    assert ledger.ensure_campaign("third") == 3


def test_many_rows_are_written_in_pages(ledger: Ledger, url: str, tmp_path: Path) -> None:
    """More rows than are read at once arrive, each once."""
    place: dict[str, Any] = {"context": "c", "engine": "e", "engine_version": "1", "output": "o"}
    ledger.ensure_run("r1", parameters={}, **place)
    files = tuple(PublishedFile(f"{n}", "flt", "j8bt05njq", None, n) for n in range(4500))
    found = Published("r1", "j8bt05njq", "file:/o", files, "2026")
    ledger.write(lambda c: record_publications(c, [found]))
    assert export_ledger(url, tmp_path / "e.jsonl")["product"] == 4500
    lines = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    assert len({line["row"]["name"] for line in lines if line.get("table") == "product"}) == 4500


def test_stdout_takes_an_export(
    filled: Ledger, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The text on stdout is that of the file."""
    export_ledger(url, None)
    export_ledger(url, tmp_path / "e.jsonl")

    assert capsys.readouterr().out == (tmp_path / "e.jsonl").read_text()


def _change(field: str, value: Any) -> Callable[[list[Any]], None]:
    def change(lines: list[Any]) -> None:
        row = next(line["row"] for line in lines if line.get("table") == "product")
        row[field] = value

    return change


def _drop_column(lines: list[Any]) -> None:
    next(line["row"] for line in lines if line.get("table") == "product").pop("type")


def _again(lines: list[Any]) -> None:
    lines.insert(2, lines[1])


HOSTILE: dict[str, tuple[Callable[[list[Any]], Any], str]] = {
    "another schema": (lambda lines: lines[0].update(schema="0001"), "another format or schema"),
    "no head": (lambda lines: lines.pop(0), "another format or schema"),
    "unknown table": (lambda lines: lines[1].update(table="users; --"), "unknown table"),
    "a table of no name": (lambda lines: lines[1].update(table=["job"]), "unknown table"),
    "unknown column": (_change("password", "x"), "other columns than those of product"),
    "missing column": (_drop_column, "other columns than those of product"),
    "text for a number": (_change("size", "1; DROP TABLE job"), "not a value for product.size"),
    "truth for a number": (_change("size", value=True), "not a value for product.size"),
    "a huge number": (_change("size", 2**63), "not a value for product.size"),
    "a list": (_change("name", ["x"]), "not a value for product.name"),
    "NUL": (_change("name", "a\x00b"), "not a value for product.name"),
    "NULL": (_change("name", None), "not a value for product.name"),
    "no such row": (_change("publication_id", 99), "cannot be"),
    "twice": (_again, "cannot be"),
    "cut short": (lambda lines: lines.pop(), "the end is missing"),
    "another count": (lambda lines: lines[-1]["rows"].update(job=7), "the end is missing"),
    "more after the end": (lambda lines: lines.append(lines[1]), "the end is missing"),
    "no object": (lambda lines: lines.insert(1, [1]), "not a JSON object"),
    "no row": (lambda lines: lines.insert(1, {"table": "job"}), "not a row"),
}


@pytest.mark.parametrize(("spoil", "said"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused_whole(
    filled: Ledger,
    url: str,
    template: Path,
    tmp_path: Path,
    spoil: Callable[[list[Any]], Any],
    said: str,
) -> None:
    """The message names the line and what is wrong; no row of the file is kept."""
    export_ledger(url, tmp_path / "e.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    spoil(lines)
    (tmp_path / "e.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with open_ledger(str(shutil.copy(template, tmp_path / "other.db"))) as other:
        with pytest.raises(ConfigError, match=said) as caught:
            import_ledger(tmp_path / "e.jsonl", other)
        assert "of the export: " in str(caught.value)
        assert not any(everything(other).values())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("e.jsonl", b"not JSON\n"),
        ("e.jsonl", b"\xff\xfe{}\n"),
        ("e.jsonl.gz", b"not gzip"),
        ("e.jsonl.gz", gzip.compress(b'{"format"', mtime=0)[:-4]),
        ("e.jsonl", None),
    ],
)
def test_what_is_no_export_is_refused(
    ledger: Ledger, tmp_path: Path, name: str, content: bytes | None
) -> None:
    """A missing, damaged or foreign file is an error in words."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError):
        import_ledger(tmp_path / name, ledger)


def test_nothing_is_overwritten(filled: Ledger, url: str, tmp_path: Path) -> None:
    """Neither a file nor a ledger with rows."""
    export_ledger(url, tmp_path / "e.jsonl")
    with pytest.raises(ConfigError, match="name another one"):
        export_ledger(url, tmp_path / "e.jsonl")
    with pytest.raises(ConfigError, match="into an empty ledger only"):
        import_ledger(tmp_path / "e.jsonl", filled)
    with pytest.raises(ConfigError, match="no ledger to export"):
        export_ledger(f"sqlite:///{tmp_path / 'none.db'}", None)
    with pytest.raises(ConfigError, match="cannot be exported"):
        export_ledger(url, tmp_path / "no folder" / "e.jsonl")
