"""Ramps: the reads of an infrared exposure in order of time."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData

from calib.errors import ConfigError, CorruptFile
from calib.formats import Ramp, Reading, read_file, write_file

NAME = "itst01aaq_ima.fits"
READS = 16


def write_ima(path: Path, reads: int = READS, *, constant: bool = False) -> Path:
    """Write reads as WFC3 does: the last one is EXTVER 1."""
    hdus = fits.HDUList([fits.PrimaryHDU(header=fits.Header({"DETECTOR": "IR"}))])
    for version in range(1, reads + 1):
        number = reads - version
        cards = {"SAMPNUM": number, "SAMPTIME": 2.5 * number, "BUNIT": "COUNTS", "NTH": number}
        kinds = {"SCI": "f4", "ERR": "f4", "DQ": "i2", "SAMP": "i2", "TIME": "f4"}
        for name, kind in kinds.items():
            header = fits.Header(cards if name == "SCI" else {})
            if name == "SCI" or not constant:
                hdu = fits.ImageHDU(np.full((3, 4), number, kind), header, name=name, ver=version)
            else:
                hdu = fits.ImageHDU(name=name, ver=version)
                hdu.header["BITPIX"] = 16 if kind == "i2" else -32
                hdu.header.update({"NPIX1": 4, "NPIX2": 3, "PIXVALUE": number})
            hdus.append(hdu)
    hdus.writeto(path, output_verify="silentfix")
    return path


def test_reads_come_in_order_of_time(tmp_path: Path) -> None:
    """Sixteen reads that are stored backwards: arrays, times and headers agree."""
    ramp = read_file(write_ima(tmp_path / NAME))

    assert isinstance(ramp, Ramp)
    assert ramp.data.shape == (READS, 3, 4)
    assert ramp.data[:, 0, 0].tolist() == list(range(READS))
    assert ramp.times.tolist() == [2.5 * number for number in range(READS)]
    assert [header["NTH"] for header in ramp.headers] == list(range(READS))
    assert (ramp.header["DETECTOR"], ramp.header["NTH"], ramp.unit) == ("IR", READS - 1, u.ct)
    assert ramp.samp is not None
    assert ramp.samp[3, 0, 0] == 3


def test_what_is_stored_as_numbers_takes_no_memory(tmp_path: Path) -> None:
    """The constant arrays of a raw are views of one number per read."""
    ramp = read_file(write_ima(tmp_path / "itst01aaq_raw.fits", constant=True))

    for array in (ramp.err, ramp.dq, ramp.samp, ramp.exposure):
        assert array.strides[1:] == (0, 0)
        assert array[:, 2, 3].tolist() == list(range(READS))


def test_ramp_is_written_as_it_was_stored(tmp_path: Path) -> None:
    """The file that is written has the reads in the order, and with the cards, of the first."""
    path = write_ima(tmp_path / NAME, 3)

    write_file(tmp_path / f"b_{NAME}", read_file(path))

    with fits.open(path) as old, fits.open(tmp_path / f"b_{NAME}") as new:
        assert [(hdu.name, hdu.ver) for hdu in new] == [(hdu.name, hdu.ver) for hdu in old]
        for before, after in zip(old[1:], new[1:], strict=True):
            assert np.array_equal(before.data, after.data)
            assert before.data.dtype == after.data.dtype
        for keyword in ("SAMPNUM", "SAMPTIME", "BUNIT", "NTH"):
            assert new["SCI", 2].header[keyword] == old["SCI", 2].header[keyword]


def test_one_read_is_an_image(tmp_path: Path) -> None:
    """EXTVER counts as in the file: 1 is the last read."""
    path = write_ima(tmp_path / NAME)

    image = read_file(path, Reading(imset=1))

    assert isinstance(image, CCDData)
    assert image.data[0, 0] == READS - 1
    assert isinstance(read_file(write_ima(tmp_path / "x_raw.fits", 1)), CCDData)


@pytest.mark.parametrize("damage", ["SAMPTIME", "shape", "TIME"])
def test_reads_that_do_not_belong_together_are_refused(tmp_path: Path, damage: str) -> None:
    """A read without time, of another shape, or without one of the arrays is named."""
    path = write_ima(tmp_path / NAME, 3)
    with fits.open(path) as hdus:
        if damage == "SAMPTIME":
            del hdus["SCI", 2].header["SAMPTIME"]
        elif damage == "TIME":
            del hdus["TIME", 3]
        else:
            for name in ("SCI", "ERR", "DQ", "SAMP", "TIME"):
                hdus[name, 1].data = hdus[name, 1].data[:2]
        hdus.writeto(path, overwrite=True)

    with pytest.raises(CorruptFile, match="differ" if damage == "shape" else damage):
        read_file(path)


def test_ramp_of_unequal_parts_is_not_written(tmp_path: Path) -> None:
    """A ramp with fewer times than reads is refused, and nothing appears."""
    ramp = read_file(write_ima(tmp_path / NAME, 3))
    short = dataclasses.replace(ramp, times=ramp.times[:2])

    with pytest.raises(ConfigError):
        write_file(tmp_path / f"c_{NAME}", short)
    assert not (tmp_path / f"c_{NAME}").exists()
