"""The references that programs open by switch, against headers and against the rules."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.engines.calcos_references import OPENINGS as COS
from calib.engines.native import NativeEngine
from calib.engines.switch_references import (
    OPENINGS,
    STIS_WAVECAL,
    exposures_of_stis,
    switch_references,
)
from calib.records import Member

PAIR = tuple(
    Member(name, kind, present=True)
    for name, kind in (("a", "EXP-CRJ"), ("b", "EXP-CRJ"), ("c", "PROD-CRJ"))
)
ALL = {name for table in OPENINGS.values() for each in table for name in each.switches}


def performing(*switches: str, **header: Any) -> dict[str, Any]:
    """Return a header in which these switches are PERFORM."""
    return {**dict.fromkeys(switches, "PERFORM"), **header}


@pytest.mark.parametrize(
    ("instrument", "header", "members", "expected"),
    [
        ("acs", {"DETECTOR": "SBC"}, (), ()),
        ("acs", {"DETECTOR": "WFC"}, (), ("CCDTAB",)),
        (
            "acs",
            performing("DARKCORR", "PCTECORR", DETECTOR="WFC"),
            (),
            ("CCDTAB", "PCTETAB", "DARKFILE", "DRKCFILE"),
        ),
        ("acs", performing("CRCORR", DETECTOR="HRC"), (), ("CCDTAB",)),
        ("acs", performing("CRCORR", DETECTOR="HRC"), PAIR, ("CCDTAB", "CRREJTAB")),
        ("acs", performing("RPTCORR", DETECTOR="SBC"), PAIR, ()),
        ("acs", performing("LFLGCORR", "GLINCORR", DETECTOR="SBC"), (), ("MLINTAB",)),
        (
            "acs",
            performing("DQICORR", DETECTOR="SBC", BPIXTAB="jref$x_bpx.fits", SATUFILE="jref$y"),
            (),
            ("BPIXTAB",),
        ),
        ("acs", performing("DQICORR", DETECTOR="SBC", BPIXTAB=" n/a "), (), ()),
        ("wfc3", performing("CRCORR", DETECTOR="UVIS"), (), ("CCDTAB",)),
        ("wfc3", performing("CRCORR", DETECTOR="IR"), (), ("CCDTAB", "OSCNTAB", "CRREJTAB")),
        (
            "wfc3",
            performing("ZSIGCORR", DETECTOR="IR"),
            (),
            ("CCDTAB", "OSCNTAB", "DARKFILE", "NLINFILE"),
        ),
        (
            "wfc3",
            performing("PCTECORR", "FLSHCORR", DETECTOR="UVIS"),
            (),
            ("CCDTAB", "PCTETAB", "DRKCFILE", "BIACFILE", "FLSHFILE"),
        ),
        ("wfc3", performing("FLSHCORR", "BIASCORR", DETECTOR="IR"), (), ("CCDTAB", "OSCNTAB")),
        ("stis", performing("CRCORR", DETECTOR="CCD", NEXTEND=3), (), ("CCDTAB",)),
        ("stis", performing("CRCORR", DETECTOR="CCD", NEXTEND=6), (), ("CCDTAB", "CRREJTAB")),
        ("stis", performing("CRCORR", DETECTOR="NUV-MAMA", NEXTEND=6), (), ()),
        (
            "stis",
            performing("WAVECORR", DETECTOR="NUV-MAMA", OBSTYPE="SPECTROSCOPIC"),
            (),
            ("WCPTAB", "LAMPTAB", "APDESTAB"),
        ),
        ("stis", performing("X2DCORR", "X1DCORR", DETECTOR="NUV-MAMA", OBSTYPE="IMAGING"), (), ()),
        ("stis", performing("GEOCORR", DETECTOR="NUV-MAMA", OBSTYPE="IMAGING"), (), ("IDCTAB",)),
    ],
)  # fmt: skip
def test_opened_files(
    instrument: str,
    header: Mapping[str, Any],
    members: tuple[Member, ...],
    expected: tuple[str, ...],
) -> None:
    """As the programs' own lists have it."""
    assert switch_references(instrument, header, members) == expected


def test_first_order_spectrum_of_stis() -> None:
    """A flux-calibrated spectrum with its image needs the whole chain of tables, each once."""
    header = performing(
        "X1DCORR", "X2DCORR", "DISPCORR", "FLUXCORR", DETECTOR="NUV-MAMA", OBSTYPE="SPECTROSCOPIC"
    )
    assert switch_references("stis", header) == (
        "SDCTAB", "SPTRCTAB", "APDESTAB", "DISPTAB", "INANGTAB", "PCTAB", "PHOTTAB", "APERTAB",
        "XTRACTAB",
    )  # fmt: skip


def test_wavecal_of_stis_needs_its_tables_whatever_its_switches_say() -> None:
    """Its file name tells it apart from an exposure."""
    header = {"DETECTOR": "FUV-MAMA", "FILENAME": "oz0001010_wav.fits", "SDCTAB": "N/A"}
    found = switch_references("stis", header)
    assert found == ("WCPTAB", "LAMPTAB", "SPTRCTAB", "APDESTAB", "DISPTAB", "INANGTAB")
    assert switch_references("stis", {**header, "FILENAME": "oz0001010_raw.fits"}) == ()


@pytest.mark.parametrize(
    ("header", "expected"),
    [({}, 1), ({"NEXTEND": 3}, 1), ({"NEXTEND": 9}, 3), ({"NEXTEND": ""}, 1)],
)
def test_exposures_of_a_file_of_stis(header: Mapping[str, Any], expected: int) -> None:
    """Three extensions are one exposure; a header that does not tell has one."""
    assert exposures_of_stis(header) == expected


@given(
    st.sampled_from(sorted(OPENINGS)),
    st.sets(st.sampled_from(sorted(ALL))),
    st.sampled_from(("WFC", "HRC", "SBC", "UVIS", "IR", "CCD", "FUV-MAMA", "NUV", "FUV")),
    st.sampled_from(sorted(ALL)),
)
def test_a_switch_more_never_needs_less(
    instrument: str, switches: set[str], detector: str, another: str
) -> None:
    """Each keyword comes once, and only PERFORM opens files."""
    header = performing(*switches, DETECTOR=detector, OBSTYPE="SPECTROSCOPIC")
    found = switch_references(instrument, header, PAIR)
    more = switch_references(instrument, {**header, another: "PERFORM"}, PAIR)
    assert set(found) <= set(more)
    assert len(set(found)) == len(found)
    done = switch_references(instrument, dict.fromkeys(header, "COMPLETE"), PAIR)
    assert set(done) <= {"CCDTAB", "OSCNTAB"}


@pytest.mark.parametrize("detector", ["WFC", "HRC", "SBC"])
@pytest.mark.parametrize("members", [(), PAIR], ids=["alone", "pair"])
def test_native_opens_no_file_that_calacs_does_not(
    detector: str, members: tuple[Member, ...]
) -> None:
    """Both do the same steps, so that a dataset needs the same files with either."""
    both = ("DQICORR", "DARKCORR", "FLATCORR", "PHOTCORR")
    own = ("GLINCORR", "LFLGCORR") if detector == "SBC" else ("BIASCORR", "BLEVCORR", "CRCORR")
    header = performing(
        *both, *own, INSTRUME="ACS", DETECTOR=detector, CCDAMP="C", BPIXTAB="jref$b.fits"
    )  # fmt: skip
    native = NativeEngine().required_references(header, members)
    program = switch_references("acs", header, members)
    assert set(native) == set(program)


def test_every_keyword_is_a_type_of_the_rules(shared: Path) -> None:
    """A slip in a name would ask for a file that no rule can give."""
    with tarfile.open(shared / "data" / "crds_pack.tar.gz") as pack:
        names = {Path(name).name for name in pack.getnames() if name.endswith(".rmap")}
    # What programs read where it is named, though no rule of these contexts names it.
    unruled = {
        "acs": {"DFLTFILE", "LFLTFILE", "SATUFILE"},
        "wfc3": {"DFLTFILE", "LFLTFILE", "SHADFILE", "SATUFILE"},
        "stis": {"ATODTAB", "DFLTFILE", "SHADFILE"},
        "cos": {"HVDSTAB", "PHAFILE"},
    }
    stis = (*OPENINGS["stis"], *STIS_WAVECAL)
    for instrument, table in {**OPENINGS, "stis": stis, "cos": COS}.items():
        opened = {key for each in table for key in (*each.references, *each.optional)}
        ruled = {n.split("_")[2].upper() for n in names if n.startswith(f"hst_{instrument}_")}
        assert opened - ruled - unruled[instrument] == set()
