"""The real calcos on made-up exposures: what our engine counts on, and numbers worked out."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import cos_lamp
import cos_world as cos
import numpy as np
import pytest
from astropy.io import fits
from real_programs import find_real_program

from calib.engines.calcos import CalcosEngine
from calib.engines.program import CALCOS, version_of
from calib.errors import EngineError
from calib.records import Member, Products

pytestmark = pytest.mark.slow

ROOT, SECOND, ASSOCIATION = "la8q99abq", "la8q99acq", "la8q99010"


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Find the real program, or skip."""
    return find_real_program(CALCOS, monkeypatch)


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write the references."""
    return cos.make_references(tmp_path_factory.mktemp("references"))


def calcos(program: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program itself, without our engine."""
    command = [str(program), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def pixels(products: Products, name: str, extension: int = 1) -> Any:
    """Return the data of a product."""
    path = next(file.path for file in products.files if file.name == name)
    return fits.getdata(path, extension)


def test_what_the_program_says_of_itself(program: Path, tmp_path: Path) -> None:
    """Its version, as the interpreter of its first line knows it."""
    assert calcos(program, tmp_path, "--version").stdout.strip() == version_of(CALCOS)


def test_input_that_is_not_there_ends_with_0(program: Path, tmp_path: Path) -> None:
    """The reason why products are looked for."""
    assert calcos(program, tmp_path, f"{ROOT}_rawtag.fits").returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_acquisition_ends_with_5(program: Path, tmp_path: Path) -> None:
    """And through the engine as nothing to do."""
    raw = cos.write_acquisition(tmp_path / f"{ROOT}_rawacq.fits", "ACQ/PEAKXD")
    assert calcos(program, tmp_path, raw.name).returncode == 5
    made = CalcosEngine().calibrate(cos.make_request([raw], {}, tmp_path / "out"))
    assert (made.ending, made.files) == ("nothing to do", ())
    assert "skipped because it is not an ACQ/IMAGE" in Path(made.log or "").read_text()


def test_codes_are_joined_bit_by_bit(program: Path, tmp_path: Path) -> None:
    """With several inputs 5 stays, though one was calibrated: hence one input for each call."""
    peak = cos.write_acquisition(tmp_path / f"{ROOT}_rawacq.fits", "ACQ/PEAKXD")
    off = {key: "OMIT" for key in cos.PRIMARY if key.endswith("CORR")}
    tag = cos.write_events(tmp_path / f"{SECOND}_rawtag.fits", [1, 2], [3, 4], **off)
    assert calcos(program, tmp_path, tag.name).returncode == 0
    assert calcos(program, tmp_path, peak.name, tag.name).returncode == 5


def test_images_of_the_nuv(references: dict[str, Path], tmp_path: Path) -> None:
    """A star of 40 counts in 100 s, dead time 0.5, flat 4: 40 / 100 / 0.5 / 4 = 0.2 per s.

    An accumulated image and an acquisition image give the same as events.
    """
    x, y = cos.STAR
    tag = cos.write_events(tmp_path / f"{ROOT}_rawtag.fits", [x] * 40, [y] * 40)
    accum = cos.write_image(tmp_path / f"{SECOND}_rawaccum.fits")
    image = cos.write_image(tmp_path / "la8q99adq_rawacq.fits", EXPTYPE="ACQ/IMAGE")
    peak = cos.write_acquisition(tmp_path / "la8q99aeq_rawacq.fits", "ACQ/PEAKD")
    request = cos.make_request([tag, accum, image, peak], references, tmp_path / "out")
    made = CalcosEngine().calibrate(request)
    for root in (ROOT, SECOND, "la8q99adq"):
        flt = pixels(made, f"{root}_flt.fits")
        assert flt[y, x] == pytest.approx(0.2)
        assert flt.sum() == pytest.approx(0.2)
        assert pixels(made, f"{root}_counts.fits")[y, x] == pytest.approx(0.4)
    assert set(CalcosEngine().product_names(request)) == {file.name for file in made.files}
    dq = pixels(made, f"{ROOT}_flt.fits", 3)  # a region of 3 x 2 pixels at (10, 20) with flag 16
    assert np.count_nonzero(dq & 16) == 6
    assert made.notes == ("la8q99aeq is ACQ/PEAKD, which calcos does not calibrate",)
    assert made.switches["FLATCORR"] == "COMPLETE"


def test_spectra_of_an_association(references: dict[str, Path], tmp_path: Path) -> None:
    """Ten counts in each pixel: 10 / 100 / 0.5 / 4 = 0.05 per s, and 5e-14 at 1e12 per flux.

    The sum of two such spectra, weighted by time, is the same; the table has its product.
    """
    x, y = cos.spectrum_events(("NUVA", "NUVB", "NUVC"), each=10)
    raws = [
        cos.write_events(tmp_path / f"{root}_rawtag.fits", x, y, **cos.SPECTRUM, FPPOS=position)
        for root, position in ((ROOT, 1), (SECOND, 3))
    ]
    members = (
        Member(ROOT, "EXP-FP", present=True),
        Member(SECOND, "EXP-FP", present=True),
        Member(ASSOCIATION, "PROD-FP", present=False),
    )
    table = cos.write_table(tmp_path / f"{ASSOCIATION}_asn.fits", members)
    request = cos.make_request(raws, references, tmp_path / "out", others=[table], members=members)
    made = CalcosEngine().calibrate(request)
    for name in (f"{ROOT}_x1d", f"{ASSOCIATION}_x1dsum", f"{ASSOCIATION}_x1dsum3"):
        spectrum = pixels(made, f"{name}.fits")
        assert list(spectrum["SEGMENT"]) == ["NUVA", "NUVB", "NUVC"]
        middle = spectrum["WAVELENGTH"].shape[1] // 2
        np.testing.assert_allclose(spectrum["NET"][:, middle], 0.05, rtol=1e-5)
        np.testing.assert_allclose(spectrum["FLUX"][:, middle], 5e-14, rtol=1e-5)
    alone = pixels(made, f"{ROOT}_x1d.fits")
    start, step = (np.array([cos.DISPERSION[name][i] for name in alone["SEGMENT"]]) for i in (0, 1))
    offset = 100  # pixels that calcos adds before the first one of the NUV (calcosparam.py)
    np.testing.assert_allclose(alone["WAVELENGTH"][:, offset], start)
    np.testing.assert_allclose(alone["WAVELENGTH"][:, offset + 10], start + 10 * step)
    rows = pixels(made, f"{ASSOCIATION}_asn.fits")
    assert bool(rows["MEMPRSNT"][2])
    assert not fits.getdata(table)["MEMPRSNT"][2]  # ours stays as it is
    promised = {*CalcosEngine().product_names(request), f"{ASSOCIATION}_asn.fits"}
    assert promised == {file.name for file in made.files}


def test_lamp_of_a_spectrum(references: dict[str, Path], tmp_path: Path) -> None:
    """The lines of the lamp are in the spectrum that the headers promise: 360 counts in 10 s.

    100 pixels are added before the first one. The program does not find
    the shift of such simple lines: what it would make of real ones is not shown here.
    """
    uses = cos_lamp.add_references(references)
    raw = cos_lamp.write_flashed(tmp_path / f"{ROOT}_rawtag.fits")
    request = cos.make_request([raw], uses, tmp_path / "out")
    made = CalcosEngine().calibrate(request)
    assert made.switches["WAVECORR"] == "COMPLETE"
    assert {file.name for file in made.files} == set(CalcosEngine().product_names(request))
    lamp = pixels(made, f"{ROOT}_lampflash.fits")
    lines = cos_lamp.LINES + cos_lamp.SHIFT + 100
    for spectrum in lamp["GROSS"]:
        np.testing.assert_array_equal(np.flatnonzero(spectrum), lines)
        np.testing.assert_allclose(spectrum.sum(), 36.0, rtol=1e-5)


def test_both_segments_of_the_fuv(references: dict[str, Path], tmp_path: Path) -> None:
    """One call; a count in each pixel is 0.01 per s; random positions are the same each time."""
    raws = []
    for letter in "ab":
        x, y = cos.spectrum_events([f"FUV{letter.upper()}"])
        raws.append(cos.write_events(tmp_path / f"{ROOT}_rawtag_{letter}.fits", x, y))
    made = CalcosEngine().calibrate(cos.make_request(raws, references, tmp_path / "out"))
    spectrum = pixels(made, f"{ROOT}_x1d.fits")
    assert list(spectrum["SEGMENT"]) == ["FUVA", "FUVB"]
    middle = spectrum["NET"][:, 4000:8000].mean(axis=1)
    np.testing.assert_allclose(middle, 0.01, rtol=1e-3)
    images = {f"{ROOT}_{kind}_{x}.fits" for kind in ("corrtag", "counts", "flt") for x in "ab"}
    assert images | {f"{ROOT}_x1d.fits"} == {file.name for file in made.files}

    settings = ("DQICORR=OMIT", "X1DCORR=OMIT")
    request = cos.make_request(raws[:1], references, tmp_path / "again", settings)
    again = CalcosEngine().calibrate(request)
    first, second = (pixels(each, f"{ROOT}_corrtag_a.fits")["XCORR"] for each in (made, again))
    np.testing.assert_array_equal(first, second)
    assert np.any(first != np.rint(first))
    for product in (*made.files, *again.files):  # 168 MB each
        Path(product.path).unlink()


def test_errors_of_the_program(references: dict[str, Path], tmp_path: Path) -> None:
    """An aperture that it does not know is code 16; a broken reference a traceback."""
    raw = cos.write_events(tmp_path / f"{ROOT}_rawtag.fits", [1, 2], [3, 4], APERTURE="HOLE")
    with pytest.raises(EngineError, match="APERTURE is none that it knows") as caught:
        CalcosEngine().calibrate(cos.make_request([raw], references, tmp_path / "out"))
    assert caught.value.exit_code == 16
    assert "HOLE is not a valid aperture name" in caught.value.log_tail

    broken = shutil.copyfile(references["BPIXTAB"], tmp_path / "broken.fits")
    fits.setval(broken, "FILETYPE", value="SOMETHING ELSE")
    good = cos.write_events(tmp_path / f"{SECOND}_rawtag.fits", [1, 2], [3, 4])
    uses = {**references, "BPIXTAB": broken}
    with pytest.raises(EngineError, match="exit code 1") as caught:
        CalcosEngine().calibrate(cos.make_request([good], uses, tmp_path / "out"))
    assert "Wrong FILETYPE" in caught.value.log_tail
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".log", ".log"]
