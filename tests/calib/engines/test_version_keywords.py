"""Version keywords: what the environment says, and what is said where it says nothing."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest
from astropy.io import fits

from calib.engines.version_keywords import LONGEST, version_cards, version_keywords
from calib.errors import ConfigError
from calib.fitsfile import primary_header, update_primary_header

OURS = f"hstflow {version('hstflow')}"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ("UNDEFINED", OURS, "UNDEFINED")),
        ({"CSYS_VER": "2026.2.1", "PATH": "/bin"}, ("2026.2.1", OURS, "UNDEFINED")),
        # CALDP's own image stamps the empty text: nobody has said anything.
        (dict.fromkeys(("CSYS_VER", "AWSDPVER", "AWSYSVER"), ""), ("UNDEFINED", OURS, "UNDEFINED")),
        (
            {"CSYS_VER": " a b ", "AWSDPVER": "0.2.30", "AWSYSVER": "v0.4"},
            ("a b", "0.2.30", "v0.4"),
        ),
    ],
)
def test_keywords(environment: dict[str, str], expected: tuple[str, str, str]) -> None:
    """A variable that is set and not blank wins; AWSDPVER is ours otherwise."""
    found = version_keywords(environment)
    assert (found["CSYS_VER"], found["AWSDPVER"], found["AWSYSVER"]) == expected


@pytest.mark.parametrize("value", ["x" * (LONGEST + 1), "'" * (LONGEST // 2 + 1), "a\nb", "é"])
def test_what_no_card_holds_is_refused(value: str) -> None:
    """Before anything is written; the message names the keyword."""
    with pytest.raises(ConfigError, match="AWSYSVER"):
        version_keywords({"AWSYSVER": value})


@pytest.mark.parametrize("value", ["x" * LONGEST, "'" * (LONGEST // 2), "a/b = 'c'"])
def test_the_longest_values_survive_a_header(tmp_path: Path, value: str) -> None:
    """Written and read they are the same, and further cards are not touched."""
    path = tmp_path / "a.fits"
    fits.PrimaryHDU(header=fits.Header({"CAL_VER": "x"})).writeto(path)
    update_primary_header(path, version_cards(version_keywords({"CSYS_VER": value})))
    header = primary_header(path)
    assert (header["CSYS_VER"], header["AWSYSVER"], header["CAL_VER"]) == (value, "UNDEFINED", "x")


def test_cards_have_one_order() -> None:
    """However the values were stored, a header comes out the same."""
    values = version_keywords({})
    assert list(version_cards(dict(sorted(values.items())))) == ["CSYS_VER", "AWSDPVER", "AWSYSVER"]
    assert version_cards({}) == {}
