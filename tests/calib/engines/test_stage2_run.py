"""What runastrodriz is told, what of its files is taken, and what of others is never replaced."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from astropy.io import fits
from drizzle_world import DRIZZLES, NOT_VIABLE, PLAN, ROOTS, World, make_world
from standin_programs import FAILS

from calib.engines import astrometry, stage2_run
from calib.engines.astrometry import AstrometryMode
from calib.engines.stage2 import calibrate_and_drizzle, plan_stage2
from calib.errors import STAGE2, EngineError, Unavailable
from calib.records import Member, ProductFile
from calib.stores.store import product_file

HEADER = {"INSTRUME": "WFC3", "DRIZCORR": "PERFORM"}


@pytest.fixture
def one(tmp_path: Path) -> World:
    """Return an exposure."""
    return make_world(tmp_path, ROOTS[:1], table=False)


@pytest.mark.parametrize(
    ("mode", "answers", "told", "notes"),
    [
        ("off", True, "off off off", 0),
        ("apriori", False, "on on off", 0),
        ("aposteriori", False, "off off on", 0),
        ("full", False, "on on on", 0),
        ("auto", True, "on on on", 0),
        ("auto", False, "off off off", 1),
    ],
)
def test_astrometry(
    mode: AstrometryMode,
    answers: bool,
    told: str,
    notes: int,
    one: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All variables are set for the child; auto is full where the service answers, or says so."""
    for name in ("STEP_CONTROL", "APPLY_APRIORI", "COMPUTE_APOSTERIORI"):
        monkeypatch.setenv(f"ASTROMETRY_{name}", "of the user")
    words = " ".join(
        f"$ASTROMETRY_{name}" for name in ("STEP_CONTROL", "APPLY_APRIORI", "COMPUTE_APOSTERIORI")
    )
    one.runs(f"echo {words} > '{one.folder}/told'; {DRIZZLES}", monkeypatch)
    monkeypatch.setattr(astrometry, "is_reachable", lambda _: answers)

    plan = plan_stage2("auto", mode, [HEADER])
    products = one.drizzle(plan)

    assert (one.folder / "told").read_text().strip() == told
    assert len(products.notes) == notes
    assert all("mast.stsci.edu does not answer" in note for note in products.notes)
    resolved = {"auto": "full" if answers else "off"}.get(mode, mode)
    assert plan.record["astrometry"] == products.parameters["stage2.astrometry"] == resolved


def test_setting_wins(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is recorded is what is done, whatever the variables of the dataset say."""
    words = "$ASTROMETRY_APPLY_APRIORI $ASTRODRIZ_NO_PARALLEL"
    one.runs(f"echo {words} > '{one.folder}/told'; {DRIZZLES}", monkeypatch)
    own = {"ASTROMETRY_APPLY_APRIORI": "on", "ASTRODRIZ_NO_PARALLEL": "0"}
    one.request = dataclasses.replace(one.request, environment=own)

    one.drizzle()

    assert (one.folder / "told").read_text().strip() == "off 1"


# What stwcs says at each of its tries, and what the last of them says where all have failed.
TRIES = "AstrometryDB service unavailable! Retrying in 60 seconds (1 attempt(s) remaining)"
SILENT = f"{TRIES}\nAstrometryDB service unavailable!"
GOES_AWAY = f"""
[ $ASTROMETRY_STEP_CONTROL = off ] || printf '{SILENT}\n'
{DRIZZLES}
"""


@pytest.mark.parametrize("mode", ["auto", "full"])
def test_service_that_goes_away(
    mode: AstrometryMode, one: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program goes on without solutions: it is run without, or, by name, tried again."""
    one.runs(GOES_AWAY, monkeypatch)
    monkeypatch.setattr(astrometry, "is_reachable", lambda _: True)
    where = {astrometry.SERVICE_VARIABLE: "http://stars.example/"}
    monkeypatch.setenv(*next(iter(where.items())))
    plan = plan_stage2("auto", mode, [HEADER], environ=where)
    assert plan.record["astrometry"] == "full"

    if mode == "auto":
        products = one.drizzle(plan)
        assert "stars.example does not answer" in products.notes[0]
        assert products.parameters["stage2.astrometry"] == "off"
        assert products.stage2 == f"{plan.program}, astrometry off"
        log = (one.request.output / f"{ROOTS[0]}_drizzle.log").read_text()
        assert log == f"drizzled {ROOTS[0]}_raw.fits with astrometry off, 1 thread\n"
    else:
        with pytest.raises(Unavailable) as caught:
            one.drizzle(plan)
        assert caught.value.code == STAGE2
    assert plan_stage2("auto", "auto", [HEADER], environ=where).astrometry == "off"


def test_service_that_answers_late(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A try that fails before one that does not is no silence."""
    one.runs(f"echo '{TRIES}'; {DRIZZLES}", monkeypatch)

    products = one.drizzle(dataclasses.replace(PLAN, astrometry="full"))

    assert products.parameters["stage2.astrometry"] == "full"


def test_log_of_an_earlier_run(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another run said, of astrometry or of no viable data, is nothing to this one."""
    log = one.request.output / f"{ROOTS[0]}_drizzle.log"
    log.write_text(f"{SILENT}\nNo valid data found\n")
    one.runs(DRIZZLES, monkeypatch)

    products = one.drizzle(dataclasses.replace(PLAN, astrometry="full"))

    assert products.stage2 == "drizzlepac 3.11.0, astrometry full"
    assert "unavailable" not in log.read_text()


def test_solutions_are_recorded(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An alignment that fails within the program is seen in the headers alone."""
    fits.setval(one.products.files[0].path, "WCSNAME", value="IDC_w3m18525i", ext=1)
    one.runs(DRIZZLES, monkeypatch)

    products = one.drizzle(dataclasses.replace(PLAN, astrometry="full"))

    assert products.parameters["stage2.wcs"] == "IDC_w3m18525i"


@pytest.mark.parametrize("name", [f"{ROOTS[0]}_drz.fits", f"{ROOTS[0]}_drc.fits"])
def test_drizzled_image_of_another_run(
    name: str, one: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is never replaced, and nothing is calibrated for nothing."""
    one.runs(DRIZZLES, monkeypatch)
    (one.request.output / name).write_bytes(b"of a user")
    monkeypatch.setattr(World, "calibrate", None)

    with pytest.raises(EngineError, match="exists already") as caught:
        calibrate_and_drizzle(one, one.request, PLAN)

    assert caught.value.code == STAGE2
    assert (one.request.output / name).read_bytes() == b"of a user"


def test_product_of_the_table_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table says what the drizzled image is called."""
    world = make_world(tmp_path, ROOTS, table=True)
    world.runs(DRIZZLES, monkeypatch)
    members = (*world.request.inputs.members, Member("ib3y01011", "PROD-DTH", present=True))
    inputs = dataclasses.replace(world.request.inputs, members=members)
    world.request = dataclasses.replace(world.request, inputs=inputs)
    (world.request.output / "ib3y01011_drz.fits").write_bytes(b"of a user")

    with pytest.raises(EngineError, match="exists already"):
        calibrate_and_drizzle(world, world.request, PLAN)


def test_headerlet_of_another_run(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresees is not replaced either, and what was calibrated is as it was."""
    one.runs(DRIZZLES, monkeypatch)
    other = one.request.output / f"{ROOTS[0]}_flt_hlet.fits"
    other.write_bytes(b"of a user")

    with pytest.raises(EngineError, match="exists already"):
        one.drizzle()

    assert other.read_bytes() == b"of a user"
    for file in one.products.files:
        assert product_file(Path(file.path)) == file
    assert f"{ROOTS[0]}_drz.fits" not in one.left


def test_late_failure_leaves_nothing(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the last of the files cannot be taken the others go too, new ones as well."""

    def fails(path: Path) -> ProductFile:
        if path.name.endswith("_hlet.fits"):
            raise OSError(5, "Input/output error", str(path))
        return product_file(path)

    one.runs(DRIZZLES, monkeypatch)
    monkeypatch.setattr(stage2_run, "product_file", fails)

    with pytest.raises(OSError, match="Input/output"):
        calibrate_and_drizzle(one, one.request, PLAN)

    assert one.left == [f"{ROOTS[0]}_drizzle.log"]


@pytest.mark.parametrize("leaves", ["true", 'cp "$raw" "${3%_*}_drz.fits"'])
def test_one_exposure_is_not_viable(
    leaves: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the others the files are published; of it nothing, and its image is as it was."""
    world = make_world(tmp_path, ROOTS[:2], table=False)
    bad, good = (f"{root}_flt.fits" for root in ROOTS[:2])
    empty = tmp_path / "empty.fits"
    fits.PrimaryHDU().writeto(empty)
    spoilt = f"""
if [ $3 = {ROOTS[0]}_raw.fits ]; then
  raw='{empty}'
  {leaves}
  echo spoilt >> {bad}
  cp {good} other_file.fits
  {NOT_VIABLE}
  exit 0
fi
rm other_file.fits
sed -i "s/TARGNAME= 'ANY /TARGNAME= 'NEW /" {good}
cp {good} {ROOTS[1]}_drz.fits
"""
    world.runs(spoilt, monkeypatch)

    products = world.drizzle()

    names = [file.name for file in products.files]
    assert names == [bad, good, f"{ROOTS[1]}_drz.fits"]
    before = {file.name: file for file in world.products.files}
    after = {file.name: file for file in products.files}
    assert product_file(Path(after[bad].path)) == before[bad] == after[bad]
    assert after[good].sha256 != before[good].sha256
    assert products.notes == ("stage 2: no viable data in some exposures",)


NOT_REQUESTED = 'echo "astrodrizzle processing not requested"'


@pytest.mark.parametrize("is_must", [False, True])
def test_program_that_was_not_asked(
    is_must: bool, one: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The switch was set to PERFORM: a program that says otherwise has failed."""
    one.runs(NOT_REQUESTED, monkeypatch)

    with pytest.raises(EngineError, match="is not there"):
        one.drizzle(dataclasses.replace(PLAN, is_must=is_must))


@pytest.mark.parametrize(
    ("body", "has_images", "why"),
    [(NOT_VIABLE, True, "no viable data"), (FAILS, False, "there is no calibrated image")],
)
def test_what_must_be_drizzled_and_cannot(
    body: str, has_images: bool, why: str, one: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is error 24, not a note, and nothing is left."""
    one.runs(body, monkeypatch)
    if not has_images:
        for file in one.products.files:
            Path(file.path).unlink()
        one.products = dataclasses.replace(one.products, files=())

    with pytest.raises(EngineError, match=why) as caught:
        calibrate_and_drizzle(one, one.request, dataclasses.replace(PLAN, is_must=True))

    assert caught.value.code == STAGE2
    assert [name for name in one.left if not name.endswith(".log")] == []
