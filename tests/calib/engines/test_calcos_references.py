"""Which files calcos opens."""

from __future__ import annotations

from typing import Any

import cos_world as cos
import pytest

from calib.engines.calcos_references import required_references

OFF: dict[str, Any] = {
    **cos.PRIMARY,
    **{key: "OMIT" for key in cos.PRIMARY if key.endswith("CORR")},
    "APERTURE": "FCA",
}
FUV = {**OFF, "DETECTOR": "FUV", "OBSTYPE": "SPECTROSCOPIC"}
ON = "PERFORM"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (OFF, set()),
        ({**OFF, "FLATCORR": ON}, {"FLATFILE"}),
        ({**OFF, "PHOTCORR": ON}, set()),  # the numbers stand in the program
        ({**OFF, "DQICORR": ON}, {"BPIXTAB"}),
        ({**OFF, "DQICORR": ON, "GSAGTAB": "lref$g.fits"}, {"BPIXTAB", "GSAGTAB"}),
        ({**OFF, "HVTAB": "lref$h.fits"}, {"HVTAB"}),
        ({**OFF, "BADTCORR": ON}, set()),  # N/A: calcos sets the switch to SKIPPED
        ({**OFF, "BADTCORR": ON, "BADTTAB": "lref$b.fits"}, {"BADTTAB"}),
        ({**OFF, "TEMPCORR": ON}, set()),  # not for the NUV
        (FUV, {"BRFTAB"}),  # the active area, always
        ({**FUV, "PHACORR": ON}, {"BRFTAB", "PHATAB"}),
        ({**FUV, "PHACORR": ON, "PHAFILE": "lref$p.fits"}, {"BRFTAB", "PHAFILE"}),
        (
            {**FUV, "PHACORR": ON, "PHAFILE": "lref$p.fits", "OBSMODE": "ACCUM"},
            {"BRFTAB", "PHATAB"},
        ),
        ({**FUV, "WAVECORR": ON}, {"BRFTAB", "LAMPTAB", "WCPTAB", "XTRACTAB", "DISPTAB"}),
        ({**OFF, "WAVECORR": ON}, set()),  # an image
        ({**FUV, "X1DCORR": ON}, {"BRFTAB", "XTRACTAB", "DISPTAB"}),
        (
            {**FUV, "X1DCORR": ON, "XTRCTALG": "TWOZONE", "FLUXCORR": ON, "FLUXTAB": "x"},
            {"BRFTAB", "XTRACTAB", "DISPTAB", "TWOZXTAB", "FLUXTAB"},
        ),
        ({**FUV, "X1DCORR": ON, "FLUXCORR": ON}, {"BRFTAB", "XTRACTAB", "DISPTAB", "PHOTTAB"}),
        ({**FUV, "FLUXCORR": ON}, {"BRFTAB"}),  # nothing to turn into flux
        ({**FUV, "APERTURE": "PSA"}, {"BRFTAB", "XTRACTAB", "DISPTAB"}),  # airglow
        ({**FUV, "TRCECORR": ON, "ALGNCORR": ON}, {"BRFTAB", "TRACETAB", "PROFTAB", "XTRACTAB"}),
        ({**FUV, "EXPTYPE": "ACQ/PEAKD", "FLATCORR": ON}, set()),
    ],
)
def test_files_by_switch(header: dict[str, Any], expected: set[str]) -> None:
    """As the program looks for them before it starts, and where its steps open more."""
    found = required_references(header)
    assert set(found) == expected
    assert len(found) == len(expected)
