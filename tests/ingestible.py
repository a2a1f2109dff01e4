"""Small files as CALDP and MAST leave them, shared by the tests of ingest."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
from astropy.io import fits

HEADER = {
    "TELESCOP": "HST",
    "INSTRUME": "ACS",
    "DETECTOR": "HRC",
    "FILTER1": "F555W",
    "FILTER2": "CLEAR2S",
    "TARGNAME": "NGC104",
    "PROPOSID": 9019,
    "DATE-OBS": "2002-04-13",
    "TIME-OBS": "01:02:03",
    "EXPTIME": 100.0,
}
MADE = {"CAL_VER": "10.3.5 (07-May-2021)", "CRDS_CTX": "hst_0729.pmap"}


def write_file(path: Path, **header: object) -> Path:
    """Write a FITS file of one block and a few pixels, whose header is that of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    root = path.name[:9].lower()
    cards = {**HEADER, "ROOTNAME": root, **header}
    hdu = fits.PrimaryHDU(np.zeros(4, np.int16), fits.Header(cards.items()))
    hdu.writeto(path)
    return path


def write_association(path: Path, rows: list[tuple[str, str, bool]]) -> Path:
    """Write an association table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names, types, present = zip(*rows, strict=True)
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("MEMNAME", "14A", array=[name.upper() for name in names]),
            fits.Column("MEMTYPE", "14A", array=list(types)),
            fits.Column("MEMPRSNT", "L", array=list(present)),
        ]
    )
    primary = fits.PrimaryHDU(header=fits.Header({"ROOTNAME": path.name[:9]}.items()))
    fits.HDUList([primary, table]).writeto(path)
    return path


def write_caldp(folder: Path) -> Path:
    """Write an association and an exposure in CALDP's layout; return its folder."""
    pair = folder / "outputs" / "j8bt05020"
    for root in ("j8bt05njq", "j8bt05nkq"):
        write_file(pair / f"{root}_raw.fits")
        write_file(pair / f"{root}_flt.fits", **MADE)
    write_file(pair / "j8bt05021_crj.fits", **MADE)
    rows = [("j8bt05njq", "EXP-CR1", True), ("j8bt05nkq", "EXP-CR1", True)]
    write_association(pair / "j8bt05020_asn.fits", [*rows, ("j8bt05021", "PROD-CR1", True)])
    (pair / "j8bt05njq.tra").write_text("trailer")
    for name, text in (("logs/process.txt", "log"), ("previews/j8bt05njq_flt.jpg", "picture")):
        (pair / name).parent.mkdir()
        (pair / name).write_text(text)
    one = folder / "outputs" / "j8bt06xyq"
    write_file(one / "j8bt06xyq_flt.fits", FILTER1="F606W", **MADE)
    return folder


def write_tarball(path: Path, members: dict[str, bytes]) -> Path:
    """Write a tar file of members by name, whatever their names are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path
