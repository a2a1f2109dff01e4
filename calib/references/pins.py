"""The context that a person has pinned: used until another is, whatever the server says.

A pin is a line of a small file of the user's, one for each profile; a profile that is not a
built-in one is known by its name and cache, so that a pin never reaches another cache.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from calib.errors import ConfigError
from calib.records import utc_now
from calib.references.locks import locked
from calib.references.profile import CrdsProfile
from calib.stores.new_file import newer_file

_BUILT_IN = frozenset({"onsite", "offsite", "cloud"})

# The lock is one user's, as the file is.
_OURS = 0o600


@dataclass(frozen=True)
class Pin:
    """A pinned context, and since when (ISO 8601)."""

    context: str
    since: str


def pins_file() -> Path:
    """Return the file of the user's pins: ``pins.json`` in the folder of hstflow's settings."""
    from platformdirs import user_config_path

    return user_config_path("hstflow") / "pins.json"


def pinned(profile: CrdsProfile) -> Pin | None:
    """Return the pin of a profile; None: there is none.

    Raises
    ------
    ConfigError
        The file of pins cannot be read.
    """
    return _read(pins_file()).get(_key(profile))


def every_pin() -> dict[str, Pin]:
    """Return the pins of all profiles, by the profile's name and, of one's own, its cache.

    Raises
    ------
    ConfigError
        The file of pins cannot be read.
    """
    return _read(pins_file())


def pin(profile: CrdsProfile, context: str | None) -> Pin | None:
    """Pin a profile to a context, or end its pin (None); return the pin that it had.

    Raises
    ------
    ConfigError
        The file of pins cannot be read or written.
    """
    file = pins_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Two at once pin two profiles: neither may write what it read before the other wrote.
        with locked(file.with_name("pins.lock"), mode=_OURS):
            pins = _read(file)
            before = pins.pop(_key(profile), None)
            if context is not None:
                pins[_key(profile)] = Pin(context, utc_now())
            _write(file, pins)
    except OSError as error:
        raise ConfigError(f"the pin cannot be written: {error.strerror}", path=file) from error
    return before


def _write(file: Path, pins: Mapping[str, Pin]) -> None:
    with newer_file(file) as part:
        text = json.dumps({key: asdict(each) for key, each in pins.items()}, indent=2)
        part.write_text(text + "\n", encoding="utf-8")


def _key(profile: CrdsProfile) -> str:
    if profile.name in _BUILT_IN:
        return profile.name
    return f"{profile.name} {profile.cache.absolute()}"


def _read(file: Path) -> dict[str, Pin]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {key: Pin(**each) for key, each in content.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        message = f"the file of pinned contexts cannot be read: {error}"
        raise ConfigError(message, path=file, expected="mend or remove it") from error
