"""The engine calcos, with a program that behaves like it: calls and products."""

from __future__ import annotations

from pathlib import Path

import cos_world as cos
import pytest
from astropy.io import fits
from cos_bench import ASSOCIATION, MEMBERS, OTHER_TAG, PEAK, TAG, World, set_up
from standin_programs import hide_programs

from calib.engines.calcos import CalcosEngine
from calib.engines.lookup import choose_engine
from calib.engines.protocol import ForeseeingEngine, ListedEngine
from calib.errors import NotFound, UnsupportedMode
from calib.records import Member, Products


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a folder without raws, with a program that behaves like calcos."""
    return set_up(tmp_path, monkeypatch)


def names(products: Products) -> set[str]:
    """Return the names of the products."""
    return {file.name for file in products.files}


def test_engine_says_what_it_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the program here and without it; `auto` takes it for COS."""
    engine = CalcosEngine()
    assert isinstance(engine, ListedEngine)
    assert isinstance(engine, ForeseeingEngine)
    (here,) = engine.installations()
    assert (here.found, here.version) == (str(world.folder / "bin" / "calcos"), "3.6.2")
    assert engine.numbers_version == "3.6.2"
    assert choose_engine("auto", [dict(cos.PRIMARY)]).name == "calcos"

    hide_programs(monkeypatch)
    (absent,) = engine.installations()
    assert absent.found is None
    assert "hstflow[cos]" in absent.advice
    with pytest.raises(UnsupportedMode, match=r"calcos is not on PATH \(pip install"):
        choose_engine("calcos", [dict(cos.PRIMARY)])
    world.tag(TAG)
    with pytest.raises(UnsupportedMode, match="calcos is not on PATH"):
        world.calibrate()


def test_exposure_becomes_products(world: World) -> None:
    """Its copy names the references and the seed; products, trailer and log are recorded."""
    world.tag(TAG)
    made = world.calibrate("FLATCORR=OMIT")
    assert world.calls == [f"{TAG}_rawtag.fits"]
    assert names(made) == world.made == {f"{TAG}_{s}.fits" for s in ("corrtag", "flt", "counts")}
    assert made.engine_version == "3.6.2"
    assert made.switches["FLATCORR"] == "OMIT"
    assert made.switches["DEADCORR"] == "PERFORM"
    assert made.parameters == {"RANDSEED": "1"}
    assert made.log == str(world.output / f"{TAG}_calcos.log")
    assert made.logs == (str(world.output / f"{TAG}.tra"),)
    header = fits.getheader(world.output / f"{TAG}_flt.fits")
    assert header["BPIXTAB"] == "lref$made_bpixtab.fits"
    assert (header["CRDS_CTX"], header["CUSTOM"]) == ("hst_9001.pmap", True)
    assert fits.getheader(world.raws[0])["RANDSEED"] == -1  # the input stays as it is


@pytest.mark.parametrize("suffix", ["rawtag", "rawaccum", "rawacq"])
def test_every_raw_has_the_seed(world: World, suffix: str) -> None:
    """Random parts of positions come from the clock otherwise: no run gives the same twice."""
    kind = "ACQ/IMAGE" if suffix == "rawacq" else "EXTERNAL/SCI"
    if suffix == "rawtag":
        world.tag(TAG)
    else:
        world.image(TAG, suffix, EXPTYPE=kind)
    for product in world.calibrate().files:
        assert fits.getheader(product.path)["RANDSEED"] == 1


def test_segments_are_one_call(world: World) -> None:
    """The program finds segment B beside segment A: a second call would find its products there."""
    world.tag(TAG, "rawtag_b")
    world.tag(TAG, "rawtag_a")
    made = world.calibrate()
    assert world.calls == [f"{TAG}_rawtag_a.fits"]
    segments = {f"{TAG}_{s}_{x}.fits" for s in ("corrtag", "flt", "counts") for x in "ab"}
    assert names(made) == segments | {f"{TAG}_x1d.fits"}


def test_one_segment_alone(world: World) -> None:
    """Segment B is enough: A is switched off where its light would harm it."""
    world.tag(TAG, "rawtag_b")
    assert f"{TAG}_x1d.fits" in names(world.calibrate())
    assert world.calls == [f"{TAG}_rawtag_b.fits"]


def test_every_exposure_is_calibrated(world: World) -> None:
    """CALDP gives calcos the first raw file alone, and does not tell of the others."""
    world.tag(TAG)
    world.tag(OTHER_TAG)
    made = world.calibrate()
    assert world.calls == [f"{TAG}_rawtag.fits", f"{OTHER_TAG}_rawtag.fits"]
    assert {f"{TAG}_flt.fits", f"{OTHER_TAG}_flt.fits"} < names(made)


def test_association_comes_first(world: World) -> None:
    """Then every exposure that is not among its members; its table has the products marked."""
    world.spectrum(TAG, FPPOS=1)
    world.spectrum(OTHER_TAG, FPPOS=3)
    world.tag("la8q99a0q")
    world.association()
    made = world.calibrate()
    assert world.calls == [f"{ASSOCIATION}_asn.fits", "la8q99a0q_rawtag.fits"]
    sums = {f"{ASSOCIATION}_{s}.fits" for s in ("x1dsum", "x1dsum1", "x1dsum3", "asn")}
    assert sums | {f"{TAG}_x1d.fits", "la8q99a0q_flt.fits"} < names(made)
    assert CalcosEngine().product_names(world.request())[:3] == (
        f"{TAG}_corrtag.fits", f"{TAG}_flt.fits", f"{TAG}_counts.fits",
    )  # fmt: skip


def test_member_that_is_not_present_is_calibrated_alone(world: World) -> None:
    """The program passes over it in the table."""
    world.spectrum(TAG)
    world.spectrum(OTHER_TAG)
    world.association((MEMBERS[0], Member(OTHER_TAG, "EXP-FP", present=False), MEMBERS[2]))
    world.calibrate()
    assert world.calls == [f"{ASSOCIATION}_asn.fits", f"{OTHER_TAG}_rawtag.fits"]
    assert f"{OTHER_TAG}_x1d.fits" in world.made


def test_support_and_pulse_height_files_lie_beside(world: World) -> None:
    """PHACORR of accumulated FUV exposures opens the histogram of each segment."""
    fuv = {**cos.FUV, "X1DCORR": "OMIT"}
    for segment in "ab":
        world.image(TAG, f"rawaccum_{segment}", **fuv)
    with pytest.raises(NotFound, match=f"{TAG}_pha_a.fits, {TAG}_pha_b.fits"):
        world.calibrate()
    for segment in "ab":
        path = world.folder / f"{TAG}_pha_{segment}.fits"
        fits.PrimaryHDU().writeto(path)
        world.others.append(path)
    world.program(before=f"[ -f {TAG}_pha_b.fits ] || exit 1")
    assert f"{TAG}_flt_b.fits" in names(world.calibrate())


@pytest.mark.parametrize("kind", ["ACQ/SEARCH", "ACQ/PEAKD", "ACQ/PEAKXD"])
def test_acquisition_is_nothing_to_do(world: World, kind: str) -> None:
    """Exit code 5 of calcos: the dataset is skipped, with the reason."""
    world.acquisition(PEAK, kind)
    made = world.calibrate()
    assert made.ending == "nothing to do"
    assert made.reason == f"{PEAK} is {kind}, which calcos does not calibrate"
    assert made.files == ()
    assert world.calls == [f"{PEAK}_rawacq.fits"]
    assert world.made == set()


def test_acquisition_beside_others_is_a_note(world: World) -> None:
    """Those with products are products."""
    world.acquisition("la8q99aaq")
    world.tag(TAG)
    made = world.calibrate()
    assert made.ending is None
    assert made.notes == ("la8q99aaq is ACQ/PEAKXD, which calcos does not calibrate",)
    assert f"{TAG}_flt.fits" in names(made)


def test_all_switches_off_is_nothing_to_do(world: World) -> None:
    """The program says so and ends with 0, without a product."""
    world.tag(TAG)
    world.program(before="echo 'Nothing to do; all calibration switches are OMIT.'; exit 0")
    made = world.calibrate("FLATCORR=OMIT", "DEADCORR=OMIT", "DQICORR=OMIT")
    assert (made.ending, made.files) == ("nothing to do", ())
    assert made.reason == f"no switch of {TAG} asks calcos for anything"


def test_acquisition_needs_no_reference(world: World) -> None:
    """Nothing is opened for it."""
    world.acquisition(PEAK)
    world.references = {}
    assert world.calibrate().ending == "nothing to do"
    assert CalcosEngine().required_references({"EXPTYPE": "ACQ/PEAKD", "FLATCORR": "PERFORM"}) == ()


def test_environment_is_for_calcos_alone(world: World) -> None:
    """The folder of the references ends with a slash, for programs that join names."""
    world.tag(TAG)
    world.program(before='[ -e "${lref}made_bpixtab.fits" ] || exit 9; echo "lref=$lref"')
    made = world.calibrate()
    assert "ref/\n" in Path(made.log or "").read_text()


def test_spectrum_without_a_lamp_is_noted(world: World) -> None:
    """An exposure of an association that is calibrated alone has no wavelength calibration."""
    world.spectrum(TAG, WAVECORR="PERFORM")
    world.references |= dict.fromkeys(("LAMPTAB", "WCPTAB"), world.references["DISPTAB"])
    assert world.calibrate().notes == (
        f"{TAG}: no wavelength calibration was taken with it, so its wavelengths are not shifted",
    )


def test_other_instruments_are_not_covered() -> None:
    """With what it calibrates."""
    engine = CalcosEngine()
    assert engine.covers({"INSTRUME": "ACS"}) == "it calibrates COS, not ACS"
    assert engine.covers({}) == "it calibrates COS, not an unnamed instrument"
