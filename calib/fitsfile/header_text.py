"""Headers as the file has them: cards are parsed when they are asked for, and written as read.

A product keeps hundreds of cards of its raw file. Those that nobody changes are copied as text,
so they come out byte for byte, odd ones too; astropy parses and formats the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from calib.errors import CorruptFile
from calib.image import Header

LENGTH = 80  # of a card (FITS standard 4.0, section 3.3.1)
COMMENTARY = ("HISTORY", "COMMENT", "")


class HeaderText(Mapping[str, Any]):
    """Cards of a header by keyword; HISTORY, COMMENT and blank ones give a list of lines.

    A card without a value gives None.

    Parameters
    ----------
    text
        Whole cards, without END. A string that goes on in CONTINUE cards is one value.

    Raises
    ------
    CorruptFile
        On access: the value of a card cannot be read.
    """

    def __init__(self, text: str) -> None:
        self.cards = tuple(_split(text))
        self._first = dict(reversed(self.cards))
        self._values: dict[str, Any] = {}

    def __getitem__(self, keyword: str) -> Any:
        if keyword not in self._values:
            self._values[keyword] = self._parse(keyword)
        return self._values[keyword]

    def __contains__(self, keyword: object) -> bool:
        return keyword in self._first

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(keyword for keyword, _ in self.cards))

    def __len__(self) -> int:
        return len(self._first)

    def comment(self, keyword: str) -> str:
        """Return the comment of a card."""
        return str(_parsed(self._first[keyword]).comment)

    def _parse(self, keyword: str) -> Any:
        if keyword in COMMENTARY and keyword in self._first:
            return [card[8:].rstrip() for other, card in self.cards if other == keyword]
        from astropy.io import fits
        from astropy.io.fits.card import Undefined

        card = self._first[keyword]
        try:
            value = _parsed(card).value
        except fits.VerifyError as error:
            raise CorruptFile("a card of the header cannot be read", found=card.strip()) from error
        return None if isinstance(value, Undefined) else value


def _split(text: str) -> Iterator[tuple[str, str]]:
    """Yield keyword and text of each card, CONTINUE cards with the one they belong to."""
    card = ""
    for start in range(0, len(text), LENGTH):
        piece = text[start : start + LENGTH]
        if piece.startswith("CONTINUE") and card:
            card += piece
            continue
        if card:
            yield _keyword(card), card
        card = piece
    if card:
        yield _keyword(card), card


def _keyword(card: str) -> str:
    if card.startswith("HIERARCH "):
        return str(_parsed(card).keyword).upper()
    return card[:8].rstrip().upper()


def as_text(cards: Mapping[str, Any]) -> HeaderText:
    """Return any mapping of keywords to values as cards."""
    if isinstance(cards, HeaderText):
        return cards
    from astropy.io import fits

    return HeaderText(fits.Header(cards).tostring(endcard=False, padding=False))


def finished_cards(
    header: Header, structure: Mapping[str, Any], dropped: Collection[str]
) -> Iterator[str]:
    """Yield the cards of a header that is written.

    Parameters
    ----------
    header
        What was read, and its changes. Changed cards stay in their places with their
        comments, new ones follow the last one that is not commentary; HISTORY comes last.
    structure
        Cards that come first, in this order, whatever the header says of them.
    dropped
        Keywords that are left out.
    """
    old = as_text(header.cards)
    for keyword, value in structure.items():
        yield _changed(old, keyword, value)
    kept = [pair for pair in old.cards if pair[0] not in structure and pair[0] not in dropped]
    plain = [place for place, (keyword, _) in enumerate(kept) if keyword not in COMMENTARY]
    end = plain[-1] + 1 if plain else 0
    changes = {key: value for key, value in header.changes.items() if key not in structure}
    for keyword, card in kept[:end]:
        yield _changed(old, keyword, changes[keyword]) if keyword in changes else card
    for keyword, value in changes.items():
        if keyword not in old or keyword in dropped:
            yield _written(keyword, value, header.comments.get(keyword))
    yield from (card for _, card in kept[end:])
    for line in header.history:
        yield from _history(line)


def _changed(old: HeaderText, keyword: str, value: Any) -> str:
    comment = old.comment(keyword) if keyword in old else None
    return _written(keyword, value, comment)


def _parsed(card: str) -> Any:
    from astropy.io import fits

    return fits.Card.fromstring(card)


def _written(keyword: str, value: Any, comment: str | None) -> str:
    from astropy.io import fits

    return str(fits.Card(keyword, value, comment))


def _history(line: str) -> Iterator[str]:
    """Yield a line of HISTORY, cut into cards."""
    room = LENGTH - len("HISTORY ")
    for start in range(0, max(len(line), 1), room):
        yield f"HISTORY {line[start : start + room]}".ljust(LENGTH)
