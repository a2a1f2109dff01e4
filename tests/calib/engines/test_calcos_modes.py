"""What calcos makes of headers: roles, switches that it resets, and what it refuses."""

from __future__ import annotations

from typing import Any

import cos_world as cos
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.engines.calcos_modes import ROLES, has_work, performed, refusal, role_of
from calib.errors import DataError

ALL_ON = {**cos.PRIMARY, **{key: "PERFORM" for key in cos.PRIMARY if key.endswith("CORR")}}


@pytest.mark.parametrize(
    ("header", "flashes", "role"),
    [
        ({}, 0, "science"),
        ({"EXPTYPE": "DARK"}, 0, "science"),
        ({"EXPTYPE": "WAVECAL", "OBSTYPE": "SPECTROSCOPIC"}, 0, "wavecal"),
        ({"EXPTYPE": "WAVECAL"}, 0, "calibration"),  # of an image: for no association
        ({"TAGFLASH": "AUTO", "OBSTYPE": "SPECTROSCOPIC"}, 4, "science"),
        ({"TAGFLASH": "UNIFORMLY SPACED", "EXPTYPE": "FLAT"}, 4, "calibration"),
        ({"TAGFLASH": "AUTO", "EXPTYPE": "FLAT"}, 0, "science"),  # no flash came
        ({"EXPTYPE": "ACQ/IMAGE"}, 0, "image"),
        ({"EXPTYPE": "ACQ/PEAKD"}, 0, "none"),
        ({"EXPTYPE": "MEMORY DUMP"}, 0, "none"),
        ({"EXPTYPE": "something else"}, 0, "none"),
    ],
)
def test_roles(header: dict[str, Any], flashes: int, role: str) -> None:
    """As calcos decides by EXPTYPE, OBSTYPE and TAGFLASH."""
    assert role_of({**cos.PRIMARY, **header}, flashes) == role


@pytest.mark.parametrize(
    ("changes", "off"),
    [
        ({}, {"TEMPCORR", "RANDCORR", "PHACORR", "DOPPCORR", "FLUXCORR"}),  # an image of the NUV
        ({"DETECTOR": "FUV", **cos.SPECTRUM}, set()),
        ({**cos.SPECTRUM, "EXPTYPE": "WAVECAL"}, {"FLUXCORR", "HELCORR", "TDSCORR"}),
        ({**cos.SPECTRUM, "X1DCORR": "OMIT"}, {"FLUXCORR", "BACKCORR", "TDSCORR", "X1DCORR"}),
    ],
)
def test_switches_that_are_reset(changes: dict[str, Any], off: set[str]) -> None:
    """A switch of a step that a mode has not counts as OMIT."""
    found = performed({**ALL_ON, **changes})
    assert not found & off
    assert {"DQICORR", "FLATCORR"} <= found
    if not off:
        assert found >= {key for key in ALL_ON if key.endswith("CORR")}


def test_what_calcos_starts_for() -> None:
    """Photometry alone is no reason, nor is a step that is reset for the detector."""
    off = {key: "OMIT" for key in ALL_ON if key.endswith("CORR")}
    assert not has_work({**cos.PRIMARY, **off, "PHOTCORR": "PERFORM"})
    assert not has_work({**cos.PRIMARY, **off, "RANDCORR": "PERFORM"})
    assert has_work({**cos.PRIMARY, **off, "DETECTOR": "FUV", "RANDCORR": "PERFORM"})
    with pytest.raises(DataError, match="DQICORR has no known value"):
        performed({"DQICORR": "MAYBE"})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"COSCOORD": "DETECTOR"}, "COSCOORD is DETECTOR"),
        ({"WALKCORR": "OMIT"}, "the header has WALKCORR of an early calcos"),
        ({"WALKTAB": "N/A", "WALKCORR": "OMIT"}, "WALKCORR and WALKTAB"),
        ({"DGEOCORR": "PERFORM"}, "DGEOCORR is PERFORM while GEOCORR is OMIT"),
        ({"DETECTOR": "CCD"}, "DETECTOR is CCD; calcos knows FUV, NUV"),
        ({"OBSMODE": "SCAN"}, "OBSMODE is SCAN"),
        ({"EXPTYPE": "PARTY"}, "EXPTYPE is PARTY"),
    ],
)
def test_what_calcos_would_stop_at(changes: dict[str, Any], reason: str) -> None:
    """It is said before calcos is started."""
    assert reason in (refusal({**cos.PRIMARY, **changes}) or "")
    assert refusal(cos.PRIMARY) is None


@given(st.dictionaries(st.sampled_from(sorted(ALL_ON)), st.sampled_from(["PERFORM", "OMIT", None])))
def test_refusal_and_roles_take_any_header(header: dict[str, Any]) -> None:
    """A header from a catalogue may lack anything; a role is one of the five."""
    refusal(header)
    assert role_of(header) in {*ROLES.values(), "calibration"}
    assert performed(header) <= {key for key, value in header.items() if value == "PERFORM"}
