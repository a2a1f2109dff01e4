"""Reads the difference reports of reprocessings: their numbers, and the pictures of a canary.

A report is files that a worker wrote. None of it is passed on as it is: numbers become tables of
our own pages, pictures are taken out and served by number. Only what the ledger names is read,
and only below the folder of reports in the work folder.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, TypeVar

from calib.errors import ConfigError, NotFound
from calib.ids import parse_dataset
from calib.ledger.reprocessing_reports import Reprocessing
from calib.records import from_json
from calib.reprocessing.canary_records import CanaryDifference
from deployments.dashboard.once import Once
from deployments.dashboard.opened import CannotShow, Opened, closing, open_inside

T = TypeVar("T")

# Folder of reports in the work folder (calib.stages.workplaces.REPROCESSINGS, which is heavy).
REPORTS = "reprocessings"

# Bytes of a file that is read: a page of a canary has up to twelve pictures of 300 kB.
MOST_BYTES = 32_000_000

# Pages and reports that are kept as they were read, and bytes that they may have together: a page
# asks for each of its pictures by itself. Numbers as objects take some eight times their text.
_KEPT, _KEPT_BYTES, _OBJECTS = 16, 24_000_000, 8

_PNG = b"\x89PNG\r\n\x1a\n"
_DATA = "data:image/png;base64,"


@dataclass(frozen=True)
class Picture:
    """A picture of a report: what it shows, what is said below it, and its PNG."""

    alt: str
    said: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class CanaryReport:
    """A difference report: when it was written (ISO 8601), and its canaries, worst first."""

    written_at: str
    canaries: tuple[CanaryDifference, ...]

    def of(self, dataset: str) -> CanaryDifference:
        """Return one canary.

        Raises
        ------
        NotFound
            The report has none of that name.
        """
        for each in self.canaries:
            if each.dataset == dataset:
                return each
        raise NotFound("the report has no such canary", found=dataset)


_REPORTS: Once[CanaryReport] = Once(_KEPT, _KEPT_BYTES)
_PAGES: Once[list[Picture]] = Once(_KEPT, _KEPT_BYTES)


def read_report(one: Reprocessing, work: str | None) -> CanaryReport:
    """Read the report that the ledger names.

    Parameters
    ----------
    one
        The reprocessing.
    work
        The work folder.

    Raises
    ------
    NotFound
        There is none, or it does not lie where this dashboard may read.
    ConfigError
        It cannot be read.
    """
    return _once(_folder(one, work), "report.json", partial(_report, one.name), _REPORTS)


def _report(name: str, text: str) -> CanaryReport:
    try:
        content: Mapping[str, Any] = json.loads(text)
        found = [from_json(CanaryDifference, json.dumps(each)) for each in content["canaries"]]
        for each in found:
            _check_name(each.dataset)
        return CanaryReport(str(content["written_at"]), tuple(found))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"the difference report of {name} cannot be read: {type(error).__name__}"
        raise ConfigError(message) from error


def read_pictures(one: Reprocessing, work: str | None, dataset: str) -> list[Picture]:
    """Read the pictures of a canary, in the order of its page.

    Parameters
    ----------
    one, work
        As for :func:`read_report`.
    dataset
        A canary.

    Raises
    ------
    NotFound, ConfigError
        As :func:`read_report`.
    """
    _check_name(dataset)
    return _once(_folder(one, work), f"{dataset}.html", _pictures_in, _PAGES)


def _check_name(dataset: str) -> None:
    """Refuse what is no name of a dataset, before it becomes a part of a path.

    Raises
    ------
    ConfigError
        It is none.
    """
    if parse_dataset(dataset).name != dataset:
        raise ConfigError("not the name of a dataset", found=repr(dataset))


def _pictures_in(text: str) -> list[Picture]:
    reader = _Pictures()
    reader.feed(text)
    reader.close()
    return list(reader.found())


def _folder(one: Reprocessing, work: str | None) -> Path:
    if one.report is None:
        raise NotFound(f"reprocessing {one.name} has no difference report yet")
    if work is None:
        raise NotFound("this dashboard was not told the work folder, where reports are")
    folder = Path(one.report).resolve().parent
    if not folder.is_relative_to((Path(work) / REPORTS).resolve()):
        raise NotFound("the report lies outside of this dashboard's work folder")
    return folder


def _once(folder: Path, name: str, make: Callable[[str], T], kept: Once[T]) -> T:
    """Return what a file of a report says, read once until it changes."""
    try:
        opened = open_inside(folder / name, folder)
    except CannotShow as error:
        raise NotFound(f"the difference report cannot be shown: {error}") from error
    with closing(opened):
        if opened.size > MOST_BYTES:
            raise ConfigError("the difference report is too large to show")
        weight = opened.size * (_OBJECTS if kept is _REPORTS else 1)
        return kept.get(opened.state, lambda: make(_text(opened)), weight)


def _text(opened: Opened) -> str:
    return opened.read(0, opened.size).decode("utf-8", "replace")


class _Pictures(HTMLParser):
    """Takes pictures, with what is said of them, out of a page that our report wrote."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._alts: list[str] = []
        self._data: list[str] = []
        self._said: list[str] = []
        self._is_said = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See a picture, its colours, or the text below it."""
        given = dict(attrs)
        source = given.get("src") or ""
        if tag == "img" and source.startswith(_DATA):
            self._alts.append(given.get("alt") or "")
            self._data.append(source.removeprefix(_DATA))
            self._said.append("")
        elif tag == "div" and given.get("role") == "img" and self._said:
            self._said[-1] += f"{given.get('aria-label')}. "
        self._is_said = tag == "figcaption" and bool(self._said)

    def handle_endtag(self, tag: str) -> None:
        """See the end of a text."""
        if tag == "figcaption":
            self._is_said = False

    def handle_data(self, data: str) -> None:
        """See text."""
        if self._is_said:
            self._said[-1] += data

    def found(self) -> Iterator[Picture]:
        """Yield what is a PNG in truth."""
        for alt, data, said in zip(self._alts, self._data, self._said, strict=True):
            try:
                content = base64.b64decode(data, validate=True)
            except binascii.Error:
                continue
            if content.startswith(_PNG):
                yield Picture(alt, said.strip(), content)
