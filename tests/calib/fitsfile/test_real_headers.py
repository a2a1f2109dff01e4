"""Real headers of WFC3 products (calwf3 3.7.1) on small pixels: headerlets and all survive."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from calib.engines.protocol import CalibrationRequest
from calib.engines.workplace import workplace
from calib.fitsfile import primary_header, read_exposure, update_primary_header, write_exposure
from calib.fitsfile.comparison import compare_fits
from calib.fitsfile.header_text import LENGTH
from calib.records import InputFile, RawInputs, References

NAMES = ("sample_ipppssoot_flc.fits", "sample_ipppssoot_flt.fits", "sample_svm_flt.fits")
BLOCK = 2880

# What an image extension begins with is written anew, with the same values.
STRUCTURE = {"SIMPLE", "XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT"}
STRUCTURE |= {"EXTEND", "EXTNAME", "EXTVER"}

# What describes the pixels as they were stored before.
PIXELS = {"BSCALE", "BZERO", "DATAMIN", "DATAMAX", "DATE", "CHECKSUM", "DATASUM", "GROUPS"}


def units(path: Path) -> list[tuple[list[str], bytes]]:
    """Return the cards and the data of every HDU, read as bytes without astropy."""
    content, at, found = path.read_bytes(), 0, []
    while at < len(content):
        cards: list[str] = []
        while not cards or cards[-1].rstrip() != "END":
            cards.append(content[at : at + LENGTH].decode("ascii"))
            at += LENGTH
        at += -at % BLOCK
        values = {c[:8].strip(): c[10:30].strip() for c in cards if c[8:10] == "= "}
        axes = [int(values[f"NAXIS{n + 1}"]) for n in range(int(values["NAXIS"]))]
        size = abs(int(values["BITPIX"])) // 8 * int(values.get("GCOUNT", "1")) if axes else 0
        pixels = 1
        for axis in axes:
            pixels *= axis
        size *= pixels + int(values.get("PCOUNT", "0"))
        size += -size % BLOCK
        found.append((cards[:-1], content[at : at + size]))
        at += size
    return found


def named(units_of: list[tuple[list[str], bytes]]) -> dict[tuple[str, str], Any]:
    """Return the HDUs by EXTNAME and EXTVER."""
    found = {}
    for cards, data in units_of:
        values = {c[:8].strip(): c[10:].partition("/")[0].strip(" '") for c in cards}
        found[values.get("EXTNAME", "PRIMARY"), values.get("EXTVER", "1")] = (cards, data)
    return found


def kept(cards: list[str]) -> list[str]:
    """Return the cards that must not change by one character."""
    return [card for card in cards if card[:8].strip() not in STRUCTURE | PIXELS]


@pytest.fixture(params=NAMES)
def sample(request: pytest.FixtureRequest, shared: Path, tmp_path: Path) -> Path:
    """Return a copy of a real product."""
    path = Path(shutil.copyfile(shared / "data" / "real" / request.param, tmp_path / request.param))
    assert len(named(units(path))) == len(units(path)) > 15
    return path


def test_read_and_written_every_card_is_the_same(sample: Path, tmp_path: Path) -> None:
    """Each card of each HDU, in its order; the data of each, and whole HDRLET extensions."""
    target = tmp_path / "again.fits"
    write_exposure(target, read_exposure(sample))

    before, after = named(units(sample)), named(units(target))
    assert {*before} == {*after}
    assert sum(name == "HDRLET" for name, _ in after) >= 8
    for name, (cards, data) in before.items():
        is_image = name[0] in {"PRIMARY", "SCI", "ERR", "DQ"}
        assert kept(after[name][0]) == kept(cards), name
        assert is_image or after[name][0] == cards, name
        assert after[name][1] == data, name
    assert primary_header(target)["NEXTEND"] == len(before) - 1


def test_references_are_named_without_touching_anything_else(sample: Path) -> None:
    """New and changed cards of the primary header; every other card and byte stays."""
    before = units(sample)
    new = {"CSYS_VER": ("2026.2", "installation"), "BIASFILE": "iref$a_bia.fits"}
    update_primary_header(sample, new)
    after = units(sample)

    assert after[1:] == before[1:]
    kept_cards = [c for c in before[0][0] if c[:8].strip() not in {*new, "CHECKSUM"}]
    now = [c for c in after[0][0] if c[:8].strip() not in {*new, "CHECKSUM"}]
    assert [c for c in now if c.strip()] == [c for c in kept_cards if c.strip()]
    assert primary_header(sample)["CSYS_VER"] == "2026.2"


def test_brought_to_a_program_it_is_the_same_file(sample: Path, tmp_path: Path) -> None:
    """Byte for byte, as no reference and no switch is to be named in it."""
    file = InputFile(sample.name, str(sample), "", sample.stat().st_size, "flt", "ib4606cpq")
    inputs = RawInputs("ib4606cpq", "file:", (file,))
    request = CalibrationRequest("ib4606cpq", inputs, References("c", "1", ()), tmp_path / "out")
    with workplace(request, "program") as place:
        assert place.bring(file).read_bytes() == sample.read_bytes()
        assert compare_fits(sample, place.folder / sample.name) == ()
