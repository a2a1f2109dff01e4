"""Inputs that a registry knows: brought from folders and buckets, held against its checksums."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from calib.errors import ConfigError, CorruptFile, HstflowError, MissingMember, NotFound
from calib.fetch import fetch_inputs
from calib.fetch.registered import RegisteredFile
from calib.ids import parse_dataset
from calib.stores import S3Store

WriteRaw = Callable[..., Path]
WriteTable = Callable[..., Path]
Register = Callable[[Path], RegisteredFile]
ASN = "j8bt06040"
MEMBERS = ("j8bt06nyq", "j8bt06nzq")


@pytest.fixture(params=["file", "plain", "s3"])
def register(request: pytest.FixtureRequest) -> Register:
    """Return a function that says of a file what a registry would; on S3 it is put there."""

    def describe(path: Path) -> RegisteredFile:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        size = path.stat().st_size
        if request.param == "s3":
            store = S3Store(request.getfixturevalue("bucket"), "raw")
            store.put(path, path.name)
            return RegisteredFile(store.uri_of(path.name), "first", digest, size)
        uri = path.as_uri() if request.param == "file" else f"file:{path}"
        return RegisteredFile(uri, "first", digest, size)

    return describe


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """Return the folder of an archive, with a blank and a percent sign in its name."""
    folder = tmp_path / "in place 100%25"
    folder.mkdir()
    return folder


def fetch(registered: dict[str, RegisteredFile], tmp_path: Path, name: str = MEMBERS[0]) -> object:
    """Fetch from the registry into a fresh folder."""
    return fetch_inputs(parse_dataset(name), "archive:", tmp_path / "got", registered=registered)


def test_association_comes_with_its_members(
    held: Path, tmp_path: Path, write_raw: WriteRaw, write_table: WriteTable, register: Register
) -> None:
    """The table decides: an exposure of the same visit that it does not name stays away."""
    rows = [*((m.upper(), "EXP-CRJ", True) for m in MEMBERS), (ASN.upper(), "PROD-CRJ", True)]
    paths = [write_table(held / f"{ASN}_asn.fits", rows)]
    paths += [write_raw(held / f"{name}_raw.fits") for name in (*MEMBERS, "j8bt06o0q")]
    registered = {path.name: register(path) for path in paths}

    inputs = fetch_inputs(parse_dataset(ASN), "archive:", tmp_path / "got", registered=registered)

    assert [file.name for file in inputs.files] == [path.name for path in paths[:3]]
    assert inputs.source == "archive:first"
    assert {f.name: f.sha256 for f in inputs.files} == {
        path.name: registered[path.name].sha256 for path in paths[:3]
    }


def test_changed_file_is_refused(
    held: Path, tmp_path: Path, write_raw: WriteRaw, register: Register
) -> None:
    """Another checksum, or another size where none is registered: both are named."""
    path = write_raw(held / f"{MEMBERS[0]}_raw.fits")
    found = register(path)
    wrong = RegisteredFile(found.uri, "first", "0" * 64, found.size)
    longer = RegisteredFile(found.uri, "first", None, found.size + 1)

    for each, expected in ((wrong, str(found.sha256)), (longer, str(found.size))):
        with pytest.raises(CorruptFile, match=expected) as caught:
            fetch({path.name: each}, tmp_path)
        assert "first" in str(caught.value)
        assert not (tmp_path / "got").exists()


def test_file_without_checksum_is_taken_by_its_size(
    held: Path, tmp_path: Path, write_raw: WriteRaw, register: Register
) -> None:
    """What was ingested in place without hashing is verified as FITS all the same."""
    path = write_raw(held / f"{MEMBERS[0]}_raw.fits")
    found = register(path)

    fetch({path.name: RegisteredFile(found.uri, "first", None, found.size)}, tmp_path)

    assert (tmp_path / "got" / path.name).read_bytes() == path.read_bytes()


def test_file_that_is_gone_is_not_found(
    held: Path, tmp_path: Path, write_raw: WriteRaw, register: Register
) -> None:
    """The message names the file and its run."""
    path = write_raw(held / f"{MEMBERS[0]}_raw.fits")
    found = register(path)
    gone = RegisteredFile(found.uri.replace("_raw", "_rax"), "first", None, found.size)

    with pytest.raises(NotFound, match="first") as caught:
        fetch({path.name: gone}, tmp_path)
    assert caught.value.code == 21


@pytest.mark.parametrize(
    ("name", "error"), [(MEMBERS[0], NotFound), (ASN, NotFound), ("missing", MissingMember)]
)
def test_what_the_registry_lacks_is_said(
    tmp_path: Path,
    write_raw: WriteRaw,
    write_table: WriteTable,
    name: str,
    error: type[HstflowError],
) -> None:
    """Nothing at all, no table, or a table without its members; exit code 21."""
    table = write_table(tmp_path / f"{ASN}_asn.fits", [(m, "EXP-CRJ", True) for m in MEMBERS])
    entry = RegisteredFile(table.as_uri(), "first", None, table.stat().st_size)
    registered = {table.name: entry} if error is MissingMember else {}

    with pytest.raises(error) as caught:
        fetch(registered, tmp_path, ASN if name == "missing" else name)
    assert caught.value.code == 21


def test_archive_without_a_registry_is_a_config_error(tmp_path: Path) -> None:
    """The function cannot look anything up itself."""
    with pytest.raises(ConfigError, match="registry"):
        fetch_inputs(parse_dataset(ASN), "archive:", tmp_path / "got")
