"""Calibration switches, keywords that old raws lack, and what a user overrides."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from calib.errors import ConfigError, DataError


class Switch(StrEnum):
    """Value of a calibration switch (ACS Data Handbook 3.4: PERFORM, OMIT, COMPLETE, SKIPPED)."""

    PERFORM = "PERFORM"
    OMIT = "OMIT"
    COMPLETE = "COMPLETE"
    SKIPPED = "SKIPPED"


class Default(NamedTuple):
    """What stands in for a keyword that a raw lacks.

    Attributes
    ----------
    value
        The value itself.
    keyword
        Another keyword whose value is taken instead.
    caveat
        Said in the log and in HISTORY where it changes numbers.
    """

    value: Any = None
    keyword: str | None = None
    caveat: str = ""


# Values of a reference keyword that name no file (hstcal: any case).
NO_FILE = ("", "N/A")

# The one table of defaults. Most are those of the program (calacs getacskeys, GetKey defaults).
DEFAULTS: Mapping[str, Default] = {
    # Raws from before 2013 have no DARKTIME; the exposure time is short by the readout overhead
    # of a few seconds, so the dark is scaled about 1 % low in a 300 s exposure.
    "DARKTIME": Default(
        keyword="EXPTIME", caveat="DARKTIME is absent from the raw header: EXPTIME is used instead"
    ),
    "CCDCHIP": Default(1),
    "JWROTYPE": Default(""),
    "APERTURE": Default(""),
    "OBSTYPE": Default(""),
    "TARGNAME": Default(""),
    "FILTER1": Default(""),
    "FILTER2": Default(""),
    "LRFWAVE": Default(0.0),
    "CCDGAIN": Default(1.0),
    "CCDOFSTA": Default(3),
    "CCDOFSTB": Default(3),
    "CCDOFSTC": Default(3),
    "CCDOFSTD": Default(3),
    "BINAXIS1": Default(1),
    "BINAXIS2": Default(1),
    "FLASHDUR": Default(0.0),
    "FLASHSTA": Default(""),
    "SUBARRAY": Default(value=False),
    "LTV1": Default(0.0),
    "LTV2": Default(0.0),
    "LTM1_1": Default(1.0),
    "LTM2_2": Default(1.0),
    "SDQFLAGS": Default(65535),  # every bit is serious: calib.dq.ALL_BITS
}

# X1DCORR, X2DCORR and SC2DCORR are those of STIS and COS.
_SWITCH = re.compile(r"[A-Z][A-Z0-9]{1,3}CORR")
_PARAMETER_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_USER_VALUES = (Switch.PERFORM, Switch.OMIT)


def is_switch(keyword: str) -> bool:
    """Whether a keyword is the name of a calibration switch, such as DARKCORR or CRCORR."""
    return _SWITCH.fullmatch(keyword) is not None


def read_switch(header: Mapping[str, Any], keyword: str) -> Switch:
    """Return the value of a switch; absent, blank or without a value is OMIT.

    Raises
    ------
    DataError
        The header has another word than the four.
    """
    value = header.get(keyword)
    text = "" if value is None else str(value).strip().upper()
    try:
        return Switch(text) if text else Switch.OMIT
    except ValueError as error:
        raise DataError(
            f"{keyword} has no known value", expected=", ".join(Switch), found=text
        ) from error


def names_file(header: Mapping[str, Any], keyword: str) -> bool:
    """Whether a keyword names a file: not absent, blank or N/A."""
    return str(header.get(keyword) or "").strip().upper() not in NO_FILE


def read_keyword(header: Mapping[str, Any], keyword: str) -> Any:
    """Return the value of a keyword, or its default where an old raw lacks it.

    A card without a value counts as absent. Blanks around text are dropped.

    Raises
    ------
    DataError
        The keyword is absent and has no default.
    """
    value = header.get(keyword)
    if value is not None:
        return value.strip() if isinstance(value, str) else value
    default = DEFAULTS.get(keyword)
    if default is None:
        raise DataError("the header lacks a keyword", expected=keyword)
    return read_keyword(header, default.keyword) if default.keyword else default.value


def read_number(header: Mapping[str, Any], keyword: str) -> float:
    """Return the value of a keyword that is a number, or its default.

    Raises
    ------
    DataError
        The keyword is absent and has no default, or has another value than a finite number.
    """
    value = read_keyword(header, keyword)
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{keyword} is not usable", expected="a number", found=repr(value))
    return number


def caveats(header: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what to tell the user about keywords that are absent."""
    return tuple(
        default.caveat
        for keyword, default in DEFAULTS.items()
        if default.caveat and header.get(keyword) is None
    )


@dataclass(frozen=True)
class Overrides:
    """What a user sets instead of the header and the recipe: ``--set NAME=VALUE``.

    Attributes
    ----------
    switches
        Switch keyword to PERFORM or OMIT.
    parameters
        ``step.parameter`` to its value as written; the recipe checks name and type.
    """

    switches: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.switches or self.parameters)

    def apply(self, header: Mapping[str, Any]) -> dict[str, Any]:
        """Return the header's values with the switches of the user."""
        return {**{key: header[key] for key in header}, **self.switches}


def parse_overrides(settings: Iterable[str]) -> Overrides:
    """Read settings as a person writes them, such as ``DARKCORR=OMIT`` or ``noise.x=4``.

    Parameters
    ----------
    settings
        ``SWITCH=PERFORM|OMIT`` (any case) or ``step.parameter=value``.

    Raises
    ------
    ConfigError
        A setting is neither, a switch value is not PERFORM or OMIT, or a name comes twice.
    """
    switches: dict[str, str] = {}
    parameters: dict[str, str] = {}
    for setting in settings:
        name, sign, value = (part.strip() for part in setting.partition("="))
        kind = switches if is_switch(name.upper()) else parameters
        if kind is switches:
            name, value = name.upper(), value.upper()
        _check_setting(setting, name, value if sign else "", known=kind)
        kind[name] = value
    return Overrides(switches, parameters)


def _check_setting(setting: str, name: str, value: str, known: Mapping[str, str]) -> None:
    if not (is_switch(name) or _PARAMETER_NAME.fullmatch(name)) or not value:
        raise ConfigError(
            "not a setting",
            expected="SWITCH=PERFORM, SWITCH=OMIT or step.parameter=value",
            found=repr(setting),
        )
    if is_switch(name) and value not in _USER_VALUES:
        raise ConfigError(
            f"{name} cannot be set to this", expected="PERFORM or OMIT", found=repr(value)
        )
    if name in known:
        raise ConfigError("a setting is given twice", found=name)
