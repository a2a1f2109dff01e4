"""The manifest of a campaign: its datasets, one name a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from calib.errors import ConfigError, HstflowError
from calib.ids import DatasetId, parse_dataset

# States of a job for which there is nothing left to do.
FINISHED = frozenset({"processed", "synced", "archived", "skipped"})


def read_manifest(path: Path) -> list[DatasetId]:
    """Read a manifest: one dataset a line, blank lines and text after ``#`` passed over.

    Returns
    -------
    list of DatasetId
        Each dataset once, in the order of the file.

    Raises
    ------
    ConfigError
        The file cannot be read, names nothing, or has lines that are no dataset's name; all
        of these are listed with their line numbers.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the manifest cannot be read: {error}", path=path) from error
    words = ((number, line.partition("#")[0].strip()) for number, line in enumerate(lines, 1))
    return _parse([(f"line {number}", word) for number, word in words if word], path)


def read_names(names: Iterable[str]) -> list[DatasetId]:
    """Read names, each once, in their order.

    Raises
    ------
    ConfigError
        There is no name, or some are not a dataset's: all of these are listed.
    """
    return _parse([(f"name {number}", name) for number, name in enumerate(names, 1)], None)


def _parse(names: Iterable[tuple[str, str]], path: Path | None) -> list[DatasetId]:
    found: dict[DatasetId, None] = {}
    bad = []
    for label, word in names:
        try:
            found[parse_dataset(word)] = None
        except HstflowError:
            bad.append(f"{label}: {word!r}")
    if bad:
        raise ConfigError(f"not names of datasets: {', '.join(bad)}", path=path)
    if not found:
        raise ConfigError("no dataset was named", path=path)
    return list(found)


def left_to_do(states: Mapping[str, str]) -> list[str]:
    """Return the datasets whose jobs are not finished, in their order."""
    return [name for name, state in states.items() if state not in FINISHED]
