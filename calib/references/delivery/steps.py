"""The life of a delivery: ready, confirmed, archived or cancelled, kept in its folder."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from calib.errors import ConfigError
from calib.fitsfile.writing import replacing

State = Literal["ready", "confirmed", "archiving", "archived", "cancelled"]

# From which state a delivery may go where. Its files are in the CRDS cache, and so offered to
# campaigns, once it is archived; one that is being archived, or was when its process died, may
# have some of them there: it can only be archived to its end.
FOLLOWS: Mapping[State, tuple[State, ...]] = {
    "ready": ("confirmed", "cancelled"),
    "confirmed": ("archiving", "cancelled"),
    "archiving": ("archived",),
    "archived": (),
    "cancelled": (),
}

RECORD = "delivery.json"
CATALOGUE = "catalogue.json"
DIFFERENCE = "difference.txt"

# References before the rules that name them, a context after all of its rules: who finds a
# context in the cache finds everything that it names.
ORDER = (".fits", ".rmap", ".imap", ".pmap")

_CONTEXT = re.compile(r"hst_[0-9]{4,5}\.pmap", re.ASCII)
_INSTRUMENT = re.compile(r"[a-z0-9]*", re.ASCII)


@dataclass(frozen=True)
class Step:
    """One step: the state that was reached, when (ISO 8601, UTC) and by whom."""

    state: State
    time: str
    who: str


@dataclass(frozen=True)
class Entry:
    """A file of a delivery.

    Attributes
    ----------
    name
        Its name for CRDS.
    kind
        ``mapping`` or ``reference``.
    size, sha1sum
        As they were when the delivery was made.
    instrument, type
        ``acs``, ``darkfile``; the type is '' for rules of an instrument, both for a context.
    original
        The file that a reference was copied from.
    """

    name: str
    kind: Literal["mapping", "reference"]
    size: int
    sha1sum: str
    instrument: str = ""
    type: str = ""
    original: str | None = None


@dataclass(frozen=True)
class Touched:
    """What a new context changes.

    Attributes
    ----------
    looked_at
        How many exposures were looked at.
    datasets
        Those with other references: the keywords, by name.
    """

    looked_at: int
    datasets: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Delivery:
    """References, the rules with them, and the context that has both.

    Attributes
    ----------
    folder
        Where it lies.
    context, old
        The new context and the one it was made from.
    files
        All of them.
    steps
        What happened to it; the last is its state.
    affected
        What the new context would change when the delivery was made; None: nothing was looked at.
    """

    folder: Path
    context: str
    old: str
    files: tuple[Entry, ...]
    steps: tuple[Step, ...]
    affected: Touched | None = None

    @property
    def state(self) -> State:
        """The state it is in."""
        return self.steps[-1].state

    def path(self, entry: Entry) -> Path:
        """Return where one of its files lies."""
        return self.folder / f"{entry.kind}s" / entry.name

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {"state": self.state, **asdict(self), "folder": str(self.folder)}


def new_step(state: State, who: str) -> Step:
    """Return a step of now."""
    return Step(state, datetime.now(UTC).isoformat(timespec="seconds"), who)


def write_delivery(delivery: Delivery, folder: Path | None = None) -> None:
    """Write the record and the catalogue of a delivery; the record last, for it has the word.

    Parameters
    ----------
    folder
        Where to write; by default where it lies.

    Raises
    ------
    ArchiveError
        The folder cannot be written.
    """
    place = folder or delivery.folder
    catalogue = {each.name: {**asdict(each), "state": delivery.state} for each in delivery.files}
    record = delivery.as_json()
    del record["files"], record["folder"]
    for name, content in ((CATALOGUE, catalogue), (RECORD, record)):
        with replacing(place / name) as stream:
            stream.write(json.dumps(content, indent=2).encode() + b"\n")


def read_delivery(folder: Path) -> Delivery:
    """Read a delivery from its folder.

    Raises
    ------
    ConfigError
        There is none, or its record is damaged.
    """
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        catalogue = json.loads((folder / CATALOGUE).read_text(encoding="utf-8"))
        return _delivery(folder, record, catalogue)
    except OSError as error:
        message = "no delivery: its record cannot be read"
        raise ConfigError(message, path=folder, expected=RECORD) from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ConfigError(f"the record of the delivery is damaged: {error}", path=folder) from error


@contextmanager
def held(folder: Path) -> Iterator[Delivery]:
    """Read a delivery, and keep everybody else from changing it meanwhile.

    Raises
    ------
    ConfigError
        As :func:`read_delivery`.
    """
    read_delivery(folder)
    number = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield read_delivery(folder)
    finally:
        os.close(number)


def advance(delivery: Delivery, state: State, who: str) -> Delivery:
    """Take a delivery to its next state and write that down.

    Raises
    ------
    ConfigError
        It may not go there from where it is.
    ArchiveError
        Its folder cannot be written.
    """
    check_step(delivery, state)
    after = replace(delivery, steps=(*delivery.steps, new_step(state, who)))
    write_delivery(after)
    return after


def check_step(delivery: Delivery, state: State) -> None:
    """Refuse a step that does not follow from the state of a delivery.

    Raises
    ------
    ConfigError
        It does not.
    """
    if state not in FOLLOWS[delivery.state]:
        last = delivery.steps[-1]
        raise ConfigError(
            f"the delivery is {last.state} since {last.time} ({last.who})",
            path=delivery.folder,
            expected=f"one that is {' or '.join(s for s in FOLLOWS if state in FOLLOWS[s])}",
            found=last.state,
        )


def _delivery(folder: Path, record: dict[str, Any], catalogue: dict[str, Any]) -> Delivery:
    steps = tuple(Step(**each) for each in record["steps"])
    if not steps:
        raise ValueError("it has no steps")
    if wrong := {each.state for each in steps} - {*get_args(State)}:
        raise ValueError(f"no such state: {wrong}")
    files = tuple(
        Entry(**{key: value for key, value in each.items() if key != "state"})
        for each in catalogue.values()
    )
    affected = record.get("affected")
    found = None if affected is None else Touched(**affected)
    if wrong_names := [each.name for each in files if not _is_sound(each)]:
        raise ValueError(f"not files of a delivery: {wrong_names}")
    context, old = str(record["context"]), str(record["old"])
    if not (_CONTEXT.fullmatch(context) and _CONTEXT.fullmatch(old)):
        raise ValueError(f"not contexts: {context}, {old}")
    if context not in {each.name for each in files}:
        raise ValueError(f"{context} is none of its files")
    return Delivery(folder, context, old, files, steps, found)


def _is_sound(entry: Entry) -> bool:
    """Tell whether a row can only name a file of the delivery, and a place in the cache."""
    suffix = Path(entry.name).suffix
    kind = "reference" if suffix == ".fits" else "mapping"
    is_name = Path(entry.name).name == entry.name and suffix in ORDER
    return is_name and entry.kind == kind and bool(_INSTRUMENT.fullmatch(entry.instrument))
