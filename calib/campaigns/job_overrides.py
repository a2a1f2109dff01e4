"""What a manifest says of one dataset alone: input, rung, time, retries, environment, switches."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from calib.campaigns.rungs import parse_size
from calib.engines.astrometry import MODES, AstrometryMode
from calib.engines.stage2 import POLICIES, Stage2Policy
from calib.environment import check_variable
from calib.errors import ConfigError
from calib.stores.uri import source_uri
from calib.switches import Overrides, parse_overrides

KEYS = "input, rung, disk, timeout_scale, retries, priority, stage2, astrometry, env.NAME, set"

# Bounds against typing mistakes: a hundred times the time limit is months.
MOST_TIME = 100.0
MOST_RETRIES = 10
MOST_PRIORITY = 1_000_000

# Kept in bytes, said in GB.
_SIZES = ("rung", "disk")

# What BIGINT holds.
_MOST_BYTES = 2**63 - 1


@dataclass(frozen=True)
class JobOverrides:
    """What is said of one dataset alone; None and empty: as the campaign has it.

    Attributes
    ----------
    input
        Where its inputs are fetched from, as an INPUT_URI that means the same everywhere.
    rung
        Memory of its first attempt, bytes.
    disk
        What its work folder needs, bytes, instead of what is predicted.
    timeout_scale
        Factor on its time limits.
    retries
        How often it may be tried again, for each kind of retry.
    priority
        Higher ones go first.
    stage2, astrometry
        Whether it is drizzled, and how it is aligned then.
    env
        Environment of the programs that calibrate it.
    switches
        Switches and step parameters, on top of those of the campaign.
    """

    input: str | None = None
    rung: int | None = None
    disk: int | None = None
    timeout_scale: float | None = None
    retries: int | None = None
    priority: int | None = None
    stage2: Stage2Policy | None = None
    astrometry: AstrometryMode | None = None
    env: dict[str, str] = field(default_factory=dict)
    switches: Overrides = field(default_factory=Overrides)

    def __bool__(self) -> bool:
        return self != _NOTHING

    def record(self) -> dict[str, Any]:
        """Return it as JSON holds it, without what is not said."""
        settings = {**self.switches.switches, **self.switches.parameters}
        said: dict[str, Any] = {
            "input": self.input,
            "rung": self.rung,
            "disk": self.disk,
            "timeout_scale": self.timeout_scale,
            "retries": self.retries,
            "priority": self.priority,
            "stage2": self.stage2,
            "astrometry": self.astrometry,
            "env": self.env or None,
            "set": [f"{name}={value}" for name, value in settings.items()] or None,
        }
        return {key: value for key, value in said.items() if value is not None}


_NOTHING = JobOverrides()


def of_record(record: Mapping[str, Any]) -> JobOverrides:
    """Return what :meth:`JobOverrides.record` has written: a rung is a number of bytes there.

    Raises
    ------
    ConfigError
        As :func:`parse_words`.
    """
    if not record:
        return _NOTHING
    words = [f"{key}={record[key]}B" for key in _SIZES if key in record]
    rest = {key: value for key, value in record.items() if key not in _SIZES}
    return parse_words([*words, *_words(rest)])


def parse_mapping(wanted: Mapping[str, Any]) -> JobOverrides:
    """Read what a YAML or JSON manifest says of a dataset; sizes are GB or have a unit.

    Raises
    ------
    ConfigError
        As :func:`parse_words`.
    """
    return parse_words(_words(wanted))


def parse_words(words: Iterable[str]) -> JobOverrides:
    """Read ``KEY=VALUE`` words.

    Raises
    ------
    ConfigError
        A word is not one, a key is unknown or comes twice, or a value cannot be used.
    """
    found: dict[str, Any] = {}
    env: dict[str, str] = {}
    settings: list[str] = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise ConfigError("not a setting", expected="KEY=VALUE", found=repr(word))
        if key == "set":
            settings.append(value)
        elif key.startswith("env."):
            _once(env, key.removeprefix("env."), value, check_variable)
        elif key in _READERS:
            _once(found, key, value, _READERS[key])
        else:
            raise ConfigError("no such key", expected=KEYS, found=repr(key))
    return JobOverrides(**found, env=env, switches=parse_overrides(settings))


def _once(found: dict[str, Any], name: str, value: str, read: Callable[[str, str], Any]) -> None:
    if name in found:
        raise ConfigError("a key is given twice", found=name)
    found[name] = read(name, value)


def _size(_name: str, text: str) -> int:
    size = parse_size(text)
    if size > _MOST_BYTES:
        raise ConfigError("not a size", expected="8, 8GB or 512MiB", found=repr(text))
    return size


def _source(_name: str, text: str) -> str:
    return source_uri(text)


def _factor(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= MOST_TIME:
        expected = f"a number above 0, up to {MOST_TIME:g}"
        raise ConfigError(f"{name} cannot be this", expected=expected, found=repr(text))
    return value


def _whole(least: int, most: int) -> Callable[[str, str], int]:
    def read(name: str, text: str) -> int:
        value = int(text) if re.fullmatch(r"[+-]?[0-9]{1,9}", text, re.ASCII) else None
        if value is None or not least <= value <= most:
            expected = f"a whole number from {least} to {most}"
            raise ConfigError(f"{name} cannot be this", expected=expected, found=repr(text))
        return value

    return read


def _one_of(words: Collection[str]) -> Callable[[str, str], str]:
    def read(name: str, text: str) -> str:
        if text not in words:
            raise ConfigError(f"{name} cannot be this", expected=", ".join(words), found=repr(text))
        return text

    return read


_READERS: dict[str, Callable[[str, str], Any]] = {
    "input": _source,
    "rung": _size,
    "disk": _size,
    "timeout_scale": _factor,
    "retries": _whole(0, MOST_RETRIES),
    "priority": _whole(-MOST_PRIORITY, MOST_PRIORITY),
    "stage2": _one_of(POLICIES),
    "astrometry": _one_of(MODES),
}


def _words(wanted: Mapping[str, Any]) -> list[str]:
    """Return a mapping as words, so that one parser checks every kind of manifest."""
    words = []
    for key, value in wanted.items():
        if key == "env" and isinstance(value, Mapping):
            words += [f"env.{name}={_plain(each)}" for name, each in value.items()]
        elif key == "set" and isinstance(value, Mapping):
            words += [f"set={name}={_plain(each)}" for name, each in value.items()]
        elif key == "set" and isinstance(value, list):
            words += [f"set={_plain(each)}" for each in value]
        elif key == "astrometry" and value is False:  # what YAML 1.1 makes of `off`
            words.append("astrometry=off")
        else:
            words.append(f"{key}={_plain(value)}")
    return words


def _plain(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ConfigError("not a value that can be set", found=repr(value))
    return str(value)
