"""Tables of spectra as curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from calib.errors import CorruptFile, NotFound
from calib.preview.spectrum import holds_spectrum, read_spectrum
from tests.spectra import UNIT, row, table, write_x1d

WAVES = np.linspace(1000, 1100, 5)


def test_segments_of_cos(tmp_path: Path) -> None:
    """A row for each segment; flags by SDQFLAGS of the table, points of no weight are not good."""
    rows = [
        row(WAVES, [1, 2, 3, 4, 5], DQ=[0, 4, 8192, 0, 0], DQ_WGT=[1.0] * 5, SEGMENT="FUVA"),
        row(WAVES - 150, [1, 2, 3, 4, 5], DQ_WGT=[0.0, 1, 1, 1, 1], DQ=[0] * 5, SEGMENT="FUVB"),
    ]
    path = write_x1d(tmp_path / "l1_x1d.fits", table(rows, SDQFLAGS=8192), instrument="COS")

    spectrum = read_spectrum(path)

    assert [curve.segment for curve in spectrum.curves] == ["FUVA", "FUVB"]
    assert spectrum.curves[0].good.tolist() == [True, True, False, True, True]
    assert spectrum.curves[1].good.tolist() == [False, True, True, True, True]
    assert (spectrum.quantity, spectrum.units) == ("FLUX", ("Angstroms", UNIT))
    assert not spectrum.is_echelle


def test_orders_of_stis_and_what_they_are_filled_up_with(tmp_path: Path) -> None:
    """Only the first NELEM points count; a row of none is no curve."""
    rows = [
        row(WAVES, [1, 2, 3, 99, 99], SPORDER=np.int16(70), NELEM=np.int16(3)),
        row(WAVES, [1, 2, 3, 4, 5], SPORDER=np.int16(69), NELEM=np.int16(5)),
        row(WAVES, [1, 2, 3, 4, 5], SPORDER=np.int16(68), NELEM=np.int16(0)),
    ]
    spectrum = read_spectrum(write_x1d(tmp_path / "o1_x1d.fits", table(rows)))
    assert [(curve.order, curve.flux.size) for curve in spectrum.curves] == [(70, 3), (69, 5)]
    assert spectrum.is_echelle


def test_exposures_are_kept_apart(tmp_path: Path) -> None:
    """Each image set of STIS has a table of its own."""
    tables = [table([row(WAVES, [n] * 5, SPORDER=np.int16(1))], version=n) for n in (1, 2, 3)]
    spectrum = read_spectrum(write_x1d(tmp_path / "o1_x1d.fits", *tables))
    assert [(curve.exposure, curve.flux[0]) for curve in spectrum.curves] == [
        (1, 1),
        (2, 2),
        (3, 3),
    ]
    assert not spectrum.is_echelle


@pytest.mark.parametrize(("instrument", "bit"), [("STIS", 1024), ("COS", 4096)])
def test_usual_flags_where_the_table_has_none(tmp_path: Path, instrument: str, bit: int) -> None:
    """Small blemishes and low pulses hold light; 128, overscan or out of bounds, does not."""
    rows = [row(WAVES, [1] * 5, DQ=[0, bit, 128, 0, 0])]
    path = write_x1d(tmp_path / "a_x1d.fits", table(rows), instrument=instrument)
    assert read_spectrum(path).curves[0].good.tolist() == [True, True, False, True, True]


def test_net_counts_stand_in_for_fluxes_that_were_not_calibrated(tmp_path: Path) -> None:
    """Zero everywhere is no flux."""
    rows = [row(WAVES, [0] * 5, NET=[1.0, 2, 3, 4, 5], NET_ERROR=[0.5] * 5)]
    spectrum = read_spectrum(write_x1d(tmp_path / "o1_x1d.fits", table(rows)))
    assert (spectrum.quantity, spectrum.units[1]) == ("NET", "Counts/s")
    assert spectrum.curves[0].flux.tolist() == [1, 2, 3, 4, 5]
    assert spectrum.curves[0].error.tolist() == [0.5] * 5


@pytest.mark.parametrize(
    ("flux", "net", "quantity"),
    [
        ([0] * 5, [np.nan] * 5, "FLUX"),
        ([np.nan] * 5, [np.nan, 0, 0, 0, 0], "FLUX"),
        ([np.nan] * 5, [np.nan, 2, 0, 0, 0], "NET"),
        ([np.inf] * 5, [1.0] * 5, "NET"),
        ([0, 0, 1e-15, 0, 0], [1.0] * 5, "FLUX"),
    ],
)
def test_what_is_no_number_says_nothing(
    tmp_path: Path, flux: list[float], net: list[float], quantity: str
) -> None:
    """NaN and infinity are no flux, and no net count rate either."""
    path = write_x1d(tmp_path / "o1_x1d.fits", table([row(WAVES, flux, NET=net)]))
    assert read_spectrum(path).quantity == quantity


def test_points_without_a_place_are_neither_seen_nor_good(tmp_path: Path) -> None:
    """NaN of either, no wavelength: they stay in the curve, as they were."""
    rows = [row([1000, np.nan, 0, -5, 1004], [np.nan, 2, 3, 4, np.inf])]
    curve = read_spectrum(write_x1d(tmp_path / "o1_x1d.fits", table(rows))).curves[0]
    assert not curve.seen.any()
    assert not curve.good.any()
    assert curve.flux.size == 5


@pytest.mark.parametrize("labels", [{"SPORDER": np.int16(1)}, {"SEGMENT": "NUVA"}])
def test_single_pixel_is_a_curve_of_one_point(tmp_path: Path, labels: dict[str, object]) -> None:
    """FITS stores arrays of one as plain numbers: two rows are two curves."""
    rows = [row([1000 + n], [1], **labels) for n in (0, 1)]
    spectrum = read_spectrum(write_x1d(tmp_path / "o1_x1d.fits", table(rows)))
    assert [curve.flux.tolist() for curve in spectrum.curves] == [[1], [1]]


def test_table_of_one_point_a_row_is_one_curve(tmp_path: Path) -> None:
    """As the tables of our own previews are, and many of other people."""
    columns = [fits.Column(n, "E", array=[1.0, 2, 3]) for n in ("WAVELENGTH", "FLUX")]
    path = write_x1d(tmp_path / "mine.fits", fits.BinTableHDU.from_columns(columns))
    assert holds_spectrum(path)
    curve = read_spectrum(path).curves[0]
    assert curve.flux.tolist() == [1, 2, 3]
    assert np.isnan(curve.error).all()
    assert (curve.dq == 0).all()


def test_files_without_a_spectrum(tmp_path: Path) -> None:
    """Nothing there, no table, another table, no rows, columns of two lengths, words."""
    with pytest.raises(NotFound):
        read_spectrum(tmp_path / "no_x1d.fits")
    other = fits.BinTableHDU.from_columns([fits.Column("FLUX", "E", array=[1.0])])
    empty = fits.BinTableHDU(table([row(WAVES, [1] * 5)]).data[:0])
    uneven = table([{**row(WAVES, [1] * 5), "DQ": [0, 0]}])
    words = [fits.Column(n, "4A", array=["a", "b"]) for n in ("WAVELENGTH", "FLUX")]
    text = fits.BinTableHDU.from_columns(words)
    for number, hdus in enumerate(([], [other], [empty], [uneven], [text])):
        path = write_x1d(tmp_path / f"o{number}_x1d.fits", *hdus)
        assert holds_spectrum(path)  # by its suffix: it should be one
        with pytest.raises(CorruptFile, match="no spectrum to show"):
            read_spectrum(path)


def test_images_are_no_spectra(tmp_path: Path) -> None:
    """An image, or a table of other things, under a name that says nothing."""
    path = tmp_path / "o1_flt.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.zeros((2, 2)), name="SCI")]).writeto(path)
    assert not holds_spectrum(path)
