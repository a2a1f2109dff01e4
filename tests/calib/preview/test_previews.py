"""From FITS files to pictures, and what becomes of files that cannot be drawn."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from calib.errors import ConfigError
from calib.preview import draw_files, make_previews
from calib.records import Previews

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a file of (name, version, pixels or None) extensions."""

    def call(name: str, *extensions: tuple[str, int, Any], detector: str = "HRC") -> Path:
        primary = fits.PrimaryHDU()
        primary.header["DETECTOR"] = detector
        hdus = fits.HDUList([primary])
        for extension, version, data in extensions:
            hdus.append(fits.ImageHDU(data, name=extension, ver=version))
        hdus.writeto(tmp_path / name)
        return tmp_path / name

    return call


@pytest.fixture
def draw(tmp_path: Path) -> Callable[..., Previews]:
    """Return a function that draws ACS files into `out`."""
    return lambda *paths, **options: make_previews(
        paths, tmp_path / "out", instrument="acs", **options
    )


def field(ny: int = 40, nx: int = 60) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return a noisy sky with one bright square at the lower left (row 0 is the bottom)."""
    sky = np.random.default_rng(1).normal(100, 3, (ny, nx)).astype(np.float32)
    sky[2:8, 3:9] = 3000
    return sky


def picture(previews: Previews, name: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the grey levels of a picture, top row first."""
    path = next(file.path for file in previews.files if file.name == name)
    return np.asarray(Image.open(path))


def test_three_files_for_each_product(write: Write, draw: Callable[..., Previews]) -> None:
    """Names as in the archive, with true checksums, and nothing left beside them."""
    path = write("j1_flt.fits", ("SCI", 1, field()))

    previews = draw(path, thumb=30)

    assert previews.warnings == ()
    names = [file.name for file in previews.files]
    assert names == ["j1_flt.jpg", "j1_flt_thumb.jpg", "j1_flt_preview.json"]
    for file in previews.files:
        content = Path(file.path).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (file.sha256, file.size)
    assert sorted(p.name for p in Path(previews.files[0].path).parent.iterdir()) == sorted(names)
    assert picture(previews, "j1_flt.jpg").shape == (40, 60)
    assert picture(previews, "j1_flt_thumb.jpg").shape == (20, 30)


def test_star_at_the_lower_left_is_drawn_there(write: Write, draw: Callable[..., Previews]) -> None:
    """Right way up, at both sizes: row 0 is at the bottom, column 0 at the left."""
    previews = draw(write("j1_flt.fits", ("SCI", 1, field())), thumb=30)
    for name, scale in (("j1_flt.jpg", 1), ("j1_flt_thumb.jpg", 2)):
        grey = picture(previews, name)
        rows, columns = np.where(grey > 230)
        assert grey.shape[0] - 1 - rows.mean() == pytest.approx(4.5 / scale, abs=1)
        assert columns.mean() == pytest.approx(5.5 / scale, abs=1)


@pytest.mark.parametrize("detector", ["WFC", "UVIS"])
def test_two_chips_are_stacked(write: Write, draw: Callable[..., Previews], detector: str) -> None:
    """SCI,2 above SCI,1, with a black gap; here a bright chip above a dim one."""
    dim, bright = field(), field() + np.float32(1500)
    chips = [("SCI", 1, dim), ("SCI", 2, bright)]
    grey = picture(draw(write("j1_flt.fits", *chips, detector=detector)), "j1_flt.jpg")
    assert grey.shape == (40 + 1 + 40, 60)
    assert grey[:36, 20:].mean() > grey[45:, 20:].mean() + 50
    assert grey[40, 20:].mean() < 60


def test_last_infrared_read_is_shown_alone(write: Write, tmp_path: Path) -> None:
    """SCI,1 of an infrared file is the last read; reads are no chips."""
    reads = [("SCI", n, field()) for n in (1, 2, 3)]
    path = write("i1_ima.fits", *reads, detector="IR")
    previews = make_previews([path], tmp_path / "out", instrument="wfc3")
    assert picture(previews, "i1_ima.jpg").shape == (40, 60)


def test_bad_pixels_do_not_set_the_scale(write: Write, draw: Callable[..., Previews]) -> None:
    """A hot column of 3 % would be all that is seen; flagged, it does not count."""
    data = field()
    data[:, 30:32] = 1e6
    dq = np.zeros(data.shape, np.int16)
    dq[:, 30:32] = 16
    sidecars = []
    for name, extensions in (("a_flt", ()), ("b_flt", (("DQ", 1, dq),))):
        previews = draw(write(f"{name}.fits", ("SCI", 1, data), *extensions))
        sidecars.append(json.loads(Path(previews.files[2].path).read_text()))
    assert sidecars[0]["limits"][1] > 1e5
    assert sidecars[1]["limits"][1] < 4000


def test_sidecar_says_how_the_picture_was_made(write: Write, draw: Callable[..., Previews]) -> None:
    """Enough to paint it again: source, limits, stretch, block of the thumbnail."""
    path = write("j1_flt.fits", ("SCI", 1, field()))
    sidecar = json.loads(Path(draw(path, thumb=30).files[2].path).read_text())
    assert sidecar["source"] == "j1_flt.fits"
    assert sidecar["source_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (sidecar["stretch"], sidecar["asinh_factor"]) == ("asinh", 10)
    low, high = sidecar["limits"]
    assert 85 < low < 100
    assert high == pytest.approx(3000)
    assert sidecar["chips"] == [{"shape": [40, 60], "voting_pixels": 2400}]
    assert sidecar["thumbnail"]["limits"][0] > low  # averages of 2 x 2 scatter less
    assert (sidecar["thumbnail"]["block"], sidecar["thumbnail"]["shape"]) == (2, [20, 30])


def test_raw_counts_and_overscan(write: Write, draw: Callable[..., Previews]) -> None:
    """Unsigned raw pixels are drawn; the overscan does not set the scale."""
    data = np.full((40, 60), 40_000, np.uint16)
    data[:, :10] = 2000
    data[:, 50:] = 2000
    data[20, 20:30] = 41_000
    path = write("j1_raw.fits", ("SCI", 1, data))
    with fits.open(path, mode="update") as hdus:
        hdus["SCI"].header["LTV1"] = 10.0
    previews = draw(path)
    sidecar = json.loads(Path(previews.files[2].path).read_text())
    assert sidecar["limits"][0] > 39_000
    assert picture(previews, "j1_raw.jpg")[5, 2] < 10


def test_drizzled_image_is_black_where_nothing_was_observed(
    write: Write, draw: Callable[..., Previews]
) -> None:
    """Weight zero is no sky: those pixels neither vote nor shine."""
    data, weight = field(), np.ones((40, 60), np.float32)
    data[:, :30], weight[:, :30] = 0, 0
    previews = draw(write("j1_drz.fits", ("SCI", 1, data), ("WHT", 1, weight)))
    sidecar = json.loads(Path(previews.files[2].path).read_text())
    assert sidecar["chips"][0]["voting_pixels"] == 1200
    grey = picture(previews, "j1_drz.jpg")
    assert grey[:, :20].max() < 10
    assert grey[:, 40:].mean() > 20


@pytest.mark.parametrize(
    "data",
    [
        np.full((20, 30), 5, np.float32),
        np.zeros((1, 1), np.float32),
        np.zeros((1, 300), np.int16),
        np.array([[1, np.nan], [np.inf, -np.inf]], np.float32),
        np.array([[3e38, -3e38]], np.float32),
    ],
)
def test_odd_images_are_drawn(
    write: Write, draw: Callable[..., Previews], data: np.ndarray[Any, Any]
) -> None:
    """Constant, tiny, narrow, not finite, huge: a picture, no warning, no exception."""
    previews = draw(write("j1_flt.fits", ("SCI", 1, data)))
    assert previews.warnings == ()
    assert picture(previews, "j1_flt.jpg").shape == data.shape


def test_image_without_a_number_is_black_and_says_so(
    write: Write, draw: Callable[..., Previews]
) -> None:
    """All NaN is a picture of nothing."""
    previews = draw(write("j1_flt.fits", ("SCI", 1, np.full((200, 200), np.nan, np.float32))))
    assert previews.warnings == ()
    assert previews.remarks == ("j1_flt.fits: no finite pixel: the picture is black",)
    assert picture(previews, "j1_flt.jpg").max() == 0
    assert picture(previews, "j1_flt_thumb.jpg").max() == 0


def test_damaged_files_become_warnings_and_the_rest_is_drawn(
    write: Write, draw: Callable[..., Previews], tmp_path: Path
) -> None:
    """Not FITS, cut short, absent, without image, with a table or cube for SCI."""
    good = write("j1_flt.fits", ("SCI", 1, field()))
    junk = tmp_path / "j2_flt.fits"
    junk.write_bytes(b"junk")
    cut = tmp_path / "j3_flt.fits"
    cut.write_bytes(good.read_bytes()[:-5760])
    empty = write("j5_flt.fits", ("ERR", 1, field()))
    cube = write("j6_flt.fits", ("SCI", 1, np.zeros((2, 3, 4), np.float32)))
    table = tmp_path / "j7_flt.fits"
    column = fits.Column("FLUX", "E", array=[1.0])
    fits.BinTableHDU.from_columns([column], name="SCI", ver=1).writeto(table)
    absent = tmp_path / "j4_flt.fits"

    previews = draw(junk, cut, absent, empty, cube, table, good)

    assert [w.partition(":")[0] for w in previews.warnings] == [
        p.name for p in (junk, cut, absent, empty, cube, table)
    ]
    assert "no such file" in previews.warnings[2]
    assert all("two-dimensional image in SCI,1" in w for w in previews.warnings[3:])
    assert len(previews.files) == 3


def test_companion_of_another_shape_is_ignored(write: Write, draw: Callable[..., Previews]) -> None:
    """A broken DQ is no reason for no picture."""
    dq = np.zeros((3, 3), np.int16)
    flags = np.zeros((40, 60), np.float32)
    for name, bad in (("a_flt.fits", dq), ("b_flt.fits", flags)):
        previews = draw(write(name, ("SCI", 1, field()), ("DQ", 1, bad)))
        assert (len(previews.files), previews.warnings) == (3, ())


def test_folder_that_cannot_be_written_is_a_warning(write: Write, tmp_path: Path) -> None:
    """A full or locked disk does not stop a dataset for want of a picture."""
    (tmp_path / "out").write_text("a file in the way")
    path = write("j1_flt.fits", ("SCI", 1, field()))
    previews = make_previews([path], tmp_path / "out", instrument="acs")
    assert (previews.files, len(previews.warnings)) == ((), 1)


def test_only_suffixes_of_the_table_are_drawn(
    write: Write, draw: Callable[..., Previews], tmp_path: Path
) -> None:
    """Other products are passed over in silence; of any named file `draw_files` makes one."""
    paths = [write(f"j1_{s}.fits", ("SCI", 1, field())) for s in ("flt", "blv_tmp", "asn", "ima")]
    assert [f.name for f in draw(*paths).files[::3]] == ["j1_flt.jpg"]
    assert draw(*paths).warnings == ()
    drawn = draw_files([paths[1]], tmp_path / "any")
    assert drawn.files[0].name == "j1_blv_tmp.jpg"


@pytest.mark.parametrize("suffix", ["flt", "crj", "sx2", "x2d", "raw"])
def test_images_of_stis(write: Write, tmp_path: Path, suffix: str) -> None:
    """The first image of several; one without light, or without pixels, is passed over."""
    dark = np.zeros((40, 60), np.float32)
    images = [("SCI", n, data) for n, data in enumerate((None, dark, field(), field() * 0 + 7), 1)]
    for name, extensions, rows in (("o1", images, 40), ("o2", [("SCI", 1, dark[:9])], 9)):
        path = write(f"{name}_{suffix}.fits", *extensions, detector="CCD")
        previews = make_previews([path], tmp_path / "out", instrument="stis")
        assert previews.warnings == ()
        grey = picture(previews, f"{name}_{suffix}.jpg")
        assert grey.shape == (rows, 60)
        assert (grey.max() > 230) == (name == "o1")


@pytest.mark.parametrize("suffix", ["crj", "crc"])
def test_combined_images_of_wfc3(write: Write, tmp_path: Path, suffix: str) -> None:
    """CALDP's table lacks them."""
    path = write(f"i1_{suffix}.fits", ("SCI", 1, field()), detector="UVIS")
    assert len(make_previews([path], tmp_path / "out", instrument="wfc3").files) == 3


def test_images_of_cos_are_left_out(write: Write, tmp_path: Path) -> None:
    """Its flt are images of events, which CALDP does not show."""
    path = write("l1_flt_a.fits", ("SCI", 1, field()), detector="FUV")
    assert make_previews([path], tmp_path / "out", instrument="cos") == Previews()


def test_real_acquisitions_of_stis(shared: Path, tmp_path: Path) -> None:
    """Subarrays of odd shapes, three images or a table of dwell points behind them: all drawn."""
    paths = sorted((shared / "data" / "real").glob("o*_raw.fits"))
    previews = make_previews(paths, tmp_path / "out", instrument="stis")
    assert previews.warnings == ()
    shapes = {path.name[:9]: picture(previews, f"{path.stem}.jpg").shape for path in paths}
    assert len(shapes) == 11
    assert shapes["o4er06llq"] == (32, 32)  # ACQ/PEAK with PEAKUP behind it
    assert shapes["oc7w11viq"] == (32, 1022)
    assert shapes["ocoa03q2q"] == (104, 104)  # ACQ: the first of three images
    star = picture(previews, "ocoa03q2q_raw.jpg")
    with fits.open(next(p for p in paths if p.name.startswith("ocoa03q2q"))) as hdus:
        peak = np.unravel_index(np.argmax(hdus["SCI", 1].data), (104, 104))
    assert star[103 - peak[0], peak[1]] > 200


@pytest.mark.parametrize("options", [{"instrument": "wfpc2"}, {"instrument": "acs", "thumb": 0}])
def test_senseless_requests_are_config_errors(tmp_path: Path, options: dict[str, Any]) -> None:
    """A mistake in the call is not a warning."""
    with pytest.raises(ConfigError):
        make_previews([], tmp_path, **options)


def test_same_input_gives_the_same_bytes(write: Write, draw: Callable[..., Previews]) -> None:
    """Pictures are products: a rerun must not change their checksums."""
    path = write("j1_flt.fits", ("SCI", 1, field()))
    assert draw(path) == draw(path)


def test_real_cluster_field_has_dark_sky_and_bright_stars(shared: Path, tmp_path: Path) -> None:
    """47 Tuc with HRC: most of the picture is dark, some of it is white, little is lost."""
    packed = shared / "golden" / "products" / "acs_hrc_real" / "j8bt09jcq_flt.fits.gz"
    path = tmp_path / "j8bt09jcq_flt.fits"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    previews = make_previews([path], tmp_path / "out", instrument="acs")
    grey = picture(previews, "j8bt09jcq_flt.jpg")
    assert grey.shape == (1024, 1024)
    assert 15 < np.median(grey) < 80
    assert 0.002 < (grey > 240).mean() < 0.05
    assert picture(previews, "j8bt09jcq_flt_thumb.jpg").shape == (128, 128)
    assert all(file.size < 1_000_000 for file in previews.files)
