"""Which wavelength a filter stands for."""

from __future__ import annotations

from pathlib import Path

import pytest
from astropy.io import fits

from calib.preview.filters import is_colourless, wavelength_of

# All filters of the handbooks, in groups whose name says the wavelength in the same way.
WFC_HRC = (
    "f220w f250w f330w f344n f435w f475w f502n f550m f555w f606w f625w f658n f660n f775w f814w"
    " f892n"
)
UVIS = (
    "f218w f225w f275w f280n f336w f343n f373n f390m f390w f395n f410m f438w f467m f469n f475w"
    " f487n f502n f547m f555w f606w f621m f625w f631n f645n f656n f657n f658n f665n f673n f680n"
    " f689m f763m f775w f814w f845m f953n"
)
QUADS = (
    "fq232n fq243n fq378n fq387n fq422m fq436n fq437n fq492n fq508n fq575n fq619n fq634n fq672n"
    " fq674n fq727n fq750n fq889n fq906n fq924n fq937n"
)
RAMPS = "fr388n fr423n fr459m fr462n fr505n fr551n fr601n fr647m fr656n fr716n fr782n fr853n"
RAMPS_TOO = "fr914m fr931n fr1016n"
INFRARED = (
    "f098m f105w f110w f125w f126n f127m f128n f130n f132n f139m f140w f153m f160w f164n f167n"
)


@pytest.mark.parametrize(
    ("names", "instrument", "detector", "step"),
    [
        (WFC_HRC, "acs", "wfc", 1),
        (f"{RAMPS} {RAMPS_TOO}", "acs", "wfc", 1),
        ("f122m", "acs", "sbc", 1),
        (UVIS, "wfc3", "uvis", 1),
        (QUADS, "wfc3", "uvis", 1),
        (INFRARED, "wfc3", "ir", 10),
    ],
)
def test_digits_are_nanometres_and_tens_of_them_in_the_infrared(
    names: str, instrument: str, detector: str, step: int
) -> None:
    """Every filter of the instruments has a wavelength: no name is unknown."""
    for name in names.split():
        digits = int("".join(letter for letter in name if letter.isdigit()))
        assert wavelength_of(name, instrument, detector) == step * digits, name
        assert wavelength_of(name.upper(), instrument.upper(), detector.upper()) == step * digits


@pytest.mark.parametrize(
    ("name", "instrument", "detector", "expected"),
    [
        ("f850lp", "acs", "wfc", 903),
        ("f850lp", "wfc3", "uvis", 917.6),
        ("f200lp", "wfc3", "uvis", 497.2),
        ("f300x", "wfc3", "uvis", 282),
        ("f115lp", "acs", "sbc", 140.6),
        ("f165lp", "acs", "sbc", 176.3),
    ],
)
def test_filters_named_after_an_edge_have_their_pivot(
    name: str, instrument: str, detector: str, expected: float
) -> None:
    """F200LP is green, not ultraviolet."""
    assert wavelength_of(name, instrument, detector) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("f606w-pol0v", 606),
        ("pol120v-f606w", 606),
        ("clear1l;f814w", 814),
        ("CLEAR1L;F814W", 814),
        ("f502n-f435w", 502),
        ("f555w-fr505n", 505),
        ("f435w-f658n", 658),
    ],
)
def test_narrowest_of_two_wheels_counts(name: str, expected: float) -> None:
    """Polarisers and clear positions have no say; of two filters the narrower one has."""
    assert wavelength_of(name, "acs", "wfc") == expected
    assert not is_colourless(name)


@pytest.mark.parametrize(
    "name",
    [
        "clear", "clear1l", "clear2s", "clear;clear", "clear1l-clear2l", "pol0uv", "pol120v",
        "clear;pol60v", "g800l", "g102", "g141", "pr200l", "pr110l", "total", "n/a",
    ],
)  # fmt: skip
def test_what_has_no_colour(name: str) -> None:
    """Known, but without a wavelength: no cause for a warning."""
    assert is_colourless(name)
    assert wavelength_of(name, "acs", "wfc") is None


@pytest.mark.parametrize("name", ["f606q", "x606w", "f60w", "fr12345n", "606", "f606w2", "clearly"])
def test_unknown_filters(name: str) -> None:
    """What is no filter has no wavelength, and is not passed off as clear."""
    assert wavelength_of(name, "acs", "wfc") is None
    assert not is_colourless(name)


def test_names_agree_with_the_pivot_wavelengths_of_a_real_table(shared: Path) -> None:
    """Filters of ACS/WFC, alone and with a polariser, within 5 % of PHOTPLAM of the IMPHTTAB."""
    with fits.open(shared / "data" / "real" / "w3m17171j_extrap_imp.fits") as hdus:
        rows = hdus["PHOTPLAM"].data
        modes = {row["OBSMODE"].strip(): float(row["PHOTPLAM"]) / 10 for row in rows}
    checked = 0
    for mode, pivot in modes.items():
        _, detector, *names = mode.split(",")
        usual = len(names) == 1 or (len(names) == 2 and names[1] == "pol_v")
        if detector != "wfc1" or not usual or not pivot or not names[0].startswith("f"):
            continue
        assert wavelength_of(names[0], "acs", "wfc") == pytest.approx(pivot, rel=0.05), mode
        checked += 1
    assert checked > 20
