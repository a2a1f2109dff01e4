"""What differs between two contexts or two references, by crds' own comparison."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calib.errors import ConfigError
from calib.references import library
from calib.references.delivery.findings import said_by
from calib.references.profile import CrdsProfile

# Parts of a match that say from when on a reference is used (the selector UseAfter).
_DATE = ("DATE-OBS", "TIME-OBS")


@dataclass(frozen=True)
class RuleDifference:
    """One case of the rules that differs.

    Attributes
    ----------
    instrument, kind
        ``acs``, ``darkfile``; the kind is '' for a type, the instrument for an instrument,
        that is there in one context only.
    rules
        The names of the files with the case, older and newer.
    match
        The keywords that exposures match with.
    since
        Exposures from this moment on; '' where there is none.
    action
        ``added``, ``replaced``, ``deleted``, or what else crds calls it.
    old, new
        The references, or the rules; None where there is none.
    """

    instrument: str
    kind: str
    rules: tuple[str, str]
    match: dict[str, str] = field(default_factory=dict)
    since: str = ""
    action: str = ""
    old: str | None = None
    new: str | None = None

    def __str__(self) -> str:
        """Return the case on one line."""
        case = " ".join(f"{key}={value}" for key, value in self.match.items())
        what = {"added": f"+ {self.new}", "deleted": f"- {self.old}"}.get(
            self.action, f"{self.old} -> {self.new}"
        )
        parts = (self.instrument, self.kind, case, f"from {self.since}" if self.since else "", what)
        return "  ".join(part for part in parts if part)


def rule_differences(
    profile: CrdsProfile, old: str | Path, new: str | Path
) -> list[RuleDifference]:
    """Compare two contexts, or two files of rules of one kind, case by case.

    Names of rules that only lead to others are passed over; what is in the header of rules
    (names, checksums) does not count.

    Parameters
    ----------
    old, new
        Names of rules in the cache, or paths.

    Raises
    ------
    ConfigError
        They are not of one kind.
    ContextError
        Rules are not there, or cannot be read.
    """
    from crds import diff

    if Path(old).suffix != Path(new).suffix:
        message = "rules of two kinds cannot be compared"
        raise ConfigError(message, expected=f"two {Path(old).suffix}", found=f"{old} and {new}")
    found: list[Any] = []
    with library.session(profile):
        said_by(
            lambda: found.extend(
                diff.mapping_diffs(str(old), str(new), observatory=library.OBSERVATORY)
            ),
            f"{Path(old).name} and {Path(new).name} cannot be compared",
            Path(new),
        )
    return sorted(
        (each for row in found if (each := _record(row)) is not None),
        key=lambda each: (each.instrument, each.kind, sorted(each.match.items()), each.since),
    )


def difference_text(old: str, new: str, rows: Iterable[RuleDifference]) -> str:
    """Return the differences as lines."""
    lines = [f"{old} -> {new}", *map(str, rows)]
    return "\n".join([*lines, "no differences"] if len(lines) == 1 else lines) + "\n"


def compare_references(profile: CrdsProfile, old: Path, new: Path) -> str:
    """Compare two reference files; return crds' report, '' where they are the same.

    Headers, pixels and tables, and rows of tables by what differs.

    Raises
    ------
    ConfigError
        A file is not there or not FITS.
    ContextError
        crds cannot compare them.
    """
    from crds import diff

    for path in (old, new):
        if not path.is_file() or path.suffix != ".fits":
            raise ConfigError("not a FITS file", path=path, expected="two reference files")
    same = [True]

    def work() -> None:
        differencer = diff.FitsDifferencer(
            library.OBSERVATORY, str(old.resolve()), str(new.resolve())
        )
        same[0] = differencer.difference() == 0

    with library.session(profile):
        said = said_by(work, f"{old.name} and {new.name} cannot be compared", new)
    return "" if same[0] else said.printed


def _record(row: Any) -> RuleDifference | None:
    """Return a row of crds as a record; None for a name that only leads to other rules."""
    *path, text = row
    names = [_pair(part) for part in path if _pair(part) is not None]
    if text.startswith("replaced") and text.rstrip("'").endswith("map"):
        return None
    match: dict[str, str] = {}
    parameters = [each for each in row.parameter_names if isinstance(each, tuple)]
    values = [part for part in path if _pair(part) is None]
    for keys, given in zip(parameters, values, strict=False):
        match |= dict(zip(keys, map(str, given), strict=False))
    since = " ".join(match.pop(key) for key in _DATE if key in match)
    old, new = _names(text)
    return RuleDifference(
        row.instrument or "",
        row.filekind or "",
        names[-1] if names and names[-1] else ("", ""),
        match,
        since,
        text.split()[0],
        old,
        new,
    )


def _pair(part: Any) -> tuple[str, str] | None:
    """Return the names of two files of rules, None for the values of a match."""
    pair = 2
    if len(part) == pair and all(str(name).endswith("map") for name in part):
        return Path(part[0]).name, Path(part[1]).name
    return None


def _names(text: str) -> tuple[str | None, str | None]:
    """Return the old and the new name in crds' words for a difference."""
    quoted: Sequence[str] = text.split("'")[1::2]
    if text.startswith("added"):
        return None, quoted[0] if quoted else None
    if text.startswith("deleted"):
        return quoted[0] if quoted else None, None
    return (quoted[0], quoted[-1]) if quoted else (None, None)
