"""What the programs of HSTCAL must make, foretold from the headers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.association import read_rows
from calib.engines.hstcal_products import (
    SUFFIXES,
    association_products,
    exposure_products,
    stis_products,
)
from calib.engines.switch_references import OPENINGS

SWITCHES = sorted({name for table in OPENINGS.values() for each in table for name in each.switches})
HEADERS = st.builds(
    lambda performed, **values: {**dict.fromkeys(performed, "PERFORM"), **values},
    st.sets(st.sampled_from([*SWITCHES, "EXPSCORR"])),
    INSTRUME=st.sampled_from(("ACS", "WFC3", "STIS")),
    DETECTOR=st.sampled_from(("WFC", "HRC", "SBC", "UVIS", "IR", "CCD", "NUV-MAMA")),
    OBSTYPE=st.sampled_from(("IMAGING", "SPECTROSCOPIC")),
    NEXTEND=st.sampled_from((3, 6)),
)


def suffixes(names: Any) -> list[str]:
    """Return the last parts of names of products."""
    return [name.removesuffix(".fits").rpartition("_")[2] for name in names]


@given(HEADERS)
def test_something_comes_of_every_input(header: dict[str, Any]) -> None:
    """Each product has a name of its own, and a suffix that is published."""
    for names in (exposure_products("root", header), stis_products("root", header)):
        assert names
        assert len(set(names)) == len(names)
        assert set(suffixes(names)) <= SUFFIXES


@given(HEADERS, st.sampled_from(("CR1", "RP1", "DTH")), st.integers(1, 3))
def test_something_comes_of_every_association(
    header: dict[str, Any], kind: str, exposures: int
) -> None:
    """A position of one exposure is not combined; the others have a product of their own."""
    members = [f"jzz0010{number}q" for number in range(1, exposures + 1)]
    rows = [(name, f"EXP-{kind}", True) for name in members]
    rows.append(("jzz001011", f"PROD-{kind}", False))
    association = read_rows("jzz001010", rows)
    names = association_products(association, dict.fromkeys(members, header))
    assert names
    assert len(set(names)) == len(names)
    combined = any(name.startswith("jzz001011") for name in names)
    assert combined == (kind != "DTH" and exposures > 1)


@pytest.mark.parametrize(
    ("instrument", "detector", "kind", "switches", "expected"),
    [
        ("ACS", "WFC", "CR", (), ["crj"]),
        ("ACS", "WFC", "CR", ("PCTECORR",), ["crj", "crc"]),
        ("ACS", "HRC", "CR", ("PCTECORR", "EXPSCORR"), ["crj", "flt", "flt"]),
        ("ACS", "WFC", "CR", ("PCTECORR", "EXPSCORR"), ["crj", "crc", *("flt", "flc") * 2]),
        ("ACS", "SBC", "RP", (), ["sfl", "flt", "flt"]),
        ("WFC3", "UVIS", "RP", ("EXPSCORR",), ["crj", "flt", "flt"]),
        ("WFC3", "IR", "RP", (), ["crj", *("flt", "ima") * 2]),
        ("WFC3", "IR", "DTH", (), [*("flt", "ima") * 2]),
    ],
)
def test_associations(
    instrument: str, detector: str, kind: str, switches: tuple[str, ...], expected: list[str]
) -> None:
    """The table of the data handbooks."""
    label = "" if kind == "DTH" else "1"
    rows = [(name, f"EXP-{kind}{label}", True) for name in ("jzz00101q", "jzz00102q")]
    rows.append(("jzz001011", f"PROD-{kind}{label}", False))
    header = {
        "INSTRUME": instrument, "DETECTOR": detector, **dict.fromkeys(switches, "PERFORM"),
    }  # fmt: skip
    headers = {"jzz00101q": header, "jzz00102q": header}
    names = association_products(read_rows("jzz001010", rows), headers)
    assert suffixes(names) == expected


@pytest.mark.parametrize(
    ("detector", "obstype", "exposures", "switches", "expected"),
    [
        ("CCD", "IMAGING", 1, ("DARKCORR",), ["flt"]),
        ("CCD", "IMAGING", 1, ("DARKCORR", "CRCORR"), ["flt"]),
        ("CCD", "IMAGING", 2, ("BIASCORR", "CRCORR", "EXPSCORR"), ["crj"]),
        ("CCD", "IMAGING", 2, ("DARKCORR", "CRCORR", "EXPSCORR"), ["crj", "flt"]),
        ("CCD", "IMAGING", 1, ("DARKCORR", "GEOCORR"), ["flt", "x2d"]),
        ("CCD", "SPECTROSCOPIC", 2, ("CRCORR", "X1DCORR", "X2DCORR"), ["crj", "sx2", "sx1"]),
        ("CCD", "SPECTROSCOPIC", 1, ("DARKCORR", "X1DCORR"), ["flt", "x1d"]),
        ("CCD", "IMAGING", 1, ("DARKCORR", "X1DCORR"), ["flt"]),
        ("NUV-MAMA", "IMAGING", 2, ("DARKCORR", "RPTCORR"), ["flt", "sfl"]),
        ("NUV-MAMA", "IMAGING", 2, ("DARKCORR", "CRCORR"), ["flt"]),
        ("NUV-MAMA", "SPECTROSCOPIC", 1, ("X1DCORR", "WAVECORR"), ["x1d"]),
    ],
)
def test_stis(
    detector: str, obstype: str, exposures: int, switches: tuple[str, ...], expected: list[str]
) -> None:
    """As calstis goes on from step to step."""
    header = {
        "DETECTOR": detector, "OBSTYPE": obstype, "NEXTEND": 3 * exposures,
        **dict.fromkeys(switches, "PERFORM"),
    }  # fmt: skip
    assert suffixes(stis_products("oz0001010", header)) == expected
