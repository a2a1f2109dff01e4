"""Visits and skycells are made by drizzlepac's programs, here by stand-ins with all their ends."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from astropy.io import fits
from hap_inputs import SKYCELL, VISIT, make_image, make_inputs, request_for
from standin_programs import (
    CANNOT_UPDATE,
    COMBINES_VISIT,
    CRASHES,
    FAILS,
    FINDS_NOTHING_VIABLE,
    FINDS_ONLY_SMALL,
    HANGS,
    IS_KILLED,
    MAKES_NOTHING,
    SAYS_OUT_OF_MEMORY,
    hide_programs,
    make_combiners,
    put_first_on_path,
)

from calib.engines.hap import HapEngine
from calib.engines.lookup import choose_engine
from calib.engines.protocol import Engine, ListedEngine
from calib.errors import (
    MVM,
    SVM,
    CorruptFile,
    EngineError,
    MissingMember,
    OutOfMemory,
    UnsupportedMode,
)
from calib.programs import run as running
from calib.switches import Overrides


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of stand-ins that do what they should, first on PATH."""
    put_first_on_path(make_combiners(tmp_path / "bin"), monkeypatch)
    return tmp_path / "bin"


def left_in(folder: Path) -> list[str]:
    """Return the names of what is in a folder but logs."""
    return sorted(p.name for p in folder.iterdir() if p.suffix != ".log")


def test_visit_has_the_products_of_caldp(programs: Path, tmp_path: Path) -> None:
    """Images of exposures, filters and all; logs, catalogue, the list; nothing of the inputs."""
    made = HapEngine().calibrate(request_for(tmp_path, make_inputs(tmp_path / "in")))

    names = {file.name for file in made.files}
    begin = "hst_9453_01_acs_wfc_"
    assert {f"{begin}f606w-clear2s_j8ph01ab_drc.fits", f"{begin}total_j8ph01_drc.fits"} <= names
    assert {f"{begin}total_j8ph01_point-cat.ecsv", f"{VISIT}_manifest.txt"} <= names
    assert not [name for name in names if name.startswith("j8ph01")]
    assert made.ending is None
    assert (made.engine, made.engine_version) == ("hap", "1.2.3 (stand-in)")
    assert [Path(path).name for path in (str(made.log), *made.logs)] == [
        f"{VISIT}_runsinglehap.log",
        "astrodrizzle.log",
    ]
    assert left_in(tmp_path / "out") == sorted(names)


def test_skycell_has_the_products_of_caldp(programs: Path, tmp_path: Path) -> None:
    """One image per layer, its log, and the list."""
    made = HapEngine().calibrate(request_for(tmp_path, make_inputs(tmp_path / "in", SKYCELL)))

    names = [file.name for file in made.files]
    assert [name for name in names if name.endswith("_drc.fits")]
    assert all(name.startswith((f"hst_{SKYCELL}", SKYCELL)) for name in names)
    assert f"{SKYCELL}_manifest.txt" in names


def test_products_bear_the_version_keywords(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every FITS product, before its checksum is taken; the dataset's own value wins."""
    monkeypatch.setenv("CSYS_VER", "image:2")
    monkeypatch.setenv("AWSYSVER", "of the process")
    environment = {"AWSYSVER": "0.4.48"}
    request = request_for(tmp_path, make_inputs(tmp_path / "in"), environment=environment)

    made = HapEngine().calibrate(request)

    for file in made.files:
        if file.name.endswith(".fits"):
            header = fits.getheader(file.path)
            assert (header["CSYS_VER"], header["AWSYSVER"]) == ("image:2", "0.4.48")
            assert Path(file.path).stat().st_size == file.size


def test_poller_leads_to_the_private_folder_and_variables_to_the_child_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths of the archive are gone from the poller; what is recorded stands above variables."""
    body = 'cat "$1"; env | grep -e ASTRO -e SVM; ls; exit 2'
    put_first_on_path(make_combiners(tmp_path / "bin", visit=body), monkeypatch)
    environment = {"ASTROMETRY_STEP_CONTROL": "on", "SVM_CATALOG_WFC": "off"}
    request = request_for(tmp_path, make_inputs(tmp_path / "in"), environment=environment)

    with pytest.raises(EngineError) as caught:
        HapEngine().calibrate(request)

    said = caught.value.log_tail
    assert "j8ph01abq_flc.fits,9453,8PH,01,340.0,F606W;CLEAR2S,WFC,j8ph01abq_flc.fits" in said
    assert "/archive" not in said
    assert "ASTROMETRY_STEP_CONTROL=off" in said
    assert "ASTRODRIZ_NO_PARALLEL=1" in said
    assert "SVM_CATALOG_WFC=off" in said
    assert "SVM_CATALOG_WFC" not in os.environ


def test_nothing_stale_is_taken(programs: Path, tmp_path: Path) -> None:
    """Products of another day in the folder of the inputs are no products of today."""
    inputs = make_inputs(tmp_path / "in")
    make_image(tmp_path / "in", "hst_9453_01_acs_wfc_f814w_j8ph01_drc.fits")
    old = tmp_path / "out" / "hst_old_j8ph01_drc.fits"
    old.parent.mkdir()
    old.write_bytes(b"old")

    made = HapEngine().calibrate(request_for(tmp_path, inputs))

    assert not [file.name for file in made.files if "f814w" in file.name or "old" in file.name]
    assert old.read_bytes() == b"old"
    assert not list(old.parent.glob(".*"))


@pytest.mark.parametrize("body", [FINDS_NOTHING_VIABLE, FINDS_ONLY_SMALL], ids=["65", "55"])
def test_no_viable_data_is_an_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    """Not an error, and no product: the program's words are the reason."""
    put_first_on_path(make_combiners(tmp_path / "bin", visit=body), monkeypatch)

    made = HapEngine().calibrate(request_for(tmp_path, make_inputs(tmp_path / "in")))

    assert (made.files, made.ending) == ((), "no viable data")
    assert "iable" in made.reason
    assert "multi-visit table" in Path(str(made.log)).read_text()
    assert left_in(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("body", "exit_code", "match"),
    [
        (FAILS, 2, "exit code 2"),
        (CANNOT_UPDATE, 15, "disk without room"),
        (CRASHES, -11, "SIGSEGV"),
        ("exit 1", 1, "exit code 1"),
        (MAKES_NOTHING, 0, "manifest.txt is not there"),
        (': > "${1%_input.out}_manifest.txt"', 0, "lists no drizzled image"),
    ],
)
@pytest.mark.parametrize(("dataset", "code"), [(VISIT, SVM), (SKYCELL, MVM)], ids=["svm", "mvm"])
def test_bad_ends_are_errors_of_the_kind(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    body: str,
    exit_code: int,
    match: str,
    dataset: str,
    code: int,
) -> None:
    """Code 40 for visits and 41 for skycells; the message says what; nothing is left."""
    folder = make_combiners(tmp_path / "bin", visit=body, skycell=body)
    put_first_on_path(folder, monkeypatch)

    with pytest.raises(EngineError, match=match) as caught:
        HapEngine().calibrate(request_for(tmp_path, make_inputs(tmp_path / "in", dataset)))

    assert (caught.value.code, caught.value.exit_code) == (code, exit_code)
    assert caught.value.dataset == dataset
    assert caught.value.__cause__ is not caught.value
    assert left_in(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        ("rm hst_*total*_drc.fits", "which it lists, is not there"),
        ("rm hst_*.ecsv", "which it lists, is not there"),
        (": > $(ls hst_*.ecsv)", "is empty"),
        ("echo x > hst_9453_01_acs_wfc_total_j8ph01_drc.fits", "read"),
    ],
)
def test_products_that_are_not_what_the_list_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: str, match: str
) -> None:
    """An exit code of 0 is not believed: what is listed is there, opens, and is not empty."""
    body = f"{COMBINES_VISIT}\n{spoil}"
    put_first_on_path(make_combiners(tmp_path / "bin", visit=body), monkeypatch)

    with pytest.raises(EngineError, match=match) as caught:
        HapEngine().calibrate(request_for(tmp_path, make_inputs(tmp_path / "in")))

    assert (caught.value.code, caught.value.exit_code) == (SVM, 0)
    assert left_in(tmp_path / "out") == []


@pytest.mark.parametrize("body", [IS_KILLED, SAYS_OUT_OF_MEMORY], ids=["signal 9", "text"])
def test_lack_of_memory_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """The next rung follows, as for any program: a killed child is no failed visit."""
    put_first_on_path(make_combiners(tmp_path / "bin", visit=body), monkeypatch)

    with pytest.raises(OutOfMemory) as caught:
        HapEngine().calibrate(request_for(tmp_path, make_inputs(tmp_path / "in")))

    assert caught.value.code == 31


def test_a_lost_log_of_a_product_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The science is there: a person reads which logs are not."""
    body = f"{COMBINES_VISIT}\nrm hst_*_total_j8ph01_trl.txt"
    put_first_on_path(make_combiners(tmp_path / "bin", visit=body), monkeypatch)

    made = HapEngine().calibrate(request_for(tmp_path, make_inputs(tmp_path / "in")))

    assert "logs that it did not write: hst_9453_01_acs_wfc_total_j8ph01_trl.txt" in made.notes[0]


def test_switches_of_exposures_are_told_to_do_nothing(programs: Path, tmp_path: Path) -> None:
    """A campaign sets them for its exposures; its visits say that they do not use them."""
    overrides = Overrides({"DARKCORR": "OMIT"}, {"acsrej.sigma": "5"})
    request = request_for(tmp_path, make_inputs(tmp_path / "in"), overrides=overrides)

    made = HapEngine().calibrate(request)

    assert made.notes == (
        "DARKCORR, acsrej.sigma set for exposures: of no effect on visits and skycells",
    )


def test_bad_pollers_are_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image that is not there, another number of columns, an image twice, no line, no file."""
    put_first_on_path(make_combiners(tmp_path / "bin", visit="echo ran; exit 9"), monkeypatch)
    inputs = make_inputs(tmp_path / "in")
    poller = tmp_path / "in" / f"{VISIT}_input.out"
    whole = poller.read_text()
    request = request_for(tmp_path, inputs)
    for text, kind, match in (
        (whole.replace("j8ph01acq", "j8ph01adq"), MissingMember, "j8ph01adq"),
        (whole.replace("9453,", ""), CorruptFile, "columns"),
        (whole + whole, CorruptFile, "twice"),
        ("\n", CorruptFile, "no exposure"),
        (whole.replace("j8ph01", "j8ph02"), CorruptFile, "line 1 .*j8ph01"),
        (whole.replace(",WFC,", ",UVIS,"), CorruptFile, "detector"),
    ):
        poller.write_text(text)
        with pytest.raises(kind, match=match) as caught:
            HapEngine().calibrate(request)
        assert caught.value.code == 21


def test_simple_poller_of_names_is_taken(programs: Path, tmp_path: Path) -> None:
    """Runsinglehap reads one of names alone, too; then the names stay as they are."""
    inputs = make_inputs(tmp_path / "in")
    poller = tmp_path / "in" / f"{VISIT}_input.out"
    poller.write_text("j8ph01abq_flc.fits\n")

    made = HapEngine().calibrate(request_for(tmp_path, inputs))

    assert any(file.name.endswith("_j8ph01ab_drc.fits") for file in made.files)


def test_without_the_programs_the_reason_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Exit code 23 from every side; `auto` names this engine alone: the others make no visits."""
    hide_programs(monkeypatch)
    engine = HapEngine()
    for ask in (
        lambda: engine.numbers_version,
        lambda: choose_engine("auto", [], kind="svm"),
        lambda: engine.calibrate(request_for(tmp_path, make_inputs(tmp_path / "in"))),
    ):
        with pytest.raises(
            UnsupportedMode, match=r"runsinglehap is not on PATH.*drizzle"
        ) as caught:
            ask()
        assert caught.value.code == 23
        assert "native" not in str(caught.value)
    assert all(each.found is None and each.advice for each in engine.installations())


def test_engine_is_what_auto_takes_for_visits(programs: Path) -> None:
    """It has the shape of an engine, is listed, and does not take exposures."""
    engine = HapEngine()

    assert isinstance(engine, ListedEngine)
    taken: Engine = choose_engine("auto", [], kind="mvm")
    assert taken.name == "hap"
    assert [each.version for each in engine.installations()] == ["1.2.3 (stand-in)"] * 2
    with pytest.raises(UnsupportedMode, match="skycells and visits, not exposures"):
        choose_engine("hap", [{"INSTRUME": "ACS"}])


def test_hanging_program_is_ended_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an operator or a time limit ends is that, and no failure of the visit."""
    from calib.errors import Cancelled
    from calib.programs.allowance import CURRENT, Allowance

    put_first_on_path(make_combiners(tmp_path / "bin", visit=f"echo on it; {HANGS}"), monkeypatch)
    monkeypatch.setattr(running, "GRACE", 0.1)
    allowance = Allowance(VISIT, None)
    token = CURRENT.set(allowance)
    try:
        allowance.end(Cancelled("taken back"))
        with pytest.raises(Cancelled):
            HapEngine().calibrate(request_for(tmp_path, make_inputs(tmp_path / "in")))
    finally:
        CURRENT.reset(token)
