"""The engine calcos, with a program that behaves like it: calls, products, bad ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cos_world as cos
import numpy as np
import pytest
from astropy.io import fits
from standin_programs import (
    CRASHES,
    HANGS,
    IS_KILLED,
    SAYS_OUT_OF_MEMORY,
    hide_programs,
    make_calcos,
    put_first_on_path,
)

from calib.engines.calcos import CalcosEngine
from calib.engines.lookup import choose_engine
from calib.engines.protocol import CalibrationRequest, ForeseeingEngine, ListedEngine
from calib.errors import (
    ConfigError,
    CorruptFile,
    EngineError,
    HstflowError,
    MissingMember,
    MissingReference,
    NotFound,
    OutOfMemory,
    ReferenceUnavailable,
    TimedOut,
    UnsupportedMode,
)
from calib.programs.allowance import CURRENT, Allowance
from calib.records import Member, Products, RawInputs, References

TAG, OTHER_TAG, PEAK = "la8q99abq", "la8q99acq", "la8q99adq"
ASSOCIATION = "la8q99010"
MEMBERS = (
    Member(TAG, "EXP-FP", present=True),
    Member(OTHER_TAG, "EXP-FP", present=True),
    Member(ASSOCIATION, "PROD-FP", present=False),
)
SMALL = ([300, 301], [400, 401])


@dataclass
class World:
    """A folder with references and raws, and calcos on PATH.

    Attributes
    ----------
    folder
        Its output is the folder ``out``.
    references
        Paths by keyword.
    """

    folder: Path
    references: dict[str, Path]
    raws: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)

    @property
    def output(self) -> Path:
        """Folder of the products."""
        return self.folder / "out"

    def program(self, **what: str) -> None:
        """Replace calcos by one that does something else."""
        make_calcos(self.folder / "bin", **what)

    def tag(self, root: str, suffix: str = "rawtag", **header: Any) -> None:
        """Add a file of two events."""
        self.raws.append(cos.write_events(self.folder / f"{root}_{suffix}.fits", *SMALL, **header))

    def spectrum(self, root: str, **header: Any) -> None:
        """Add a spectrum of two events."""
        self.tag(root, **{**cos.SPECTRUM, **header})

    def acquisition(self, root: str, kind: str = "ACQ/PEAKXD") -> None:
        """Add an acquisition that is no image."""
        self.raws.append(cos.write_acquisition(self.folder / f"{root}_rawacq.fits", kind))

    def image(self, root: str, suffix: str, **header: Any) -> None:
        """Add an accumulated image of a few pixels."""
        path = self.folder / f"{root}_{suffix}.fits"
        self.raws.append(cos.write_image(path, np.ones((2, 2)), **header))

    def association(self, members: tuple[Member, ...] = MEMBERS) -> None:
        """Add a table."""
        self.others.append(cos.write_table(self.folder / f"{ASSOCIATION}_asn.fits", members))
        self.members = members

    members: tuple[Member, ...] = ()

    def request(self, *settings: str) -> CalibrationRequest:
        """Return what is asked for."""
        return cos.make_request(
            self.raws, self.references, self.output, settings, self.others, self.members
        )

    def calibrate(self, *settings: str) -> Products:
        """Calibrate everything that was added."""
        return CalcosEngine().calibrate(self.request(*settings))

    @property
    def calls(self) -> list[str]:
        """Arguments of each call of calcos."""
        path = self.folder / "bin" / "calls.txt"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def made(self) -> set[str]:
        """What lies in the output, logs apart."""
        found = {path.name for path in self.output.iterdir()} if self.output.exists() else set()
        return {name for name in found if not name.endswith((".log", ".tra"))}


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write the references once: the program that stands in opens none of them."""
    folder = tmp_path_factory.mktemp("references")
    paths = {key: folder / f"made_{key.lower()}.fits" for key in cos.REFERENCES}
    for path in paths.values():
        fits.PrimaryHDU().writeto(path)
    return paths


@pytest.fixture
def world(tmp_path: Path, references: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a folder without raws."""
    made = World(tmp_path, references)
    made.program()
    put_first_on_path(tmp_path / "bin", monkeypatch)
    return made


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


def test_missing_member_is_found_before(world: World) -> None:
    """The program would go on without it and make another product."""
    world.spectrum(TAG)
    world.association()
    with pytest.raises(MissingMember, match=f"all but {OTHER_TAG}"):
        world.calibrate()
    assert world.calls == []


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


@pytest.mark.parametrize(
    ("ends", "error", "message"),
    [
        ("exit 5", EngineError, f"found nothing to calibrate in {TAG}_rawtag.fits"),
        ("exit 16", EngineError, "APERTURE is none that it knows, or a reference table"),
        ("exit 21", EngineError, "exit code 21"),  # 16 and 5, joined bit by bit
        ("echo 'RuntimeError: Wrong coordinates'; exit 1", EngineError, "Wrong coordinates"),
        ("exit 0", EngineError, f"{TAG}_corrtag.fits is not there"),
        (CRASHES, EngineError, "SIGSEGV"),
        (IS_KILLED, OutOfMemory, "ran out of memory"),
        (SAYS_OUT_OF_MEMORY, OutOfMemory, "ran out of memory"),
        ("echo 'MemoryError: Unable to allocate 2 GiB'; exit 1", OutOfMemory, "out of memory"),
    ],
)
def test_bad_ends(world: World, ends: str, error: type[HstflowError], message: str) -> None:
    """Each is an error of its kind, with nothing but the log left."""
    world.tag(TAG)
    world.program(before=ends)
    with pytest.raises(error, match=message):
        world.calibrate()
    assert world.made == set()
    assert not (world.output / ".calcos").exists()


@pytest.mark.parametrize(
    ("after", "message"),
    [
        (f"rm {TAG}_x1d.fits", f"{TAG}_x1d.fits is not there"),
        (f"head -c 5000 {TAG}_rawtag.fits > {TAG}_flt.fits", f"{TAG}_flt.fits is cut short|cannot"),
        (f"echo text > {TAG}_lampflash.fits", f"{TAG}_lampflash.fits cannot be read"),
        (f"touch -d 2001-01-01 {TAG}_counts.fits", f"{TAG}_counts.fits was not written by it"),
    ],
)
def test_exit_code_0_is_not_believed(world: World, after: str, message: str) -> None:
    """Every product is looked at, also one that nobody expected."""
    world.spectrum(TAG)
    world.program(after=after)
    with pytest.raises(EngineError, match=message):
        world.calibrate()
    assert world.made == set()


def test_failure_in_the_second_call_leaves_nothing(world: World) -> None:
    """Products of the first are not published: a dataset is whole or not there."""
    world.tag(TAG)
    world.tag(OTHER_TAG)
    world.program(before=f"case $1 in {OTHER_TAG}*) exit 1;; esac")
    with pytest.raises(EngineError):
        world.calibrate()
    assert len(world.calls) == 2
    assert world.made == set()


@pytest.fixture
def allowance() -> Iterator[Allowance]:
    """Work under an allowance."""
    allowance = Allowance(TAG)
    token = CURRENT.set(allowance)
    yield allowance
    CURRENT.reset(token)


def test_end_of_the_job_ends_calcos(world: World, allowance: Allowance) -> None:
    """A time limit that is reached ends a program that hangs, and says why."""
    world.tag(TAG)
    world.program(before=f"echo works; {HANGS}")
    timer = threading.Timer(0.3, allowance.end, [TimedOut("too long")])
    timer.start()
    with pytest.raises(TimedOut, match="too long"):
        world.calibrate()
    timer.join()
    assert world.calls == [f"{TAG}_rawtag.fits"]
    assert world.made == set()


def test_products_are_never_replaced(world: World) -> None:
    """It is found before calcos is started."""
    world.tag(TAG)
    world.calibrate()
    with pytest.raises(EngineError, match="the product exists already"):
        world.calibrate()
    assert len(world.calls) == 1


def test_references_are_looked_for_before(world: World, tmp_path: Path) -> None:
    """One that is not named, or is not there, is said before calcos is started."""
    world.tag(TAG)
    flat = world.references["FLATFILE"]
    world.references = {**world.references, "FLATFILE": tmp_path / "gone.fits"}
    with pytest.raises(ReferenceUnavailable, match="FLATFILE"):
        world.calibrate()
    world.references = {k: v for k, v in world.references.items() if k != "FLATFILE"}
    with pytest.raises(MissingReference, match="FLATFILE"):
        world.calibrate()
    assert world.calibrate("FLATCORR=OMIT").files
    world.references["FLATFILE"] = flat
    request = cos.make_request(world.raws, world.references, world.output / "b")
    bare = CalibrationRequest(TAG, request.inputs, References("x.pmap", "1", ()), request.output)
    with pytest.raises(MissingReference, match="no references were chosen"):
        CalcosEngine().calibrate(bare)


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


def test_bad_inputs_are_refused(world: World) -> None:
    """Before anything is started."""
    with pytest.raises(NotFound, match="no raw exposure"):
        CalcosEngine().calibrate(
            CalibrationRequest(
                TAG, RawInputs(TAG, "file", ()), References("x", "1", ()), world.output
            )
        )
    world.tag(TAG, "raw")
    with pytest.raises(UnsupportedMode, match="no raw file of this kind"):
        world.calibrate()
    world.raws.clear()
    world.tag(TAG)
    world.image(TAG, "rawaccum")
    with pytest.raises(UnsupportedMode, match="raw files of two kinds"):
        world.calibrate()
    world.raws.clear()
    world.tag(TAG, COSCOORD="DETECTOR")
    with pytest.raises(UnsupportedMode, match="USER frame"):
        world.calibrate()
    world.raws.clear()
    world.tag(TAG)
    with pytest.raises(ConfigError, match="no steps whose parameters"):
        world.calibrate("noise.x=4")
    fits.PrimaryHDU(header=fits.getheader(world.raws[0])).writeto(world.raws[0], overwrite=True)
    with pytest.raises(CorruptFile, match="events or an image"):
        world.calibrate()
    assert world.calls == []


def test_two_products_of_a_table_are_refused(world: World) -> None:
    """As calcos does."""
    world.spectrum(TAG)
    world.association((MEMBERS[0], MEMBERS[2], Member("la8q99020", "PROD-FP", present=False)))
    with pytest.raises(CorruptFile, match="several products"):
        world.calibrate()


def test_other_instruments_are_not_covered() -> None:
    """With what it calibrates."""
    engine = CalcosEngine()
    assert engine.covers({"INSTRUME": "ACS"}) == "it calibrates COS, not ACS"
    assert engine.covers({}) == "it calibrates COS, not an unnamed instrument"
