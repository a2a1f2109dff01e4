"""Two FITS files of one name: are they the same but for their dates, and if not, where.

Cards are compared as text and data as bits, so nothing is lost in reading. What follows from
the moment of writing alone is told apart: DATE, times of day in HISTORY and in comments, and
the CHECKSUM of a header that differs in such a card.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from calib.fitsfile.header_text import COMMENTARY, LENGTH, HeaderText
from calib.fitsfile.opening import named, opened

# Written anew with every file: FITS standard 4.0, 4.4.2.1; IRAF's time of last modification.
DATES = frozenset({"DATE", "IRAF-TLM"})

# It is made over the whole extension, header included: FITS standard 4.0, 4.4.2.7.
CHECKSUM = "CHECKSUM"

# What tells its moment in a comment: astropy writes "HDU checksum updated 2024-05-01T12:00:00".
_TIMED = frozenset({CHECKSUM, "DATASUM", "HISTORY", "COMMENT"})
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z?")


class Tolerance(NamedTuple):
    """How far numbers may be apart: ``|b - a| <= atol + rtol |a|``.

    Attributes
    ----------
    rtol, atol
        Relative and absolute.
    fraction
        Part of all values that may lie further apart.
    """

    rtol: float = 0.0
    atol: float = 0.0
    fraction: float = 0.0


EXACT = Tolerance()


class CardDifference(NamedTuple):
    """One card, or one line of HISTORY, whose text differs; None where it is absent."""

    keyword: str
    expected: str | None
    found: str | None


@dataclass(frozen=True)
class DataDifference:
    """How arrays of one shape and type differ.

    Attributes
    ----------
    values, total
        How many differ in their bits, of how many; two NaN count as equal.
    largest
        Largest absolute difference of finite values; None for text, and where a value is
        finite in one of the two alone.
    beyond
        How many lie outside the tolerance.
    """

    values: int
    total: int
    largest: float | None
    beyond: int


@dataclass(frozen=True)
class ExtensionDifference:
    """How one extension differs.

    Attributes
    ----------
    name
        ``PRIMARY``, ``SCI,1``...
    cards
        Cards that differ for another reason than the time.
    dates
        Keywords of the cards that differ by the time alone.
    data
        Values that differ; None where none does.
    form
        What makes the arrays incomparable: another shape, type or column; empty where nothing
        does.
    """

    name: str
    cards: tuple[CardDifference, ...] = ()
    dates: tuple[str, ...] = ()
    data: DataDifference | None = None
    form: str = ""

    def __bool__(self) -> bool:
        return bool(self.cards or self.dates or self.data or self.form)


def compare_fits(
    expected: Path, found: Path, tolerance: Tolerance = EXACT
) -> tuple[ExtensionDifference, ...]:
    """Compare two files, extension by extension.

    Parameters
    ----------
    expected, found
        The file as it was, and as it is now.
    tolerance
        What :attr:`DataDifference.beyond` is counted with; integers and text are always
        compared exactly.

    Returns
    -------
    tuple of ExtensionDifference
        Those extensions that differ in anything; none for equal files. Extensions that only
        one of the files has are named as the form of the first.

    Raises
    ------
    NotFound, CorruptFile
        As :func:`calib.fitsfile.opened`.
    """
    with opened(expected) as old, opened(found) as new, named(found):
        names = tuple(_name(hdu) for hdu in old), tuple(_name(hdu) for hdu in new)
        if names[0] != names[1]:
            form = f"extensions {' '.join(names[1])} in place of {' '.join(names[0])}"
            return (ExtensionDifference("PRIMARY", form=form),)
        places = _Places(expected, found)
        pairs = zip(old, new, strict=True)
        compared = [_compare_extension(a, b, places, tolerance) for a, b in pairs]
        return tuple(filter(None, compared))


class _Places(NamedTuple):
    """The two files, to read bytes from."""

    expected: Path
    found: Path


def _name(hdu: Any) -> str:
    return f"{hdu.name},{hdu.ver}" if hdu.name != "PRIMARY" else "PRIMARY"


def _compare_extension(
    old: Any, new: Any, places: _Places, tolerance: Tolerance
) -> ExtensionDifference:
    name = _name(old)
    before, after = _bytes(old, places.expected), _bytes(new, places.found)
    cards, dates = _compare_cards(_header(before[0]), _header(after[0]))
    if before[1] == after[1]:
        return ExtensionDifference(name, cards, dates)
    with named(places.expected):
        values = _columns(old)
    others = _columns(new)
    if form := _other_form(values, others):
        return ExtensionDifference(name, cards, dates, form=form)
    data = _compare_values(values, others, tolerance)
    return ExtensionDifference(name, cards, dates, data if data.values else None)


def _bytes(hdu: Any, path: Path) -> tuple[bytes, bytes]:
    """Return header and data as they are stored."""
    info = hdu.fileinfo()
    with path.open("rb") as stream:
        stream.seek(info["hdrLoc"])
        return stream.read(info["datLoc"] - info["hdrLoc"]), stream.read(info["datSpan"])


def _header(stored: bytes) -> HeaderText:
    text = stored.decode("ascii", errors="replace").rstrip()
    return HeaderText(text.removesuffix("END").ljust(-(-len(text) // LENGTH) * LENGTH))


def _compare_cards(
    old: HeaderText, new: HeaderText
) -> tuple[tuple[CardDifference, ...], tuple[str, ...]]:
    """Return the cards that differ, and the keywords of those that differ by the time alone."""
    different = list(_different(_by_keyword(old), _by_keyword(new)))
    dates = {card.keyword for card in different if _is_date(card)}
    if dates:
        dates |= {CHECKSUM} & {card.keyword for card in different}
    kept = tuple(card for card in different if not (_is_date(card) or card.keyword in dates))
    return kept, tuple(sorted(dates))


def _by_keyword(header: HeaderText) -> Mapping[str, list[str]]:
    texts: dict[str, list[str]] = defaultdict(list)
    for keyword, card in header.cards:
        if card.strip() or keyword not in COMMENTARY:
            texts[keyword].append(card)
    return texts


def _different(
    old: Mapping[str, list[str]], new: Mapping[str, list[str]]
) -> Iterator[CardDifference]:
    for keyword in dict.fromkeys((*old, *new)):
        before, after = old.get(keyword, []), new.get(keyword, [])
        for number in range(max(len(before), len(after))):
            pair = [cards[number] if number < len(cards) else None for cards in (before, after)]
            if pair[0] != pair[1]:
                texts = [None if card is None else card.rstrip() for card in pair]
                yield CardDifference(keyword, *texts)


def _is_date(card: CardDifference) -> bool:
    if card.expected is None or card.found is None:
        return False
    if card.keyword in DATES:
        return True
    texts = [_MOMENT.sub("", text) for text in (card.expected, card.found)]
    return card.keyword in _TIMED and texts[0] == texts[1]


_Columns = Mapping[str, npt.NDArray[Any]]


def _columns(hdu: Any) -> _Columns:
    """Return the arrays of a table by column, the one of an image under no name."""
    data = hdu.data
    if data is None:
        return {}
    if data.dtype.names is None:
        return {"": np.asarray(data)}
    return {name: np.asarray(data[name]) for name in data.dtype.names}


def _other_form(old: _Columns, new: _Columns) -> str:
    """Say what keeps two sets of arrays from being compared value by value."""
    forms = [
        {name: f"{array.dtype.str} {array.shape}" for name, array in columns.items()}
        for columns in (old, new)
    ]
    if forms[0] == forms[1]:
        return ""
    names = [name for name in {**old, **new} if forms[0].get(name) != forms[1].get(name)]
    return "; ".join(
        f"{name or 'pixels'}: {forms[1].get(name, 'nothing')} in place of "
        f"{forms[0].get(name, 'nothing')}"
        for name in names
    )


def _compare_values(old: _Columns, new: _Columns, tolerance: Tolerance) -> DataDifference:
    each = [_compare_arrays(old[name], new[name], tolerance) for name in old]
    largest = [data.largest for data in each if data.values]
    known = [value for value in largest if value is not None]
    return DataDifference(
        values=sum(data.values for data in each),
        total=sum(data.total for data in each),
        largest=max(known) if known and len(known) == len(largest) else None,
        beyond=sum(data.beyond for data in each),
    )


def _compare_arrays(
    old: npt.NDArray[Any], new: npt.NDArray[Any], tolerance: Tolerance
) -> DataDifference:
    """Compare arrays of one type and shape."""
    different = _different_bits(old, new)
    count = int(np.count_nonzero(different))
    if count == 0 or old.dtype.kind not in "iuf":
        largest = None if count else 0.0
        return DataDifference(count, old.size, largest, count)
    with np.errstate(invalid="ignore"):  # a signalling NaN warns as it is widened
        before, after = (array[different].astype(np.float64) for array in (old, new))
    finite = np.isfinite(before) & np.isfinite(after)
    apart = np.abs(after[finite] - before[finite])
    allowed = tolerance.atol + tolerance.rtol * np.abs(before[finite])
    near = int(np.count_nonzero(apart <= allowed)) if old.dtype.kind == "f" else 0
    largest = float(apart.max()) if apart.size and finite.all() else None
    return DataDifference(count, old.size, largest, count - near)


def _different_bits(old: npt.NDArray[Any], new: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    if old.dtype.kind == "O":  # rows of variable length
        pairs = zip(old.flat, new.flat, strict=True)
        rows = [np.asarray(a).tobytes() != np.asarray(b).tobytes() for a, b in pairs]
        return np.array(rows, dtype=np.bool_)
    if old.dtype.kind != "f":
        different: npt.NDArray[np.bool_] = np.asarray(old != new)
        return different
    bits = np.dtype(f"{old.dtype.byteorder}u{old.dtype.itemsize}")
    stored = (np.ascontiguousarray(array).view(bits) for array in (old, new))
    both_nan: npt.NDArray[np.bool_] = np.isnan(old) & np.isnan(new)
    unequal: npt.NDArray[np.bool_] = np.not_equal(*stored) & ~both_nan
    return unequal
