"""The ledger rebuilt from the archive alone is the ledger of the stages that filled it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from ingestible import write_file
from sqlalchemy import Connection, update

from calib.archive.layout import publication_folder
from calib.archive.outputs import FileOutput, Output, open_output
from calib.archive.publish import File, Publication
from calib.ids import parse_dataset
from calib.ledger import schema
from calib.ledger.ledger import Ledger, open_ledger
from calib.ledger.reports import history_of, jobs_of
from calib.repository.candidates import IngestRequest
from calib.repository.deposit import put
from calib.repository.ingest import ingest
from calib.repository.rebuild import Rebuilt, rebuild
from calib.simulate.observatory import Observatory
from calib.stages.job import Options
from calib.stages.planning import Request, plan_jobs
from calib.stages.recording import ledger_of
from calib.stages.sequence import process_dataset
from calib.stores.s3_store import S3Store
from calib.switches import parse_overrides

VIEWS = ("products", "publications", "inputs", "references_used", "tombstones")
DATASET = parse_dataset("j8bt05njq")
FOREIGN = "j8bt06xyq"


@dataclass(frozen=True)
class Filled:
    """An archive, and the URL of the ledger that knows how it came to be."""

    output: Path
    ledger: str
    datasets: tuple[str, ...]


@pytest.fixture(scope="module")
def filled(observatory: Observatory, tmp_path_factory: pytest.TempPathFactory) -> Filled:
    """Return an archive of two datasets, one of them in two runs, and of an ingested one."""
    folder = tmp_path_factory.mktemp("archive")
    request = Request(
        source=f"file:{observatory.raws}",
        output=f"file:{folder / 'out'}",
        profile=observatory.profile,
        work=str(folder / "work"),
        ledger=f"sqlite:///{folder / 'ledger.db'}",
        context=observatory.contexts[0],
    )
    other = Options(overrides=parse_overrides(["DARKCORR=OMIT"]))
    jobs = [
        *plan_jobs(request, observatory.datasets[:2]),
        *plan_jobs(replace(request, run="no-dark", options=other), observatory.datasets[:1]),
    ]
    assert [process_dataset(job).state for job in jobs] == ["processed"] * 3
    write_file(folder / "elsewhere" / f"{FOREIGN}_flt.fits", CAL_VER="10.3", CRDS_CTX="hst_1.pmap")
    elsewhere = IngestRequest(f"file:{folder / 'elsewhere'}", "foreign", request.output)
    assert ingest(elsewhere, ledger_of(request.ledger)).new == 1
    return Filled(folder / "out", request.ledger, (*observatory.datasets[:2], FOREIGN))


@pytest.fixture
def second(tmp_path: Path, template: Path) -> Iterator[Ledger]:
    """Return a new ledger."""
    with open_ledger(str(shutil.copy(template, tmp_path / "second.db"))) as opened:
        yield opened


def rows_of(ledger: Ledger, view: str) -> list[dict[str, Any]]:
    """Return a view as sorted rows, without numbers."""
    found = ledger.ask(lambda rows: rows(f"SELECT * FROM {view}", {}))  # noqa: S608 - our own names
    kept = [{name: value for name, value in row.items() if name != "id"} for row in found]
    return sorted(kept, key=lambda row: json.dumps(row, sort_keys=True))


def counts(done: Rebuilt) -> tuple[int, int, int, int]:
    """Return publications new and known, pointers, problems."""
    return done.new, done.known, done.current, len(done.problems)


@pytest.mark.parametrize("view", VIEWS)
def test_views_are_those_of_the_ledger_that_was_lost(
    filled: Filled, second: Ledger, view: str
) -> None:
    """Row by row: products with data ids, what is current, inputs, references, fingerprints."""
    assert counts(rebuild(FileOutput(filled.output), second)) == (4, 0, 3, 0)

    assert rows_of(second, view) == rows_of(ledger_of(filled.ledger), view)
    assert rows_of(second, view) or view == "tombstones"


def test_runs_and_jobs_come_back(filled: Filled, second: Ledger) -> None:
    """Runs with all that is fixed in them; jobs processed, in their own campaign, with a reason."""
    rebuild(FileOutput(filled.output), second)
    first = ledger_of(filled.ledger)

    def runs(ledger: Ledger) -> list[dict[str, Any]]:
        return [{**row, "created_at": ""} for row in rows_of(ledger, "runs")]

    assert runs(second) == runs(first)
    for dataset in filled.datasets[:2]:
        here, there = (
            [(j.campaign, j.run, j.context, j.state, j.code, j.uri) for j in found]
            for found in (
                ledger.ask(lambda rows, d=dataset: jobs_of(rows, d)) for ledger in (first, second)
            )
        )
        assert sorted(here) == sorted(there)
    changes = second.ask(lambda rows: history_of(rows, filled.datasets[1]))
    assert [(c.to_state, c.reason) for c in changes] == [("processed", "rebuilt from the manifest")]
    assert second.ask(lambda rows: jobs_of(rows, FOREIGN)) == []


def test_the_same_again_changes_nothing(filled: Filled, second: Ledger) -> None:
    """A rebuild of what is known adds nothing, also to the ledger that was there all the time."""
    rebuild(FileOutput(filled.output), second)
    before = {view: rows_of(second, view) for view in (*VIEWS, "jobs", "runs")}

    assert counts(rebuild(FileOutput(filled.output), second)) == (0, 4, 3, 0)
    assert {view: rows_of(second, view) for view in before} == before
    first = ledger_of(filled.ledger)
    jobs = rows_of(first, "jobs")
    assert counts(rebuild(FileOutput(filled.output), first)) == (0, 4, 3, 0)
    assert rows_of(first, "jobs") == jobs


def test_an_interrupted_rebuild_goes_on(
    filled: Filled, second: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written before a stop is known; the rest follows."""
    monkeypatch.setattr("calib.repository.rebuild._BATCH", 1)

    def stop(number: int, _total: int) -> None:
        if number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild(FileOutput(filled.output), second, progress=stop)
    assert counts(rebuild(FileOutput(filled.output), second)) == (2, 2, 3, 0)
    assert rows_of(second, "inputs") == rows_of(ledger_of(filled.ledger), "inputs")


def test_a_processed_dataset_can_go_on_after_a_rebuild(filled: Filled, second: Ledger) -> None:
    """A rebuilt job is submitted again like any other: numbers of attempts go on."""
    rebuild(FileOutput(filled.output), second)
    (job, *_) = second.ask(lambda rows: jobs_of(rows, filled.datasets[1]))
    number = second.submit(job.campaign, parse_dataset(job.dataset), job.run, context=job.context)

    assert number == job.id


@pytest.fixture
def copied(filled: Filled, tmp_path: Path) -> Output:
    """Return a private copy of the archive, to be damaged."""
    shutil.copytree(filled.output, tmp_path / "out", symlinks=True)
    return FileOutput(tmp_path / "out")


def _spoil(manifest: dict[str, Any], how: str) -> None:
    told = manifest["provenance"]
    spoilt: dict[str, Any] = {
        "inputs": 7,
        "references": [{"file": ["x"]}],
        "data_ids": [{"rootname": 1}],
        "members": [{"name": "x"}],
        "context": "h" * 300,
        "execution": {"campaign": "c" * 300},
        "engine": ["native"],
    }
    if how == "dataset":
        manifest["dataset"] = "../../etc"
    else:
        told[how] = spoilt[how]


@pytest.mark.parametrize(
    "how",
    ["dataset", "inputs", "references", "data_ids", "members", "context", "execution", "engine"],
)
def test_a_damaged_or_hostile_manifest_is_named_and_the_rest_goes_on(
    copied: FileOutput, filled: Filled, second: Ledger, how: str
) -> None:
    """Whatever a manifest says, it stops no other, and nothing of it is kept."""
    folder = publication_folder(copied.folder, "no-dark", parse_dataset(filled.datasets[0]))
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    _spoil(manifest, how)
    path.write_text(json.dumps(manifest))
    done = rebuild(copied, second)

    assert counts(done) == (3, 0, 2, 1)
    assert done.problems[0][0] == path.as_uri()
    assert done.code == 25
    assert "no-dark" not in {row["run"] for row in rows_of(second, "publications")}


def test_no_manifest_and_no_pointer(copied: FileOutput, filled: Filled, second: Ledger) -> None:
    """Text that is no JSON, and a pointer that the archive did not make, are named."""
    path = publication_folder(copied.folder, "foreign", parse_dataset(FOREIGN)) / "manifest.json"
    path.write_bytes(b"\x00")
    pointer = copied.folder / "data/acs" / filled.datasets[1]
    pointer.unlink()
    pointer.symlink_to("/etc")
    done = rebuild(copied, second)

    assert counts(done) == (3, 0, 1, 2)
    assert "does not parse" in done.problems[0][1]
    assert "not made by the archive" in done.problems[1][1]


def test_a_manifest_that_contradicts_the_ledger_is_refused(
    copied: FileOutput, second: Ledger
) -> None:
    """The ledger keeps what it knows; another manifest in the same place is a problem."""
    rebuild(copied, second)
    before = rows_of(second, "products")
    path = publication_folder(copied.folder, "foreign", parse_dataset(FOREIGN)) / "manifest.json"
    path.write_bytes(path.read_bytes() + b" ")
    done = rebuild(copied, second)

    assert counts(done) == (0, 3, 2, 1)
    assert "another manifest" in done.problems[0][1]
    assert rows_of(second, "products") == before


def test_a_run_of_another_kind_is_a_problem(
    copied: FileOutput, filled: Filled, second: Ledger
) -> None:
    """A run that the ledger has as processed takes no ingested publication."""
    place: dict[str, Any] = {"context": "c", "engine": "e", "engine_version": "1", "output": "o"}
    second.ensure_run("foreign", parameters={}, **place)
    done = rebuild(copied, second)

    assert counts(done) == (3, 0, 2, 1)
    assert "was processed here" in done.problems[0][1]


def test_a_bucket_is_rebuilt_too(bucket: str, second: Ledger, tmp_path: Path) -> None:
    """Manifests without provenance, in a bucket: rows, and a job of the campaign `rebuilt`."""
    output = open_output(f"s3://{bucket}/out")
    flt = tmp_path / "j8bt05njq_flt.fits"
    flt.write_bytes(b"pixels")
    for run in ("first", "second"):
        output.publish(Publication(DATASET, run, f"of {run}", (File("product", flt),)))
    S3Store(bucket, "out").replace("runs/first/acs/notes.txt", b"not ours")

    assert counts(rebuild(output, second)) == (2, 0, 1, 0)
    assert [row["is_current"] for row in rows_of(second, "products")] == [0, 1]
    assert {row["campaign"] for row in rows_of(second, "jobs")} == {"rebuilt"}
    assert counts(rebuild(output, second)) == (0, 2, 1, 0)


def test_an_empty_archive_gives_an_empty_ledger(second: Ledger, tmp_path: Path) -> None:
    """A folder that does not exist holds nothing."""
    assert counts(rebuild(FileOutput(tmp_path / "nothing"), second)) == (0, 0, 0, 0)


def test_a_run_of_put_goes_on_after_a_rebuild(
    ledger: Ledger, second: Ledger, tmp_path: Path
) -> None:
    """The run comes back as `put` made it, so that the next dataset goes into it."""
    output = f"file:{tmp_path / 'out'}"
    put({f"{DATASET}_phot.txt": "bright"}, str(DATASET), "mine", output=output, ledger=ledger)
    assert counts(rebuild(open_output(output), second)) == (1, 0, 1, 0)

    put({f"{FOREIGN}_phot.txt": "faint"}, FOREIGN, "mine", output=output, ledger=second)
    assert {row["run"] for row in rows_of(second, "publications")} == {"mine"}
    assert len(rows_of(second, "publications")) == 2


def test_a_run_of_another_output_is_a_problem(
    copied: FileOutput, filled: Filled, second: Ledger
) -> None:
    """Two archives may have runs of one name; a ledger knows each run in one of them."""
    place: dict[str, Any] = {"context": "c", "engine": "e", "engine_version": "1", "output": "o"}
    second.ensure_run("no-dark", parameters={}, **place)
    done = rebuild(copied, second)

    assert counts(done) == (3, 0, 2, 1)
    assert "lies in another output" in done.problems[0][1]


def test_an_output_may_be_spelt_in_two_ways(copied: FileOutput, second: Ledger) -> None:
    """What was published and not registered is added to the run that the ledger has."""
    rebuild(copied, second)

    def forget(connection: Connection) -> None:
        spelt = copied.uri.replace("file:/", "file:///") + "/"
        connection.execute(
            update(schema.run).where(schema.run.c.kind == "processed").values(output=spelt)
        )
        ours = schema.publication.c.dataset != FOREIGN
        connection.execute(update(schema.publication).where(ours).values(removed_at="t"))

    second.write(forget)
    rebuilt = rebuild(copied, second)
    assert rebuilt.problems == []
    assert {row["removed_at"] for row in rows_of(second, "publications")} == {None}
