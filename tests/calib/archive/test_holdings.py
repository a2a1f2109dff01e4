"""Finding what is published, and a run that can take what is not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from calib.archive.outputs import FileOutput, Output
from calib.archive.publish import Publication
from calib.archive.store_holdings import place_of
from calib.archive.store_output import StoreOutput
from calib.errors import ArchiveError, ConfigError
from calib.ids import parse_dataset

Make = Callable[..., Publication]
DATASET = parse_dataset("j8bt05njq")
OTHER = parse_dataset("j8bt06njq")


def test_nothing_published(place: Output) -> None:
    """In an empty or absent output nothing is current, nothing is found, all runs are free."""
    assert place.current_manifest(DATASET) is None
    assert place.find_published(DATASET, "x") is None
    assert place.free_run("run", DATASET, "x") == "run"
    assert [*place.publications()] == []


def test_found_in_the_current_version_and_elsewhere(make: Make, place: Output) -> None:
    """A result is found in whatever run holds it, with the URI and checksum of publication."""
    first, second = make(), make(run="second", content=b"better")
    archived = {run.fingerprint: place.publish(run) for run in (first, second)}

    for fingerprint, expected in archived.items():
        found = place.find_published(DATASET, fingerprint)
        assert found is not None
        assert (found.run, found.uri) == (expected.run, expected.uri)
        assert found.manifest_sha256 == expected.manifest_sha256
        assert found.already_there
    assert place.find_published(DATASET, "third") is None
    assert place.find_published(OTHER, first.fingerprint) is None


def test_current_version_is_looked_at_first(make: Make, place: Output) -> None:
    """Of two runs with the same result the current one is named, whatever its name."""
    place.publish(make(run="a", fingerprint="same"))
    place.publish(make(run="b", fingerprint="same"))

    assert getattr(place.find_published(DATASET, "same"), "run", None) == "b"
    place.make_current(DATASET, "a")
    assert getattr(place.find_published(DATASET, "same"), "run", None) == "a"


def spoil(place: Output, name: str) -> None:
    """Cut a file of the first run short, past the archive."""
    if isinstance(place, StoreOutput):
        place.store.replace(f"{place_of('first', DATASET)}/{name}", b"{")
    else:
        path = Path(place.uri.removeprefix("file:")) / "runs/first/acs/j8bt05njq" / name
        path.write_text("{")


def test_a_cut_manifest_is_one_problem(make: Make, place: Output) -> None:
    """It is called by the same name wherever it lies, and so is one that nobody wrote."""
    publication = make()
    archived = place.publish(publication)
    spoil(place, "manifest.json")

    (problem,) = place.verify(DATASET)

    assert (problem.kind, problem.path.rpartition("/")[2]) == ("unreadable", "manifest.json")
    assert problem.path.removesuffix("/manifest.json") in archived.uri
    with pytest.raises(ArchiveError, match="nothing is published"):
        place.verify(DATASET, run="second")
    with pytest.raises(ArchiveError, match="no readable manifest"):
        place.manifest("second", DATASET)


@pytest.mark.parametrize("name", ["manifest.json", "j8bt05njq_flt.fits", "logs/process.txt"])
def test_damage_is_passed_over(
    make: Make, place: Output, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """A publication with a lost or cut file does not count as published, and the log says so."""
    publication = make()
    place.publish(publication)
    spoil(place, name)

    with caplog.at_level(logging.WARNING):
        assert place.find_published(DATASET, publication.fingerprint) is None

    assert "passed over" in caplog.text
    assert place.free_run("first", DATASET, publication.fingerprint) == "first-2"
    place.publish(make(run="second"))
    with pytest.raises(ArchiveError, match=r"damaged: use another run|does not parse"):
        place.make_current(DATASET, "first")
    with pytest.raises(ArchiveError, match=r"damaged: use another run|does not parse") as caught:
        place.publish(publication)
    assert place.pointed_run(DATASET) == "second"
    assert "runs/first/acs/j8bt05njq" in str(caught.value.path)


def test_foreign_pointer_is_an_error(make: Make, output: Path) -> None:
    """Where something else lies in the pointer's place, nobody guesses."""
    (output / "data/acs/j8bt05njq").mkdir(parents=True)

    with pytest.raises(ArchiveError, match="not a pointer"):
        FileOutput(output).find_published(DATASET, "x")
    with pytest.raises(ArchiveError, match="not a pointer"):
        FileOutput(output).current_manifest(DATASET)


def test_free_run(make: Make, place: Output) -> None:
    """A run that holds another result is passed over, one that holds this one is taken."""
    place.publish(make(run="run", fingerprint="1"))
    place.publish(make(run="run-2", fingerprint="2"))

    assert place.free_run("run", DATASET, "1") == "run"
    assert place.free_run("run", DATASET, "2") == "run-2"
    assert place.free_run("run", DATASET, "3") == "run-3"
    assert place.free_run("run", OTHER, "3") == "run"


def test_free_run_checks_the_name(place: Output) -> None:
    """A name that is not allowed is refused here as well."""
    with pytest.raises(ConfigError, match="not a name for a run"):
        place.free_run("../x", DATASET, "1")


def test_output_that_is_a_file(output: Path) -> None:
    """A file in the place of the output folder holds nothing and takes nothing."""
    output.touch()

    assert FileOutput(output).find_published(DATASET, "x") is None
