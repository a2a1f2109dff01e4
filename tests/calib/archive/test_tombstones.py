"""Products that are not made any more: said by the next version, until they are made again."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.archive.manifest import FileEntry, Manifest, Tombstone
from calib.archive.outputs import FileOutput, Output
from calib.archive.publish import File, Publication
from calib.archive.store_output import StoreOutput
from calib.archive.tombstones import tombstones_of
from calib.errors import ArchiveError
from calib.ids import parse_dataset
from calib.stores import FileStore

DATASET = parse_dataset("j8bt05njq")
Version = Callable[..., Publication]


@pytest.fixture
def version(tmp_path: Path) -> Version:
    """Return a function that makes a publication of products, and a preview, log and env."""

    def make(run: str, *products: str, day: int = 1) -> Publication:
        folder = tmp_path / "work" / run
        folder.mkdir(parents=True)
        files = [File("product", folder / f"{name}.fits") for name in products]
        files += [File("log", folder / f"{run}.txt"), File("preview", folder / f"{run}.jpg")]
        for file in files:
            file.path.write_text(f"{run} {file.path.name}")
        created = f"2026-01-{day:02}T00:00:00+00:00"
        return Publication(DATASET, run, f"of {run}", tuple(files), created=created)

    return make


def graves(place: Output, run: str) -> list[tuple[str, str]]:
    """Return name and last run of the tombstones of a version."""
    return [(each.name, each.last_run) for each in place.manifest(run, DATASET).tombstones]


def test_a_product_that_is_not_made_any_more_is_named(place: Output, version: Version) -> None:
    """With its last run and checksum; previews and logs come and go without a word."""
    place.publish(version("r1", "a", "b"))
    archived = place.publish(version("r2", "a"))

    (found,) = place.manifest("r2", DATASET).tombstones
    old = {file.name: file for file in place.manifest("r1", DATASET).files}
    assert found == Tombstone("b.fits", "r1", old["b.fits"].sha256)
    assert archived.notes == ("no longer made: b.fits (last in r1)",)
    assert place.verify(DATASET) == []


def test_tombstones_stay_until_the_product_is_back(place: Output, version: Version) -> None:
    """Every later version repeats them, with the run that really made the product."""
    for run, products in {"r1": "ab", "r2": "a", "r3": "ac", "r4": "b", "r5": "abc"}.items():
        place.publish(version(run, *products))

    found = {run: graves(place, run) for run in ("r1", "r2", "r3", "r4", "r5")}
    assert found == {
        "r1": [],
        "r2": [("b.fits", "r1")],
        "r3": [("b.fits", "r1")],
        "r4": [("a.fits", "r3"), ("c.fits", "r3")],
        "r5": [],
    }


def test_the_current_version_counts_not_the_newest(place: Output, version: Version) -> None:
    """After going back, what the next version leaves out is counted from there."""
    place.publish(version("r1", "a", "b"))
    place.publish(version("r2", "a", "c"))
    place.make_current(DATASET, "r1")
    place.publish(version("r3", "a"))

    assert graves(place, "r3") == [("b.fits", "r1")]


def test_publishing_again_changes_nothing(place: Output, version: Version) -> None:
    """A second publication of the same result joins the first, although it is current itself."""
    place.publish(version("r1", "a", "b"))
    second = version("r2", "a")
    first = place.publish(second)

    again = place.publish(dataclasses.replace(second, created="2026-02-01T00:00:00+00:00"))

    assert again == dataclasses.replace(first, already_there=True, notes=())
    assert graves(place, "r2") == [("b.fits", "r1")]


def test_a_damaged_past_does_not_stop_the_present(
    tmp_path: Path, version: Version, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the current manifest cannot be read the log says so, and there are no tombstones."""
    for number, place in enumerate(
        (FileOutput(tmp_path / "out"), StoreOutput(FileStore(tmp_path / "store")))
    ):
        place.publish(version(f"old{number}", "a", "b"))
        root = tmp_path / ("out", "store")[number]
        (root / f"runs/old{number}/acs/j8bt05njq/manifest.json").write_text("{}")
        with caplog.at_level(logging.WARNING):
            place.publish(version(f"new{number}", "a"))

        assert graves(place, f"new{number}") == []
        assert "no tombstones: the current version of j8bt05njq cannot be read" in caplog.text
        caplog.clear()


def test_a_pruned_run_may_be_filled_again(place: Output, version: Version, tmp_path: Path) -> None:
    """A tombstone may name the very run that is published into anew."""
    place.publish(version("r1", "a", "b"))
    place.publish(version("r2", "a"))
    if isinstance(place, StoreOutput):
        for stored in [*place.store.list_keys("runs/r1/")]:
            place.store.delete(stored.key)
    else:
        (tmp_path / "out" / "runs" / "r1").rename(tmp_path / "pruned")
    again = dataclasses.replace(version("again", "a"), run="r1")

    place.publish(again)

    assert graves(place, "r1") == [("b.fits", "r1")]


def test_manifests_without_tombstones_are_read(tmp_path: Path, version: Version) -> None:
    """Those that were written before there were any."""
    place = FileOutput(tmp_path / "out")
    place.publish(version("r1", "a", "b"))
    path = tmp_path / "out/runs/r1/acs/j8bt05njq/manifest.json"
    record = json.loads(path.read_text())
    assert record.pop("tombstones") == []
    path.write_text(json.dumps(record))

    place.publish(version("r2", "a"))

    assert graves(place, "r1") == []
    assert graves(place, "r2") == [("b.fits", "r1")]


NAMES = st.sets(st.sampled_from([f"{letter}.fits" for letter in "abcde"]), min_size=1)


def manifest_of(number: int, names: set[str], before: tuple[Tombstone, ...]) -> Manifest:
    """Return the manifest of a version."""
    files = tuple(FileEntry(name, "product", f"{number:064}", 0) for name in sorted(names))
    run = f"r{number}"
    return Manifest("j8bt05njq", "ipst", "acs", run, "f", "", files, tombstones=before)


@given(versions=st.lists(NAMES, min_size=1, max_size=8))
def test_every_product_that_ever_was_is_made_or_has_a_tombstone(versions: list[set[str]]) -> None:
    """After any history: exactly one of the two, and the last run is the last that had it."""
    current: Manifest | None = None
    for number, names in enumerate(versions):
        files = manifest_of(number, names, ()).files
        found = tombstones_of(lambda: current, "j8bt05njq", files, follows=True)  # noqa: B023 - called at once
        current = manifest_of(number, names, found)

    assert current is not None
    made = {file.name for file in current.files}
    buried = {each.name: each for each in current.tombstones}
    assert made | set(buried) == set().union(*versions)
    assert not made & set(buried)
    for name, grave in buried.items():
        last = max(number for number, names in enumerate(versions) if name in names)
        assert (grave.last_run, grave.sha256) == (f"r{last}", f"{last:064}")


def test_errors_other_than_of_the_archive_are_passed_on() -> None:
    """Only what is damaged is passed over; a store that does not answer is tried again."""

    def fail() -> Manifest | None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        tombstones_of(fail, "j8bt05njq", (), follows=True)

    def damaged() -> Manifest | None:
        raise ArchiveError("damaged")

    assert tombstones_of(damaged, "j8bt05njq", (), follows=True) == ()


def test_a_version_that_waits_says_what_it_will_leave_out(place: Output, version: Version) -> None:
    """Once published a manifest stays: that of a canary is the one that becomes current later."""
    place.publish(version("r1", "a", "b"))
    place.publish(version("r2", "a", "c"))
    canary = place.publish(dataclasses.replace(version("r3", "a"), becomes_current=False))
    aside = dataclasses.replace(version("r4", "a"), becomes_current=False, follows=False)
    place.publish(aside)

    assert graves(place, "r3") == [("b.fits", "r1"), ("c.fits", "r2")]
    assert graves(place, "r4") == []
    assert place.lead_forward(DATASET, canary, None) == canary
    assert place.pointed_run(DATASET) == "r3"


def test_what_a_manifest_does_not_tell_a_person_is_told(place: Output, version: Version) -> None:
    """Where something else became current meanwhile, the old manifest does not know of it."""
    place.publish(version("r1", "a"))
    canary = place.publish(dataclasses.replace(version("r2", "a"), becomes_current=False))
    place.publish(version("r3", "a", "b"))

    assert place.lead_forward(DATASET, canary, None).notes == (
        "no longer made: b.fits (last in r3)",
    )
    assert place.lead_forward(DATASET, canary, None).notes == ()
