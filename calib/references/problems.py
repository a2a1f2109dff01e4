"""What is wrong with a choice of references, and what is worth seeing, in words."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from calib.errors import MissingReference, ReferenceUnavailable
from calib.records import ExposureReferences

ABSENT = "is not in the cache"

# What jobs write into the ledger of references that are not there: the choice of references here,
# and calibration that opens one (calib.instruments.reference_set).
_AWAITED = (
    re.compile(rf"(?P<keyword>\w+): (?P<name>[\w.-]+) {ABSENT}"),
    re.compile(
        r"(?P<keyword>\w+) names a file that is not there[^;]*?"
        r"\(file (?:[^;)]*/)?(?P<name>[\w.-]+)\)"
    ),
)


# What else a person can do: stage 2 alone opens it.
_WAYS_OUT = {"MDRIZTAB": "--reference MDRIZTAB=FILE, or --stage2 never"}


@dataclass(frozen=True)
class Problem:
    """Why a reference that calibration will open cannot be used.

    Attributes
    ----------
    awaited
        The file exists by the rules and may yet arrive in the cache.
    name
        That file; empty where the rules name none.
    """

    file: str
    keyword: str
    text: str
    awaited: bool = False
    name: str = ""


def raise_problems(problems: Sequence[Problem], context: str, said: Iterable[str]) -> None:
    """Raise one error for all problems, with what the crds library said of them.

    Raises
    ------
    ReferenceUnavailable
        All that is wrong is that files are not in the cache.
    MissingReference
        Anything else is wrong.
    """
    if not problems:
        return
    lines = describe_problems(problems)
    heard = sorted({text for text in said if any(p.text.split()[0] in text for p in problems)})
    is_awaited = all(problem.awaited for problem in problems)
    kind = ReferenceUnavailable if is_awaited else MissingReference
    files = sorted({problem.file for problem in problems})
    raise kind(
        f"references that calibration opens cannot be used on {context}: {'; '.join(lines)}"
        + (f" [crds: {'; '.join(heard)}]" if heard else ""),
        dataset=files[0].partition("_")[0] if len(files) == 1 else None,
        expected=_way_out(problems, is_awaited=is_awaited),
    )


def _way_out(problems: Sequence[Problem], *, is_awaited: bool) -> str | None:
    if is_awaited:
        return "them in the cache (hstflow context sync --references)"
    found = (_WAYS_OUT.get(problem.keyword) for problem in problems)
    return next(filter(None, found), None)


def awaited_in(reason: str) -> dict[str, str]:
    """Return the references, with their keywords, that a job says it waits for."""
    found = (each for pattern in _AWAITED for each in pattern.finditer(reason))
    return {each["name"].lower(): each["keyword"] for each in found}


def describe_differences(exposures: Sequence[ExposureReferences]) -> tuple[str, ...]:
    """Say for which keywords exposures have different references, one line per keyword.

    Different references are legitimate (each exposure has its own time and filter), but
    worth seeing where exposures are combined.
    """
    users: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for exposure in exposures:
        for use in exposure.references:
            users[use.keyword][use.name].append(exposure.file)
    return tuple(
        f"{keyword}: {', '.join(f'{name} ({_join(files)})' for name, files in names.items())}"
        for keyword, names in sorted(users.items())
        if len(names) > 1
    )


def describe_problems(problems: Sequence[Problem]) -> list[str]:
    """Say each problem once, with the files that have it."""
    files: dict[tuple[str, str], list[str]] = defaultdict(list)
    for problem in problems:
        files[problem.keyword, problem.text].append(problem.file)
    return [f"{keyword}: {text} ({_join(names)})" for (keyword, text), names in files.items()]


def _join(files: Sequence[str], most: int = 6) -> str:
    """List file names, or the first few and how many more."""
    more = len(files) - most
    return ", ".join(files[:most]) + (f" and {more} more" if more > 0 else "")
