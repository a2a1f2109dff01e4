"""Damaged files, and files that are not what their name says."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from calib.errors import CorruptFile
from calib.fetch.integrity import verify_file

WriteRaw = Callable[..., Path]
Damage = Callable[[fits.HDUList], Any]


@pytest.mark.parametrize("name", ["jh0001aaq_raw.fits", "iu0001aaq_raw.fits"])
@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("imsets", [1, 2])
def test_whole_files_pass(
    write_raw: WriteRaw, tmp_path: Path, name: str, checksum: bool, imsets: int
) -> None:
    """With or without checksums, one chip or two."""
    verify_file(write_raw(tmp_path / name, checksum=checksum, imsets=imsets))


@pytest.mark.parametrize("kept", [0, 1, 2879, 2880, 2881, 5760, 8640, -2880, -1])
def test_file_cut_anywhere_is_refused(write_raw: WriteRaw, tmp_path: Path, kept: int) -> None:
    """In a header, in pixels, at a block or between two HDUs: a cut never passes."""
    path = write_raw(tmp_path / "jh0001aaq_raw.fits")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CorruptFile) as caught:
        verify_file(path)
    assert (caught.value.code, caught.value.path) == (21, str(path))


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (b"\0", "bytes too many"),
        (b"\0" * 2880, "length differs"),
        (b"junk" * 720, "not a readable FITS file"),
        (b" " * 2880, "not a readable FITS file"),
    ],
)
def test_bytes_after_the_end_are_refused(
    write_raw: WriteRaw, tmp_path: Path, tail: bytes, message: str
) -> None:
    """A file with two contents glued together is not what was archived."""
    path = write_raw(tmp_path / "jh0001aaq_raw.fits")
    path.write_bytes(path.read_bytes() + tail)
    with pytest.raises(CorruptFile, match=message):
        verify_file(path)


def test_one_flipped_bit_is_seen_where_there_is_a_checksum(
    write_raw: WriteRaw, tmp_path: Path
) -> None:
    """DATASUM guards the pixels, CHECKSUM the headers."""
    path = write_raw(tmp_path / "jh0001aaq_raw.fits", checksum=True)
    content = bytearray(path.read_bytes())
    content[2880 * 2 + 7] ^= 1  # primary header, SCI header, then the pixels of SCI
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # as a user runs it: a warning would not do
        with pytest.raises(CorruptFile, match="does not agree with the bytes"):
            verify_file(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>not found</html>" * 200, "not a FITS file"),
        (b"SIMPLE  = junk" + b" " * 2866, "not a readable FITS file"),
    ],
)
def test_what_is_no_fits_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    """A web page saved under a FITS name, or a first card and nothing more."""
    path = tmp_path / "jh0001aaq_raw.fits"
    path.write_bytes(content)
    with pytest.raises(CorruptFile, match=message):
        verify_file(path)


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ({"ROOTNAME": "jh0001abq"}, "ROOTNAME contradicts"),
        ({"ROOTNAME": 5}, "ROOTNAME contradicts"),
        ({"INSTRUME": "WFC3"}, "INSTRUME contradicts"),
    ],
)
def test_file_of_another_exposure_is_refused(
    write_raw: WriteRaw, tmp_path: Path, cards: dict[str, Any], message: str
) -> None:
    """A renamed file would be calibrated under a wrong name."""
    with pytest.raises(CorruptFile, match=message):
        verify_file(write_raw(tmp_path / "jh0001aaq_raw.fits", **cards))


def test_case_of_names_in_headers_does_not_matter(write_raw: WriteRaw, tmp_path: Path) -> None:
    """ROOTNAME is upper case in products and lower case in raws."""
    verify_file(write_raw(tmp_path / "jh0001aaq_raw.fits", ROOTNAME="JH0001AAQ"))


def _resize(hdus: fits.HDUList) -> None:
    hdus["DQ"].header["NPIX1"] = 11


def _as_double(hdus: fits.HDUList) -> None:
    hdus["SCI"].data = hdus["SCI"].data.astype(np.float64)


def _as_cube(hdus: fits.HDUList) -> None:
    hdus["SCI"].data = np.zeros((2, 8, 12), np.int16)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda hdus: hdus[0].header.remove("DETECTOR"), "DETECTOR"),
        (lambda hdus: hdus[0].header.remove("EXPTIME"), "EXPTIME or TEXPTIME"),
        (lambda hdus: hdus[0].header.remove("DATE-OBS"), "DATE-OBS or EXPSTART"),
        (lambda hdus: hdus[0].header.remove("ROOTNAME"), "ROOTNAME contradicts"),
        (lambda hdus: hdus[0].header.set("DETECTOR", "IR"), "SAMP,1 TIME,1"),
        (lambda hdus: hdus[0].header.set("NEXTEND", 6), "extensions are missing"),
        (lambda hdus: hdus["DQ"].header.set("EXTVER", 2), "lacks extensions: DQ,1"),
        (lambda hdus: hdus["SCI"].header.set("EXTNAME", "IMAGE"), "lacks extensions: SCI,1"),
        (_resize, "one shape"),
        (_as_cube, "one shape"),
        (_as_double, "BITPIX"),
    ],
)
def test_incomplete_exposure_is_refused(
    write_raw: WriteRaw, tmp_path: Path, damage: Damage, message: str
) -> None:
    """Keywords that calibration reads, and image sets without a gap."""
    whole = write_raw(tmp_path / "whole_j.fits".replace("whole_j", "jh0001aaq"))
    path = tmp_path / "jh0001aaq_raw.fits"
    with fits.open(whole) as hdus:
        damage(hdus)
        hdus.writeto(path, output_verify="silentfix")
    with pytest.raises(CorruptFile, match=message):
        verify_file(path)


def test_missing_second_chip_parts_are_named(write_raw: WriteRaw, tmp_path: Path) -> None:
    """Each EXTVER needs its whole image set."""
    whole = write_raw(tmp_path / "jh0001aaq.fits", imsets=2)
    path = tmp_path / "jh0001aaq_raw.fits"
    with fits.open(whole) as hdus:
        hdus[0].header["NEXTEND"] = 4
        fits.HDUList(hdus[:5]).writeto(path)
    with pytest.raises(CorruptFile, match="ERR,2 DQ,2"):
        verify_file(path)


@pytest.mark.parametrize("name", ["o4er06llq_tag.fits", "ldxt01i5q_rawtag_a.fits"])
def test_event_lists_pass_and_empty_ones_do_not(tmp_path: Path, name: str) -> None:
    """STIS and COS exposures hold images or events, with times in the first extension."""
    primary = fits.PrimaryHDU()
    instrument = {"o": "STIS", "l": "COS"}[name[0]]
    primary.header.update({"ROOTNAME": name[:9], "INSTRUME": instrument, "DETECTOR": "FUV"})
    events = fits.BinTableHDU.from_columns([fits.Column("TIME", "E", array=[1.0])], name="EVENTS")
    events.header.update({"EXPTIME": 5.0, "DATE-OBS": "2010-01-01"})
    fits.HDUList([primary, events]).writeto(tmp_path / name)
    verify_file(tmp_path / name)

    events.name = "GTI"
    fits.HDUList([primary, events]).writeto(tmp_path / name, overwrite=True)
    with pytest.raises(CorruptFile, match="neither images nor events"):
        verify_file(tmp_path / name)


def test_support_files_need_no_exposure_keywords(tmp_path: Path) -> None:
    """Only exposures must have exposure keywords and image sets."""
    primary = fits.PrimaryHDU()
    primary.header.update({"ROOTNAME": "jh0001aaq", "INSTRUME": "ACS"})
    path = tmp_path / "jh0001aaq_spt.fits"
    fits.HDUList([primary, fits.ImageHDU(np.zeros(5, np.int16), name="UDL")]).writeto(path)
    verify_file(path)


def test_real_stis_exposures_pass(shared: Path) -> None:
    """Several image sets of different shapes, and a PEAKUP extension, are no fault."""
    paths = sorted((shared / "data" / "real").glob("o*_raw.fits"))
    assert len(paths) == 11
    for path in (*paths, *(p.with_name(p.name.replace("raw", "spt")) for p in paths)):
        verify_file(path)
