"""Old versions go, the only copy never: whatever is selected, damaged or going on beside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from calib.archive.outputs import FileOutput, Output
from calib.errors import ArchiveError, ConfigError
from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger
from calib.ledger.publications import Published, PublishedFile, record_publications
from calib.ledger.schema import (
    chain_member,
    collection,
    current_run,
    product,
    publication,
    run,
    tagged_product,
)
from calib.ledger.versions import Version, mark_removed, versions_of
from calib.repository import pruning
from calib.repository.pruning import Pruned, PrunePlan, Selection, plan_prune, prune
from calib.repository.verification import verify_repository

Publish = Callable[..., str]
DATASET, OTHER = "j8bt05njq", "iaaua1n4q"
WHEN = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def folder(tmp_path: Path) -> FileOutput:
    """Return an empty output folder."""
    return FileOutput(tmp_path / "out")


@pytest.fixture
def three(folder: FileOutput, publish: Publish) -> FileOutput:
    """Return an output with three versions of a dataset; the last is current."""
    for number in (1, 2, 3):
        publish(folder, f"r{number}", day=f"0{number}")
    return folder


def plan(ledger: Ledger, *runs: str, **more: Any) -> PrunePlan:
    """Return the plan of a selection."""
    return ledger.ask(lambda rows: plan_prune(rows, Selection(runs, **more)))


def going(found: PrunePlan) -> dict[str, str | None]:
    """Return the run that stays by the run that goes."""
    return {g.version.run: g.keeper.run if g.keeper else None for g in found.going}


def staying(found: PrunePlan) -> dict[str, str]:
    """Return the reason by the run that stays."""
    return {each.version.run: each.why for each in found.staying}


def there(output: Output) -> list[str]:
    """Return the runs that hold something."""
    return sorted(each.run for each in output.publications())


def sound(output: Output, ledger: Ledger) -> bool:
    """Tell whether archive and ledger agree."""
    found = ledger.ask(lambda rows: [*verify_repository(output, rows, deep=True)])
    return not any(each.problems for each in found)


def version(ledger: Ledger, run_name: str, dataset: str = DATASET) -> Version:
    """Return a version from the ledger."""
    found = ledger.ask(lambda rows: versions_of(rows, dataset))
    return next(each for each in found if each.run == run_name)


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_replaced_versions_go(
    request: pytest.FixtureRequest, ledger: Ledger, publish: Publish, tmp_path: Path, kind: str
) -> None:
    """Old versions of all datasets go, the current ones stay, archive and ledger agree."""
    output = (
        FileOutput(tmp_path / "out") if kind == "folder" else request.getfixturevalue("in_bucket")
    )
    publish(output, "r1")
    publish(output, "r1", OTHER)
    publish(output, "r2", day="02")

    found = plan(ledger, replaced=True)
    assert going(found) == {"r1": "r2"}
    assert found.freed == found.going[0].version.size > 0
    assert there(output) == ["r1", "r1", "r2"]
    (done,) = prune(found, ledger)

    assert done == Pruned(found.going[0].version, is_gone=True)
    assert there(output) == ["r1", "r2"]
    assert version(ledger, "r1").removed_at is not None
    assert sound(output, ledger)
    assert plan(ledger, replaced=True) == PrunePlan((), ())


def test_a_selection_by_run_names_what_stays(three: FileOutput, ledger: Ledger) -> None:
    """Of a run that is asked for, the current version stays with its reason."""
    found = plan(ledger, "r1", "r3")
    assert (going(found), staying(found)) == ({"r1": "r3"}, {"r3": "the current version"})
    assert sound(three, ledger)


def test_selections_are_narrowed(three: FileOutput, ledger: Ledger, publish: Publish) -> None:
    """By dataset and by date."""
    publish(three, "r1", OTHER)
    publish(three, "r2", OTHER, day="02")
    assert len(plan(ledger, replaced=True).going) == 3
    assert len(plan(ledger, replaced=True, datasets=(OTHER,)).going) == 1
    assert len(plan(ledger, datasets=(OTHER.upper(),)).going) == 1
    assert len(plan(ledger, "r1", datasets=(OTHER,)).going) == 1
    before = datetime(2026, 1, 2, tzinfo=UTC)
    assert going(plan(ledger, datasets=(DATASET,), before=before)) == {"r1": "r3"}


@pytest.mark.parametrize(
    "bad",
    [{}, {"runs": ("nosuch",)}, {"runs": ("../x",)}, {"datasets": ("x",)}, {"datasets": (OTHER,)}],
)
def test_what_cannot_be_meant_is_refused(
    three: FileOutput, ledger: Ledger, bad: dict[str, Any]
) -> None:
    """Nothing selected, names that nobody knows, names that are none."""
    with pytest.raises(ConfigError):
        ledger.ask(lambda rows: plan_prune(rows, Selection(**bad)))
    assert there(three) == ["r1", "r2", "r3"]


def test_chains_tags_and_jobs_hold(three: FileOutput, ledger: Ledger, publish: Publish) -> None:
    """A run in a chain, a product in a tag, a dataset that is being processed."""
    publish(three, "r1", OTHER)
    publish(three, "r4", OTHER, day="04")
    ledger.write(_hold)
    reasons = {"r1": "its run is in chain best", "r2": "its products are in tag mine"}
    assert staying(plan(ledger, replaced=True, datasets=(DATASET,))) == reasons
    assert plan(ledger, "r1", "r2").going == ()
    job = ledger.submit("night", parse_dataset(OTHER), "r9", context="hst_1.pmap")
    publish(three, "r5", OTHER, day="05")

    work = "a job is at work on the dataset: night (submitted)"
    assert staying(plan(ledger, "r4")) == {"r4": work}
    ledger.change_state(job, "cancelled", "enough")
    assert going(plan(ledger, "r4")) == {"r4": "r5"}


def _hold(connection: Connection) -> None:
    """Put run r1 into a chain and a product of r2 into a tag."""
    for name, kind in (("best", "chain"), ("mine", "tag")):
        row = {"name": name, "kind": kind, "created_at": WHEN, "updated_at": WHEN}
        connection.execute(insert(collection), row)
    numbers = dict(connection.execute(select(collection.c.name, collection.c.id)).tuples().all())
    first = connection.scalar(select(run.c.id).where(run.c.name == "r1"))
    member = {"collection_id": numbers["best"], "position": 0, "run_id": first}
    connection.execute(insert(chain_member), member)
    tables = product.join(publication).join(run)
    found = select(product).select_from(tables).where(run.c.name == "r2")
    one = connection.execute(found.limit(1)).one()
    tagged = {"collection_id": numbers["mine"], "product_id": one.id, "dataset": DATASET}
    connection.execute(insert(tagged_product), {**tagged, "name": one.name})


def test_only_what_is_covered_goes(folder: FileOutput, ledger: Ledger, publish: Publish) -> None:
    """Another version that lacks a product is no copy of it; a tombstone is one if asked."""
    publish(folder, "r1", suffixes=("flt", "crj", "sfl"), day="01")
    publish(folder, "r2", suffixes=("flt",), day="02")

    why = f"the only copy of {DATASET}_crj.fits and 1 more: r2 does not have it"
    assert staying(plan(ledger, "r1")) == {"r1": why}
    publish(folder, "r3", suffixes=("flt", "crj"), day="03")
    why = f"the only copy of {DATASET}_sfl.fits: r3 does not have it"
    assert staying(plan(ledger, "r1")) == {"r1": why}
    assert going(plan(ledger, "r1", obsolete=True)) == {"r1": "r3"}


def test_all_versions_at_once_leave_one(
    folder: FileOutput, ledger: Ledger, publish: Publish
) -> None:
    """Where nothing is current the newest stays as the only copy; the older ones go."""
    for number in (1, 2, 3):
        publish(folder, f"r{number}", day=f"0{number}")
    ledger.write(lambda c: c.execute(current_run.delete()) and None)
    found = plan(ledger, "r1", "r2", "r3")

    assert going(found) == {"r1": "r3", "r2": "r3"}
    assert staying(found) == {"r3": "the only copy"}
    assert staying(plan(ledger, "r3")) == {"r3": "the only copy"}


def test_files_of_others_stay(three: FileOutput, ledger: Ledger, tmp_path: Path) -> None:
    """In-place: only the rows go, and such a version is no copy of ours."""
    raw = tmp_path / f"{DATASET}_flt.fits"
    raw.write_bytes(b"1234")
    ledger.ensure_run(
        "theirs", context="c", engine="e", engine_version="1", parameters={}, output=three.uri
    )
    file = PublishedFile(raw.name, "flt", DATASET, None, 4, f"file:{raw}")
    late = "2026-02-01T00:00:00+00:00"
    found = Published("theirs", DATASET, f"file:{tmp_path}", (file,), late, transfer="in-place")
    ledger.write(lambda c: record_publications(c, [found]))

    planned = plan(ledger, "theirs", "r1")
    assert going(planned) == {"theirs": None, "r1": "r3"}
    assert planned.freed == version(ledger, "r1").size
    assert all(each.is_gone for each in prune(planned, ledger))
    assert raw.read_bytes() == b"1234"
    assert version(ledger, "theirs").removed_at is not None


@pytest.mark.parametrize("harm", ["flipped", "deleted", "manifest", "exchanged"])
def test_a_damaged_copy_is_no_reason_to_remove(
    three: FileOutput, ledger: Ledger, harm: str
) -> None:
    """The version that stays is read whole before the other one goes."""
    place = three.folder / "runs" / "r3" / "acs" / DATASET
    file = place / f"{DATASET}_flt.fits"
    if harm == "flipped":
        file.write_bytes(file.read_bytes().replace(b"r3", b"R3"))
    elif harm == "deleted":
        file.unlink()
    elif harm == "manifest":
        (place / "manifest.json").write_text("{}")
    else:
        text = (place / "manifest.json").read_text()
        (place / "manifest.json").write_text(
            text.replace('"fingerprint": "r3', '"fingerprint": "x')
        )

    done = [*prune(plan(ledger, "r1", "r2"), ledger)]

    assert [each.is_gone for each in done] == [False, False]
    assert all("the copy in r3 is damaged" in each.why for each in done)
    assert there(three) == ["r1", "r2", "r3"]
    assert version(ledger, "r1").removed_at is None


def test_a_file_of_somebody_else_is_not_taken_away(three: FileOutput, ledger: Ledger) -> None:
    """Notes beside the products keep the version where it is."""
    notes = three.folder / "runs" / "r1" / "acs" / DATASET / "notes.txt"
    notes.write_text("mine")

    (done,) = prune(plan(ledger, "r1"), ledger)

    assert not done.is_gone
    assert "notes.txt" in done.why
    assert notes.exists()


def test_what_changed_since_the_plan_counts(three: FileOutput, ledger: Ledger) -> None:
    """A version put into a chain, or made current, after the plan was made stays."""
    planned = plan(ledger, "r1", "r2")
    ledger.write(_hold)
    assert {(d.version.run, d.is_gone) for d in prune(planned, ledger)} == {
        ("r1", False),
        ("r2", False),
    }
    assert there(three) == ["r1", "r2", "r3"]


def test_what_readers_are_shown_stays(three: FileOutput, ledger: Ledger) -> None:
    """The pointer counts, also where the ledger believes that another version is current."""
    three.make_current(parse_dataset(DATASET), "r1")
    done = {d.version.run: d for d in prune(plan(ledger, "r1", "r2"), ledger)}

    assert done["r2"].is_gone
    assert "current version is never removed" in done["r1"].why
    assert there(three) == ["r1", "r3"]


def test_a_crash_between_bytes_and_row_is_completed(
    three: FileOutput, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verify says missing, and the next pruning marks it."""

    class Cut(BaseException):
        """The machine stops."""

    def stop(*_: Any) -> None:
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(pruning, "mark_removed", stop)
        with pytest.raises(Cut):
            [*prune(plan(ledger, "r1"), ledger)]
    assert there(three) == ["r2", "r3"]
    found = ledger.ask(lambda rows: [*verify_repository(three, rows)])
    assert [p.kind for each in found for p in each.problems] == ["missing"]

    assert [each.is_gone for each in prune(plan(ledger, "r1"), ledger)] == [True]
    assert sound(three, ledger)


def test_two_prunings_cannot_take_both_copies(three: FileOutput, ledger: Ledger) -> None:
    """Plans made at the same time never name each other's version as the one that stays."""
    ledger.write(lambda c: c.execute(current_run.delete()) and None)
    (three.folder / "data" / "acs" / DATASET).unlink()
    plans = [plan(ledger, name) for name in ("r1", "r2", "r3")]

    assert [going(each) for each in plans] == [{"r1": "r3"}, {"r2": "r3"}, {}]
    for each in plans:
        [*prune(each, ledger)]
    assert there(three) == ["r3"]


def test_one_failure_does_not_stop_the_rest(
    three: FileOutput, ledger: Ledger, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An output that fails for one dataset is told, the others go."""
    publish(three, "r1", OTHER)
    publish(three, "r2", OTHER, day="02")

    class Failing(FileOutput):
        """Cannot remove one dataset."""

        def remove(self, run: str, dataset: Any) -> bool:
            if dataset.name == DATASET:
                raise ArchiveError("not allowed", dataset=dataset.name)
            return super().remove(run, dataset)

    monkeypatch.setattr(pruning, "open_output", lambda _: Failing(three.folder))
    found = [*prune(plan(ledger, "r1"), ledger)]

    assert {(d.version.dataset, d.is_gone) for d in found} == {(DATASET, False), (OTHER, True)}
    assert version(ledger, "r1").removed_at is None
    assert version(ledger, "r1", OTHER).removed_at is not None


def test_rows_stay_for_lineage(three: FileOutput, ledger: Ledger) -> None:
    """Publication and products are still known, as removed; marking twice changes nothing."""
    [*prune(plan(ledger, "r1"), ledger)]
    old = version(ledger, "r1")
    ledger.write(lambda c: mark_removed(c, [old]))

    assert version(ledger, "r1") == old
    assert old.files == 2
    names = ledger.ask(lambda rows: rows("SELECT run FROM products", {}))
    assert {row["run"] for row in names} == {"r2", "r3"}
    assert there(three) == ["r2", "r3"]


def test_bytes_go_from_where_they_lie(three: FileOutput, ledger: Ledger, tmp_path: Path) -> None:
    """The row of the run may name another output: what goes is what the publication names."""
    elsewhere = f"file:{tmp_path / 'elsewhere'}"
    ledger.write(lambda c: c.execute(update(run).values(output=elsewhere)) and None)
    (done,) = prune(plan(ledger, "r1"), ledger)

    assert done.is_gone
    assert there(three) == ["r2", "r3"]


def test_an_archive_that_is_not_there_is_not_called_gone(
    ledger: Ledger, publish: Publish, tmp_path: Path
) -> None:
    """Nothing found where an archive should be frees nothing: it may not be mounted."""
    publish(FileOutput(tmp_path / "disk"), "r1")
    publish(FileOutput(tmp_path / "out"), "r2", day="02")
    (tmp_path / "disk").rename(tmp_path / "unplugged")
    (done,) = prune(plan(ledger, "r1"), ledger)

    assert not done.is_gone
    assert "is it mounted" in done.why
    assert version(ledger, "r1").removed_at is None


@pytest.mark.parametrize("meanwhile", ["tag", "keeper"])
def test_the_ledger_has_the_last_word(
    three: FileOutput, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    """A tag made, or the copy removed, while the version that stays is being read."""

    class Slow(FileOutput):
        """Something happens while it is read."""

        def verify(self, dataset: Any, **options: Any) -> Any:
            found = super().verify(dataset, **options)
            if options.get("deep", True):
                keeper = version(ledger, "r3")
                ledger.write(_hold if meanwhile == "tag" else lambda c: mark_removed(c, [keeper]))
            return found

    monkeypatch.setattr(pruning, "open_output", lambda _: Slow(three.folder))
    (done,) = prune(plan(ledger, "r2"), ledger)

    assert not done.is_gone
    said = "in tag mine" if meanwhile == "tag" else "the copy in r3 was removed meanwhile"
    assert said in done.why
    assert there(three) == ["r1", "r2", "r3"]
