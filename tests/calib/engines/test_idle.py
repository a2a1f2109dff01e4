"""Exposures in which no switch is PERFORM: nothing to do, whatever is installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from standin_programs import hide_programs

from calib.engines.idle import IdleEngine, is_idle
from calib.engines.lookup import choose_engine
from calib.engines.protocol import CalibrationRequest
from calib.errors import ConfigError, DataError, UnsupportedMode
from calib.records import InputFile, RawInputs, References
from calib.switches import parse_overrides

ACQUISITION = {"INSTRUME": "STIS", "DETECTOR": "CCD", "DQICORR": "OMIT", "BIASCORR": "OMIT"}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (ACQUISITION, True),
        ({**ACQUISITION, "DQICORR": "COMPLETE"}, True),
        ({**ACQUISITION, "DQICORR": "PERFORM"}, False),
        ({**ACQUISITION, "FILENAME": "o4er06llq_raw.fits"}, True),
        ({**ACQUISITION, "FILENAME": "O4ER06LLQ_WAV.FITS "}, False),
        ({"INSTRUME": "STIS", "DETECTOR": "CCD"}, False),
        ({}, False),
    ],
)
def test_when_there_is_nothing_to_do(header: Mapping[str, Any], *, expected: bool) -> None:
    """There are switches and none is PERFORM; a wavelength calibration goes with its image."""
    assert is_idle(header) is expected
    assert (IdleEngine().covers(header) is None) is expected


def test_a_word_that_no_switch_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is an error, not an answer."""
    hide_programs(monkeypatch)
    with pytest.raises(DataError, match="DQICORR"):
        choose_engine("auto", [{**ACQUISITION, "DQICORR": "MAYBE"}])


@pytest.mark.parametrize("name", ["auto", "native", "hstcal"])
def test_chosen_without_any_program(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever engine is asked for; no reference is needed either."""
    hide_programs(monkeypatch)
    assert choose_engine(name, [ACQUISITION]).name == "idle"
    assert choose_engine(name, [ACQUISITION]).required_references(ACQUISITION) == ()


def test_not_where_something_is_to_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """One exposure of several, or a switch of the user's: then an engine has to be there."""
    hide_programs(monkeypatch)
    with pytest.raises(UnsupportedMode, match="native"):
        choose_engine("native", [ACQUISITION, {**ACQUISITION, "DQICORR": "PERFORM"}])
    with pytest.raises(UnsupportedMode, match="native"):
        choose_engine("native", [ACQUISITION], parse_overrides(["DQICORR=PERFORM"]))
    with pytest.raises(ConfigError, match="no such engine"):
        choose_engine("nobody", [ACQUISITION])


def test_what_native_covers_stays_with_it() -> None:
    """An exposure of SBC whose switches are all OMIT is still made into a product."""
    header = {"INSTRUME": "ACS", "DETECTOR": "SBC", "DQICORR": "OMIT"}
    assert choose_engine("auto", [header]).name == "native"


def test_the_outcome(tmp_path: Path) -> None:
    """No product, no failure, and a reason that names the file."""
    file = InputFile("o4er06llq_raw.fits", "x", "0", 1, "raw", "o4er06llq")
    inputs = RawInputs("o4er06llq", "file:", (file,))
    made = IdleEngine().calibrate(
        CalibrationRequest("o4er06llq", inputs, References("c", "1", ()), tmp_path)
    )
    assert (made.files, made.ending) == ((), "nothing to do")
    assert made.reason == "o4er06llq_raw.fits: no switch is PERFORM"
