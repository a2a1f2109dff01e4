"""Conditions on columns, as text of SQL with parameters: values, and patterns with * and ?."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any

from calib.errors import ConfigError

# Values of one question. SQLite takes 32766 parameters, PostgreSQL 65535.
MOST_VALUES = 30_000

# SQLite allows 1000 levels in an expression, and every OR is one.
_MOST_PATTERNS = 500


def is_pattern(value: str) -> bool:
    """Tell whether a text holds ``*`` or ``?``."""
    return any(letter in value for letter in "*?")


def any_of(
    column: str,
    values: Iterable[str],
    parameters: MutableMapping[str, Any],
    *,
    label: str | None = None,
) -> str:
    """Return a condition that holds where a column has one of some values.

    Parameters
    ----------
    column
        Name of the column.
    values
        Texts, compared as they are, or patterns, which ignore case.
    parameters
        Filled in.
    label
        What the names of the parameters begin with, if not with that of the column.

    Raises
    ------
    ConfigError
        There are more values than a database takes.
    """
    label = label or column
    every = list(dict.fromkeys(values))
    patterns = [value for value in every if is_pattern(value)]
    exact = [value for value in every if not is_pattern(value)]
    _check_number(column, len(exact), MOST_VALUES)
    _check_number(column, len(patterns), _MOST_PATTERNS)
    tests = []
    if exact:
        names = {f"{label}{number}": value for number, value in enumerate(exact)}
        parameters.update(names)
        tests.append(f"{column} IN ({', '.join(f':{name}' for name in names)})")
    for number, value in enumerate(patterns):
        parameters[f"{label}_like{number}"] = like(value)
        tests.append(f"LOWER({column}) LIKE :{label}_like{number} ESCAPE '!'")
    return f"({' OR '.join(tests)})"


def like(value: str) -> str:
    """Return a pattern with ``*`` and ``?`` as SQL's own, in lower case, ``!`` its escape."""
    for letter in "!%_":
        value = value.replace(letter, f"!{letter}")
    return value.replace("*", "%").replace("?", "_").lower()


def _check_number(column: str, found: int, most: int) -> None:
    if found > most:
        message = f"too many values of {column} for one question: ask in portions"
        raise ConfigError(message, expected=f"up to {most}", found=found)
