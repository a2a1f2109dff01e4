"""Raw exposures and association tables of the synthetic cameras, as the archive delivers them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from calib.association import Association
from calib.fitsfile import write_atomically
from calib.simulate.constant import constant_image
from calib.simulate.detector import Detector
from calib.simulate.frame import Frame
from calib.simulate.hrc import read_hrc
from calib.simulate.pointing import Pointing
from calib.simulate.raw_header import association_cards, image_cards, primary_cards
from calib.simulate.sbc import read_sbc
from calib.simulate.wfc import read_wfc


def write_raw(folder: Path, pointing: Pointing, chips: Sequence[Detector]) -> Path:
    """Write the raw file of an exposure: u16 SCI, constant ERR and DQ without pixels.

    The same pointing and detector give the same bytes.

    Parameters
    ----------
    chips
        Of the camera that the pointing names, in order of EXTVER.
    """
    path = folder / f"{pointing.rootname}_raw.fits"
    hdus: list[Any] = [fits.PrimaryHDU(header=fits.Header(primary_cards(pointing)))]
    for version, frame in enumerate(read_frames(pointing, chips), 1):
        hdus.append(_science(frame, version, pointing))
        hdus += [_constant(name, frame, version, pointing) for name in ("ERR", "DQ")]
    write_atomically(fits.HDUList(hdus), path)
    return path


def read_frames(pointing: Pointing, chips: Sequence[Detector]) -> list[Frame]:
    """Return what the camera reads, in order of EXTVER."""
    if pointing.camera == "WFC":
        return read_wfc(pointing, chips)
    read = read_sbc if pointing.camera == "SBC" else read_hrc
    return [read(pointing, chips[0])]


def write_association(folder: Path, association: Association, camera: str = "HRC") -> Path:
    """Write ``ID_asn.fits``; products are marked as not present, since nothing made them yet."""
    path = folder / f"{association.name}_asn.fits"
    rows = [(m.name.upper(), m.type, m.present) for m in association.members]
    table = fits.BinTableHDU.from_columns(_columns(rows), name="ASN")
    primary = fits.PrimaryHDU(header=fits.Header(association_cards(association.name, camera)))
    write_atomically(fits.HDUList([primary, table]), path)
    return path


def _columns(rows: Sequence[tuple[str, str, bool]]) -> list[Any]:
    names, kinds, present = zip(*rows, strict=True)
    return [
        fits.Column("MEMNAME", "14A", array=list(names)),
        fits.Column("MEMTYPE", "14A", array=list(kinds)),
        fits.Column("MEMPRSNT", "L", array=np.array(present)),
    ]


def _science(frame: Frame, version: int, pointing: Pointing) -> fits.ImageHDU:
    hdu = fits.ImageHDU(frame.counts, name="SCI")
    hdu.header.extend(image_cards("SCI", version, pointing, frame), update=True)
    hdu.header["DATAMIN"] = float(frame.counts.min())
    hdu.header["DATAMAX"] = float(frame.counts.max())
    hdu.header.update(frame.cards)
    return hdu


def _constant(name: str, frame: Frame, version: int, pointing: Pointing) -> fits.ImageHDU:
    """Return an extension whose pixels are all zero."""
    ny, nx = frame.counts.shape
    hdu = constant_image(name, 0.0, (ny, nx))
    hdu.header.extend(image_cards(name, version, pointing, frame), update=True)
    return hdu
