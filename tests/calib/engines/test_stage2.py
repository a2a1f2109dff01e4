"""Stage 2: what is planned, and what becomes of every end that runastrodriz comes to."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits
from drizzle_world import DRIZZLES, NOT_VIABLE, PLAN, ROOTS, TABLE, World, make_world
from standin_programs import (
    CRASHES,
    FAILS,
    IS_KILLED,
    MAKES_NOTHING,
    SAYS_OUT_OF_MEMORY,
    hide_programs,
    make_program,
    put_first_on_path,
)

from calib.engines.stage2 import calibrate_and_drizzle, plan_stage2
from calib.engines.stage2_run import drizzle
from calib.errors import (
    CHILD_MEMORY,
    STAGE2,
    ConfigError,
    DataError,
    EngineError,
    HstflowError,
    OutOfMemory,
)
from calib.stores.store import product_file
from calib.switches import parse_overrides


@pytest.fixture
def one(tmp_path: Path) -> World:
    """Return an exposure."""
    return make_world(tmp_path, ROOTS[:1], table=False)


def header(**cards: Any) -> dict[str, Any]:
    """Return what a plan looks at."""
    return {"INSTRUME": "WFC3", "DRIZCORR": "PERFORM", **cards}


@pytest.mark.parametrize(
    ("policy", "cards", "settings", "wanted"),
    [
        ("auto", {}, (), True),
        ("auto", {"INSTRUME": "ACS"}, (), True),
        ("auto", {"INSTRUME": "acs "}, (), True),
        ("auto", {"INSTRUME": "STIS"}, (), False),
        ("auto", {"INSTRUME": "COS"}, (), False),
        ("auto", {"DRIZCORR": "OMIT"}, (), False),
        ("auto", {"DRIZCORR": "COMPLETE"}, (), False),
        ("auto", {"DRIZCORR": None}, (), False),
        ("auto", {"DRIZCORR": "OMIT"}, ("DRIZCORR=PERFORM",), True),
        ("auto", {}, ("DRIZCORR=OMIT",), False),
        ("always", {"DRIZCORR": "OMIT"}, (), True),
        ("always", {"INSTRUME": "STIS"}, (), False),
        ("never", {}, (), False),
    ],
)
def test_who_is_drizzled(
    policy: Any,
    cards: dict[str, Any],
    settings: tuple[str, ...],
    wanted: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """ACS and WFC3 where the switch says so after the user's settings, or a person does."""
    make_program(tmp_path, "runastrodriz", "true")
    put_first_on_path(tmp_path, monkeypatch)

    plan = plan_stage2(policy, "off", [header(**cards)], parse_overrides(settings))

    assert plan.wanted is plan.runs is wanted
    assert bool(plan.record) is wanted


def test_first_exposure_decides() -> None:
    """As for runastrodriz; a dataset without exposures has nothing to drizzle."""
    assert plan_stage2("auto", "off", [header(), header(DRIZCORR="OMIT")]).wanted
    assert not plan_stage2("auto", "off", [header(DRIZCORR="OMIT"), header()]).wanted
    assert not plan_stage2("always", "off", []).wanted


def test_bad_switch_is_refused() -> None:
    """A word that is no value of a switch is neither yes nor no."""
    with pytest.raises(DataError, match="DRIZCORR has no known value"):
        plan_stage2("auto", "off", [header(DRIZCORR="MAYBE")])


def test_absent_program(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Auto finishes without and says so; always is error 24 before anything is calibrated."""
    hide_programs(monkeypatch)
    auto, must = (plan_stage2(policy, "off", [header()]) for policy in ("auto", "always"))

    products = calibrate_and_drizzle(one, one.request, auto)

    assert products.files == one.products.files
    assert products.stage2 == "not installed: pip install 'hstflow[drizzle]'"
    assert products.notes == (f"stage 2: {products.stage2}",)
    assert fits.getval(products.files[0].path, "DRIZCORR") == "PERFORM"
    assert auto.record == {}
    assert must.record
    with pytest.raises(ConfigError, match="hstflow\\[drizzle\\]") as caught:
        calibrate_and_drizzle(one, one.request, must)
    assert caught.value.code == STAGE2


def test_association(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One call for the table; what it changed replaces what was there, with new checksums."""
    world = make_world(tmp_path, ROOTS, table=True, cte=True)
    world.runs(DRIZZLES, monkeypatch)

    products = world.drizzle()

    kinds = ("flc", "flc_hlet", "flt", "flt_hlet")
    names = [f"{root}_{kind}.fits" for root in ROOTS for kind in kinds]
    assert sorted(f.name for f in products.files) == sorted(
        [*names, f"{TABLE}_drz.fits", f"{TABLE}_drc.fits"]
    )
    before = {file.name: file.sha256 for file in world.products.files}
    for file in products.files:
        assert file == product_file(Path(file.path))
        assert file.sha256 != before.get(file.name)
        assert fits.getval(file.path, "TARGNAME") == "NEW"
    trailer = (world.request.output / f"{TABLE}.tra").read_text()
    assert trailer == f"calibrated\ndrizzled {TABLE}_asn.fits with astrometry off, 1 thread\n"
    assert [Path(log).name for log in products.logs] == [f"{TABLE}_drizzle.log"]
    assert products.log == world.products.log
    assert products.stage2 == "drizzlepac 3.11.0, astrometry off"
    assert products.parameters == {"stage2.astrometry": "off"}
    assert not products.notes
    assert not list(world.request.output.glob(".*"))
    assert fits.getval(world.request.inputs.files[1].path, "TARGNAME") == "ANY"  # the raws stay


def test_relative_output(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program finds its references whatever folder a person named from where."""
    one.runs(DRIZZLES, monkeypatch)
    monkeypatch.chdir(one.folder)
    one.request = dataclasses.replace(one.request, output=Path("out"))

    assert "ib3y01a0q_drz.fits" in {file.name for file in one.drizzle().files}


def test_exposures_without_association(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a call of its own: the program takes a second name for a folder."""
    world = make_world(tmp_path, ROOTS[:2], table=False)
    world.runs(DRIZZLES, monkeypatch)

    names = {file.name for file in world.drizzle().files}

    assert {f"{root}_drz.fits" for root in ROOTS[:2]} <= names


def test_switch_of_the_plan_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program reads DRIZCORR in the raw: there it says what was decided."""
    world = make_world(tmp_path, ROOTS[:1], table=False)
    raw = Path(world.request.inputs.files[0].path)
    fits.setval(raw, "DRIZCORR", value="OMIT")
    world.runs(f"cp *_raw.fits '{tmp_path}'; {DRIZZLES}", monkeypatch)

    world.drizzle()

    assert fits.getval(tmp_path / raw.name, "DRIZCORR") == "PERFORM"
    assert fits.getval(raw, "DRIZCORR") == "OMIT"


@pytest.mark.parametrize(
    ("body", "kind", "code", "words"),
    [
        (CRASHES, EngineError, STAGE2, "SIGSEGV"),
        (IS_KILLED, OutOfMemory, CHILD_MEMORY, "out of memory"),
        (SAYS_OUT_OF_MEMORY, OutOfMemory, CHILD_MEMORY, "out of memory"),
        (FAILS, EngineError, STAGE2, "exit code 2"),
        (MAKES_NOTHING, EngineError, STAGE2, "ib3y01a0q_dr[cz].fits is not there"),
        (f"{DRIZZLES}\nrm *_drc.fits", EngineError, STAGE2, "ib3y01a0q_drc.fits is not there"),
        (f"{DRIZZLES}\nrm *_flc.fits", EngineError, STAGE2, "ib3y01a0q_flc.fits is not there"),
        (f"{DRIZZLES}\necho > ib3y01a0q_drz.fits", EngineError, STAGE2, "cannot be read"),
        (f"{DRIZZLES}\ntruncate -s 9000 ib3y01a0q_flt.fits", EngineError, STAGE2, "_flt.fits"),
    ],
)
def test_bad_ends(
    body: str,
    kind: type[HstflowError],
    code: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each is an error that says what is wrong; what was calibrated is as it was."""
    world = make_world(tmp_path, ROOTS[:1], table=False, cte=True)
    world.runs(body, monkeypatch)

    with pytest.raises(kind, match=words) as caught:
        world.drizzle()

    assert caught.value.code == code
    for file in world.products.files:
        assert product_file(Path(file.path)) == file
    assert not [name for name in world.left if "drz" in name or name.startswith(".")]


def test_failure_leaves_nothing(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calibration and drizzling are one: another try finds an empty folder."""
    one.runs(FAILS, monkeypatch)

    with pytest.raises(EngineError):
        calibrate_and_drizzle(one, one.request, PLAN)

    assert [name for name in one.left if name.endswith((".fits", ".tra"))] == []


@pytest.mark.parametrize(
    "body", [NOT_VIABLE, f"{NOT_VIABLE}; exit 65", f"{DRIZZLES}\nrm *_drz.fits; exit 65"]
)
def test_no_viable_data(body: str, one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was calibrated stays to the bit, and a note and a trailer say why there is no more."""
    one.runs(body, monkeypatch)

    products = one.drizzle()

    assert products.files == one.products.files
    for file in products.files:
        assert product_file(Path(file.path)) == file
    assert products.notes == ("stage 2: no viable data",)
    assert products.stage2 == "drizzlepac 3.11.0: no viable data"
    assert [Path(log).name for log in products.logs] == ["ib3y01a0q_drizzle.log"]


def test_nothing_to_drizzle(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where calibration leaves no flt the program is not started."""
    one.runs(FAILS, monkeypatch)
    products = dataclasses.replace(one.products, files=())

    done = drizzle(one.request, products, PLAN)

    assert done.notes == ("stage 2: there is no calibrated image (flt, flc) to drizzle",)
