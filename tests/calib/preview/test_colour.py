"""Pictures in colour of visits and skycells."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from PIL import Image

from calib.errors import CorruptFile
from calib.preview import draw_files, make_previews
from calib.preview.colour import draw_composite, plan_composites

Write = Callable[..., Path]
SHAPE = (40, 60)
WFC = "hst_10265_01_acs_wfc_{}_j92c01_drc"
CELL = "hst_skycell-p1889x07y19_wfc3_{}_{}_{}_drz"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a mosaic with one bright square of 8 by 8 pixels."""

    def call(name: str, at: tuple[int, int] = (4, 6), shape: tuple[int, int] = SHAPE) -> Path:
        data = np.random.default_rng(1).normal(0.02, 0.002, shape).astype(np.float32)
        data[at[0] : at[0] + 8, at[1] : at[1] + 8] = 3
        weight = np.ones(shape, np.float32)
        hdus = [fits.ImageHDU(data, name="SCI", ver=1), fits.ImageHDU(weight, name="WHT", ver=1)]
        path = tmp_path / f"{name}.fits"
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
        return path

    return call


def edit(path: Path, **cards: Any) -> Path:
    """Set cards of SCI."""
    with fits.open(path, mode="update") as hdus:
        hdus["SCI"].header.update(cards)
    return path


def read(path: Path) -> Any:
    """Return a picture with row 0 at the bottom; shape (ny, nx, 3)."""
    with Image.open(path) as picture:
        return np.asarray(picture)[::-1].astype(int)


def told(folder: Path, name: str) -> Any:
    """Return the channels of the description."""
    return json.loads((folder / f"{name}_color_preview.json").read_text())["channels"]


def test_long_waves_are_red_and_short_ones_blue(write: Write, tmp_path: Path) -> None:
    """Each filter sees one square of its own: red, green and blue at their places."""
    places = {"f814w": (4, 6), "f606w": (4, 26), "f435w": (24, 46)}
    paths = [write(WFC.format(name), at=at) for name, at in places.items()]
    out = tmp_path / "out"

    previews = make_previews(paths, out, instrument="acs", kind="svm", thumb=30)

    assert previews.warnings == ()
    total = WFC.format("total")
    names = [file.name for file in previews.files if "_color" in file.name]
    assert names == [f"{total}_color{end}" for end in (".jpg", "_thumb.jpg", "_preview.json")]
    for name, factor in ((f"{total}_color.jpg", 1), (f"{total}_color_thumb.jpg", 2)):
        picture = read(out / name)
        assert picture.shape == (40 // factor, 60 // factor, 3)
        for channel, (y, x) in enumerate(places.values()):
            middle = picture[(y + 4) // factor, (x + 4) // factor]
            assert np.argmax(middle) == channel
            assert middle[channel] > middle.sum() - middle[channel] + 50
    assert told(out, total)["green"]["source"] == paths[1].name


def test_of_two_filters_green_is_the_mean(write: Write, tmp_path: Path) -> None:
    """A red and a blue square are red and blue with half as much green."""
    paths = [write(WFC.format("f814w"), (4, 6)), write(WFC.format("f435w"), (24, 46))]
    draw_files(paths, tmp_path)
    picture = read(tmp_path / f"{WFC.format('total')}_color.jpg")
    assert picture[8, 10] == pytest.approx([255, 127, 0], abs=30)
    assert picture[28, 50] == pytest.approx([0, 127, 255], abs=30)
    assert told(tmp_path, WFC.format("total"))["green"] == "mean of red and blue"


def test_lower_median_is_green(write: Write, tmp_path: Path) -> None:
    """Of four filters the second by wavelength, as CALDP has it."""
    for name in ("f435w", "f814w", "f606w", "f850lp"):
        write(WFC.format(name))
    draw_files(sorted(tmp_path.glob("*.fits")), tmp_path)
    channels = told(tmp_path, WFC.format("total"))
    found = [channels[colour]["filter"] for colour in ("red", "green", "blue")]
    assert found == ["f850lp", "f606w", "f435w"]
    assert channels["red"]["wavelength_nm"] == 903


def test_header_knows_the_wavelength_better(write: Write, tmp_path: Path) -> None:
    """PHOTPLAM in Angstrom comes first, also where the name says nothing; zero is none."""
    edit(write(WFC.format("f625w")), PHOTPLAM=6200.0)
    edit(write(WFC.format("mystery")), PHOTPLAM=9000.0)
    edit(write(WFC.format("f606w")), PHOTPLAM=0.0)
    composites, remarks = plan_composites(sorted(tmp_path.glob("*.fits")))
    assert remarks == ()
    assert [(each.filter, each.wavelength) for each in composites[0].layers] == [
        ("f606w", 606),
        ("f625w", 620),
        ("mystery", 900),
    ]


def test_equal_wavelengths_do_not_replace_each_other(write: Write) -> None:
    """Three positions of a polariser are three channels."""
    paths = [write(WFC.format(f"f606w-pol{angle}v")) for angle in (60, 120, 0)]
    (composite,), _ = plan_composites(paths)
    found = [layer.filter for layer in composite.channels]
    assert found == ["f606w-pol60v", "f606w-pol120v", "f606w-pol0v"]


def test_detectors_layers_and_fields_stay_apart(write: Write) -> None:
    """Infrared beside ultraviolet, coarse beside fine, one visit beside another."""
    names = [
        CELL.format("ir", f, layer) for f in ("f110w", "f160w") for layer in ("all", "coarse-all")
    ]
    names += [CELL.format("uvis", "f336w", "all"), WFC.format("f606w")]
    names += [WFC.format(f).replace("_01_", "_02_") for f in ("f435w", "f814w")]
    composites, remarks = plan_composites([write(name) for name in names])
    assert {each.name: len(each.layers) for each in composites} == {
        f"{CELL.format('ir', 'total', 'all')}_color": 2,
        f"{CELL.format('ir', 'total', 'coarse-all')}_color": 2,
        f"{WFC.format('total').replace('_01_', '_02_')}_color": 2,
    }
    assert remarks == ()
    infrared = next(each for each in composites if "_total_all_" in each.name)
    assert [layer.wavelength for layer in infrared.layers] == [1100, 1600]


def test_unknown_filter_is_a_remark_and_clear_is_none(write: Write, tmp_path: Path) -> None:
    """The others are shown in colour; totals and single exposures take no part."""
    for name in ("f435w", "f814w", "f606q", "clear", "total"):
        write(WFC.format(name))
    write("hst_10265_01_acs_wfc_f606w_j92c01b4_drc")
    previews = draw_files(sorted(tmp_path.glob("*.fits")), tmp_path / "out")
    assert previews.warnings == ()
    assert previews.remarks == (
        f"{WFC.format('f606q')}.fits: not in the colour picture: unknown filter",
    )
    assert json.loads((tmp_path / "out" / f"{WFC.format('total')}_color_preview.json").read_text())[
        "filters"
    ] == ["f435w", "f814w"]


@pytest.mark.parametrize("other", ["shape", "place", "no image"])
def test_filters_on_different_grids_give_no_picture(
    write: Write, tmp_path: Path, other: str
) -> None:
    """No composite, a warning that says why, nothing half-made; each filter is drawn."""
    paths = [write(WFC.format("f435w"))]
    paths += [write(WFC.format("f814w"), shape=(40, 61) if other == "shape" else SHAPE)]
    if other == "place":
        edit(paths[1], CRPIX1=12.5)
    if other == "no image":
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(name="SCI")]).writeto(
            paths[1], overwrite=True
        )
    previews = draw_files(paths, tmp_path / "out")
    reason = "no image to show" if other == "no image" else "not on one grid of pixels"
    assert reason in previews.warnings[-1]
    assert previews.warnings[-1].startswith(f"{WFC.format('total')}_color: no preview")
    assert not list((tmp_path / "out").glob("*_color*"))
    assert (tmp_path / "out" / f"{WFC.format('f435w')}.jpg").exists()


def test_pixels_that_were_not_observed_are_black(write: Write, tmp_path: Path) -> None:
    """Weight zero or NaN in all filters; they do not set the limits either."""
    paths = [write(WFC.format("f435w")), write(WFC.format("f814w"))]
    for path in paths:
        with fits.open(path, mode="update") as hdus:
            hdus["WHT"].data[:, 40:] = 0
            hdus["SCI"].data[:, 40:] = 1e6
            hdus["SCI"].data[30:, :] = np.nan
    draw_files(paths, tmp_path)
    picture = read(tmp_path / f"{WFC.format('total')}_color.jpg")
    assert picture[:, 48:].max() < 10
    assert picture[36:].max() < 10
    assert told(tmp_path, WFC.format("total"))["red"]["limits"][1] <= 3


def test_rows_are_read_in_pieces(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same picture whatever is in memory at a time."""
    paths = [write(WFC.format(name), at) for name, at in (("f435w", (4, 6)), ("f814w", (24, 40)))]
    (composite,), _ = plan_composites(paths)
    whole, _ = draw_composite(composite, tmp_path / "whole", 16)
    monkeypatch.setattr("calib.preview.colour._AT_ONCE", 7 * SHAPE[1])
    pieces, _ = draw_composite(composite, tmp_path / "pieces", 16)
    assert [file.sha256 for file in pieces[:2]] == [file.sha256 for file in whole[:2]]


@pytest.mark.parametrize("value", [0.0, np.nan, 5.0])
def test_images_without_contrast(write: Write, tmp_path: Path, value: float) -> None:
    """Constant and empty mosaics are drawn without an exception."""
    paths = [write(WFC.format("f435w"), shape=(1, 1)), write(WFC.format("f814w"), shape=(1, 1))]
    for path in paths:
        with fits.open(path, mode="update") as hdus:
            hdus["SCI"].data[:] = value
    previews = draw_files(paths, tmp_path)
    assert read(tmp_path / f"{WFC.format('total')}_color.jpg").shape == (1, 1, 3)
    assert len(previews.files) == 9


def test_turned_mosaics_are_not_on_one_grid(write: Write, tmp_path: Path) -> None:
    """The same centre, other directions; rounding in the last digits is no turn."""
    steps = {"CD1_1": -1e-5, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 1e-5}
    paths = [edit(write(WFC.format(name)), **steps) for name in ("f435w", "f814w")]
    edit(paths[1], CD1_1=-1e-5 * (1 + 1e-9), CD1_2=1e-18)
    assert draw_files(paths, tmp_path / "a").warnings == ()

    edit(paths[1], CD1_1=1e-5)
    (warning,) = draw_files(paths, tmp_path / "b").warnings
    assert "not on one grid of pixels" in warning


@pytest.mark.parametrize("name", ["clear", "clear2l", "g102", "g800l", "pr200l", "pol0v"])
def test_what_has_no_colour_is_not_shown_in_one(write: Write, name: str) -> None:
    """A spectrum without slit has a mean wavelength in its header, and no colour."""
    paths = [write(WFC.format(each)) for each in ("f435w", "f814w", name)]
    (composite,), remarks = plan_composites([edit(path, PHOTPLAM=9970.0) for path in paths])
    assert [layer.filter for layer in composite.layers] == ["f435w", "f814w"]
    assert remarks == ()


@pytest.mark.parametrize("odd", ["BITPIX", "table"])
def test_strange_mosaics_stop_nothing(write: Write, tmp_path: Path, odd: str) -> None:
    """An image of 17 bits, and a table where an image should be: the others are drawn."""
    paths = [write(WFC.format(name)) for name in ("f435w", "f606w", "f814w")]
    if odd == "table":
        hdu = fits.BinTableHDU.from_columns([fits.Column("A", "E", array=[1.0])], name="SCI", ver=1)
        hdu.writeto(paths[1], overwrite=True)
    else:
        content = paths[1].read_bytes().replace(b"                  -32", b"                   17")
        paths[1].write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        previews = draw_files(paths, tmp_path / "out")
    assert previews.warnings[0].startswith(f"{paths[1].name}: no preview")
    assert {f"{WFC.format(name)}.jpg" for name in ("f435w", "f814w")} < {
        file.name for file in previews.files
    }


def test_truncated_mosaic_is_refused(write: Write, tmp_path: Path) -> None:
    """A file that ends inside its pixels makes no picture."""
    paths = [write(WFC.format("f435w")), write(WFC.format("f814w"))]
    (composite,), _ = plan_composites(paths)
    paths[1].write_bytes(paths[1].read_bytes()[:-5760])
    with pytest.raises(CorruptFile):
        draw_composite(composite, tmp_path, 16)
    assert not list(tmp_path.glob("*_color*"))


@pytest.mark.parametrize(
    ("kind", "instrument", "drawn"),
    [("svm", "acs", ["total", "filter", "exposure"]), ("mvm", "mvm", ["total", "filter"])],
)
def test_levels_that_are_drawn(
    write: Write, tmp_path: Path, kind: Any, instrument: str, drawn: list[str]
) -> None:
    """CALDP's: all mosaics of a visit, those of a skycell but for single exposures."""
    if kind == "svm":
        stems = [WFC.format("total"), WFC.format("f606w"), f"{WFC.format('f606w')[:-4]}b4_drc"]
    else:
        stems = [CELL.format("ir", f, "all") for f in ("total", "f110w")]
        stems.append(CELL.format("ir", "f110w", "all-ib1f0au1"))
    names = dict(zip(("total", "filter", "exposure"), stems, strict=True))
    others = [write(each) for each in ("j92c01030_drc", f"{stems[0][:-4]}_ref_drz")]
    paths = [write(stem) for stem in stems]
    previews = make_previews([*paths, *others], tmp_path / "out", instrument=instrument, kind=kind)
    made = {file.name for file in previews.files if file.name.endswith("_thumb.jpg")}
    assert made == {f"{names[level]}_thumb.jpg" for level in drawn}


def test_thumbnails_of_skycells_are_larger(write: Write, tmp_path: Path) -> None:
    """512 pixels, also in colour; what a person asks for goes first."""
    paths = [write(CELL.format("ir", f, "all"), shape=(20, 600)) for f in ("f110w", "f160w")]
    stage = partial(make_previews, instrument="mvm", kind="mvm")
    for draw in (stage, draw_files):
        for thumb, width in ((None, 512), (128, 128), (64, 64)):
            made = draw(paths, tmp_path / "out", thumb=thumb)
            thumbs = [file.path for file in made.files if "_thumb" in file.name]
            assert {read(Path(path)).shape[1] for path in thumbs} == {width}
