"""Places that somebody else prepared: links, keys beside the prefix, files that are none."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from calib.archive.outputs import FileOutput, open_output
from calib.archive.publish import Publication
from calib.archive.store_output import StoreOutput
from calib.archive.tar_output import save_tar
from calib.errors import ArchiveError, ConfigError
from calib.ids import parse_dataset
from calib.stores import FileStore, S3Store

Make = Callable[..., Publication]
DATASET = parse_dataset("j8bt05njq")
PLACE = "runs/first/acs/j8bt05njq"


@pytest.mark.parametrize("link", ["runs/first", "runs/first/acs", PLACE])
def test_a_run_that_is_a_link_is_not_made_current(make: Make, tmp_path: Path, link: str) -> None:
    """Another archive's folder, put in by a link, does not become what readers are shown."""
    other, output = FileOutput(tmp_path / "other"), FileOutput(tmp_path / "out")
    other.publish(make())
    (output.folder / link).parent.mkdir(parents=True)
    (output.folder / link).symlink_to(other.folder / link)

    with pytest.raises(ArchiveError, match="a link is in the way below the output folder"):
        output.make_current(DATASET, "first")
    with pytest.raises(ArchiveError, match="a link is in the way below the output folder"):
        output.publish(make(content=b"others"))

    assert not (output.folder / "data").exists()
    assert other.verify(DATASET) == []


def test_a_link_among_the_instruments_is_not_followed(make: Make, tmp_path: Path) -> None:
    """Neither a new version nor going back writes a pointer through a linked folder."""
    output = FileOutput(tmp_path / "out")
    output.publish(make())
    output.publish(make(run="second", content=b"better"))
    (output.folder / "data/acs").rename(tmp_path / "outside")
    (output.folder / "data/acs").symlink_to(tmp_path / "outside")
    before = (tmp_path / "outside/j8bt05njq").readlink()

    for write in (
        lambda: output.make_current(DATASET, "first"),
        lambda: output.publish(make(run="third", content=b"best")),
    ):
        with pytest.raises(ArchiveError, match="a link is in the way"):
            write()

    assert (tmp_path / "outside/j8bt05njq").readlink() == before


def test_keys_beside_the_prefix_are_not_seen(make: Make, bucket: str) -> None:
    """A prefix ends at a slash: what begins alike is another's."""
    evil = StoreOutput(S3Store(bucket, "archiveEVIL"))
    publication = make()
    evil.publish(publication)
    mine = StoreOutput(S3Store(bucket, "archive"))

    assert mine.find_published(DATASET, publication.fingerprint) is None
    assert mine.current_manifest(DATASET) is None
    assert [*mine.store.list_keys("")] == []
    mine.publish(make(content=b"mine"))
    assert evil.verify(DATASET) == []


@pytest.mark.parametrize(
    "uri", ["s3://bucket/a/../b", "s3://bucket/./b", "s3://bucket/a//b", "s3://bucket/a\n"]
)
def test_prefixes_that_lead_elsewhere_are_refused(s3_settings: str, uri: str) -> None:
    """Some clients resolve dots, others do not: no key has them."""
    with pytest.raises(ConfigError):
        open_output(uri)


@pytest.mark.parametrize(
    "name", ["../x.fits", "/x.fits", "a/b.fits", "..\\x.fits", "x\0.fits", "x\u2024fits"]
)
@pytest.mark.parametrize("kind", ["folder", "store"])
def test_a_manifest_that_names_files_elsewhere_is_passed_over(
    make: Make, tmp_path: Path, kind: str, name: str
) -> None:
    """It is not found by its fingerprint, not made current, not packed and not verified."""
    root = tmp_path / "out"
    output = FileOutput(root) if kind == "folder" else StoreOutput(FileStore(root))
    publication = make()
    output.publish(publication)
    manifest = root / PLACE / "manifest.json"
    record = json.loads(manifest.read_text())
    record["files"][0]["name"] = name
    record["files"].sort(key=lambda file: file["name"])
    manifest.write_text(json.dumps(record))

    assert output.find_published(DATASET, publication.fingerprint) is None
    for use in (
        lambda: output.make_current(DATASET, "first"),
        lambda: output.publish(publication),
        lambda: save_tar(output, DATASET, tmp_path / "mine"),
    ):
        with pytest.raises(ArchiveError, match="the manifest cannot be right"):
            use()
    assert [problem.kind for problem in output.verify(DATASET)] == ["unreadable"]


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_what_is_no_file_any_more_is_not_packed(make: Make, tmp_path: Path, kind: str) -> None:
    """A pipe in the place of a product is not waited for; a link's bytes are held to account."""
    output = FileOutput(tmp_path / "out")
    output.publish(make())
    product = output.folder / PLACE / "j8bt05njq_flt.fits"
    size = product.stat().st_size
    product.unlink()
    if kind == "pipe":
        os.mkfifo(product)
    elif kind == "folder":
        product.mkdir()
    else:
        (tmp_path / "secret").write_bytes(b"s" * size)
        product.symlink_to(tmp_path / "secret")

    with pytest.raises(ArchiveError):
        save_tar(output, DATASET, tmp_path / "mine")

    assert [*(tmp_path / "mine").iterdir()] == []
