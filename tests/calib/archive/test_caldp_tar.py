"""CALDP's tar: its members, and the same bytes for the same files."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calib.archive.caldp_tar import check_tar, files_beside, tar_members, write_tar
from calib.archive.layout import FOLDER_BY_ROLE, Role
from calib.archive.manifest import FileEntry, Manifest
from calib.errors import ArchiveError

CONTENT: dict[str, tuple[Role, bytes]] = {
    "env/j8bt05njq_cal_env.txt": ("env", b"python"),
    "hst_total_point-cat.ecsv": ("product", b"catalogue"),
    "j8bt05njq_flt.fits": ("product", b"pixels" * 1000),
    "j8bt05njq_raw.fits": ("product", b""),
    "logs/j8bt05njq.tra": ("log", b"trailer"),
    "logs/process.txt": ("log", b"log"),
    "previews/j8bt05njq_flt.jpg": ("preview", b"picture"),
}


def lay(folder: Path, content: dict[str, tuple[Role, bytes]]) -> Manifest:
    """Write files into a folder, and the manifest that describes them."""
    for name, (_, data) in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    files = tuple(
        FileEntry(name, role, hashlib.sha256(data).hexdigest(), len(data))
        for name, (role, data) in sorted(content.items())
    )
    return Manifest("j8bt05njq", "ipst", "acs", "run", "f", "", files)


def pack(manifest: Manifest, folder: Path, target: Path) -> bytes:
    """Write the tar of a folder; return its bytes."""

    @contextmanager
    def local(file: FileEntry) -> Iterator[Path]:
        yield folder / file.name

    write_tar(manifest, local, target)
    return target.read_bytes()


def test_members_are_caldps(tmp_path: Path) -> None:
    """Products, trailers and previews below the name of the dataset, sorted; no log, no env."""
    manifest = lay(tmp_path, CONTENT)

    data = pack(manifest, tmp_path, tmp_path / "x.tar.gz")

    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = {member.name: member for member in tar}
        contents = {name: tar.extractfile(member) for name, member in members.items()}
        assert {name: stream.read() for name, stream in contents.items() if stream} == {
            "j8bt05njq/hst_total_point-cat.ecsv": b"catalogue",
            "j8bt05njq/j8bt05njq.tra": b"trailer",
            "j8bt05njq/j8bt05njq_flt.fits": b"pixels" * 1000,
            "j8bt05njq/j8bt05njq_raw.fits": b"",
            "j8bt05njq/previews/j8bt05njq_flt.jpg": b"picture",
        }
    assert [*members] == sorted(members)
    assert {(m.uid, m.gid, m.uname, m.gname, m.mode, m.isreg()) for m in members.values()} == {
        (0, 0, "", "", 0o644, True)
    }
    assert {member.mtime for member in members.values()} == {315532800}
    assert sorted(files_beside(manifest)) == ["env/j8bt05njq_cal_env.txt", "process.txt"]


def test_the_header_of_gzip_says_nothing_of_here_and_now(tmp_path: Path) -> None:
    """No flags, hence no name; no time; an unknown system (RFC 1952)."""
    data = pack(lay(tmp_path, CONTENT), tmp_path, tmp_path / "x.tar.gz")

    assert data[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


def test_the_unpacked_bytes_are_known(tmp_path: Path) -> None:
    """A change of the layout, or of Python's tarfile, does not go unseen."""
    content = {name: CONTENT[name] for name in ("j8bt05njq_raw.fits", "logs/j8bt05njq.tra")}
    data = gzip.decompress(pack(lay(tmp_path, content), tmp_path, tmp_path / "x.tar.gz"))

    assert hashlib.sha256(data).hexdigest() == (
        "5eacba0dc9ebc03fa7ebfe3ed56b8ce191860008b8816c0549d6edf777884344"
    )


NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._+=@-]{0,110}", fullmatch=True)
FILES = st.dictionaries(
    st.tuples(st.sampled_from([*FOLDER_BY_ROLE]), NAMES), st.binary(max_size=2000), max_size=5
)


@given(files=FILES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_equal_files_give_equal_bytes(
    tmp_path_factory: pytest.TempPathFactory, files: dict[tuple[Role, str], bytes]
) -> None:
    """Whatever their order, times, modes and place; long names too; all come out unchanged."""
    content = {
        f"{FOLDER_BY_ROLE[role]}/{name}".lstrip("/"): (role, data)
        for (role, name), data in files.items()
        if name not in {"previews", "logs", "env"}
    }
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    manifest = lay(first, content)
    lay(second, dict(reversed(content.items())))
    for path in second.rglob("*.*"):
        path.chmod(0o400)
        os.utime(path, (1, 1))

    data = pack(manifest, first, first / "first.tar.gz")

    assert pack(manifest, second, second / "other-name") == data
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = {m.name: stream.read() for m in tar if (stream := tar.extractfile(m))}
    assert found == {name: content[file.name][1] for name, file in tar_members(manifest).items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [(b"pixelS" * 1000, "does not hold what was published"), (b"short", "has changed")],
)
def test_a_damaged_file_is_not_packed(tmp_path: Path, change: bytes, message: str) -> None:
    """Other bytes of the same size are found when the tar is read back, another size before."""
    manifest = lay(tmp_path, CONTENT)
    (tmp_path / "j8bt05njq_flt.fits").write_bytes(change)

    with pytest.raises(ArchiveError, match=message) as caught:
        pack(manifest, tmp_path, tmp_path / "x.tar.gz")

    assert "j8bt05njq_flt.fits" in str(caught.value)


def test_what_is_cut_or_changed_does_not_pass(tmp_path: Path) -> None:
    """Also the last bytes, and a member too many."""
    manifest = lay(tmp_path, CONTENT)
    data = pack(manifest, tmp_path, tmp_path / "x.tar.gz")
    path = tmp_path / "y.tar.gz"
    for content in (b"", b"junk", data[:-9], data[: len(data) // 2], b"\0" * 100 + data):
        path.write_bytes(content)
        with pytest.raises(ArchiveError, match="cannot be read back"):
            check_tar(path, manifest)
    with tarfile.open(path, "w:gz") as tar:
        tar.add(tmp_path / "logs", "j8bt05njq/logs")
    with pytest.raises(ArchiveError, match="does not hold"):
        check_tar(path, manifest)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """The target must not exist."""
    manifest = lay(tmp_path, CONTENT)
    (tmp_path / "x.tar.gz").write_text("mine")

    with pytest.raises(FileExistsError):
        pack(manifest, tmp_path, tmp_path / "x.tar.gz")

    assert (tmp_path / "x.tar.gz").read_text() == "mine"
