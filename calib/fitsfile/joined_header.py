"""Two headers as one, for people: that of the file and that of an extension.

The card EXTNAME is the border: what stands before it belongs to the primary header, it and what
follows belong to the extension. A keyword that both have is there once: before the border if the
values are equal, behind it, with the value of the extension, if they are not.
"""

from __future__ import annotations

import warnings
from typing import Any

from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning

BORDER = "EXTNAME"
_COMMENTARY = {"HISTORY", "COMMENT", ""}

# What describes the bytes that were stored, not what they mean: made anew in writing.
_OF_STORAGE = (
    "CHECKSUM", "DATASUM", "NEXTEND", "NPIX1", "NPIX2", "PIXVALUE", "BSCALE", "BZERO",
    "DATAMIN", "DATAMAX", "GROUPS", "EXTEND", "BLANK",
)  # fmt: skip


def join_headers(primary: fits.Header, extension: fits.Header, name: str) -> fits.Header:
    """Return the cards of a file and of one of its extensions.

    Parameters
    ----------
    primary, extension
        Stay as they are. Cards about bytes (BITPIX, NAXIS, CHECKSUM...) are left out.
    name
        EXTNAME of the extension.
    """
    before, after = _meaning(primary), _meaning(extension)
    version = int(extension.get("EXTVER", 1))
    equal = {key for key in _keywords(after) if key in before and _same(before[key], after[key])}
    cards = [card for card in before.cards if card.keyword not in _keywords(after) - equal]
    cards += [fits.Card(BORDER, name, "extension name"), fits.Card("EXTVER", version)]
    cards += [card for card in after.cards if card.keyword not in equal]
    return fits.Header(cards)


def part_header(joined: Any) -> tuple[fits.Header, fits.Header]:
    """Return the cards of the primary header and those of the extension.

    Parameters
    ----------
    joined
        A header or mapping. Without EXTNAME all cards belong to the primary header.
    """
    header = joined if isinstance(joined, fits.Header) else _header_of(joined)
    border = header.index(BORDER) if BORDER in header else len(header)
    before, after = header.cards[:border], header.cards[border:]
    return _meaning(fits.Header(before)), _meaning(fits.Header(after))


def _header_of(values: Any) -> fits.Header:
    """Make a header of a mapping of the user's; long keywords become HIERARCH cards."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VerifyWarning)
        return fits.Header(dict(values))


def _meaning(header: fits.Header) -> fits.Header:
    """Return a copy without the cards that depend on how data are stored."""
    copy: fits.Header = header.copy(strip=True)
    for keyword in (*_OF_STORAGE, BORDER, "EXTVER"):
        copy.remove(keyword, ignore_missing=True, remove_all=True)
    return copy


def _keywords(header: fits.Header) -> set[str]:
    return set(header.keys()) - _COMMENTARY


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)
