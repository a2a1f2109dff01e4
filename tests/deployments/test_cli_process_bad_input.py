"""Bad input of `hstflow process`: one clear line and an exit code each, nothing published."""

from __future__ import annotations

import errno
import io
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits
from standin_programs import hide_programs

from calib.simulate.observatory import Observatory

Process = Callable[..., tuple[int, Any, str]]
Published = Callable[[str], Path]


@pytest.mark.parametrize(
    "name", ["j8bt05nj", "nonsense!", "acs_8ph_01_extra", "u2ab0101t", "../j8bt05njq"]
)
def test_unknown_name_is_a_bad_command(process: Process, raws: Path, name: str) -> None:
    """A name that is no dataset's ends with 2 and one line that shows what names look like."""
    code, outcomes, err = process(name)

    assert (code, outcomes) == (2, None)
    assert "ConfigError" in err
    assert "ipppssoot such as j8bt05njq" in err


def test_empty_folder(process: Process, crds: Observatory, tmp_path: Path) -> None:
    """No input is error 21 that names the folder."""
    (tmp_path / "empty").mkdir()

    code, outcomes, _ = process(crds.datasets[0], source=tmp_path / "empty")

    assert (code, outcomes[0]["error_class"]) == (21, "NotFound")
    assert str(tmp_path / "empty") in outcomes[0]["reason"]


def test_truncated_raw(
    process: Process, published: Published, crds: Observatory, raws: Path, tmp_path: Path
) -> None:
    """A raw file cut in the middle of its pixels is error 21; nothing is published."""
    name = crds.datasets[0]
    path = raws / f"{name}_raw.fits"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    code, outcomes, _ = process(name)

    assert (code, outcomes[0]["error_class"]) == (21, "CorruptFile")
    assert path.name in outcomes[0]["reason"]
    assert not published(name).exists()


def test_association_with_a_missing_member(process: Process, crds: Observatory, raws: Path) -> None:
    """An association is complete or it is an error that lists what is missing."""
    member = crds.datasets[0].upper()
    columns = [
        fits.Column("MEMNAME", "14A", array=[member, "J9ZZ01ZZQ", "J9ZZ01011"]),
        fits.Column("MEMTYPE", "14A", array=["EXP-CR1", "EXP-CR1", "PROD-CR1"]),
        fits.Column("MEMPRSNT", "L", array=[True, True, True]),
    ]
    primary = fits.PrimaryHDU()
    primary.header.update(
        {"INSTRUME": "ACS", "DETECTOR": "HRC", "ROOTNAME": "j9zz01010", "ASN_ID": "J9ZZ01010"}
    )
    table = fits.BinTableHDU.from_columns(columns, name="ASN")
    fits.HDUList([primary, table]).writeto(raws / "j9zz01010_asn.fits")

    code, outcomes, _ = process("j9zz01010")

    assert (code, outcomes[0]["error_class"]) == (21, "MissingMember")
    assert "j9zz01zzq" in outcomes[0]["reason"].lower()


def test_reference_missing_from_the_cache_blocks_the_job(
    process: Process, crds: Observatory, raws: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reference that is not there blocks the job with 27; when it arrives the job goes on."""
    monkeypatch.setattr("calib.stages.policy.time.sleep", lambda _: None)
    cache = Path(shutil.copytree(crds.crds_path, tmp_path / "crds"))
    monkeypatch.setenv("CRDS_PATH", str(cache))
    dark = next(cache.rglob("*_drk.fits"))
    darks = {path: path.read_bytes() for path in cache.rglob("*_drk.fits")}
    for path in darks:
        path.unlink()

    code, outcomes, _ = process(crds.datasets[0])

    assert (code, outcomes[0]["state"]) == (27, "blocked")
    assert outcomes[0]["error_class"] == "ReferenceUnavailable"
    assert "DARKFILE" in outcomes[0]["reason"]
    for path, content in darks.items():
        path.write_bytes(content)
    assert dark.exists()
    assert process(crds.datasets[0])[1][0]["state"] == "processed"


def test_unknown_context(process: Process, crds: Observatory, raws: Path) -> None:
    """A context that is not there ends with 27 before anything starts."""
    code, outcomes, err = process(crds.datasets[0], "--context", "hst_8888.pmap")

    assert (code, outcomes) == (27, None)
    assert "ContextError" in err
    assert "hst_8888" in err


def test_output_not_writable(
    process: Process, crds: Observatory, raws: Path, tmp_path: Path
) -> None:
    """An output that cannot be written is error 25; the finished stages are kept."""
    (tmp_path / "out").write_text("a file where the folder should be")

    code, outcomes, _ = process(crds.datasets[0])

    assert (code, outcomes[0]["error_class"]) == (25, "ArchiveError")
    assert str(tmp_path / "out") in outcomes[0]["reason"]


@pytest.mark.parametrize("room", [0, 1000, 30_000])
def test_disk_full_while_archiving(
    process: Process,
    published: Published,
    crds: Observatory,
    raws: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    room: int,
) -> None:
    """A disk that fills after N bytes is error 25; nothing is half-published; room mends it."""
    name = crds.datasets[0]
    left = [room]

    def limited(handle: int, content: memoryview) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(handle, content[: left[0]])
        left[0] -= written
        return written

    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr("calib.archive.disk.os.write", limited)
        code, outcomes, _ = process(name)

    assert (code, outcomes[0]["error_class"]) == (25, "ArchiveError")
    assert "full" in outcomes[0]["reason"]
    assert not published(name).exists()
    assert not list((tmp_path / "out").rglob("*.fits"))
    assert process(name)[1][0]["state"] == "processed"


def test_unsupported_detector(
    process: Process,
    published: Published,
    crds: Observatory,
    raws: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A mode that no engine covers is error 23 that names what would cover it."""
    hide_programs(monkeypatch)
    name = crds.datasets[0]
    with fits.open(raws / f"{name}_raw.fits", mode="update") as hdus:
        hdus[0].header["PCTECORR"] = "PERFORM"

    code, outcomes, _ = process(name)

    assert (code, outcomes[0]["error_class"]) == (23, "UnsupportedMode")
    assert "calacs.e" in outcomes[0]["reason"]
    assert not published(name).exists()


def make_tar(path: Path, members: dict[str, bytes], link: str | None = None) -> Path:
    """Write a gzipped tar with these members, and perhaps a symbolic link."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo("link_raw.fits")
            info.type, info.linkname = tarfile.SYMTYPE, link
            tar.addfile(info)
    return path


def test_tarball_is_an_input(
    process: Process, crds: Observatory, raws: Path, tmp_path: Path
) -> None:
    """CALDP's tarball gives the same products as the plain folder."""
    name = crds.datasets[0]
    (tmp_path / "tars").mkdir()
    content = (raws / f"{name}_raw.fits").read_bytes()
    make_tar(tmp_path / "tars" / f"{name}.tar.gz", {f"{name}/{name}_raw.fits": content})

    code, outcomes, _ = process(name, source=tmp_path / "tars")

    assert (code, outcomes[0]["state"]) == (0, "processed")


@pytest.mark.parametrize("kind", ["parent", "absolute", "link", "not a tar", "bomb"])
def test_hostile_tar(process: Process, crds: Observatory, tmp_path: Path, kind: str) -> None:
    """A tar that reaches outside, links or swells is error 21; nothing is written outside."""
    name = crds.datasets[0]
    folder = tmp_path / "tars"
    folder.mkdir()
    tar = folder / f"{name}.tar.gz"
    if kind == "parent":
        make_tar(tar, {f"../../{name}_raw.fits": b"x"})
    elif kind == "absolute":
        make_tar(tar, {f"{tmp_path}/evil_{name}_raw.fits": b"x"})
    elif kind == "link":
        make_tar(tar, {}, link="/etc/passwd")
    elif kind == "bomb":
        make_tar(tar, {f"{name}_{number:05d}.fits": b"" for number in range(5000)})
    else:
        tar.write_bytes(b"this is not a tar")

    code, outcomes, _ = process(name, source=folder)

    assert (code, outcomes[0]["state"]) == (21, "error")
    assert not list(tmp_path.glob("evil*"))


@pytest.mark.parametrize(
    ("column", "value"), [("ATODGNC", float("nan")), ("ATODGNC", 0.0), ("READNSEC", 0.0)]
)
def test_unusable_gain_or_noise(
    process: Process,
    published: Published,
    crds: Observatory,
    raws: Path,
    tmp_path: Path,
    column: str,
    value: float,
) -> None:
    """A CCDTAB with NaN or zero gain, or zero read noise, is an error, never bad pixels."""
    source = next(Path(crds.crds_path).rglob("*_ccd.fits"))
    table = Path(shutil.copy(source, tmp_path / "bad_ccd.fits"))
    with fits.open(table, mode="update") as hdus:
        hdus[1].data[column][:] = value
        for card in ("CHECKSUM", "DATASUM"):
            hdus[1].header.remove(card, ignore_missing=True)

    code, outcomes, _ = process(crds.datasets[0], "--reference", f"CCDTAB={table}")

    assert code != 0
    assert outcomes[0]["state"] == "error"
    assert "CCDTAB" in outcomes[0]["reason"] or column in outcomes[0]["reason"]
    assert not published(crds.datasets[0]).exists()


def test_exposure_time_zero(
    process: Process, published: Published, crds: Observatory, raws: Path, tmp_path: Path
) -> None:
    """EXPTIME 0 in an exposure of the sky is an error that says so."""
    name = crds.datasets[0]
    with fits.open(raws / f"{name}_raw.fits", mode="update") as hdus:
        hdus[0].header["EXPTIME"] = 0.0

    code, outcomes, _ = process(name)

    assert code != 0
    assert "EXPTIME" in outcomes[0]["reason"]
    assert not published(name).exists()
