"""Which exposures go to the programs of HSTCAL, and which version they have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from factories import PRIMARY
from program_headers import IDLE, STIS, UVIS, WFC
from standin_programs import hide_programs, make_program

from calib.engines.hstcal import HstcalEngine
from calib.engines.lookup import choose_engine
from calib.switches import parse_overrides


def test_engine_of_one_program(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its version is the program's, and another program's version changes nothing."""
    engine = HstcalEngine().narrowed(PRIMARY)
    assert engine.numbers_version == "calacs.e 1.2 (01-Jan-2026)"
    make_program(programs, "calwf3.e", "exit 0", version="3.7.3")
    assert HstcalEngine().narrowed(PRIMARY).numbers_version == engine.numbers_version
    assert HstcalEngine().narrowed(UVIS).numbers_version == "calwf3.e 3.7.3"


def test_installations(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All three programs are told, with the way to get those that are not here."""
    (programs / "cs0.e").unlink()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    calacs, _, cs0 = HstcalEngine().installations()
    assert (calacs.found, calacs.version) == (str(programs / "calacs.e"), "1.2 (01-Jan-2026)")
    assert (cs0.found, cs0.version) == (None, "")
    assert "conda" in cs0.advice


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"INSTRUME": "COS", "DETECTOR": "FUV"}, "it calibrates ACS, WFC3 and STIS, not COS"),
        ({}, "it calibrates"),
        ({**PRIMARY, "DETECTOR": "XRC"}, "DETECTOR is XRC"),
        ({**PRIMARY, "DETECTOR": ""}, "DETECTOR is absent"),
        (PRIMARY, "calacs.e is not on PATH"),
        (UVIS, "calwf3.e is not on PATH"),
        (STIS, "cs0.e is not on PATH"),
    ],
)
def test_what_is_not_covered(
    header: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each for its own reason."""
    hide_programs(monkeypatch)
    assert reason in str(HstcalEngine().covers(header))


def test_auto_takes_the_program_for_what_native_lacks(programs: Path) -> None:
    """Trailed charge is not corrected natively: auto goes to calacs.e where it is."""
    engine = choose_engine("auto", [WFC])
    assert (engine.name, engine.numbers_version) == ("hstcal", "calacs.e 1.2 (01-Jan-2026)")
    assert choose_engine("auto", [WFC], parse_overrides(["PCTECORR=OMIT"])).name == "native"


def test_auto_ends_acquisition_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Native refuses them; that nothing is to be done needs no program."""
    hide_programs(monkeypatch)
    assert choose_engine("auto", [{**PRIMARY, **IDLE, "OBSMODE": "ACQ"}]).name == "idle"
