"""What reference files call themselves."""

from __future__ import annotations

import subprocess
import sys

import pytest

from calib.references.keywords import keyword_of, reference_keywords


@pytest.mark.parametrize(
    ("instrument", "filetype", "expected"),
    [
        ("acs", "BIAS", "BIASFILE"),
        ("ACS", "pixel-to-pixel flat", "PFLTFILE"),
        ("wfc3", "CTEDARK", "DRKCFILE"),
        ("stis", "CCD BIAS IMAGE", "BIASFILE"),
        ("cos", "FLAT FIELD REFERENCE IMAGE", "FLATFILE"),
        ("acs", "SCI", None),
        ("acs", "", None),
        ("nothing", "BIAS", None),
    ],
)
def test_filetype_says_the_keyword(instrument: str, filetype: str, expected: str | None) -> None:
    """FILETYPE, in any case, is looked up among those of the instrument."""
    assert keyword_of(instrument, filetype) == expected


def test_every_instrument_is_known() -> None:
    """Every instrument has its flats or fluxes, and names are those of headers."""
    expected = {"acs": "SNKCFILE", "wfc3": "NLINFILE", "stis": "PHOTTAB", "cos": "FLUXTAB"}
    for instrument, keyword in expected.items():
        assert keyword in reference_keywords(instrument)


def test_crds_is_not_imported() -> None:
    """The list is read without the second that importing the package takes."""
    code = (
        "import sys; from calib.references.keywords import keyword_of; "
        "assert keyword_of('acs', 'BIAS') == 'BIASFILE'; assert 'crds' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
