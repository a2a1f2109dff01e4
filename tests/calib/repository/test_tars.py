"""Tars of what the ledger knows: where it lies is read from the registry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import databases
import pytest

from calib.archive.outputs import FileOutput
from calib.archive.publish import File, Publication
from calib.errors import ArchiveError
from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger
from calib.ledger.publications import Published, PublishedFile, record_publications
from calib.repository.registration import registration_of
from calib.repository.tars import output_of, save_known_tar

template, url, ledger = databases.template, databases.url, databases.ledger
DATASET = parse_dataset("j8bt05njq")
Register = Callable[[str, Path], None]


@pytest.fixture
def register(ledger: Ledger, tmp_path: Path) -> Register:
    """Return a function that publishes a dataset in a run, and enters both."""

    def publish(run: str, folder: Path) -> None:
        source = tmp_path / "source" / "j8bt05njq_flt.fits"
        source.parent.mkdir(exist_ok=True)
        source.write_text(run)
        output = FileOutput(folder)
        archived = output.publish(Publication(DATASET, run, run, (File("product", source),)))
        manifest = output.manifest(run, DATASET)
        ensure_run(ledger, run, output.uri)
        found = registration_of(manifest, archived.uri, archived.manifest_sha256)
        ledger.write(lambda c: record_publications(c, [found.published]))
        ledger.set_current(DATASET, run)

    return publish


def ensure_run(ledger: Ledger, run: str, output: str) -> None:
    """Enter a run."""
    settings: dict[str, Any] = {"context": "hst_1.pmap", "engine": "native"}
    ledger.ensure_run(run, **settings, engine_version="1", parameters={}, output=output)


def test_versions_are_found_by_the_ledger(
    ledger: Ledger, register: Register, tmp_path: Path
) -> None:
    """The current one, or that of a run; blanks in paths do no harm."""
    register("r1", tmp_path / "first place")
    register("r2", tmp_path / "out")

    saved = ledger.ask(lambda rows: save_known_tar(rows, DATASET, tmp_path / "a"))
    older = ledger.ask(lambda rows: save_known_tar(rows, DATASET, tmp_path / "b", run="r1"))

    assert (saved.run, older.run) == ("r2", "r1")
    assert saved.sha256 != older.sha256
    assert Path(older.path).is_file()


def test_what_is_not_there_is_said(ledger: Ledger, register: Register, tmp_path: Path) -> None:
    """No publication, none in that run, or one without a manifest."""

    def ask(run: str | None) -> Any:
        return ledger.ask(lambda rows: save_known_tar(rows, DATASET, tmp_path / "a", run=run))

    with pytest.raises(ArchiveError, match="nothing is published, as far"):
        ask(None)
    register("r1", tmp_path / "out")
    with pytest.raises(ArchiveError, match="nothing is published in run r2"):
        ask("r2")
    ensure_run(ledger, "caldp", "file:/caldp")
    files = (PublishedFile("j8bt05njq_flt.fits", "flt", "j8bt05njq", None, 1),)
    elsewhere = Published("caldp", "j8bt05njq", "file:///caldp/j8bt05njq", files, "2026-01-01")
    ledger.write(lambda c: record_publications(c, [elsewhere]))
    with pytest.raises(ArchiveError, match="only what hstflow published") as caught:
        ask("caldp")
    assert caught.value.found == "run caldp, made elsewhere"
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("uri", "output"),
    [
        ("file:///out/runs/r/acs/j8bt05njq", "file:/out"),
        ("file:///a%20b/runs/r/acs/j8bt05njq", "file:/a b"),
        ("file:/out/runs/r/acs/j8bt05njq", "file:/out"),
        ("s3://bucket/a%20b/runs/r/acs/j8bt05njq", "s3://bucket/a%20b"),
        ("s3://bucket/runs/r/acs/j8bt05njq", "s3://bucket"),
        ("s3://bucket/runs/other/acs/j8bt05njq", None),
        ("file:///out/j8bt05njq", None),
    ],
)
def test_the_output_is_read_from_the_place(uri: str, output: str | None) -> None:
    """The layout below it is ours, whatever lies above."""
    assert output_of(uri, "r", DATASET) == output
