"""Whether an input file is whole, and is what its name says.

Structure only: NaN, saturation and other matters of the pixels are for calibration.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from astropy.utils.exceptions import AstropyUserWarning

from calib import fitsfile
from calib.caldp import ENVIRONMENT
from calib.environment import read_environment
from calib.errors import CorruptFile
from calib.fetch.selection import is_exposure, root_of
from calib.hap_names import POLLER_ENDING, ImageName, read_image_name
from calib.ids import INSTRUMENT_BY_LETTER
from calib.poller import check_poller

_SUM_DIFFERS = 0  # answer of astropy's verify_checksum and verify_datasum; 2: no such keyword

# FITS standard 4.0, section 4.4.1.1: the first card of every file.
_FIRST_CARD = b"SIMPLE  ="

# Keywords that bestrefs or the recipes read from every exposure; one of each row must be in
# the primary or the first extension header. STIS and COS keep times and dates elsewhere or
# under other names (STIS Data Handbook, section 2.3; COS Data Handbook, section 2.4).
REQUIRED_KEYWORDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "acs": (("DETECTOR",), ("EXPTIME", "TEXPTIME"), ("DATE-OBS", "EXPSTART")),
    "wfc3": (("DETECTOR",), ("EXPTIME", "TEXPTIME"), ("DATE-OBS", "EXPSTART")),
    "cos": (("DETECTOR",), ("EXPTIME", "TEXPTIME"), ("DATE-OBS", "EXPSTART")),
    "stis": (("DETECTOR",), ("TEXPTIME", "EXPTIME"), ("TDATEOBS", "DATE-OBS", "TEXPSTRT")),
}

# Image sets of raw ACS and WFC3 exposures by detector (handbooks, section 2.2).
_IMSET = ("SCI", "ERR", "DQ")
_IMSET_BY_DETECTOR = {"IR": ("SCI", "ERR", "DQ", "SAMP", "TIME")}

# What names the products of a mosaic, beside the keywords above (drizzlepac, poller_utils).
_MOSAIC_KEYWORDS = {"j": (("PROPOSID",), ("FILTER1",)), "i": (("PROPOSID",), ("FILTER",))}

# Calibrated pixels are float32 (ACS and WFC3 Data Handbooks, section 2.2).
_CALIBRATED_BITPIX = (-32,)

# Raw counts are 16-bit; exposures written back by analysis tools are 32-bit or float32.
_RAW_BITPIX = (16, 32, -32)

_CONTENT = ("SCI", "EVENTS")  # what a STIS or COS exposure holds: images or photon events


def verify_file(path: Path) -> None:
    """Check one input file named ``ROOT_SUFFIX.fits``, or the poller of a visit.

    It must begin and end as FITS does, hold as many bytes and extensions as its headers
    say, agree with its CHECKSUM and DATASUM where it has them, and bear the ROOTNAME and
    INSTRUME of its name. Exposures must have the keywords of :data:`REQUIRED_KEYWORDS`, and
    complete image sets (ACS and WFC3) or at least an image or events (STIS and COS). Calibrated
    exposures (``_flc``, ``_flt``) must have complete image sets of float32 pixels and the keywords
    that products of mosaics are named by. Of a poller only the size is looked at here.

    An environment file (``ROOT_cal_env.txt``) must be what
    :func:`calib.environment.read_environment` reads.

    Raises
    ------
    CorruptFile
        Any of this is not so.
    """
    if path.name.endswith(f"_{ENVIRONMENT}.txt"):
        read_environment(path)
        return
    if path.name.endswith(POLLER_ENDING):
        check_poller(path)
        return
    _check_bytes(path)
    with warnings.catch_warnings():
        # astropy's warnings about bytes after the last HDU are dropped: the length is compared
        # below. Nor are its warnings relied on for checksums: filters are shared by threads.
        warnings.simplefilter("ignore", AstropyUserWarning)
        with fitsfile.opened(path) as hdus:
            _check_length(path, hdus)
            _check_sums(path, hdus)
            check_extension_count(path, hdus)
            headers = [hdu.header for hdu in hdus]
    if image := read_image_name(path.name):
        _check_calibrated(path, image, headers)
        return
    _check_identity(path, headers[0], root_of(path.name))
    instrument = INSTRUMENT_BY_LETTER[path.name[0]]
    if is_exposure(path.name, instrument):
        _check_exposure(path, instrument, headers)


def _check_bytes(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(len(_FIRST_CARD))
    if start != _FIRST_CARD:
        raise CorruptFile("not a FITS file", path=path, expected=_FIRST_CARD, found=start)
    if size % fitsfile.BLOCK:
        raise CorruptFile(
            "file is cut short or has bytes too many",
            path=path,
            expected=f"a multiple of {fitsfile.BLOCK} bytes",
            found=size,
        )


def _check_length(path: Path, hdus: Any) -> None:
    """Compare the end of the last HDU, as its header declares it, with the file."""
    last = hdus[-1].fileinfo()  # reads every HDU, and checks its sums
    declared, size = last["datLoc"] + last["datSpan"], path.stat().st_size
    if declared != size:
        raise CorruptFile(
            "file length differs from what its headers declare",
            path=path,
            expected=declared,
            found=size,
        )


def _check_sums(path: Path, hdus: Any) -> None:
    """Compare CHECKSUM and DATASUM where a header has them (FITS standard 4.0, 4.4.2.7)."""
    for number, hdu in enumerate(hdus):
        for keyword, check in (("CHECKSUM", hdu.verify_checksum), ("DATASUM", hdu.verify_datasum)):
            if check() == _SUM_DIFFERS:
                raise CorruptFile(
                    f"{keyword} does not agree with the bytes",
                    path=path,
                    expected=hdu.header.get(keyword),
                    found=f"another sum in HDU {number}",
                )


def check_extension_count(path: Path, hdus: Any) -> None:
    """Compare with NEXTEND: a file cut between two HDUs is valid FITS. More HDUs are fine.

    Parameters
    ----------
    path
        The file, for the message.
    hdus
        What it holds, as :func:`calib.fitsfile.opened` gives it.

    Raises
    ------
    CorruptFile
        There are fewer extensions than the primary header says.
    """
    declared, found = hdus[0].header.get("NEXTEND"), len(hdus) - 1
    if isinstance(declared, int) and found < declared:
        raise CorruptFile(
            "extensions are missing: the file is cut short",
            path=path,
            expected=f"{declared} extensions (NEXTEND)",
            found=found,
        )


def _check_calibrated(path: Path, image: ImageName, headers: Sequence[Any]) -> None:
    """Check a calibrated exposure; the name of one in a mosaic lacks the ninth character."""
    letter = image.exposure[0]
    root = str(headers[0].get("ROOTNAME", "")).strip().lower()
    is_its = root.startswith(image.short) if image.of_mosaic else False
    _check_identity(path, headers[0], root if is_its else image.exposure)
    _check_keywords(path, headers, _MOSAIC_KEYWORDS[letter])
    _check_keywords(path, headers, REQUIRED_KEYWORDS[INSTRUMENT_BY_LETTER[letter]])
    _check_imsets(path, headers, _CALIBRATED_BITPIX)


def _check_identity(path: Path, header: Any, root: str) -> None:
    expected = {"ROOTNAME": root, "INSTRUME": INSTRUMENT_BY_LETTER[root[0]]}
    for keyword, value in expected.items():
        found = header.get(keyword)
        if not isinstance(found, str) or found.strip().lower() != value:
            raise CorruptFile(
                f"{keyword} contradicts the file name", path=path, expected=value, found=repr(found)
            )


def _check_exposure(path: Path, instrument: str, headers: Sequence[Any]) -> None:
    _check_keywords(path, headers, REQUIRED_KEYWORDS[instrument])
    if instrument in {"acs", "wfc3"}:
        _check_imsets(path, headers, _RAW_BITPIX)
    elif not any(_name(h) in _CONTENT for h in headers[1:]):
        raise CorruptFile(
            "exposure holds neither images nor events",
            path=path,
            expected=" or ".join(_CONTENT),
            found=[_name(h) for h in headers[1:]],
        )


def _check_keywords(path: Path, headers: Sequence[Any], wanted: Sequence[tuple[str, ...]]) -> None:
    for alternatives in wanted:
        if not any(word in header for header in headers[:2] for word in alternatives):
            raise CorruptFile(
                "exposure lacks a keyword that calibration needs",
                path=path,
                expected=" or ".join(alternatives),
                found="absent from the primary and the first extension header",
            )


def _check_imsets(path: Path, headers: Sequence[Any], bitpix: Sequence[int]) -> None:
    names = _IMSET_BY_DETECTOR.get(str(headers[0].get("DETECTOR")).strip(), _IMSET)
    found = {(_name(h), int(h.get("EXTVER", 1))): h for h in headers[1:]}
    count = max((ver for name, ver in found if name == "SCI"), default=0)
    wanted = [(name, ver) for ver in range(1, max(count, 1) + 1) for name in names]
    if missing := [f"{name},{ver}" for name, ver in wanted if (name, ver) not in found]:
        raise CorruptFile(
            "exposure lacks extensions: " + " ".join(missing),
            path=path,
            expected=f"{'/'.join(names)} for each EXTVER",
            found=" ".join(f"{name},{ver}" for name, ver in found) or "no extension",
        )
    for ver in range(1, count + 1):
        imset = {name: found[name, ver] for name in names}
        _check_type(path, ver, imset["SCI"].get("BITPIX"), bitpix)
        _check_shapes(path, ver, imset)


def _check_type(path: Path, version: int, found: Any, allowed: Sequence[int]) -> None:
    if found not in allowed:
        raise CorruptFile(
            f"SCI,{version} has pixels of a type that no such exposure has",
            path=path,
            expected=f"BITPIX one of {allowed}",
            found=found,
        )


def _check_shapes(path: Path, version: int, imset: dict[str, Any]) -> None:
    shapes = {name: _shape(header) for name, header in imset.items()}
    if len(set(shapes.values())) != 1 or None in shapes.values():
        raise CorruptFile(
            f"image set {version} is not made of images of one shape",
            path=path,
            expected="one shape (ny, nx) for " + "/".join(imset),
            found=shapes,
        )


def _shape(header: Any) -> tuple[int, int] | None:
    """Shape (ny, nx) of an image or of a constant one; None if it is neither."""
    keywords = ("NPIX2", "NPIX1") if header.get("NAXIS") == 0 else ("NAXIS2", "NAXIS1")
    ny, nx = (header.get(k) for k in keywords)
    two_axes = header.get("NAXIS") in {0, 2} and header.get("XTENSION", "").strip() == "IMAGE"
    sizes_given = isinstance(ny, int) and isinstance(nx, int) and min(ny, nx) > 0
    return (ny, nx) if two_axes and sizes_given else None


def _name(header: Any) -> str:
    return str(header.get("EXTNAME", "")).strip().upper()
