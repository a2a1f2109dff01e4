"""Pages as files: which pages a static report has, what their files are called, and links to them.

A page of a report is written because another one links to it: :class:`Book` gives an address to
every link that the report's rules allow, and keeps it until its page is written. So a link either
has its file or is no link.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from hashlib import sha256
from posixpath import dirname, relpath
from typing import NamedTuple
from urllib.parse import quote

# Characters that are the same in a file name everywhere, and longest name that we make.
_STRANGE = re.compile(r"[^a-z0-9_.-]+")
_LONGEST = 80

STATIC = "static"


class Address(NamedTuple):
    """A page: its name in :data:`deployments.dashboard.links.PATHS`, names, and filters."""

    page: str
    names: tuple[str, ...] = ()
    filters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Rule:
    """How a page is in a report.

    Attributes
    ----------
    stem
        Its file, without the ending.
    has
        Tells whether the report has the page of these names.
    words
        Filters under which it is written too.
    forward, back
        Filters that lead to the next and to the previous part of a list; the next part has a
        number, and the previous one is the part from which it was found.
    goes_on
        Tells whether the next part is written, by its place in the list.
    """

    stem: str
    has: Callable[[tuple[str, ...]], bool]
    words: AbstractSet[str] = frozenset()
    forward: AbstractSet[str] = frozenset()
    back: AbstractSet[str] = frozenset()
    goes_on: Callable[[str], bool] = lambda _place: True


@dataclass
class Book:
    """The pages of a report: those that are written, and those that are still to be.

    Attributes
    ----------
    rules
        Page -> how it is in the report; all others are not.
    first
        The page that opens the report: ``index.html``.
    picture
        Returns the file of a picture by its number in the ledger, or None where the report does
        not have it.
    """

    rules: Mapping[str, Rule]
    first: Address
    picture: Callable[[int], str | None] = lambda _number: None
    _files: dict[Address, str] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=lambda: {"index"})
    _before: dict[Address, Address] = field(default_factory=dict)
    _parts: dict[Address, int] = field(default_factory=dict)
    _waiting: deque[Address] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._files[self.first] = "index.html"
        self._waiting.append(self.first)

    def __len__(self) -> int:
        """Return how many pages are known by now."""
        return len(self._files)

    def leaves(self) -> Iterator[tuple[Address, str]]:
        """Yield every page once, with its file, until no page is found any more."""
        while self._waiting:
            address = self._waiting.popleft()
            yield address, self._files[address]

    def find(self, wanted: Address, here: Address) -> str | None:
        """Return the file of a page that `here` links to; None where the report has none."""
        if wanted.page == "product":
            return self.picture(int(wanted.names[0]))
        if wanted in self._files:
            return self._files[wanted]
        rule = self.rules.get(wanted.page)
        if rule is None or not rule.has(wanted.names):
            return None
        moves = {key: value for key, value in wanted.filters if key not in rule.words}
        if not moves:
            return self._enter(wanted, _slug(rule, wanted))
        return self._move(wanted, moves, rule, here)

    def _move(
        self, wanted: Address, moves: Mapping[str, str], rule: Rule, here: Address
    ) -> str | None:
        """Return the file of the next or the previous part of a list."""
        list_of = _without(wanted, moves)
        if moves.keys() & rule.back and here in self._before:
            return self._files[self._before[here]]
        (word, place), *others = moves.items()
        is_next = not others and word in rule.forward and list_of in self._files
        if not is_next or not rule.goes_on(place):
            return None
        return self._enter_part(wanted, list_of, here)

    def _enter_part(self, wanted: Address, list_of: Address, here: Address) -> str:
        self._parts[list_of] = number = self._parts.get(list_of, 1) + 1
        self._before[wanted] = here
        first = self._files[list_of].removesuffix(".html")
        return self._enter(wanted, f"{first}-{number}")

    def _enter(self, wanted: Address, stem: str) -> str:
        name, number = stem, 1
        while name in self._taken:
            number += 1
            name = f"{stem}-{number}"
        self._taken.add(name)
        self._files[wanted] = f"{name}.html"
        self._waiting.append(wanted)
        return self._files[wanted]


class StaticLinks:
    """Links of one page of a report, relative to its file.

    Parameters
    ----------
    book
        The pages of the report.
    here, file
        The page, and its file.
    """

    is_static = True

    def __init__(self, book: Book, here: Address, file: str) -> None:
        self._book = book
        self._here = here
        self._folder = dirname(file)

    def to(self, page: str, /, *names: str, **filters: object) -> str | None:
        """Return the address of a page, or None where the report does not have it."""
        given = sorted((k, str(v)) for k, v in filters.items() if v not in {None, ""})
        found = self._book.find(Address(page, tuple(map(str, names)), tuple(given)), self._here)
        return None if found is None else self._relative(found)

    def asset(self, name: str) -> str:
        """Return the address of a file of the dashboard's own."""
        return self._relative(f"{STATIC}/{name}")

    def _relative(self, file: str) -> str:
        return quote(relpath(file, self._folder or "."))


def _slug(rule: Rule, wanted: Address) -> str:
    """Return the name of a page's file, without its ending."""
    words = [word for pair in wanted.filters for word in pair]
    name = "-".join(map(safe_name, [*wanted.names[1:], *words]))
    stem = rule.stem.format(*(map(safe_name, wanted.names)))
    return f"{stem}-{name}" if name else stem


def safe_name(text: str) -> str:
    """Return a part of a file name for a text: the text itself where every system can have it.

    What is changed gets some letters of its checksum, so that two texts have two names.
    """
    plain = _STRANGE.sub("_", text.lower())[:_LONGEST].strip(".")
    if plain == text:
        return plain
    is_same = plain == text.lower()
    return plain if is_same else f"{plain}-{sha256(text.encode()).hexdigest()[:8]}"


def _without(address: Address, gone: Mapping[str, str]) -> Address:
    kept = tuple(pair for pair in address.filters if pair[0] not in gone)
    return address._replace(filters=kept)
