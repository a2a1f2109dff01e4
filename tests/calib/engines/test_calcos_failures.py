"""The engine calcos, with a program that ends badly, and with inputs that it refuses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import cos_world as cos
import pytest
from astropy.io import fits
from cos_bench import MEMBERS, OTHER_TAG, TAG, World, set_up
from standin_programs import CRASHES, HANGS, IS_KILLED, SAYS_OUT_OF_MEMORY

from calib.engines.calcos import CalcosEngine
from calib.engines.protocol import CalibrationRequest
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
from calib.records import Member, RawInputs, References


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a folder without raws, with a program that behaves like calcos."""
    return set_up(tmp_path, monkeypatch)


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
    assert not list(world.output.glob(".*"))


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


def test_missing_member_is_found_before(world: World) -> None:
    """The program would go on without it and make another product."""
    world.spectrum(TAG)
    world.association()
    with pytest.raises(MissingMember, match=f"all but {OTHER_TAG}"):
        world.calibrate()
    assert world.calls == []


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


def test_a_switch_that_there_is_not(world: World) -> None:
    """A slip is refused as for every program, before anything is started; one it knows is taken."""
    world.tag(TAG)
    world.program()
    with pytest.raises(ConfigError, match=r"no exposure has such a switch.*FOOCORR") as caught:
        world.calibrate("FOOCORR=OMIT")
    assert caught.value.code == 2
    assert world.calls == []
    world.calibrate("FLATCORR=OMIT")
