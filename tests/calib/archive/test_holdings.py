"""Finding what is published, and a run that can take what is not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from calib.archive.holdings import current_manifest, find_published, free_run
from calib.archive.publish import Publication, make_current, publish
from calib.errors import ArchiveError, ConfigError
from calib.ids import parse_dataset

Make = Callable[..., Publication]
DATASET = parse_dataset("j8bt05njq")
OTHER = parse_dataset("j8bt06njq")


def test_nothing_published(output: Path) -> None:
    """In an empty or absent output nothing is current, nothing is found, all runs are free."""
    assert current_manifest(output, DATASET) is None
    assert find_published(output, DATASET, "x") is None
    assert free_run(output, "run", DATASET, "x") == "run"
    assert not output.exists()


def test_found_in_the_current_version_and_elsewhere(make: Make, output: Path) -> None:
    """A result is found in whatever run holds it, with the URI and checksum of publication."""
    first, second = make(), make(run="second", content=b"better")
    archived = {run.fingerprint: publish(run, output) for run in (first, second)}

    for fingerprint, expected in archived.items():
        found = find_published(output, DATASET, fingerprint)
        assert found is not None
        assert (found.run, found.uri) == (expected.run, expected.uri)
        assert found.manifest_sha256 == expected.manifest_sha256
        assert found.already_there
    assert find_published(output, DATASET, "third") is None
    assert find_published(output, OTHER, first.fingerprint) is None


def test_current_version_is_looked_at_first(make: Make, output: Path) -> None:
    """Of two runs with the same result the current one is named, whatever its name."""
    publish(make(run="a", fingerprint="same"), output)
    publish(make(run="b", fingerprint="same"), output)

    assert getattr(find_published(output, DATASET, "same"), "run", None) == "b"
    make_current(output, DATASET, "a")
    assert getattr(find_published(output, DATASET, "same"), "run", None) == "a"


@pytest.mark.parametrize("name", ["manifest.json", "j8bt05njq_flt.fits", "logs/process.txt"])
def test_damage_is_passed_over(
    make: Make, output: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """A publication with a lost or cut file does not count as published, and the log says so."""
    publication = make()
    publish(publication, output)
    (output / "runs/first/acs/j8bt05njq" / name).write_text("{")

    with caplog.at_level(logging.WARNING):
        assert find_published(output, DATASET, publication.fingerprint) is None

    assert "passed over" in caplog.text
    assert free_run(output, "first", DATASET, publication.fingerprint) == "first-2"


def test_foreign_pointer_is_an_error(make: Make, output: Path) -> None:
    """Where something else lies in the pointer's place, nobody guesses."""
    (output / "data/acs/j8bt05njq").mkdir(parents=True)

    with pytest.raises(ArchiveError, match="not a pointer"):
        find_published(output, DATASET, "x")
    with pytest.raises(ArchiveError, match="not a pointer"):
        current_manifest(output, DATASET)


def test_free_run(make: Make, output: Path) -> None:
    """A run that holds another result is passed over, one that holds this one is taken."""
    publish(make(run="run", fingerprint="1"), output)
    publish(make(run="run-2", fingerprint="2"), output)

    assert free_run(output, "run", DATASET, "1") == "run"
    assert free_run(output, "run", DATASET, "2") == "run-2"
    assert free_run(output, "run", DATASET, "3") == "run-3"
    assert free_run(output, "run", OTHER, "3") == "run"


def test_free_run_checks_the_name(output: Path) -> None:
    """A name that is not allowed is refused here as well."""
    with pytest.raises(ConfigError, match="not a name for a run"):
        free_run(output, "../x", DATASET, "1")


def test_output_that_is_a_file(output: Path) -> None:
    """A file in the place of the output folder holds nothing and takes nothing."""
    output.touch()

    assert find_published(output, DATASET, "x") is None
