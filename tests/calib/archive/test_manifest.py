"""The manifest: exact round trips, and lies that are found out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.archive.manifest import (
    LARGEST,
    FileEntry,
    Manifest,
    Tombstone,
    parse_manifest,
    plain_json,
    read_manifest,
    to_bytes,
)
from calib.errors import ArchiveError

PLACE = Path("/out/runs/run/acs/j8bt05njq/manifest.json")
GOOD = Manifest(
    dataset="j8bt05njq",
    kind="ipst",
    instrument="acs",
    run="run",
    fingerprint="f" * 64,
    created="2026-01-02T03:04:05.678901+00:00",
    files=(
        FileEntry("j8bt05njq_flt.fits", "product", "0" * 64, 2880),
        FileEntry("logs/process.txt", "log", "1" * 64, 0),
    ),
    provenance={"context": "hst_0729.pmap"},
)
TEXT = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=10,
)


@given(provenance=st.dictionaries(TEXT, JSON))
def test_round_trip(provenance: dict[str, Any]) -> None:
    """Any JSON that the caller gives comes back equal, and equal records give equal bytes."""
    manifest = dataclasses.replace(GOOD, provenance=plain_json(provenance))

    content = to_bytes(manifest)

    assert parse_manifest(content, PLACE) == manifest
    assert to_bytes(parse_manifest(content, PLACE)) == content


def test_file_is_for_people_too() -> None:
    """The file is indented JSON with sorted keys, ASCII, and a newline at its end."""
    content = to_bytes(GOOD)

    assert content.decode("ascii").startswith('{\n  "created": "2026-01-02T03:04:05.678901+00:00"')
    assert content.endswith(b"}\n")
    assert [*json.loads(content)] == sorted(f.name for f in dataclasses.fields(Manifest))


def test_fields_of_later_versions_are_passed_over() -> None:
    """A field that this version does not know does not make the manifest unreadable."""
    record = json.loads(to_bytes(GOOD)) | {"dataset_type": "flt"}

    assert parse_manifest(json.dumps(record).encode(), PLACE) == GOOD


def test_identity_and_time() -> None:
    """The dataset and the time come back as what they are."""
    assert GOOD.id.program == "8bt"
    assert (GOOD.published.year, GOOD.published.microsecond) == (2026, 678901)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"null", b"{", b"\xff\xfe", to_bytes(GOOD)[:-20]]
)
def test_what_does_not_parse(content: bytes) -> None:
    """An empty, cut or foreign file is an archive error that names it."""
    with pytest.raises(ArchiveError, match="does not parse") as caught:
        parse_manifest(content, PLACE)

    assert caught.value.path == str(PLACE)
    assert "http" not in str(caught.value)


GRAVE = Tombstone("j8bt05njq_crj.fits", "earlier", "2" * 64)


def graves(*changes: dict[str, Any]) -> tuple[Tombstone, ...]:
    """Return tombstones with something wrong about them."""
    return tuple(dataclasses.replace(GRAVE, **each) for each in changes)


def entry(**changes: Any) -> tuple[FileEntry, ...]:
    """Return a list of one file with something wrong about it."""
    return (dataclasses.replace(GOOD.files[0], **changes),)


@pytest.mark.parametrize(
    "lie",
    [
        {"dataset": "j8bt05nkq"},
        {"run": "other"},
        {"instrument": "wfc3"},
        {"kind": "svm"},
        {"schema": 2},
        {"fingerprint": ""},
        {"created": "yesterday"},
        {"created": "2026-01-02T03:04:05"},
        {"files": entry(name="../../../../etc/passwd")},
        {"files": entry(name="/etc/passwd")},
        {"files": entry(name="logs/x.fits")},
        {"files": entry(name="manifest.json")},
        {"files": entry(role="log")},
        {"files": entry(sha256="0" * 63)},
        {"files": entry(sha256="G" * 64)},
        {"files": entry(size=-1)},
        {"files": GOOD.files[::-1]},
        {"files": GOOD.files[:1] * 2},
        {"files": entry(name="..")},
        {"files": entry(name="a/b.fits")},
        {"files": entry(name="sub/../x.fits")},
        {"files": entry(name="..\\x.fits")},
        {"files": entry(name="C:\\x.fits")},
        {"files": entry(name="x.fits\0")},
        {"files": entry(name="x\n.fits")},
        {"files": entry(name="-rf.fits")},
        {"files": entry(name="/dev/null")},
        {"files": entry(name="previews")},
        {"files": entry(name="previews/")},
        {"files": entry(name="previews", role="preview")},
        {"files": entry(name="j8bt05njq_flt\u2024fits")},
        {"files": entry(name="j8bt05nj\uff51_flt.fits")},
        {"files": entry(name="\u202estif.fits")},
        {"files": entry(name="")},
        {"files": entry(name="x" * 201)},
        {"tombstones": graves({"name": "../x"})},
        {"tombstones": graves({"name": "/etc/passwd"})},
        {"tombstones": graves({"name": "logs/x.txt"})},
        {"tombstones": graves({"name": "manifest.json"})},
        {"tombstones": graves({"last_run": "../run"})},
        {"tombstones": graves({"last_run": ""})},
        {"tombstones": graves({"sha256": "none"})},
        {"tombstones": graves({"name": GOOD.files[0].name})},
        {"tombstones": graves({}, {})},
        {"tombstones": graves({"name": "b.fits"}, {"name": "a.fits"})},
    ],
)
def test_lies_are_found(lie: dict[str, Any]) -> None:
    """A manifest that contradicts its place, itself, or names another's files is refused."""
    liar = dataclasses.replace(GOOD, **lie)

    with pytest.raises(ArchiveError, match="the manifest cannot be right") as caught:
        parse_manifest(to_bytes(liar), PLACE)

    assert caught.value.path == str(PLACE)
    assert len(str(caught.value)) < 1000


def test_tombstones_come_back() -> None:
    """They are a part of the record, in order."""
    manifest = dataclasses.replace(GOOD, tombstones=graves({"name": "a.fits"}, {}))

    assert parse_manifest(to_bytes(manifest), PLACE) == manifest


def test_a_disorder_among_many_files_is_told_in_a_line() -> None:
    """The message names the two files, not the hundred thousand others."""
    files = [FileEntry(f"{n:06}.fits", "product", "0" * 64, 0) for n in range(2000)]
    files[1000], files[1001] = files[1001], files[1000]
    liar = dataclasses.replace(GOOD, files=tuple(files))

    with pytest.raises(ArchiveError, match=r"'001000\.fits' after '001001\.fits'") as caught:
        parse_manifest(to_bytes(liar), PLACE)

    assert len(str(caught.value)) < 1000


def test_a_million_entries_are_refused_unread(tmp_path: Path) -> None:
    """What is too large for a manifest is not parsed, and on disk not even read."""
    million = b'{"files": [' + b'{"name": "x.fits", "role": "product", "size": 1},' * 1_000_000
    with pytest.raises(ArchiveError, match="too large for a manifest"):
        parse_manifest(million, PLACE)

    with (tmp_path / "manifest.json").open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(ArchiveError, match=f"{LARGEST} bytes at most"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("dataset", "run"), [("../x", "run"), ("x", "run"), ("j8bt05njq", "RUN"), ("j8bt05njq", "..")]
)
def test_names_that_are_none(dataset: str, run: str) -> None:
    """Also where folder and manifest agree, impossible names are refused."""
    liar = dataclasses.replace(GOOD, dataset=dataset, run=run)

    with pytest.raises(ArchiveError, match="the manifest cannot be right"):
        parse_manifest(to_bytes(liar), Path("/out/runs", run, "acs", dataset, "manifest.json"))


def test_unknown_role_does_not_parse() -> None:
    """A role that is none of the four is refused."""
    content = to_bytes(GOOD).replace(b'"product"', b'"secret"')

    with pytest.raises(ArchiveError, match=r"does not parse.*files\.0\.role"):
        parse_manifest(content, PLACE)


@pytest.mark.parametrize("spoil", [lambda path: None, Path.mkdir])
def test_no_manifest(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """A folder without a readable manifest is not a publication."""
    spoil(tmp_path / "manifest.json")

    with pytest.raises(ArchiveError, match="no readable manifest"):
        read_manifest(tmp_path)


def test_plain_json_is_a_copy() -> None:
    """Tuples become lists, and later changes of the caller's mapping do not show."""
    given: dict[str, Any] = {"a": (1, 2), "b": {"c": [3]}}

    plain = plain_json(given)
    given["b"]["c"].append(4)

    assert plain == {"a": [1, 2], "b": {"c": [3]}}
