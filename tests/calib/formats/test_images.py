"""Images as CCDData: what is read, masked and flagged, and what comes back after writing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty, VarianceUncertainty
from astropy.wcs import WCS
from factories import FLAGS, NUMBERS, arrays, make_raw
from hypothesis import given

from calib.errors import ConfigError, CorruptFile, NotFound
from calib.fitsfile import image_data
from calib.formats import Reading, read_file, write_file

NAME = "jtst01aaq_flt.fits"


def write_flt(path: Path, versions: tuple[int, ...] = (1, 2), **cards: Any) -> Path:
    """Write a file of image sets whose numbers say which set they are of."""
    hdus = [fits.PrimaryHDU(header=fits.Header({"ROOTNAME": "jtst01aaq", "DETECTOR": "WFC"}))]
    for version in versions:
        header = fits.Header(
            {"ROOTNAME": "jtst01aaq", "CCDCHIP": 3 - version, "BUNIT": "ELECTRONS"}
        )
        header.update(cards)
        sci = np.full((3, 4), 10.0 * version, np.float32)
        flags = np.array([[0, 1, 16, 17]] * 3, np.int16)
        hdus.append(fits.ImageHDU(sci, header, name="SCI", ver=version))
        hdus.append(fits.ImageHDU(sci / 10, name="ERR", ver=version))
        hdus.append(fits.ImageHDU(flags, name="DQ", ver=version))
    fits.HDUList(hdus).writeto(path)
    return path


def test_several_chips_are_a_list_and_one_can_be_asked_for(tmp_path: Path) -> None:
    """Image sets come in order of EXTVER; each has the header of the file and its own."""
    path = write_flt(tmp_path / NAME)

    images = read_file(path)
    second = read_file(path, Reading(imset=2))

    assert [image.data[0, 0] for image in images] == [10, 20]
    assert [image.meta["CCDCHIP"] for image in images] == [2, 1]
    assert [image.meta["DETECTOR"] for image in images] == ["WFC", "WFC"]
    assert isinstance(second, CCDData)
    assert second.unit == u.electron
    assert np.array_equal(second.uncertainty.array, np.full((3, 4), 2))
    assert second.wcs is None


def test_the_other_image_sets_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixels are taken of the set that was asked for only."""
    taken: list[tuple[str, int]] = []
    take = image_data.pixels

    def noted(hdu: Any) -> Any:
        taken.append((hdu.name, hdu.ver))
        return take(hdu)

    monkeypatch.setattr(image_data, "pixels", noted)
    read_file(write_flt(tmp_path / NAME), Reading(imset=2))

    assert taken == [("SCI", 2), ("ERR", 2), ("DQ", 2)]


@pytest.mark.parametrize(
    ("good_bits", "masked"),
    [(0, [0, 1, 1, 1]), (1, [0, 0, 1, 1]), (16, [0, 1, 0, 1]), (65535, [0, 0, 0, 0])],
)
def test_bits_that_are_good_do_not_mask(tmp_path: Path, good_bits: int, masked: list[int]) -> None:
    """The mask leaves them out, the flags keep all."""
    path = write_flt(tmp_path / NAME, (1,))

    image = read_file(path, Reading(good_bits=good_bits))

    assert image.mask[0].tolist() == [bool(value) for value in masked]
    assert image.flags[0].tolist() == [0, 1, 16, 17]


def test_arrays_stored_as_one_number_are_filled(tmp_path: Path) -> None:
    """ERR and DQ of a raw are arrays; the counts keep their type."""
    image = read_file(make_raw(tmp_path))

    assert image.unit == u.ct
    assert image.data.dtype == np.uint16
    assert image.uncertainty.array.shape == image.flags.shape == image.data.shape
    image.uncertainty.array[0, 0] = 1  # a memory of its own
    assert not image.mask.any()


def test_drizzled_image_is_masked_where_it_has_no_weight(tmp_path: Path) -> None:
    """It has no flags and no error."""
    weight = np.array([[1.0, 0.0]], np.float32)
    hdus = [
        fits.PrimaryHDU(),
        fits.ImageHDU(np.ones((1, 2), np.float32), name="SCI"),
        fits.ImageHDU(weight, name="WHT"),
    ]
    hdus[1].header["BUNIT"] = "ELECTRONS/S"
    fits.HDUList(hdus).writeto(tmp_path / "jtst01011_drz.fits")

    image = read_file(tmp_path / "jtst01011_drz.fits")

    assert image.mask.tolist() == [[False, True]]
    assert image.flags is None
    assert image.uncertainty is None
    assert image.unit == u.electron / u.s


def test_image_in_the_primary_hdu_is_read(tmp_path: Path) -> None:
    """Single-extension files of other programs are images too."""
    fits.PrimaryHDU(np.ones((2, 3), np.float32)).writeto(tmp_path / "x_drz.fits")

    assert read_file(tmp_path / "x_drz.fits").data.shape == (2, 3)


@given(
    arrays(NUMBERS, np.float32),
    arrays(FLAGS, np.int16),
    arrays(FLAGS, np.int16),
)
def test_what_was_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, sci: Any, first: Any, second: Any
) -> None:
    """Numbers, errors, units and every bit of the flags of two chips come back."""
    path = tmp_path_factory.getbasetemp() / NAME
    images = [
        CCDData(sci, unit=unit, uncertainty=StdDevUncertainty(abs(sci)), flags=flags)
        for unit, flags in ((u.electron, first), (u.adu, second))
    ]

    write_file(path, images)
    again = read_file(path)

    for before, after in zip(images, again, strict=True):
        assert np.array_equal(before.data, after.data)
        assert np.array_equal(before.uncertainty.array, after.uncertainty.array)
        assert np.array_equal(before.flags, after.flags)
        assert np.array_equal(after.mask, after.flags != 0)
        assert after.flags.dtype == np.int16
        assert before.unit == after.unit


def test_headers_go_back_where_they_came_from(tmp_path: Path) -> None:
    """Cards of the file and of each chip keep their places, values and comments."""
    path = write_flt(tmp_path / NAME)
    with fits.open(path, mode="update") as hdus:
        hdus[0].header["TARGNAME"] = ("M31", "proposer's target name")
        hdus[0].header.add_history("calibrated")

    write_file(tmp_path / f"again_{NAME}", read_file(path))

    with fits.open(path) as old, fits.open(tmp_path / f"again_{NAME}") as new:
        assert new[0].header["TARGNAME"] == "M31"
        assert new[0].header.comments["TARGNAME"] == "proposer's target name"
        assert list(new[0].header["HISTORY"]) == ["calibrated"]
        assert [hdu.name for hdu in new] == [hdu.name for hdu in old]
        assert [new["SCI", n].header["CCDCHIP"] for n in (1, 2)] == [2, 1]
        assert "CCDCHIP" not in new[0].header
        assert new[0].header["NEXTEND"] == 6


def test_mask_of_ones_own_becomes_a_flag(tmp_path: Path) -> None:
    """A pixel masked by hand is not lost, and flags that were there stay."""
    image = read_file(write_flt(tmp_path / NAME, (1,)), Reading(good_bits=17))
    image.mask[0] = True

    write_file(tmp_path / f"m_{NAME}", image)

    assert read_file(tmp_path / f"m_{NAME}").flags[:2].tolist() == [[4, 1, 16, 17], [0, 1, 16, 17]]


def test_uncertainty_is_written_as_deviation_in_the_unit_of_the_data(tmp_path: Path) -> None:
    """A variance in other units becomes ERR."""
    data = np.ones((2, 2), np.float32)
    variance = VarianceUncertainty(data * 4, unit=u.electron**2)
    image = CCDData(data, unit=u.electron, uncertainty=variance)

    write_file(tmp_path / NAME, image)

    assert fits.getdata(tmp_path / NAME, "ERR").tolist() == [[2, 2], [2, 2]]
    assert fits.getval(tmp_path / NAME, "BUNIT", "SCI") == "ELECTRONS"


def test_cut_out_has_the_wcs_of_the_cut_out(tmp_path: Path) -> None:
    """The position of a pixel is the same before and after cutting, writing and reading."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.cdelt = ["RA---TAN", "DEC--TAN"], [10, 20], [1e-5, 1e-5]
    path = write_flt(tmp_path / NAME, (1,), **dict(wcs.to_header()))

    image = read_file(path)
    write_file(tmp_path / f"cut_{NAME}", image[1:, 2:])
    cut = read_file(tmp_path / f"cut_{NAME}")

    assert cut.data.shape == (2, 2)
    before, after = image.wcs.pixel_to_world(2, 1), cut.wcs.pixel_to_world(0, 0)
    assert before.separation(after).arcsec < 1e-6


def test_look_up_tables_that_are_gone_do_not_stop_reading(tmp_path: Path) -> None:
    """The WCS comes without them."""
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CPDIS1": "LOOKUP", "DP1.EXTVER": 1.0}
    path = write_flt(tmp_path / NAME, (1,), **cards)

    image = read_file(path)

    assert image.wcs is not None
    assert image.wcs.cpdis1 is None


def test_real_files_are_read_and_written(shared: Path, tmp_path: Path) -> None:
    """WFC3 products with distortion tables and a STIS raw come back equal."""
    for name, chips in (
        ("sample_ipppssoot_flc", 2),
        ("sample_ipppssoot_flt", 1),
        ("o4er06llq_raw", 1),
    ):
        path = shared / "data" / "real" / f"{name}.fits"
        found = read_file(path)
        images = found if isinstance(found, list) else [found]
        assert len(images) == chips
        write_file(tmp_path / path.name, found)
        again = read_file(tmp_path / path.name)
        for before, after in zip(images, again if chips > 1 else [again], strict=True):
            assert np.array_equal(before.data, after.data, equal_nan=True)
            assert np.array_equal(before.flags, after.flags)
            assert before.unit == after.unit
    assert read_file(shared / "data/real/sample_ipppssoot_flc.fits")[0].wcs.cpdis1 is not None


@pytest.mark.parametrize(
    ("reading", "error"),
    [({"imset": 3}, NotFound), ({"imset": 0}, ConfigError), ({"good_bits": 65536}, ConfigError)],
)
def test_what_is_not_there_is_refused(
    tmp_path: Path, reading: dict[str, int], error: type[Exception]
) -> None:
    """An unknown image set or bit is an error that says what there is."""
    path = write_flt(tmp_path / NAME)

    with pytest.raises(error):
        read_file(path, Reading(**reading))


@pytest.mark.parametrize(
    "thing",
    [
        "text",
        [],
        np.ones((2, 2)),
        CCDData(np.ones((2, 2, 2)), unit="adu"),
        CCDData(np.ones((2, 2), np.float16), unit="adu"),
        CCDData(np.ones((2, 2)), unit="adu", flags=np.ones((2, 2))),
    ],
)
def test_what_is_no_image_is_not_written(tmp_path: Path, thing: Any) -> None:
    """Nothing appears."""
    with pytest.raises(ConfigError):
        write_file(tmp_path / NAME, thing)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["shape", "empty", "text"])
def test_damaged_file_is_said_to_be(tmp_path: Path, damage: str) -> None:
    """Arrays that do not fit, no image at all, and no FITS are CorruptFile with the path."""
    path = tmp_path / NAME
    if damage == "text":
        path.write_text("no image")
    elif damage == "empty":
        fits.PrimaryHDU().writeto(path)
    else:
        sci, err = np.ones((2, 2), np.float32), np.ones((2, 3), np.float32)
        images = [fits.ImageHDU(sci, name="SCI"), fits.ImageHDU(err, name="ERR")]
        fits.HDUList([fits.PrimaryHDU(), *images]).writeto(path)

    with pytest.raises(CorruptFile) as caught:
        read_file(path)
    assert caught.value.path == str(path)
