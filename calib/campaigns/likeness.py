"""Reasons that say the same of other datasets: their names and numbers are taken out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# Datasets that are named for each.
EXAMPLES = 3

# What takes the place of a name or number.
GAP = "\N{HORIZONTAL ELLIPSIS}"

# Quoted text, paths and addresses, then every word that holds a digit: names of datasets and
# files, numbers with their signs and fractions, times. Names of classes, keywords and programs
# seldom hold one.
_QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_PATH = re.compile(r"(?:[a-z0-9+]+:)?[\w.~-]*/[^\s;,)\]]*", re.IGNORECASE)
_DIGITS = re.compile(r"[+-]?[\w.#-]*\d[\w.#-]*(?<!\.)")
_SEVERAL = re.compile(rf"{GAP}(?:[\s,]*{GAP})+")


@dataclass(frozen=True)
class Like:
    """Reasons that are alike.

    Attributes
    ----------
    text
        What they have in common.
    number
        How many there are.
    reason
        The first, whole.
    datasets
        The first few.
    """

    text: str
    number: int
    reason: str
    datasets: tuple[str, ...]


def common_text(reason: str) -> str:
    """Return a reason without what may be another one's for another dataset."""
    text = reason
    for pattern in (_QUOTED, _PATH, _DIGITS):
        text = pattern.sub(GAP, text)
    return _SEVERAL.sub(GAP, text)


def group_alike(found: Iterable[tuple[str, str]]) -> list[Like]:
    """Return reasons by what they have in common, the most frequent first.

    Parameters
    ----------
    found
        Dataset and reason of each.
    """
    groups: dict[str, list[tuple[str, str]]] = {}
    common: dict[str, str] = {}  # many say the same to the letter
    for dataset, reason in found:
        if reason not in common:
            common[reason] = common_text(reason)
        groups.setdefault(common[reason], []).append((dataset, reason))
    alike = [
        Like(text, len(some), some[0][1], tuple(name for name, _ in some[:EXAMPLES]))
        for text, some in groups.items()
    ]
    return sorted(alike, key=lambda each: -each.number)
