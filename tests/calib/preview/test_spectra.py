"""Pictures of spectra: what is drawn where, and what becomes of odd ones."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from calib.preview import draw_files, make_previews
from calib.preview.axes import Axis
from calib.preview.limits import Limits
from calib.preview.plot import FLAGGED, LINES
from calib.records import Previews
from tests.spectra import UNIT, row, table, write_x1d

Draw = Callable[..., Previews]


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    """Return a function that writes tables as an x1d and draws it."""

    def call(*tables: Any, name: str = "o1_x1d.fits", **cards: Any) -> Previews:
        path = write_x1d(tmp_path / name, *tables, **cards)
        return draw_files([path], tmp_path / "out")

    return call


def content(previews: Previews, end: str) -> Path:
    """Return the path of the file whose name ends so."""
    return next(Path(file.path) for file in previews.files if file.name.endswith(end))


def panels(previews: Previews) -> list[Any]:
    """Return what the description says of the panels."""
    found: list[Any] = json.loads(content(previews, "_preview.json").read_text())["panels"]
    return found


def page(previews: Previews) -> Any:
    """Return the picture; shape (ny, nx, 3), top row first."""
    with Image.open(content(previews, "1d.png")) as picture:
        return np.asarray(picture).astype(int)


def place(panel: Any, wavelength: float, flux: float) -> tuple[int, int]:
    """Return row and column of a point of a panel."""
    left, top, right, bottom = panel["box"]
    x = Axis(Limits(*panel["wavelengths"]), left, right).place(np.array(wavelength))
    y = Axis(Limits(*panel["fluxes"]), bottom, top).place(np.array(flux))
    return round(float(y)), round(float(x))


def is_near(picture: Any, where: tuple[int, int], colour: tuple[int, int, int]) -> bool:
    """Tell whether a pixel within two of a place has a colour, give or take the smoothing."""
    y, x = where
    around = picture[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
    return bool((np.abs(around - colour).max(axis=2) < 60).any())


def test_four_files(draw: Draw) -> None:
    """Names as in the archive; the thumbnail is square."""
    previews = draw(table([row(np.arange(1000, 1100), np.ones(100))]))
    names = ["o1_x1d.png", "o1_x1d_thumb.png", "o1_x1d_prev.fits", "o1_x1d_preview.json"]
    assert [file.name for file in previews.files] == names
    assert previews.warnings == ()
    with Image.open(content(previews, "_thumb.png")) as thumb:
        assert thumb.size == (128, 128)


def test_line_is_drawn_where_it_is(draw: Draw) -> None:
    """A triangle of 10 at 5000 Angstrom on a continuum of 2: peak, foot, and nothing above."""
    waves = np.linspace(4000, 6000, 2001)
    flux = 2 + 8 * np.clip(1 - np.abs(waves - 5000) / 200, 0, None)
    previews = draw(table([row(waves, flux, ERROR=np.zeros(2001))]))
    (panel,) = panels(previews)
    picture = page(previews)
    assert panel["wavelengths"] == [4000, 6000]
    blue = LINES[0]
    for wavelength, value in ((4500, 2), (4900, 6), (5000, 10), (5100, 6), (5500, 2)):
        assert is_near(picture, place(panel, wavelength, value), blue), wavelength
    for wavelength, value in ((4500, 5), (5000, 6), (5500, 0.8)):
        assert not is_near(picture, place(panel, wavelength, value), blue), wavelength


def test_error_band_is_drawn_around_the_line(draw: Draw) -> None:
    """Flux 4 with an error of 1: coloured from 3 to 5, white beyond."""
    waves = np.linspace(4000, 6000, 500)
    flux = np.where(waves < 4400, 8.0, 4.0)
    previews = draw(table([row(waves, flux, ERROR=np.ones(500))]))
    (panel,) = panels(previews)
    picture = page(previews)
    for value, is_white in ((2.5, True), (3.3, False), (4.7, False), (5.5, True)):
        assert (picture[place(panel, 5000, value)].min() == 255) == is_white


def test_flagged_and_missing_points(draw: Draw) -> None:
    """Flagged ones are grey at their place, missing ones leave a gap."""
    waves = np.linspace(4000, 6000, 2001)
    flux, dq = np.full(2001, 5.0), np.zeros(2001, int)
    flux[500:700], dq[500:700] = 3, 4
    flux[1200:1400] = np.nan
    previews = draw(table([row(waves, flux, DQ=dq, ERROR=np.zeros(2001))]))
    (panel,) = panels(previews)
    picture = page(previews)
    assert is_near(picture, place(panel, 4600, 3), FLAGGED)
    assert not is_near(picture, place(panel, 4600, 5), LINES[0])
    assert is_near(picture, place(panel, 5000, 5), LINES[0])
    assert not is_near(picture, place(panel, 5300, 5), LINES[0])


def test_wavelengths_in_any_order_give_the_same_picture(draw: Draw) -> None:
    """Points are joined as neighbours in wavelength, not as they come."""
    waves, flux = np.linspace(4000, 6000, 300), np.sin(np.arange(300) / 20) + 2
    mixed = np.random.default_rng(1).permutation(300)
    one = draw(table([row(waves, flux)]), name="a_x1d.fits", TARGNAME="", ROOTNAME="")
    other = draw(
        table([row(waves[mixed], flux[mixed])]), name="b_x1d.fits", ROOTNAME="", TARGNAME=""
    )
    assert np.array_equal(page(one), page(other))


def test_segments_stand_below_each_other_by_wavelength(draw: Draw) -> None:
    """FUVB, the shorter wavelengths, comes first though it is the second row."""
    waves = np.linspace(1310, 1450, 64)
    rows = [row(waves - d, np.ones(64), SEGMENT=s) for d, s in ((0, "FUVA"), (160, "FUVB"))]
    previews = draw(table(rows), name="l1_x1dsum.fits", INSTRUME="COS")
    assert [panel["label"] for panel in panels(previews)] == ["FUVB", "FUVA"]
    with fits.open(content(previews, "_prev.fits")) as hdus:
        assert np.unique(hdus[1].data["SEGMENT"]).tolist() == ["FUVA", "FUVB"]


def test_orders_of_an_echelle_share_axes_and_are_told_apart(draw: Draw) -> None:
    """Four ranges of wavelengths; neighbouring orders are drawn in two blues."""
    rows = [
        row(np.linspace(2000, 2060, 64) + 50 * n, np.full(64, 2.0), SPORDER=np.int16(90 - n))
        for n in range(8)
    ]
    previews = draw(table(rows))
    found = panels(previews)
    edges = [edge for panel in found for edge in panel["wavelengths"]]
    assert edges[0] == 2000
    assert edges[-1] == 2410
    assert edges[1:-1:2] == edges[2:-1:2]
    assert found[0]["label"] == "orders 88-90"
    picture = page(previews)
    assert is_near(picture, place(found[0], 2030, 2), LINES[0])  # order 90
    assert is_near(picture, place(found[0], 2080, 2), LINES[1])  # order 89


def test_of_many_exposures_four_are_shown(draw: Draw) -> None:
    """At even distances; the table has all of them."""
    waves = np.linspace(4000, 5000, 16)
    previews = draw(*(table([row(waves, np.ones(16))], version=n) for n in range(1, 8)))
    labels = [panel["label"] for panel in panels(previews)]
    assert labels == [f"exposure {n} of 7" for n in (1, 3, 5, 7)]
    with fits.open(content(previews, "_prev.fits")) as hdus:
        assert np.unique(hdus[1].data["EXPOSURE"]).tolist() == list(range(1, 8))


def test_table_of_the_curves(draw: Draw) -> None:
    """Every point as it was, flagged and missing ones too, with units and the words of the file."""
    flux = [1e-14, np.nan, -2e-15]
    rows = [row([1200.5, 1201, 1202], flux, DQ=[0, 4, 16], ERROR=[1e-15] * 3)]
    previews = draw(table(rows), OPT_ELEM="G140L", CENWAVE=1425)
    with fits.open(content(previews, "_prev.fits")) as hdus:
        data, header = hdus[1].data, hdus[0].header
        assert data.names == ["WAVELENGTH", "FLUX", "ERROR", "DQ"]
        assert data["WAVELENGTH"].tolist() == [1200.5, 1201, 1202]
        np.testing.assert_allclose(data["FLUX"], np.array(flux, np.float32))
        assert data["DQ"].tolist() == [0, 4, 16]
        assert hdus[1].columns["WAVELENGTH"].unit == "Angstrom"
        assert (header["OPT_ELEM"], header["CENWAVE"]) == ("G140L", 1425)
        assert header["SOURCE"] == "o1_x1d.fits"
        assert (header["TARGNAME"], header["ROOTNAME"]) == ("STAR", "o1_x1d.fi")
    again = draw_files([content(previews, "_prev.fits")], content(previews, ".png").parent)
    assert again.warnings == ()


@pytest.mark.parametrize(
    "rows",
    [
        [row([1000.0], [1.0])],
        [row(np.linspace(1000, 1001, 9), np.zeros(9))],
        [row(np.linspace(1000, 1001, 9), np.ones(9), DQ=[4] * 9)],
        [row(np.full(9, 1000.0), np.ones(9))],
        [row(np.linspace(2000, 1000, 9), -np.ones(9))],
        [row([1000, np.nan, 1002, np.inf], [1, 2, np.inf, 4])],
        [row(np.linspace(1000, 1001, 9), np.full(9, 3e38))],
        [row(np.linspace(1000, 1001, 9), np.ones(9), ERROR=[np.nan, -1, np.inf] * 3)],
    ],
)
def test_odd_spectra_are_drawn(draw: Draw, rows: list[Any]) -> None:
    """One pixel, zeros, all flagged, one wavelength, falling, not finite, huge: no exception."""
    previews = draw(table(rows))
    assert (len(previews.files), previews.warnings) == (4, ())
    assert (page(previews)[70:, 80:] < 200).any()


def test_spectrum_without_a_flux_says_so(draw: Draw) -> None:
    """All NaN is a picture of axes."""
    previews = draw(table([row(np.linspace(1000, 1001, 9), np.full(9, np.nan))]))
    assert previews.warnings == ()
    assert previews.remarks == ("o1_x1d.fits: no finite flux: the picture is empty",)
    assert len(previews.files) == 4


HUGE = [1.0, 2.0, 1e308, 4.0, 5.0]
UP_AND_DOWN = [1.7e308, -1.7e308, 1.7e308, -1.7e308, 1.7e308]


@pytest.mark.parametrize(
    ("columns", "drawn"),
    [
        ({"FLUX": HUGE}, True),
        ({"FLUX": UP_AND_DOWN}, True),
        ({"ERROR": UP_AND_DOWN}, True),
        ({"FLUX": [1e-320] * 5}, True),
        ({"WAVELENGTH": [1e20] * 5}, True),
        ({"WAVELENGTH": UP_AND_DOWN}, False),
        ({"SPORDER": 70_000.0}, True),
        ({"SPORDER": 1e300}, False),
    ],
)
def test_numbers_that_nobody_counts(tmp_path: Path, columns: dict[str, Any], drawn: bool) -> None:
    """They make a picture, or a warning: nothing is raised, and no empty file is left."""
    usual = {"WAVELENGTH": [1001.0, 1002, 1003, 1004, 1005], "FLUX": [1.0, 2, 3, 4, 5]}
    values = {name: np.array([each]) for name, each in {**usual, **columns}.items()}
    made = [fits.Column(n, f"{np.size(v)}D", array=v) for n, v in values.items()]
    path = write_x1d(tmp_path / "o1_x1d.fits", fits.BinTableHDU.from_columns(made, name="SCI"))

    previews = draw_files([path], tmp_path / "out")

    assert (len(previews.files), len(previews.warnings)) == ((4, 0) if drawn else (0, 1))
    assert all(file.size for file in previews.files)


def test_flags_of_sixteen_bits(draw: Draw) -> None:
    """SDQFLAGS of all of them is 65535: more than a number with a sign has room for."""
    previews = draw(table([row([1.0, 2, 3], [1, 2, 3], DQ=[0, 16384, 0])], SDQFLAGS=65535))
    assert previews.warnings == ()
    with fits.open(content(previews, "_prev.fits")) as hdus:
        assert hdus[1].data["DQ"].tolist() == [0, 16384, 0]


CARDS = ["SIMPLE", "BITPIX", "NAXIS", "INSTRUME", "TARGNAME", "EXTVER", "EXTNAME", "SDQFLAGS"]
CARDS += ["TFIELDS", "TFORM1", "TTYPE2", "TUNIT2", "TFORM3", "GCOUNT", "XTENSION"]
WORDS = ["T", "'ABC'", "''", "17", "70000", "1E400", "99999999999999999999", "1.0.0", "'1D'", "8"]


@settings(max_examples=40, deadline=None)
@given(cards=st.dictionaries(st.sampled_from(CARDS), st.sampled_from(WORDS), min_size=1))
def test_strange_headers_stop_nothing(
    tmp_path_factory: pytest.TempPathFactory, cards: dict[str, str]
) -> None:
    """Whatever the cards say, there is a preview or a warning, never an exception."""
    folder = tmp_path_factory.mktemp("x1d")
    rows = [row([1.0, 2, 3], [1, 2, 3], SPORDER=np.int16(1))]
    path = write_x1d(folder / "o1_x1d.fits", table(rows, SDQFLAGS=31743))
    content = path.read_bytes()
    for name, word in cards.items():
        pattern = re.escape(f"{name:8}= ".encode()) + b".{70}"
        content = re.sub(pattern, f"{name:8}= {word:>20}{'':50}".encode(), content)
    path.write_bytes(content)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        previews = draw_files([path], folder / "out")

    assert bool(previews.files) != bool(previews.warnings)


def test_damaged_spectra_become_warnings(tmp_path: Path) -> None:
    """Empty, cut short, absent: nothing of them is left, and the good one is drawn."""
    good = write_x1d(tmp_path / "o1_x1d.fits", table([row(np.arange(1.0, 900), np.ones(899))]))
    cut, empty = tmp_path / "o2_x1d.fits", tmp_path / "o3_x1d.fits"
    cut.write_bytes(good.read_bytes()[:-2880])
    empty.write_bytes(b"")
    paths = [cut, empty, tmp_path / "o4_x1d.fits", good]
    previews = make_previews(paths, tmp_path / "out", instrument="stis")
    assert [line.partition(":")[0] for line in previews.warnings] == [p.name for p in paths[:3]]
    assert {file.name[:2] for file in previews.files} == {"o1"}
    assert {path.name[:2] for path in (tmp_path / "out").iterdir()} == {"o1"}


def test_same_spectrum_gives_the_same_bytes(tmp_path: Path) -> None:
    """Previews are products: a rerun must not change their checksums."""
    path = write_x1d(tmp_path / "o1_x1d.fits", table([row(np.arange(1.0, 50), np.ones(49))]))
    assert draw_files([path], tmp_path / "out") == draw_files([path], tmp_path / "out")


def test_real_echelle_spectrum(shared: Path, tmp_path: Path) -> None:
    """BD+28D4211 with E230M: interstellar lines and the continuum are where the file has them."""
    source = shared / "data" / "real" / "odbue5030_x1d.fits"
    previews = make_previews([source], tmp_path / "out", instrument="stis")
    assert previews.warnings == ()
    found, picture = panels(previews), page(previews)
    assert found[0]["label"] == "orders 113-126"
    with fits.open(source) as hdus:
        data = hdus["SCI"].data
        good = (data["DQ"] & hdus["SCI"].header["SDQFLAGS"]) == 0
        waves, flux = data["WAVELENGTH"][good], data["FLUX"][good]
    assert found[0]["wavelengths"][0] == waves.min()
    assert found[-1]["wavelengths"][1] == waves.max()
    for panel in found:
        low, high = panel["fluxes"]
        inside = (waves >= panel["wavelengths"][0]) & (waves <= panel["wavelengths"][1])
        assert np.mean((flux[inside] > low) & (flux[inside] < high)) > 0.98
        assert high < 2 * np.percentile(flux[inside], 99)  # the ends of orders do not rule
        _is_where_the_file_has_it(picture, panel, waves[inside], flux[inside])
    with fits.open(content(previews, "_prev.fits")) as hdus:
        assert len(hdus[1].data) == 40 * 1024
        assert np.unique(hdus[1].data["SPORDER"]).tolist() == list(range(87, 127))


def _is_where_the_file_has_it(picture: Any, panel: Any, waves: Any, flux: Any) -> None:
    """Check that the deepest line and fifty points are drawn in blue at their places."""
    step = waves.size // 50
    chosen = [int(np.argmin(np.where(flux > panel["fluxes"][0], flux, np.inf)))]
    chosen += range(step // 2, waves.size, step)
    for number in chosen:
        if panel["fluxes"][0] < flux[number] < panel["fluxes"][1]:
            where = place(panel, waves[number], flux[number])
            assert any(is_near(picture, where, blue) for blue in LINES), waves[number]


def test_units_are_those_of_the_file(draw: Draw) -> None:
    """The description repeats the texts that stand at the axes."""
    previews = draw(table([row([1.0, 2, 3], [1e-14] * 3)]))
    told = json.loads(content(previews, "_preview.json").read_text())
    assert told["units"] == ["Angstroms", UNIT]
    assert (told["points"], told["good_points"], told["quantity"]) == (3, 3, "FLUX")
