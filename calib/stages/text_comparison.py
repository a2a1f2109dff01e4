"""Two text files of one name, such as the catalogues of a visit: how do their rows differ.

Lines that begin with ``#`` are comments: the programs write dates and versions there.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

from calib.fitsfile.comparison import EXACT, Tolerance


class TextDifference(NamedTuple):
    """How two text files differ.

    Attributes
    ----------
    rows
        How many rows differ; all of them where there are more in one file.
    beyond
        How many of those by more than the tolerance.
    total
        Rows of the first file.
    """

    rows: int
    beyond: int
    total: int


def compare_texts(expected: Path, found: Path, tolerance: Tolerance = EXACT) -> TextDifference:
    """Compare the rows of two text files; bytes that are no UTF-8 count as they are.

    Parameters
    ----------
    expected, found
        The files.
    tolerance
        How close numbers have to be; other words are always compared exactly. Two that are no
        numbers (NaN) are equal.
    """
    before, after = _rows(expected), _rows(found)
    if len(before) != len(after):
        most = max(len(before), len(after))
        return TextDifference(most, most, len(before))
    pairs = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    beyond = sum(not _is_close(a, b, tolerance) for a, b in pairs)
    return TextDifference(len(pairs), beyond, len(before))


def _rows(path: Path) -> list[list[str]]:
    lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    return [line.replace(",", " ").split() for line in lines if not line.startswith("#")]


def _is_close(before: list[str], after: list[str], tolerance: Tolerance) -> bool:
    return len(before) == len(after) and all(
        a == b or _are_close_numbers(a, b, tolerance) for a, b in zip(before, after, strict=True)
    )


def _are_close_numbers(before: str, after: str, tolerance: Tolerance) -> bool:
    try:
        then, now = float(before), float(after)
    except ValueError:
        return False
    if math.isnan(then) or math.isnan(now):
        return math.isnan(then) and math.isnan(now)
    return then == now or abs(now - then) <= tolerance.atol + tolerance.rtol * abs(then)
