"""Switches, defaults for old raws, and settings as a person writes them."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.dq import ALL_BITS
from calib.errors import ConfigError, DataError, HstflowError
from calib.records import from_json, to_json
from calib.switches import (
    DEFAULTS,
    Overrides,
    Switch,
    caveats,
    is_switch,
    parse_overrides,
    read_keyword,
    read_number,
    read_switch,
)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ({"DARKCORR": "PERFORM"}, Switch.PERFORM),
        ({"DARKCORR": "complete "}, Switch.COMPLETE),
        ({"DARKCORR": "SKIPPED"}, Switch.SKIPPED),
        ({"DARKCORR": "  "}, Switch.OMIT),
        ({}, Switch.OMIT),
    ],
)
def test_switch_of_a_header(header: dict[str, str], value: Switch) -> None:
    """Any case, blanks around; absent or blank is OMIT."""
    assert read_switch(header, "DARKCORR") is value


def test_unknown_switch_value_is_an_error() -> None:
    """A word that is none of the four is said with the keyword."""
    with pytest.raises(DataError, match=r"DARKCORR.*MAYBE"):
        read_switch({"DARKCORR": "MAYBE"}, "DARKCORR")


def test_defaults_stand_in_for_absent_keywords() -> None:
    """Old raws lack them; what is there wins, without its blanks."""
    assert read_keyword({}, "CCDCHIP") == 1
    assert read_keyword({}, "JWROTYPE") == ""
    assert read_keyword({"EXPTIME": 60.0}, "DARKTIME") == 60.0
    assert read_keyword({"EXPTIME": 60.0, "DARKTIME": 62.0}, "DARKTIME") == 62.0
    assert read_keyword({"CCDAMP": "C   "}, "CCDAMP") == "C"
    assert DEFAULTS["SDQFLAGS"].value == ALL_BITS


def test_absent_keyword_without_default_is_an_error() -> None:
    """The message names it."""
    with pytest.raises(DataError, match="EXPSTART"):
        read_keyword({}, "EXPSTART")


def test_caveats_tell_what_changes_numbers() -> None:
    """Only DARKTIME does, and only where it is absent."""
    assert len(caveats({})) == 1
    assert "DARKTIME" in caveats({})[0]
    assert caveats({"DARKTIME": 1.0}) == ()


@pytest.mark.parametrize(
    ("keyword", "answer"),
    [("DARKCORR", True), ("CRCORR", True), ("DQICORR", True), ("DARKFILE", False), ("CORR", False)],
)
def test_names_of_switches(keyword: str, answer: bool) -> None:
    """Two to four letters and CORR."""
    assert is_switch(keyword) is answer


def test_settings_are_sorted_into_switches_and_parameters() -> None:
    """Switches in any case; parameters as step.parameter."""
    found = parse_overrides(["darkcorr=omit", "bias_level.clip_sigma = 4", "FLSHCORR=PERFORM"])
    assert found.switches == {"DARKCORR": "OMIT", "FLSHCORR": "PERFORM"}
    assert found.parameters == {"bias_level.clip_sigma": "4"}
    assert found
    assert not parse_overrides([])


@pytest.mark.parametrize(
    "setting",
    ["DARKCORR", "DARKCORR=", "DARKCORR=COMPLETE", "DARKCORR=SKIPPED", "DARKCORR=MAYBE", "=OMIT",
     "", "clip_sigma=4", "bias_level.=4", ".clip=4", "Bias.clip=4", "bias_level.clip_sigma=",
     "a b.c=1"],
)  # fmt: skip
def test_nonsense_is_refused(setting: str) -> None:
    """Neither a switch set to PERFORM or OMIT nor a parameter with a value."""
    with pytest.raises(ConfigError):
        parse_overrides([setting])


@pytest.mark.parametrize("twice", [("DARKCORR=OMIT", "darkcorr=PERFORM"), ("a.b=1", "a.b=2")])
def test_a_setting_given_twice_is_refused(twice: tuple[str, str]) -> None:
    """Which one would win is not guessed."""
    with pytest.raises(ConfigError, match="twice"):
        parse_overrides(twice)


@given(st.lists(st.text(max_size=20), max_size=3))
def test_any_text_is_either_read_or_refused(settings: list[str]) -> None:
    """No other error comes out."""
    try:
        found = parse_overrides(settings)
    except HstflowError:
        return
    assert set(found.switches.values()) <= {"PERFORM", "OMIT"}


def test_overrides_are_json() -> None:
    """They go into fingerprints and records."""
    found = parse_overrides(["DARKCORR=OMIT", "a.b=1"])
    assert from_json(Overrides, to_json(found)) == found
    assert json.loads(json.dumps(dataclasses.asdict(found))) == dataclasses.asdict(found)


def test_overrides_apply_to_a_copy() -> None:
    """The header itself stays."""
    header = {"DARKCORR": "PERFORM", "FILTER1": "F555W"}
    assert parse_overrides(["DARKCORR=OMIT"]).apply(header)["DARKCORR"] == "OMIT"
    assert header["DARKCORR"] == "PERFORM"


@pytest.mark.parametrize(("value", "number"), [(2, 2.0), (2.5, 2.5), ("500.0", 500.0), (None, 1.0)])
def test_numbers_are_read(value: object, number: float) -> None:
    """Whole ones, text that is one, and the default of CCDGAIN for a card without a value."""
    assert read_number({"CCDGAIN": value}, "CCDGAIN") == number


@pytest.mark.parametrize("value", ["two", "", "NaN", float("inf"), True])
def test_what_is_no_number_is_refused(value: object) -> None:
    """The message shows what was found."""
    with pytest.raises(DataError, match=r"CCDGAIN is not usable.*a number") as caught:
        read_number({"CCDGAIN": value}, "CCDGAIN")
    assert caught.value.found == repr(value)


def test_cards_without_a_value_are_absent() -> None:
    """A switch is OMIT then, a keyword without default is missing, DARKTIME has its caveat."""
    blank = {"DARKCORR": None, "EXPTIME": None, "DARKTIME": None}
    assert read_switch(blank, "DARKCORR") is Switch.OMIT
    with pytest.raises(DataError, match="lacks a keyword"):
        read_keyword(blank, "EXPTIME")
    assert len(caveats(blank)) == 1
