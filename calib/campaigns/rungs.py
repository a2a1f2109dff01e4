"""The memory ladder: sizes of memory that a campaign has, ascending."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from decimal import Decimal

from calib.errors import ConfigError

# CALCLOUD leaves 128 MB of each 1024 of a machine to the system and its agent (1792 MB of 2 GB):
# a dataset fits a rung when it needs no more than this share.
USABLE = 1 - 128 / 1024

UNITS = {
    "": 10**9,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}
EXPECTED = "sizes in GB, or with units, ascending: 2,8,16,64 or 500MB,2GiB"

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)", re.IGNORECASE | re.ASCII)


def parse_size(text: str) -> int:
    """Read a size: a number of GB, or a number with its unit (``500MB``, ``2GiB``); in bytes.

    Raises
    ------
    ConfigError
        It is not a positive size.
    """
    found = _SIZE.fullmatch(text.strip())
    unit = UNITS.get(found.group(2).upper()) if found else None
    size = round(Decimal(found.group(1)) * unit) if found and unit else 0
    if size < 1:
        raise ConfigError("not a size", expected="8, 8GB or 512MiB", found=repr(text))
    return size


def parse_rungs(text: str) -> tuple[int, ...]:
    """Read the rungs of a ladder, bytes.

    Parameters
    ----------
    text
        Sizes with commas between: numbers are GB, units may be given: ``2,8,16,64``,
        ``500MB,2GiB``.

    Raises
    ------
    ConfigError
        There is none, one is not a positive size, or they do not ascend.
    """
    rungs = tuple(parse_size(each) for each in text.split(","))
    if any(low >= high for low, high in itertools.pairwise(rungs)):
        raise ConfigError("rungs do not ascend", expected=EXPECTED, found=repr(text))
    return rungs


def check_rungs(rungs: Sequence[int]) -> None:
    """Refuse a ladder that nobody can climb; an empty one is no limit.

    Raises
    ------
    ConfigError
        A rung is not positive, or they do not ascend.
    """
    if any(low >= high for low, high in itertools.pairwise((0, *rungs))):
        raise ConfigError("rungs do not ascend", expected=EXPECTED, found=list(rungs))


def check_rung(memory: int, rungs: Sequence[int]) -> None:
    """Refuse memory to begin with that is no rung of the campaign: no worker may have it.

    Raises
    ------
    ConfigError
        As said.
    """
    if memory not in rungs:
        sizes = ", ".join(f"{rung / UNITS['GB']:g}" for rung in rungs)
        expected = f"{sizes} GB" if rungs else "none: the campaign limits no memory"
        found = f"{memory / UNITS['GB']:g} GB"
        raise ConfigError("the campaign has no such rung", expected=expected, found=found)


def usable(rung: int) -> int:
    """Return how many bytes of a rung a dataset may be predicted to need."""
    return int(rung * USABLE)


def rung_for(need: int, rungs: Sequence[int]) -> int | None:
    """Return the smallest rung that is enough for `need` bytes; None: no rung is large enough."""
    return next((rung for rung in rungs if need <= usable(rung)), None)


def next_rung(memory: int | None, rungs: Sequence[int]) -> int | None:
    """Return the next rung above a grant; None: there is none, or the grant has no limit."""
    if memory is None:
        return None
    return next((rung for rung in rungs if rung > memory), None)
