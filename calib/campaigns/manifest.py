"""The manifest of a campaign: its datasets, and what is said of some of them alone.

::

    # a comment
    j8bt06o6q
    j8bt05njq  rung=16 timeout_scale=2 retries=5 priority=10
    j8bt07oyq  set=DARKCORR=OMIT set=noise.x=4 env.PIPELINE_RESET_IDCTAB=on

Files named ``*.json``, ``*.yaml`` and ``*.yml`` hold ``{ID: {KEY: VALUE}}``, or a list of names
and of ``{id: ID, KEY: VALUE}``.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calib.campaigns.job_overrides import JobOverrides, parse_mapping, parse_words
from calib.errors import ConfigError, HstflowError
from calib.ids import DatasetId, parse_dataset

_NOTHING = JobOverrides()


@dataclass(frozen=True, slots=True)
class Entry:
    """A dataset of a manifest, with what is said of it alone."""

    dataset: DatasetId
    overrides: JobOverrides = field(default_factory=JobOverrides)


@dataclass(frozen=True, slots=True)
class _Line:
    """A dataset as it is written: where, its name, and the rest as words or as a mapping."""

    label: str
    name: object
    rest: tuple[str, ...] | Mapping[str, Any] = ()


def read_entries(path: Path) -> list[Entry]:
    """Read a manifest.

    Returns
    -------
    list of Entry
        Each dataset once, in the order of the file; said twice in the same way counts once.

    Raises
    ------
    ConfigError
        The file cannot be read, names nothing, or has lines that are wrong or contradict each
        other; all of these are listed with their line numbers.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the manifest cannot be read: {error}", path=path) from error
    reader = _READERS.get(path.suffix.lower(), _text_lines)
    return _entries(reader(text, path), path)


def entries_of(names: Iterable[str]) -> list[Entry]:
    """Read names, each once, in their order; what else a line may say may follow a name.

    Raises
    ------
    ConfigError
        There is no name, or some are wrong: all of these are listed.
    """
    numbered = enumerate(names, 1)
    return _entries((_text_line(f"name {number}", name) for number, name in numbered), None)


def _entries(lines: Iterable[_Line], path: Path | None) -> list[Entry]:
    found: dict[str, Entry] = {}
    places: dict[str, str] = {}
    known: dict[tuple[str, ...], JobOverrides] = {}
    bad: list[str] = []
    for line in lines:
        try:
            entry = _entry(line, known)
        except HstflowError as error:
            bad.append(f"{line.label}: {error}")
            continue
        name = entry.dataset.name
        if found.setdefault(name, entry) == entry:
            places.setdefault(name, line.label)
        else:
            bad.append(f"{line.label}: {name} is said otherwise in {places[name]}")
    if bad:
        message = f"{len(bad)} wrong in the list of datasets:\n  " + "\n  ".join(bad)
        raise ConfigError(message, path=path)
    if not found:
        raise ConfigError("no dataset was named", path=path)
    return list(found.values())


def _entry(line: _Line, known: dict[tuple[str, ...], JobOverrides]) -> Entry:
    dataset = parse_dataset(str(line.name))
    if isinstance(line.rest, Mapping):
        return Entry(dataset, parse_mapping(line.rest))
    if not line.rest:
        return Entry(dataset, _NOTHING)
    if line.rest not in known:  # lines that say the same share one record
        known[line.rest] = parse_words(line.rest)
    return Entry(dataset, known[line.rest])


def _text_lines(text: str, _path: Path) -> Iterator[_Line]:
    for number, line in enumerate(text.splitlines(), 1):
        label = f"line {number}"
        found = _text_line(label, line)
        if found.name:
            yield found


def _text_line(label: str, line: str) -> _Line:
    """Split a line into words; quotes as in a shell, which most lines do without."""
    try:
        quoted = any(mark in line for mark in "'\"\\")
        words = shlex.split(line, comments=True) if quoted else line.partition("#")[0].split()
    except ValueError:  # a quotation that does not end: its text is not a dataset's name
        words = [line]
    return _Line(label, words[0] if words else "", tuple(words[1:]))


def _json_lines(text: str, path: Path) -> Iterator[_Line]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"the manifest is not JSON: {error}", path=path) from error
    return _items(content, path)


def _yaml_lines(text: str, path: Path) -> Iterator[_Line]:
    import yaml

    try:
        content = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"the manifest is not YAML: {reason}", path=path) from error
    return _items(content, path)


def _items(content: object, path: Path) -> Iterator[_Line]:
    if isinstance(content, dict):
        content = [{**_mapping(rest, name), "id": name} for name, rest in content.items()]
    if not isinstance(content, list):
        raise ConfigError(
            "not a manifest", path=path, expected="{ID: {KEY: VALUE}} or a list", found=content
        )
    return (_item(f"entry {number}", each) for number, each in enumerate(content, 1))


def _item(label: str, item: object) -> _Line:
    if isinstance(item, Mapping):
        rest = {str(key): value for key, value in item.items() if key != "id"}
        return _Line(label, item.get("id", ""), rest)
    return _Line(label, item)


def _mapping(rest: object, name: object) -> Mapping[str, Any]:
    if isinstance(rest, dict):
        return rest
    return {} if rest is None else {"settings": f"{name}: {rest!r}"}


_READERS = {".json": _json_lines, ".yaml": _yaml_lines, ".yml": _yaml_lines}
