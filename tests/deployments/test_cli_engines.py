"""`hstflow engines`: what calibrates which detector here, and how two engines differ."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from standin_programs import CRASHES, MAKES_NOTHING, hide_programs, make_program, put_first_on_path

from calib.reprocessing.engine_comparison import EngineComparison, EngineResult
from calib.simulate.observatory import Observatory
from calib.stages.job import Job, Options
from deployments.cli.console import out
from deployments.cli.main import run

DATASET = "jsim01aaq"
FLT = f"{DATASET}_flt.fits"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that is the first on PATH; no other program is there."""
    hide_programs(monkeypatch)
    folder = tmp_path / "programs"
    put_first_on_path(folder, monkeypatch)
    return folder


@pytest.fixture
def source(crds: Observatory) -> str:
    """Return where the raws are."""
    return f"file:{crds.raws}"


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the answer of `engines list --json`: entries by name."""
    assert run(["engines", "list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    return {
        **{each["program"]: each for each in found["engines"]},
        **{each["what"]: each for each in found["detectors"]},
    }


def test_list_without_programs(programs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every detector has a line: native or not, which program it takes, and how to get that."""
    found = listed(capsys)

    assert [found[f"ACS {each}"]["is_ready"] for each in ("HRC", "WFC", "SBC")] == [True] * 3
    assert found["ACS WFC"]["native"] == "yes, without PCTECORR"
    absent = {
        **dict.fromkeys(("WFC3 UVIS", "WFC3 IR"), ("calwf3.e", "conda install")),
        **dict.fromkeys(("STIS NUV-MAMA", "STIS FUV-MAMA"), ("cs0.e", "conda install")),
        **dict.fromkeys(("COS FUV", "COS NUV"), ("calcos", "hstflow[cos]")),
        "drizzled products (stage 2)": ("runastrodriz", "hstflow[drizzle]"),
        "visits (SVM)": ("runsinglehap", "hstflow[drizzle]"),
        "skycells (MVM)": ("runmultihap", "hstflow[drizzle]"),
    }
    for what, (program, advice) in absent.items():
        entry = found[what]
        assert (entry["program"], entry["native"], entry["is_ready"]) == (program, "no", False)
        assert advice in entry["advice"]
    assert found["native"]["found"] == "built in"


def test_list_with_programs(programs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One that is here is asked for its version; the table has all that the JSON has."""
    make_program(programs, "calwf3.e", "exit 0", "3.7.3 (Jan-07-2026)")
    entry = listed(capsys)["WFC3 IR"]
    assert (entry["found"], entry["version"]) == (str(programs / "calwf3.e"), "3.7.3 (Jan-07-2026)")
    assert entry["is_ready"]

    assert run(["engines", "list"]) == 0
    out = capsys.readouterr().out
    for text in ("WFC3 IR", "3.7.3", "skycells (MVM)", "to get calacs.e, cs0.e: conda"):
        assert text in out


def make_calacs(programs: Path, source: Path, body: str = "") -> None:
    """Make a calacs.e that gives a prepared product."""
    make_program(programs, "calacs.e", f"{body}\ncp {source} {FLT}")


def native_product(tmp_path: Path, source: str) -> Path:
    """Return a copy of what the native engine makes."""
    folder = tmp_path / "native"
    assert run(["process", DATASET, source, f"file:{folder}", "--quiet"]) == 0
    return Path(shutil.copyfile(folder / "data" / "acs" / DATASET / FLT, tmp_path / "model.fits"))


def test_compare(
    programs: Path, tmp_path: Path, source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Equal products end with 0; one pixel and one flag that differ with 1, and are told."""
    model = native_product(tmp_path, source)
    make_calacs(programs, model)
    command = ["engines", "compare", DATASET, source]
    capsys.readouterr()

    assert run(command) == 0
    assert "equal" in capsys.readouterr().out

    with fits.open(model) as hdus:
        hdus["SCI"].data[3, 4] += 12.5
        hdus["SCI"].data[5, 6] = np.nan
        hdus["DQ"].data[3, 4] ^= 1024
        hdus.writeto(model, overwrite=True)
    assert run([*command, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [each["folder"] for each in told["engines"]] == [None, None]
    assert told["pictures"] == []

    kept = tmp_path / "kept"
    assert run([*command, "--json", "-o", str(kept)]) == 1
    found = json.loads(capsys.readouterr().out)

    assert not found["is_equal"]
    assert [each["engine"] for each in found["engines"]] == ["native", "hstcal"]
    (product,) = (each for each in found["products"] if each["name"] == FLT)
    (one,) = product["sets"]
    (science,) = (each for each in one["planes"] if each["name"] == "SCI,1")
    assert (science["changed"], science["became_nan"]) == (2, 1)
    assert science["where_changed"]["maximum"] == pytest.approx(12.5, abs=1e-3)
    assert one["flags"]["changed"] == 1
    with fits.open(kept / "difference" / f"{DATASET}_flt_difference.fits") as hdus:
        assert hdus["SCI"].data[3, 4] == pytest.approx(12.5, abs=1e-3)
        assert np.isnan(hdus["SCI"].data[5, 6])
        assert np.count_nonzero(hdus["SCI"].data) == 2
        assert hdus["DQ"].data[3, 4] == 1024
    assert {f"{DATASET}_flt_difference.fits", f"{DATASET}_flt_sci1_difference.png"} == {
        path.name for path in (kept / "difference").iterdir()
    }
    assert (kept / "hstcal" / DATASET / "calibrate" / FLT).is_file()

    assert run([*command, "-o", str(kept)]) == 2
    assert "something in it" in capsys.readouterr().err


def test_compare_without_the_program(
    programs: Path, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said before anything is computed, with the way to get it; nothing is left."""
    assert run(["engines", "compare", DATASET, source]) == 23
    err = capsys.readouterr().err
    assert "calacs.e is not on PATH" in err
    assert "conda install" in err


@pytest.mark.parametrize(("body", "words"), [(CRASHES, "SIGSEGV"), (MAKES_NOTHING, FLT)])
def test_compare_with_a_program_that_fails(
    programs: Path, source: str, capsys: pytest.CaptureFixture[str], body: str, words: str
) -> None:
    """A crash, or an end with 0 and no product, is an error of that program."""
    make_program(programs, "calacs.e", body)
    assert run(["engines", "compare", DATASET, source]) == 23
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no dataset was named"),
        (["file:/x"], "no dataset was named"),
        ([DATASET, "file:/x", "y"], "too many"),
        ([DATASET, "--engines", "native"], "not two engines"),
        ([DATASET, "--engines", "auto,native"], "not two engines"),
        ([DATASET, "--engines", "native,native"], "not compared with itself"),
        ([DATASET, "--engines", "native,nobody"], "no such engine"),
        (["j8bt05", "file:/x"], "not the name of a dataset"),
        (["../x/jsim0", "/x"], "not the name of a dataset"),
    ],
)
def test_compare_refuses(
    crds: Observatory, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    """Bad words are told before anything is fetched."""
    assert run(["engines", "compare", *words]) == 2
    assert said in capsys.readouterr().err


def test_list_on_a_narrow_screen_keeps_what_is_copied(
    programs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names of programs and the commands that get them stay on one line each."""
    monkeypatch.setattr(out, "width", 60)

    assert run(["engines", "list"]) == 0

    lines = capsys.readouterr().out.splitlines()
    for name in ("runsinglehap", "runmultihap", "calwf3.e"):
        assert any(name in line.split() for line in lines)
    assert any(line.endswith(": pip install 'hstflow[drizzle]'") for line in lines)


@pytest.mark.parametrize(
    ("environment", "words", "stage2", "astrometry"),
    [
        ({}, [], "never", "off"),
        ({"HSTFLOW_STAGE2": "auto", "HSTFLOW_ASTROMETRY": "full"}, [], "auto", "full"),
        ({"HSTFLOW_STAGE2": "always"}, ["--stage2", "auto"], "auto", "off"),
        ({}, ["--astrometry", "apriori"], "never", "apriori"),
    ],
)
def test_compare_drizzles_only_where_somebody_wants_it(
    crds: Observatory,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    words: list[str],
    stage2: str,
    astrometry: str,
) -> None:
    """The same program drizzles for both: what was asked for, else nothing."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    asked: list[Options] = []

    def note(job: Job, engines: tuple[str, str], *, keeps: bool) -> Any:
        asked.append(job.options)
        results = (EngineResult("native", "1", (), "", None),) * 2
        return EngineComparison(job.dataset, job.context, results, ())

    monkeypatch.setattr("calib.reprocessing.engine_comparison.compare_engines", note)

    assert run(["engines", "compare", DATASET, "file:/x", *words]) == 0
    assert [(each.stage2, each.astrometry) for each in asked] == [(stage2, astrometry)]
