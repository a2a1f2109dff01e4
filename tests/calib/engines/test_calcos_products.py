"""What calcos must make of a call, by the headers."""

from __future__ import annotations

from typing import Any

import cos_world as cos
import pytest

from calib.engines.calcos_calls import Call, RawFile
from calib.engines.calcos_products import expected_products, why_nothing
from calib.records import InputFile

ROOT = "la8q99abq"
EVENTS = {"corrtag", "flt", "counts"}
OFF = {key: "OMIT" for key in cos.PRIMARY if key.endswith("CORR")}


def raw(suffix: str, root: str = ROOT, flashes: int = 0, rows: int = 9, **header: Any) -> RawFile:
    """Return a raw file that is nowhere."""
    name = f"{root}_{suffix}.fits"
    file = InputFile(name, f"/nowhere/{name}", "0", 1, suffix, root)
    return RawFile(file, {**cos.PRIMARY, **header}, flashes, rows)


def suffixes(*raws: RawFile, product: str | None = None) -> set[str]:
    """Return what stands behind the root in the names of the products."""
    call = Call(product or ROOT, "x.fits", raws, product, is_association=product is not None)
    return {name.partition("_")[2].removesuffix(".fits") for name in expected_products(call)}


@pytest.mark.parametrize(
    ("suffix", "header", "flashes", "expected"),
    [
        ("rawtag", {}, 0, EVENTS),
        ("rawaccum", {"OBSMODE": "ACCUM"}, 0, EVENTS),
        ("rawacq", {"OBSMODE": "ACCUM", "EXPTYPE": "ACQ/IMAGE"}, 0, {"flt", "counts"}),
        ("rawacq", {"EXPTYPE": "ACQ/SEARCH"}, 0, set()),
        ("rawtag", {"X1DCORR": "PERFORM"}, 0, EVENTS),  # an image has no spectrum
        ("rawtag", cos.SPECTRUM, 0, {*EVENTS, "x1d"}),
        ("rawtag", {**cos.SPECTRUM, "X1DCORR": "OMIT"}, 0, EVENTS),
        ("rawtag", {**cos.SPECTRUM, "TAGFLASH": "AUTO"}, 3, {*EVENTS, "x1d"}),
        (
            "rawtag",
            {**cos.SPECTRUM, "TAGFLASH": "AUTO", "WAVECORR": "PERFORM"},
            3,
            {*EVENTS, "x1d", "lampflash"},
        ),
        ("rawtag", OFF, 0, set()),
    ],
)
def test_products_of_an_exposure(
    suffix: str, header: dict[str, Any], flashes: int, expected: set[str]
) -> None:
    """Tables 2.1 and 2.2 of the COS Data Handbook."""
    assert suffixes(raw(suffix, flashes=flashes, **header)) == expected


def test_segments_share_their_spectrum() -> None:
    """Images and events are by segment, spectra of both are in one file."""
    both = [raw(f"rawtag_{x}", SEGMENT=f"FUV{x.upper()}", **cos.FUV) for x in "ab"]
    images = {f"{kind}_{x}" for kind in EVENTS for x in "ab"}
    assert suffixes(*both) == {*images, "x1d"}


def test_empty_segments_have_no_lamp_spectrum() -> None:
    """One with events is enough."""
    header = {**cos.FUV, "TAGFLASH": "AUTO", "WAVECORR": "PERFORM"}
    full, empty = (raw(f"rawtag_{x}", flashes=2, rows=n, **header) for x, n in (("a", 5), ("b", 0)))
    assert "lampflash" in suffixes(full, empty)
    assert "lampflash" not in suffixes(empty)


def test_sums_of_an_association() -> None:
    """One of all spectra, and one for each FP-POS that there is; wavecals are not in them."""
    raws = [
        raw("rawtag", "la8q99abq", **cos.SPECTRUM, FPPOS=1),
        raw("rawtag", "la8q99acq", **cos.SPECTRUM, FPPOS=4),
        raw("rawtag", "la8q99adq", **{**cos.SPECTRUM, "EXPTYPE": "WAVECAL"}, FPPOS=2),
    ]
    sums = {name for name in suffixes(*raws, product="la8q99010") if "sum" in name}
    assert sums == {"x1dsum", "x1dsum1", "x1dsum4"}
    assert not {name for name in suffixes(*raws) if "sum" in name}  # no product is named
    images = suffixes(raw("rawtag"), raw("rawtag", "la8q99acq"), product="la8q99010")
    assert images == {*EVENTS, "fltsum"}


def test_first_science_exposure_decides() -> None:
    """Its switches count for the start and the sums, as in calcos."""
    idle = raw("rawtag", "la8q99abq", **{**cos.SPECTRUM, **OFF})
    busy = raw("rawtag", "la8q99acq", **cos.SPECTRUM)
    assert suffixes(idle, busy, product="la8q99010") == set()
    found = suffixes(busy, idle, product="la8q99010")
    assert {"x1dsum", "x1dsum3"} <= found
    lamp = raw("rawtag", "la8q99adq", **{**cos.SPECTRUM, **OFF, "EXPTYPE": "WAVECAL"})
    assert suffixes(idle, lamp, product="la8q99010") == EVENTS


def test_why_there_is_nothing() -> None:
    """In words for people."""
    peak = Call(ROOT, "x.fits", (raw("rawacq", EXPTYPE="ACQ/PEAKD"),))
    assert why_nothing(peak) == f"{ROOT} is ACQ/PEAKD, which calcos does not calibrate"
    off = Call(ROOT, "x.fits", (raw("rawtag", **OFF),))
    assert why_nothing(off) == f"no switch of {ROOT} asks calcos for anything"
