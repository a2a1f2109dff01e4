"""Headers as text: what nobody changes comes out as it went in."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from factories import frozen

from calib.fitsfile import Exposure, read_exposure, write_exposure
from calib.fitsfile.header_text import HeaderText, as_text, finished_cards
from calib.image import Header, Imset


def cards(*texts: str) -> str:
    """Return cards of 80 characters."""
    return "".join(text.ljust(80) for text in texts)


ODD = cards(
    "SIMPLE  =                    T / as ever",
    "EXPTIME =                100.0 / seconds",
    "TARGNAME= 'O''BRIEN '           / a quote",
    "LONG    = 'begins&'",
    "CONTINUE  ' and ends' / in two cards",
    "HIERARCH deep key = 4 / long name",
    "ODD     =   1.50000E+01/no blank before the comment",
    "NOVALUE =",
    "HISTORY first",
    "        a blank one",
    "COMMENT second",
)


def write(header: Header, **structure: object) -> list[str]:
    """Return the cards of a finished header, without trailing blanks."""
    text = "".join(finished_cards(header, structure, ("DROPPED",)))
    return [text[start : start + 80].rstrip() for start in range(0, len(text), 80)]


def test_values_are_those_of_astropy() -> None:
    """Whatever the form of a card; commentary gives its lines."""
    ours, theirs = HeaderText(ODD), fits.Header.fromstring(ODD)
    for keyword in ("SIMPLE", "EXPTIME", "TARGNAME", "LONG", "ODD"):
        assert ours[keyword] == theirs[keyword]
        assert ours.comment(keyword) == theirs.comments[keyword]
    assert ours["DEEP KEY"] == 4
    assert ours["HISTORY"] == ["first"]
    assert ours["COMMENT"] == ["second"]
    assert ours[""] == ["a blank one"]
    assert "NOTHERE" not in ours
    with pytest.raises(KeyError):
        ours["NOTHERE"]
    with pytest.raises(KeyError):
        HeaderText("")["HISTORY"]


def test_unchanged_cards_keep_every_byte() -> None:
    """Odd ones, continued ones and commentary too, in their order."""
    assert "".join(finished_cards(Header(HeaderText(ODD)), {}, ())) == ODD


def test_a_change_keeps_place_and_comment_and_the_rest() -> None:
    """New cards follow the last that is no commentary, HISTORY comes last."""
    header = Header(HeaderText(ODD)).with_values({"EXPTIME": 7.5}).with_history("third")
    header = header.with_values({"MEANDARK": 2.0}, {"MEANDARK": "of the dark"})
    made = write(header)
    assert made[1] == "EXPTIME =                  7.5 / seconds"
    assert made[8].startswith("MEANDARK=                  2.0 / of the dark")
    assert made[9:] == ["HISTORY first", "        a blank one", "COMMENT second", "HISTORY third"]
    assert made[2:8] == write(Header(HeaderText(ODD)))[2:8]


def test_structure_comes_first_and_dropped_cards_go() -> None:
    """Whatever the header says of them."""
    text = cards("BITPIX  = 16 / old", "DROPPED = 1", "KEPT    = 2", "NAXIS   = 0")
    made = write(Header(HeaderText(text)), BITPIX=-32, NAXIS=2, NAXIS1=5)
    assert [card[:8].rstrip() for card in made] == ["BITPIX", "NAXIS", "NAXIS1", "KEPT"]
    assert made[0].endswith("-32 / old")


def test_a_dropped_card_may_be_set_anew() -> None:
    """It is not of the raw any more."""
    made = write(Header(HeaderText(cards("DROPPED = 1"))).with_values({"DROPPED": 3}))
    assert made == ["DROPPED =                    3"]


def test_long_history_is_cut_into_cards() -> None:
    """72 characters each; nothing is lost."""
    line = "x" * 100
    made = write(Header({}).with_history(line, ""))
    assert "".join(card.removeprefix("HISTORY").strip() for card in made) == line
    assert all(card.startswith("HISTORY") for card in made)
    assert len(made) == 3


def test_plain_mappings_are_headers_too() -> None:
    """A header made in a script needs no file."""
    assert as_text({"EXPTIME": 2.0})["EXPTIME"] == 2.0
    assert write(Header({"EXPTIME": 2.0})) == ["EXPTIME =                  2.0"]


@pytest.mark.parametrize("threads", [1, 2])
def test_checksum_is_that_of_the_file(tmp_path: Path, threads: int) -> None:
    """Also where it is made beside the writing; astropy reads what was written."""
    image = frozen(np.arange(3000 * 40, dtype=np.float32).reshape(-1, 40), 0.5, 8)
    imset = Imset(image, Header({"CCDCHIP": 2}), Header({}), Header({}), 3)
    path = tmp_path / "a_flt.fits"
    written = write_exposure(path, Exposure(Header({"ROOTNAME": "a"}), (imset,)), threads)
    data = path.read_bytes()
    assert written.sha256 == hashlib.sha256(data).hexdigest()
    assert written.size == len(data)
    assert len(data) % 2880 == 0
    with fits.open(path) as hdus:
        hdus.verify("exception")
        assert np.array_equal(hdus["SCI", 3].data, image.sci)
        assert np.array_equal(hdus["ERR", 3].data, image.err)
        assert np.array_equal(hdus["DQ", 3].data, image.dq)
        assert hdus["SCI", 3].header["CCDCHIP"] == 2
    assert np.array_equal(read_exposure(path).imsets[0].image.sci, image.sci)
