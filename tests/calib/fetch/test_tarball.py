"""Archives that are honest, and archives that are not."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calib.errors import CorruptFile, NotFound
from calib.fetch.tarball import TarLimits, unpack

NAME = "jh0001aaq_raw.fits"
MB = 1 << 20
Build = Callable[[tarfile.TarFile], None]


def member(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    """Return a header."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info


def add(tar: tarfile.TarFile, name: str, content: bytes = b"x" * 100) -> None:
    """Add a regular file."""
    tar.addfile(member(name, len(content)), io.BytesIO(content))


def make(path: Path, build: Build, mode: str = "w:gz") -> Path:
    """Write an archive that `build` fills."""
    with tarfile.open(path, mode, format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
        build(tar)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an empty folder to unpack into."""
    (tmp_path / "inner").mkdir()
    return tmp_path / "inner"


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("prefix", ["", "./", "jh0001010/", "a/b/"])
def test_input_files_are_unpacked_by_base_name(
    tmp_path: Path, folder: Path, mode: str, prefix: str
) -> None:
    """Gzipped or not, in a folder or not; other files are passed over; the hash is right."""

    def build(tar: tarfile.TarFile) -> None:
        if prefix.strip("./"):
            tar.addfile(member(prefix.rstrip("/"), kind=tarfile.DIRTYPE))
        add(tar, f"{prefix}JH0001AAQ_RAW.fits", b"raw content")
        add(tar, f"{prefix}jh0001aaq_flt.fits")
        add(tar, f"{prefix}oh0001aaq_epc.fits")
        add(tar, f"{prefix}notes.txt")
        add(tar, f"{prefix}jh0001010_asn.fits", b"table")

    files = unpack(make(tmp_path / "x", build, mode), folder, "acs")

    assert sorted(p.name for p in folder.iterdir()) == ["jh0001010_asn.fits", NAME]
    assert files[NAME].path.read_bytes() == b"raw content"
    assert files[NAME].sha256 == hashlib.sha256(b"raw content").hexdigest()
    assert files[NAME].size == 11


def _link(kind: bytes, target: str) -> Build:
    def build(tar: tarfile.TarFile) -> None:
        info = member(NAME, kind=kind)
        info.linkname = target
        tar.addfile(info)

    return build


def _sparse(tar: tarfile.TarFile) -> None:
    info = member(NAME, 512)
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": NAME,
        "GNU.sparse.realsize": "512",
    }
    tar.addfile(info, io.BytesIO(b"1\n0\n512\n".ljust(512, b"\0")))


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(_link(tarfile.SYMTYPE, "/etc/passwd"), id="symlink"),
        pytest.param(_link(tarfile.SYMTYPE, "jh0001abq_raw.fits"), id="inner symlink"),
        pytest.param(_link(tarfile.LNKTYPE, "../../secret"), id="hardlink"),
        pytest.param(_link(tarfile.CHRTYPE, ""), id="character device"),
        pytest.param(_link(tarfile.BLKTYPE, ""), id="block device"),
        pytest.param(_link(tarfile.FIFOTYPE, ""), id="fifo"),
        pytest.param(_link(b"Z", ""), id="unknown type"),
        pytest.param(lambda tar: add(tar, f"../{NAME}"), id="parent"),
        pytest.param(lambda tar: add(tar, f"a/../../{NAME}"), id="hidden parent"),
        pytest.param(lambda tar: add(tar, f"a/../{NAME}"), id="inner parent"),
        pytest.param(lambda tar: add(tar, f"/tmp/{NAME}"), id="absolute"),  # noqa: S108 - refused
        pytest.param(lambda tar: add(tar, f"a\nb/{NAME}"), id="control character"),
        pytest.param(_sparse, id="sparse"),
    ],
)
def test_hostile_archive_is_refused_whole(tmp_path: Path, folder: Path, build: Build) -> None:
    """One hostile member condemns the archive, wherever it stands; nothing escapes."""

    def around(tar: tarfile.TarFile) -> None:
        add(tar, "jh0001acq_raw.fits")
        build(tar)

    with pytest.raises(CorruptFile, match="archive refused") as caught:
        unpack(make(tmp_path / "x.tar.gz", around), folder, "acs")

    assert caught.value.code == 21
    assert sorted(p.name for p in tmp_path.rglob("*")) == [
        "inner",
        "jh0001acq_raw.fits",
        "x.tar.gz",
    ]


def test_two_files_of_one_name_are_refused(tmp_path: Path, folder: Path) -> None:
    """Which of them is the exposure? Case and folders do not tell them apart."""

    def build(tar: tarfile.TarFile) -> None:
        add(tar, f"a/{NAME}", b"one")
        add(tar, f"b/{NAME.upper()}", b"two")

    with pytest.raises(CorruptFile, match="two files of one name"):
        unpack(make(tmp_path / "x.tar.gz", build), folder, "acs")


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (TarLimits(members=2), "limit of members"),
        (TarLimits(file_bytes=999), "bytes in 'jh0001aaq_raw.fits'"),
        (TarLimits(total_bytes=2999), "bytes in all members"),
    ],
)
def test_limits_hold_and_name_themselves(
    tmp_path: Path, folder: Path, limits: TarLimits, message: str
) -> None:
    """Members that would be skipped count as well."""

    def build(tar: tarfile.TarFile) -> None:
        add(tar, "notes.txt", b"x" * 900)
        add(tar, NAME, b"x" * 1000)
        add(tar, "more.txt", b"x" * 1100)

    archive = make(tmp_path / "x.tar.gz", build)
    with pytest.raises(CorruptFile, match=message):
        unpack(archive, folder, "acs", limits)
    (tmp_path / "again").mkdir()
    unpack(archive, tmp_path / "again", "acs", TarLimits(3, 1100, 3000))


def test_sparse_file_that_claims_a_petabyte_is_over_the_limit(tmp_path: Path, folder: Path) -> None:
    """The size that a sparse file would have on disk is the one that counts."""

    def build(tar: tarfile.TarFile) -> None:
        info = member(NAME, 512)
        info.pax_headers = {"GNU.sparse.map": "0,512", "GNU.sparse.size": str(1 << 50)}
        tar.addfile(info, io.BytesIO(b"x" * 512))

    with pytest.raises(CorruptFile, match="over the limit of bytes"):
        unpack(make(tmp_path / "x.tar.gz", build), folder, "acs")


def test_gzip_bomb_is_stopped_before_it_is_unpacked(tmp_path: Path, folder: Path) -> None:
    """A gigabyte of zeros packs into a megabyte; the header is refused before its content."""
    archive = tmp_path / "x.tar.gz"
    with gzip.open(archive, "wb", compresslevel=1) as stream:
        stream.write(member(NAME, 1 << 30).tobuf())
        for _ in range(64):
            stream.write(b"\0" * MB)
    with pytest.raises(CorruptFile, match="over the limit"):
        unpack(archive, folder, "acs", TarLimits(file_bytes=32 * MB))
    assert not list(folder.iterdir())


def test_bomb_behind_the_end_mark_is_not_read(tmp_path: Path, folder: Path) -> None:
    """What follows the end of the archive is bounded: real bytes are counted."""
    archive = tmp_path / "x.tar.gz"
    with gzip.open(archive, "wb", compresslevel=1) as stream:
        stream.write(member(NAME, 0).tobuf() + b"\0" * 1024)
        for _ in range(8):
            stream.write(b"\0" * MB)
    with pytest.raises(CorruptFile, match="more than its headers say"):
        unpack(archive, folder, "acs")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
def test_header_record_that_claims_gigabytes_stays_out_of_memory(
    tmp_path: Path, folder: Path, kind: bytes
) -> None:
    """Python reads such records whole into memory; the meter stops it within a megabyte."""
    archive = tmp_path / "x.tar.gz"
    with gzip.open(archive, "wb", compresslevel=1) as stream:
        stream.write(member("x", 4 << 30, kind).tobuf(tarfile.GNU_FORMAT))
        for _ in range(32):
            stream.write(b"\0" * MB)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptFile):
            unpack(archive, folder, "acs")
        assert tracemalloc.get_traced_memory()[1] < 4 * MB
    finally:
        tracemalloc.stop()


def test_negative_size_is_refused(tmp_path: Path, folder: Path) -> None:
    """A base-256 size may be negative: it would lower the sums that limits are held against."""
    header = bytearray(member(NAME, 0).tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 11 + b"\x00"
    header[148:156] = b"        "
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    (tmp_path / "x.tar").write_bytes(bytes(header) + b"\0" * 1024)
    with pytest.raises(CorruptFile, match="negative size"):
        unpack(tmp_path / "x.tar", folder, "acs")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"junk", id="junk"),
        pytest.param(b"junk" * 1000, id="more junk"),
        pytest.param(b"\x1f\x8b", id="beginning of gzip"),
        pytest.param(b"\x1f\x8bjunkjunkjunk", id="damaged gzip"),
        # Its header holds the time: as a name it would differ between test processes.
        pytest.param(gzip.compress(b"junk" * 999), id="gzip of junk"),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, folder: Path, content: bytes) -> None:
    """Empty, not gzip, or gzip of something else."""
    (tmp_path / "x.tar.gz").write_bytes(content)
    with pytest.raises(CorruptFile, match="not a readable tar"):
        unpack(tmp_path / "x.tar.gz", folder, "acs")


def _two_files(tmp_path: Path, mode: str) -> Path:
    def build(tar: tarfile.TarFile) -> None:
        for name in (NAME, "jh0001abq_raw.fits"):
            add(tar, name, os.urandom(30_000))

    return make(tmp_path / "whole", build, mode)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.4, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_archive_cut_anywhere_is_refused(
    tmp_path: Path, folder: Path, mode: str, share: float
) -> None:
    """Also between two members, where tarfile alone would see the end of the archive."""
    whole = _two_files(tmp_path, mode).read_bytes()
    if mode == "w":
        whole = whole[: 2 * (512 + 30_208)]  # without the end mark and the padding
    (tmp_path / "cut").write_bytes(whole[: int(len(whole) * share) // 512 * 512 or 1])
    with pytest.raises(CorruptFile):
        unpack(tmp_path / "cut", folder, "acs")


@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_flipped_bit_in_gzip_never_passes_as_other_content(
    tmp_path: Path, where: float, bit: int
) -> None:
    """The CRC at the very end of the stream is checked: refused, or the same bytes."""
    archive = tmp_path / "whole"
    if not archive.exists():
        _two_files(tmp_path, "w:gz")
        (tmp_path / "first").mkdir()
        unpack(archive, tmp_path / "first", "acs")
    content = bytearray(archive.read_bytes())
    content[int(where * len(content))] ^= 1 << bit
    (tmp_path / "bad").write_bytes(content)
    folder = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
    folder.mkdir()
    try:
        files = unpack(tmp_path / "bad", folder, "acs")
    except CorruptFile:
        return
    for name, copied in files.items():
        assert copied.path.read_bytes() == (tmp_path / "first" / name).read_bytes()
    assert len(files) == 2


def test_damaged_second_header_is_not_the_end(tmp_path: Path, folder: Path) -> None:
    """Files behind a damaged spot must not be lost in silence."""
    content = bytearray(_two_files(tmp_path, "w").read_bytes())
    content[512 + 30_208 + 20] ^= 1
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(CorruptFile, match="damaged or cut short"):
        unpack(tmp_path / "bad", folder, "acs")


def test_missing_archive_is_not_found(tmp_path: Path, folder: Path) -> None:
    """No file is no damage."""
    with pytest.raises(NotFound, match="no such archive"):
        unpack(tmp_path / "none.tar.gz", folder, "acs")
