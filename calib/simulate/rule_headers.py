"""Headers of exposures that never were, drawn from the rules of a context.

Rules say which values they match with. A header takes the values of one match case of one type,
and for the other keywords any value that the rules know; so most types find a file, and some do
not. Good for comparing two ways to choose references; no exposure looks like that.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from calib.references import library
from calib.references.changes import ExposureHeader
from calib.references.profile import CrdsProfile

# First light of ACS to the newest context of the test material.
_FIRST, _LAST = datetime(2002, 3, 1), datetime(2019, 9, 9)  # noqa: DTZ001 - headers have no zone

# Values of switches, as often as they are listed.
_SWITCHES = ("PERFORM", "PERFORM", "PERFORM", "PERFORM", "COMPLETE", "OMIT")

# First letter of the names of an instrument's exposures.
_LETTERS = {"acs": "j", "wfc3": "i", "stis": "o", "cos": "l"}


@dataclass(frozen=True)
class _Vocabulary:
    """What the rules of an instrument match with.

    Attributes
    ----------
    cases
        Keywords and values that match together.
    values
        All values of a keyword.
    """

    cases: list[dict[str, str]]
    values: dict[str, list[str]]


def draw_headers(
    profile: CrdsProfile,
    context: str,
    number: int,
    *,
    instruments: tuple[str, ...] = tuple(_LETTERS),
    seed: int = 1,
) -> Iterator[ExposureHeader]:
    """Yield headers drawn from the rules of a context, instruments in turn.

    Parameters
    ----------
    profile
        A cache with the rules.
    context
        Name of the context.
    number
        How many headers.
    instruments
        Lower case.
    seed
        Equal seeds give equal headers.

    Raises
    ------
    ContextError, MissingReference
        The cache lacks rules of the context or of an instrument.
    """
    with library.session(profile):
        words = {name: _vocabulary(profile, context, name) for name in instruments}
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    for serial in range(number):
        instrument = instruments[serial % len(instruments)]
        name = f"{_LETTERS[instrument]}zz{serial:05x}q"
        yield ExposureHeader(name, name, _header(words[instrument], instrument, draw))


def _vocabulary(profile: CrdsProfile, context: str, instrument: str) -> _Vocabulary:
    _, rules = library.load_rules(profile, context, instrument)
    cases: list[dict[str, str]] = []
    values: dict[str, set[str]] = {str(key).upper(): set() for key in rules.get_required_parkeys()}
    for kind in rules.selections.normal_keys():
        for case in _cases(rules.get_rmap(kind)):
            cases.append(case)
            for keyword, value in case.items():
                values[keyword] |= set(value.split("|"))
    return _Vocabulary(cases, {key: sorted(found - {"*"}) for key, found in values.items()})


def _cases(rules: Any) -> Iterator[dict[str, str]]:
    keywords = [str(key) for key in rules.parkey[0]]
    for case in rules.selector.keys():  # noqa: SIM118 - not a dictionary
        words = case if isinstance(case, tuple) else (case,)
        yield dict(zip(keywords, map(str, words), strict=False))


def _header(words: _Vocabulary, instrument: str, draw: random.Random) -> dict[str, str]:
    by_keyword: dict[str, list[str]] = defaultdict(lambda: ["UNDEFINED"])
    by_keyword |= {key: found for key, found in words.values.items() if found}
    by_keyword |= {key: list(_SWITCHES) for key in words.values if key.endswith("CORR")}
    header = {key: draw.choice(by_keyword[key]) for key in sorted(words.values)}
    case = draw.choice(words.cases)
    header |= {key: draw.choice(value.split("|")) for key, value in case.items() if value != "*"}
    seconds = draw.random() * (_LAST - _FIRST).total_seconds()
    taken = (_FIRST + timedelta(seconds=int(seconds))).isoformat(" ").split(" ")
    return header | {"DATE-OBS": taken[0], "TIME-OBS": taken[1], "INSTRUME": instrument.upper()}
