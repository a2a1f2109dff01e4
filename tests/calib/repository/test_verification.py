"""Whatever went wrong with bytes, manifests, pointers or rows is found, and nothing else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from calib.archive.manifest import to_bytes
from calib.archive.outputs import FileOutput, Output
from calib.archive.store_output import StoreOutput
from calib.errors import ConfigError
from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger
from calib.ledger.publications import Published, PublishedFile, record_publications
from calib.ledger.registry import set_current
from calib.ledger.versions import mark_removed, versions_of
from calib.repository.verification import (
    Checked,
    expected_number,
    known_outputs,
    verify_repository,
)
from calib.stores import S3Store

Publish = Callable[..., str]
FIRST, SECOND = "j8bt05njq", "iaaua1n4q"
FLT = f"runs/r1/acs/{FIRST}/{FIRST}_flt.fits"


def check(output: Output, ledger: Ledger, **options: Any) -> list[Checked]:
    """Return what is found about every publication."""
    return ledger.ask(lambda rows: [*verify_repository(output, rows, **options)])


def problems(output: Output, ledger: Ledger, **options: Any) -> set[tuple[str | None, str, str]]:
    """Return dataset, kind, and the last part of the path of every problem."""
    return {
        (each.dataset, problem.kind, problem.path.rsplit("/", 1)[1])
        for each in check(output, ledger, **options)
        for problem in each.problems
    }


def harm(output: Output, key: str, content: bytes | None) -> None:
    """Write other bytes under a key, or remove it."""
    if isinstance(output, StoreOutput):
        if content is None:
            output.store.delete(key)
        else:
            output.store.replace(key, content)
    elif isinstance(output, FileOutput):
        path = output.folder / key
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)


def test_a_sound_archive(output: Output, ledger: Ledger, publish: Publish) -> None:
    """Every version is looked at once, and nothing is wrong."""
    for run, dataset in (("r1", FIRST), ("r1", SECOND), ("r2", FIRST)):
        publish(output, run, dataset)

    found = check(output, ledger, deep=True)

    assert {(each.run, each.dataset) for each in found} == {
        ("r1", FIRST),
        ("r1", SECOND),
        ("r2", FIRST),
    }
    assert len(found) == 3
    assert all(each.problems == () and each.size > 0 for each in found)
    assert ledger.ask(lambda rows: expected_number(rows, output)) == 3
    assert ledger.ask(known_outputs) == [output.uri]


@pytest.mark.parametrize(
    ("key", "content", "expected", "needs_deep"),
    [
        (FLT, None, ("missing", f"{FIRST}_flt.fits"), False),
        (FLT, b"short", ("changed", f"{FIRST}_flt.fits"), False),
        (FLT, f"r1 {FIRST}_flu.fits".encode(), ("changed", f"{FIRST}_flt.fits"), True),
        (f"runs/r1/acs/{FIRST}/extra", b"", ("orphaned", "extra"), False),
        (f"runs/r1/acs/{FIRST}/manifest.json", b"{", ("unreadable", "manifest.json"), False),
    ],
    ids=["deleted", "truncated", "flipped", "extra", "manifest"],
)
def test_harm_is_found_and_stays_where_it_is(
    output: Output,
    ledger: Ledger,
    publish: Publish,
    key: str,
    content: bytes | None,
    expected: tuple[str, str],
    needs_deep: bool,
) -> None:
    """One damaged publication is one problem, and the others are looked at all the same."""
    publish(output, "r1", FIRST)
    publish(output, "r1", SECOND)
    harm(output, key, content)

    assert problems(output, ledger, deep=True) == {(FIRST, *expected)}
    assert problems(output, ledger) == (set() if needs_deep else {(FIRST, *expected)})
    assert problems(output, ledger, datasets=[SECOND]) == set()
    assert problems(output, ledger, datasets=[FIRST], deep=True) == {(FIRST, *expected)}


def test_a_manifest_that_was_exchanged(output: Output, ledger: Ledger, publish: Publish) -> None:
    """Files and manifest agree, but it is not what the ledger knows."""
    publish(output, "r1")
    manifest = output.manifest("r1", parse_dataset(FIRST))
    name = f"runs/r1/acs/{FIRST}/manifest.json"

    harm(output, name, to_bytes(replace(manifest, fingerprint="another")))

    assert output.verify(parse_dataset(FIRST), run="r1") == []
    assert problems(output, ledger) == {(FIRST, "changed", "manifest.json")}


def test_the_ledger_is_behind(output: Output, ledger: Ledger, publish: Publish) -> None:
    """A publication that it does not know, in a run that it knows or not."""
    publish(output, "r1", FIRST)
    publish(output, "r1", SECOND, is_known=False)
    publish(output, "r9", SECOND, is_known=False, day="02")

    assert problems(output, ledger) == {(SECOND, "unregistered", SECOND)}
    assert len(check(output, ledger)) == 3
    assert problems(output, ledger, runs=["r9"]) == {(SECOND, "unregistered", SECOND)}
    assert [c.run for c in check(output, ledger, datasets=[SECOND])] == ["r9"]
    found = [p for each in check(output, ledger) for p in each.problems]
    assert all("hstflow ledger rebuild" in problem.message for problem in found)


def test_the_ledger_is_ahead(output: Output, ledger: Ledger, publish: Publish) -> None:
    """It knows a version, and a whole run, that is gone."""
    publish(output, "r1", FIRST)
    publish(output, "r2", FIRST, day="02")
    output.remove("r1", parse_dataset(FIRST))

    expected = {(FIRST, "missing", FIRST)}
    assert problems(output, ledger) == expected
    assert problems(output, ledger, runs=["r1"]) == expected
    assert problems(output, ledger, datasets=[FIRST]) == expected
    assert problems(output, ledger, runs=["r2"]) == set()


def test_a_pruned_version_is_expected_to_be_gone(
    output: Output, ledger: Ledger, publish: Publish
) -> None:
    """Gone is right; there again is told."""
    publish(output, "r1", FIRST)
    publish(output, "r2", FIRST, day="02")
    old = ledger.ask(lambda rows: versions_of(rows, FIRST))[0]
    ledger.write(lambda c: mark_removed(c, [old]))

    assert problems(output, ledger) == {(FIRST, "unregistered", FIRST)}
    output.remove("r1", parse_dataset(FIRST))
    assert problems(output, ledger) == set()
    assert [each.run for each in check(output, ledger)] == ["r2"]


def test_pointer_and_ledger_disagree(output: Output, ledger: Ledger, publish: Publish) -> None:
    """Readers are shown another version than the ledger's, in whole and in part."""
    publish(output, "r1", FIRST)
    publish(output, "r2", FIRST, day="02")
    output.make_current(parse_dataset(FIRST), "r1")

    found = [p for each in check(output, ledger) for p in each.problems]
    assert [(p.kind, "readers are shown r1" in p.message) for p in found] == [("changed", True)]
    ledger.write(lambda c: set_current(c, parse_dataset(FIRST), "r1"))
    assert problems(output, ledger) == set()


def test_a_hijacked_pointer_is_told_once(output: Output, ledger: Ledger, publish: Publish) -> None:
    """It is a problem of its dataset, and not of the survey once more."""
    publish(output, "r1", FIRST)
    if isinstance(output, FileOutput):
        pointer = output.folder / "data" / "acs" / FIRST
        pointer.unlink()
        pointer.symlink_to("/etc")
    elif isinstance(output, StoreOutput):
        output.store.replace(f"data/acs/{FIRST}/current.json", b'{"run": "/etc"}')

    found = [(c.dataset, p.kind) for c in check(output, ledger) for p in c.problems]
    assert found == [(FIRST, "changed")]


def test_a_lost_pointer(output: Output, ledger: Ledger, publish: Publish) -> None:
    """The products are there, and readers see nothing."""
    publish(output, "r1", FIRST)
    if isinstance(output, FileOutput):
        (output.folder / "data" / "acs" / FIRST).unlink()
    elif isinstance(output, StoreOutput):
        output.store.delete(f"data/acs/{FIRST}/current.json")

    (problem,) = [p for each in check(output, ledger) for p in each.problems]
    assert "readers are shown nothing" in problem.message


def test_links_in_the_place_of_files(ledger: Ledger, publish: Publish, tmp_path: Path) -> None:
    """A link to the very same bytes is not the file; a linked dataset is not entered."""
    output = FileOutput(tmp_path / "out")
    publish(output, "r1", FIRST)
    publish(output, "r1", SECOND)
    flt = output.folder / FLT
    flt.rename(tmp_path / "elsewhere.fits")
    flt.symlink_to(tmp_path / "elsewhere.fits")
    folder = output.folder / "runs" / "r1" / "wfc3" / SECOND
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")

    assert problems(output, ledger) == {
        (FIRST, "changed", f"{FIRST}_flt.fits"),
        (SECOND, "missing", SECOND),
    }


def test_files_of_others(output: Output, ledger: Ledger, publish: Publish, tmp_path: Path) -> None:
    """In-place files are compared with their rows: size, and checksum when deep."""
    publish(output, "r1", FIRST)
    names = ["same", "grown", "gone", "other bytes", "unsure"]
    for name in names:
        (tmp_path / f"{name}.fits").write_bytes(b"1234")
    right = "03ac674216f3e15c761ee1a5e255f067953623c8b388b4459e13f978d7c846f4"
    files = tuple(
        PublishedFile(
            f"{name}.fits",
            "raw",
            SECOND,
            None if name == "unsure" else right,
            4,
            (tmp_path / f"{name}.fits").as_uri()
            if name == "other bytes"
            else f"file:{tmp_path}/{name}.fits",
        )
        for name in names
    )
    when = "2026-01-01T00:00:00+00:00"
    theirs = Published("r1", SECOND, f"file:{tmp_path}", files, when, transfer="in-place")
    ledger.write(lambda c: record_publications(c, [theirs]))
    assert problems(output, ledger, deep=True) == set()
    (tmp_path / "grown.fits").write_bytes(b"12345")
    (tmp_path / "gone.fits").unlink()
    for name in ("other bytes", "unsure"):
        (tmp_path / f"{name}.fits").write_bytes(b"4321")

    shallow = {(SECOND, "changed", "grown.fits"), (SECOND, "missing", "gone.fits")}
    assert problems(output, ledger) == shallow
    deep = problems(output, ledger, deep=True, datasets=[SECOND])
    assert len(deep) == 3
    assert deep > shallow


def test_a_bucket(in_bucket: Output, ledger: Ledger, publish: Publish) -> None:
    """Bytes, manifests, pointers and rows of a bucket are compared like those of a folder."""
    for run, dataset in (("r1", FIRST), ("r1", SECOND), ("r2", FIRST)):
        publish(in_bucket, run, dataset)
    assert problems(in_bucket, ledger, deep=True) == set()
    harm(in_bucket, FLT, f"r1 {FIRST}_flu.fits".encode())
    harm(in_bucket, f"runs/r1/wfc3/{SECOND}/manifest.json", None)
    in_bucket.make_current(parse_dataset(FIRST), "r1")

    assert problems(in_bucket, ledger, deep=True) == {
        (FIRST, "changed", f"{FIRST}_flt.fits"),
        (FIRST, "changed", FIRST),
        (SECOND, "missing", SECOND),
        (None, "missing", "current.json"),
    }


def test_files_of_others_in_a_bucket(
    ledger: Ledger, publish: Publish, bucket: str, tmp_path: Path
) -> None:
    """The same for objects that the archive does not own."""
    output = FileOutput(tmp_path / "out")
    publish(output, "r1", FIRST)
    S3Store(bucket, "others").put_if_absent("x/a.fits", b"1234")
    right = "03ac674216f3e15c761ee1a5e255f067953623c8b388b4459e13f978d7c846f4"
    uri = f"s3://{bucket}/others/x"
    files = (
        PublishedFile("a.fits", "raw", SECOND, right, 4),
        PublishedFile("b.fits", "raw", SECOND, right, 4),
    )
    when = "2026-01-01T00:00:00+00:00"
    theirs = Published("r1", SECOND, uri, files, when, transfer="in-place")
    ledger.write(lambda c: record_publications(c, [theirs]))

    assert problems(output, ledger, deep=True) == {(SECOND, "missing", "b.fits")}


def test_a_copy_of_the_archive(ledger: Ledger, publish: Publish, tmp_path: Path) -> None:
    """A mirror is compared with the ledger's checksums, and may have less."""
    publish(FileOutput(tmp_path / "out"), "r1", FIRST)
    publish(FileOutput(tmp_path / "out"), "r2", SECOND)
    mirror = FileOutput(tmp_path / "mirror")
    shutil.copytree(tmp_path / "out", mirror.folder, symlinks=True)
    shutil.rmtree(mirror.folder / "runs" / "r2")
    (mirror.folder / "data" / "wfc3" / SECOND).unlink()

    assert problems(mirror, ledger, deep=True) == set()
    (mirror.folder / FLT).write_bytes(b"")
    assert problems(mirror, ledger) == {(FIRST, "changed", f"{FIRST}_flt.fits")}


def test_without_a_ledger(output: Output, ledger: Ledger, publish: Publish) -> None:
    """Bytes are compared with manifests alone."""
    publish(output, "r1", FIRST, is_known=False)
    assert [each.problems for each in verify_repository(output, None, deep=True)] == [()]
    harm(output, FLT, None)
    found = [each.problems for each in verify_repository(output, None, datasets=[FIRST])]
    assert [[p.kind for p in each] for each in found] == [["missing"]]


@pytest.mark.parametrize("bad", [{"datasets": ["../x"]}, {"runs": ["../x"]}, {"runs": [""]}])
def test_bad_names_are_refused(ledger: Ledger, tmp_path: Path, bad: dict[str, Any]) -> None:
    """No name becomes part of a path unread."""
    with pytest.raises(ConfigError):
        check(FileOutput(tmp_path / "out"), ledger, **bad)


def test_an_unreadable_folder_of_a_dataset(
    ledger: Ledger, publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that cannot be read is one problem; the rest goes on."""
    output = FileOutput(tmp_path / "out")
    publish(output, "r1", FIRST)
    publish(output, "r1", SECOND)
    walk = os.walk

    def refusing(top: Any) -> Any:
        if str(top).endswith(FIRST):
            raise PermissionError(13, "Permission denied", str(top))
        return walk(top)

    monkeypatch.setattr(os, "walk", refusing)
    assert problems(output, ledger) == {(FIRST, "unreadable", FIRST)}
