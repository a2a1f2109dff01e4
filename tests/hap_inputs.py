"""Small inputs of visits and skycells: calibrated images with headers as pipelines write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from calib.engines.protocol import CalibrationRequest
from calib.records import InputFile, Member, RawInputs, References
from calib.stores.store import hash_file

VISIT = "acs_8ph_01"
SKYCELL = "skycell-p2381x06y09"
CONTEXT = "hst_9001.pmap"


def make_image(folder: Path, name: str = "j8ph01abq_flc.fits", **header: Any) -> Path:
    """Write a calibrated ACS or WFC3 image of 4 by 5 pixels.

    Parameters
    ----------
    header
        Cards of the primary header; None leaves one out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rootname = name.partition("_")[0]
    cards = {
        "INSTRUME": "WFC3" if name.startswith("i") else "ACS",
        "DETECTOR": "WFC",
        "ROOTNAME": rootname,
        "PROPOSID": 9453,
        "TARGNAME": "NGC-104",
        "FILTER1": "F606W",
        "FILTER2": "CLEAR2S",
        "DATE-OBS": "2002-10-01",
        "TIME-OBS": "01:02:03",
        "EXPTIME": 340.0,
        "DRIZCORR": "PERFORM",
        **header,
    }
    primary = fits.PrimaryHDU()
    for keyword, value in cards.items():
        if value is not None:
            primary.header[keyword] = value
    # The sky of each image is its own, so that no two files are equal.
    sky = np.full((4, 5), sum(map(ord, name)) % 997, dtype=np.float32)
    errors, flags = np.ones_like(sky), np.zeros(sky.shape, np.int16)
    images = {"SCI": sky, "ERR": errors, "DQ": flags}
    hdus = fits.HDUList([primary, *(fits.ImageHDU(images[n], name=n, ver=1) for n in images)])
    hdus.writeto(folder / name, overwrite=True)
    return folder / name


def poller_row(path: Path, *, skycell: str | None = None) -> str:
    """Return the line of an image in a poller file, as the archive's pipelines write it."""
    header = fits.getheader(path)
    name = path.name
    beam = header["FILTER"] if "FILTER" in header else f"{header['FILTER1']};{header['FILTER2']}"
    cell = [skycell, "NEW"] if skycell else []
    root = header["ROOTNAME"].strip().upper()
    start = [name, header["PROPOSID"], root[1:4], root[4:6], header["EXPTIME"], beam]
    return ",".join(map(str, [*start, header["DETECTOR"], *cell, f"/archive/{name}"]))


def make_poller(folder: Path, dataset: str, *images: Path) -> Path:
    """Write the poller file of a visit or skycell."""
    skycell = dataset if dataset.startswith("skycell") else None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{dataset}_input.out"
    path.write_text("".join(f"{poller_row(each, skycell=skycell)}\n" for each in images))
    return path


def describe(path: Path, rootname: str | None = None) -> InputFile:
    """Return the record of an input."""
    suffix = "poller" if path.suffix == ".out" else path.stem.rpartition("_")[2]
    rootname = rootname or path.name.partition("_")[0]
    return InputFile(path.name, str(path), hash_file(path), path.stat().st_size, suffix, rootname)


def make_inputs(folder: Path, dataset: str = VISIT, *images: Path) -> RawInputs:
    """Return the inputs of a visit or skycell; without images of two exposures."""
    images = images or tuple(
        make_image(folder, f"j8ph01a{letter}q_flc.fits") for letter in ("b", "c")
    )
    poller = make_poller(folder, dataset, *images)
    files = (*map(describe, images), describe(poller, dataset))
    members = tuple(Member(p.name.partition("_")[0], "FLC", present=True) for p in images)
    return RawInputs(dataset, f"file:{folder}", tuple(sorted(files, key=_name)), members)


def request_for(folder: Path, inputs: RawInputs, **changes: Any) -> CalibrationRequest:
    """Return the request for a visit or skycell, with the output in a folder."""
    references = References(CONTEXT, "1", ())
    return CalibrationRequest(inputs.dataset, inputs, references, folder / "out", **changes)


def _name(file: InputFile) -> str:
    return file.name
