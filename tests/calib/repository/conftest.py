"""An archive and its ledger: published for real, on each kind of output and database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from databases import ledger, template, url
from ingestible import write_caldp

from calib.archive.outputs import FileOutput, Output
from calib.archive.publish import File, Publication
from calib.archive.store_output import StoreOutput
from calib.ids import DatasetId, parse_dataset
from calib.ledger.ledger import Ledger
from calib.ledger.publications import record_publications
from calib.ledger.registry import set_current
from calib.repository.candidates import IngestRequest
from calib.repository.registration import registration_of
from calib.stores import FileStore, S3Store

__all__ = ["ledger", "template", "url"]

Publish = Callable[..., str]


@pytest.fixture(params=["folder", "store"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Output:
    """Return an empty output of each layout; a bucket itself takes a second per test."""
    if request.param == "folder":
        return FileOutput(tmp_path / "out")
    return StoreOutput(FileStore(tmp_path / "store"))


@pytest.fixture
def in_bucket(bucket: str) -> Output:
    """Return an empty output in a bucket."""
    return StoreOutput(S3Store(bucket, "archive"))


@pytest.fixture
def publish(tmp_path: Path, ledger: Ledger) -> Publish:
    """Return a function that publishes a dataset in a run, enters it, and gives its URI."""

    def publish_and_record(
        output: Output, run: str, dataset: str = "j8bt05njq", *, is_known: bool = True, **more: Any
    ) -> str:
        name = parse_dataset(dataset)
        archived = output.publish(_publication(tmp_path / "work", run, name, **more))
        if is_known:
            _enter(ledger, output, run)
            manifest = output.manifest(run, name)
            found = registration_of(manifest, archived.uri, archived.manifest_sha256).published
            ledger.write(lambda c: record_publications(c, [found]))
            ledger.write(lambda c: set_current(c, name, run))
        return archived.uri

    return publish_and_record


@pytest.fixture
def request_of(tmp_path: Path) -> IngestRequest:
    """Return a request to ingest a folder in CALDP's layout."""
    folder = write_caldp(tmp_path / "caldp")
    output = f"file:{tmp_path / 'out'}"
    return IngestRequest(f"file:{folder}", "old", output, "caldp", scratch=tmp_path / "scratch")


def _publication(
    work: Path, run: str, dataset: DatasetId, suffixes: tuple[str, ...] = ("flt",), day: str = "01"
) -> Publication:
    folder = work / run / dataset.name
    folder.mkdir(parents=True, exist_ok=True)
    files = [File("product", folder / f"{dataset.name}_{suffix}.fits") for suffix in suffixes]
    files.append(File("log", folder / "process.txt"))
    for file in files:
        file.path.write_bytes(f"{run} {file.path.name}".encode())
    return Publication(
        dataset=dataset,
        run=run,
        fingerprint=f"{run} {dataset}",
        files=tuple(files),
        created=f"2026-01-{day}T00:00:00+00:00",
    )


def _enter(ledger: Ledger, output: Output, run: str) -> None:
    ledger.ensure_run(
        run, context="hst_1.pmap", engine="e", engine_version="1", parameters={}, output=output.uri
    )
