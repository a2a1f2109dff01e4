"""What a format is: a reader, a writer, and which dataset types they are for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calib.errors import ConfigError

# The flags are 16 bits wide, with the sign.
_ALL_BITS = 0xFFFF


@dataclass(frozen=True)
class Reading:
    """How to read.

    Attributes
    ----------
    imset
        EXTVER of the only image set or table wanted; None for all.
    good_bits
        Bits of DQ that do not mask a pixel.

    Raises
    ------
    ConfigError
        `good_bits` are no bits of DQ, or `imset` is less than 1.
    """

    imset: int | None = None
    good_bits: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.good_bits <= _ALL_BITS:
            message = "good_bits are no bits of the data quality"
            raise ConfigError(message, expected="0 to 65535", found=self.good_bits)
        if self.imset is not None and self.imset < 1:
            raise ConfigError("not an image set", expected="1 or more", found=self.imset)


@dataclass(frozen=True)
class Format:
    """How files of some dataset types are read and written.

    Attributes
    ----------
    name
        ``image``, ``ramp``...
    gives
        What reading gives, for people.
    types
        Dataset types, or patterns of them (``x1d*``).
    read
        From a path and how to read to an object.
    write
        From a path that does not exist and an object to a file that appears whole; raises
        ConfigError for an object that it cannot write. None: objects of this kind are never
        written.
    """

    name: str
    gives: str
    types: tuple[str, ...]
    read: Callable[[Path, Reading], Any]
    write: Callable[[Path, Any], None] | None = None


def refuse_object(thing: object, expected: str) -> ConfigError:
    """Return the error for an object that a format cannot write."""
    return ConfigError(
        "an object of this kind is not written to such a file",
        expected=expected,
        found=type(thing).__name__,
    )
