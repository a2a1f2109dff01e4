"""The pages of one campaign as a static site: to keep, to mail, to print, with no server.

The site is made of the dashboard's own pages: each is answered as it would be to a browser, on
one state of the ledger, with links to files in place of addresses. ``RULES`` below says which
pages a site has; a page that no branch of the dashboard answers is not linked to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode

from starlette.requests import Request

from calib.errors import NotFound
from calib.ledger.gallery import NOWHERE, GalleryPlace
from calib.ledger.reports import Rows
from calib.ledger.states import FINISHED
from deployments.dashboard import pages
from deployments.dashboard.app import STATIC, build_desk, error_text
from deployments.dashboard.files import PICTURES, find_file
from deployments.dashboard.links import PATHS
from deployments.dashboard.opened import CannotShow
from deployments.dashboard.page import Frame, Page, render
from deployments.dashboard.pages.campaign_references import campaign_references_page, used_in
from deployments.dashboard.pages.gallery import read_place
from deployments.dashboard.reader import Later, Reader
from deployments.dashboard.settings import DashboardSettings
from deployments.dashboard.static_files import MARK, Shelf, mark_of, new_report
from deployments.dashboard.static_links import Address, Book, Rule, StaticLinks

T = TypeVar("T")

ASSETS = ("style.css", "icon.svg")

# The pages that every page of a site links to at its top.
NAVIGATION = (
    ("Overview", "campaign"),
    ("Datasets", "matrix"),
    ("Errors", "errors"),
    ("Gallery", "gallery"),
    ("Workers", "workers"),
    ("References", "references"),
    ("Reprocessing", "reprocessing"),
)

Others = Literal["all", "failed", "none"]

_DATASETS = """
SELECT dataset, state, MAX(id) AS last FROM job WHERE campaign_id = :id
GROUP BY dataset, state ORDER BY dataset
"""


@dataclass(frozen=True)
class Wanted:
    """What is to be exported.

    Attributes
    ----------
    settings
        The ledger and the work folder.
    campaign
        Number and name; None: a reprocessing of which no campaign has begun.
    reprocessing
        Its name, where the campaign is one.
    datasets
        Which datasets have a page: ``all``, those that ``failed``, ``none``.
    others
        With ``failed``: how many others have one too, the first by name.
    """

    settings: DashboardSettings
    campaign: tuple[int, str] | None
    reprocessing: str | None = None
    datasets: Others = "failed"
    others: int = 200


@dataclass
class Written:
    """What was written: files by kind, bytes, and addresses whose page could not be made."""

    path: str
    pages: int = 0
    datasets: int = 0
    pictures: int = 0
    bytes: int = 0
    not_shown: int = 0


@dataclass(frozen=True)
class Scope:
    """What a site is about: datasets and references that have a page of their own.

    `last_other` is the place in the gallery of the last one that is shown there.
    """

    failed: frozenset[str]
    shown: frozenset[str]
    references: frozenset[str]
    last_other: GalleryPlace = NOWHERE


Follow = Callable[[int, int], None]


def export_site(
    rows: Rows,
    wanted: Wanted,
    target: Path,
    *,
    replace: bool = False,
    follow: Follow = lambda _done, _known: None,
) -> Written:
    """Write a campaign's pages into a new folder or zip file.

    Parameters
    ----------
    rows
        The ledger, at one moment.
    wanted
        What.
    target
        A folder, or a file that ends in ``.zip``.
    replace
        Take the place of an older report that is there.
    follow
        Is told how many pages are written, and how many are known to be needed by now.

    Raises
    ------
    ConfigError
        The target is there or cannot be written; nothing is left behind.
    """
    with new_report(target, replace=replace) as shelf:
        site = _Site(rows, wanted, shelf, Written(str(target)))
        site.write(follow)
        return site.written


def rules_of(wanted: Wanted, scope: Scope) -> dict[str, Rule]:
    """Return the pages of a site, but those that the dashboard does not have."""
    mine = (wanted.campaign[1],) if wanted.campaign else None
    one = (wanted.reprocessing,) if wanted.reprocessing else None

    def of_campaign(names: tuple[str, ...]) -> bool:
        return names == mine

    def is_shown(names: tuple[str, ...]) -> bool:
        return names[0] in scope.shown

    every = {
        "campaign": Rule("campaign", of_campaign),
        "matrix": Rule(
            "matrix",
            of_campaign,
            words=frozenset({"state", "error_class", "class", "code", "failed"}),
            forward=frozenset({"after"}),
            back=frozenset({"before"}),
        ),
        "errors": Rule("errors", of_campaign),
        "workers": Rule("workers", of_campaign),
        "gallery": Rule(
            "gallery",
            lambda names: of_campaign(names) and bool(scope.shown),
            forward=frozenset({"after"}),
            back=frozenset({"before"}),
            goes_on=lambda text: (read_place(text, behind=True) or NOWHERE) < scope.last_other,
        ),
        "dataset": Rule("datasets/{0:.4}/{0}", is_shown),
        "log": Rule(
            "logs/{0:.4}/{0}",
            lambda names: names[0] in scope.failed & scope.shown,
            words=frozenset({"file", "job", "name"}),
        ),
        "reference": Rule("references/{0}", lambda names: names[0] in scope.references),
        "reprocessing": Rule("reprocessing", lambda names: names == one),
    }
    # Not the references of the whole ledger: the site has a page of the campaign's own.
    references = {"references": Rule("references", lambda names: mine is not None and not names)}
    return references | {name: rule for name, rule in every.items() if name in pages.ANSWERS}


def scope_of(rows: Rows, wanted: Wanted) -> Scope:
    """Return which datasets and references a site has pages of."""
    if wanted.campaign is None:
        return Scope(frozenset(), frozenset(), frozenset())
    number = {"id": wanted.campaign[0]}
    found = [(str(row["dataset"]), row["state"], row["last"]) for row in rows(_DATASETS, number)]
    failed = {name for name, state, _ in found if state in {"error", "blocked"}}
    ends = [GalleryPlace(name, last) for name, state, last in found if state in FINISHED]
    good = dict.fromkeys(place.dataset for place in ends if place.dataset not in failed)
    some = {*[*good][: wanted.others]}
    every = {name for name, _, _ in found}
    shown: Mapping[Others, set[str]] = {"all": every, "failed": failed | some, "none": set()}
    listed: Mapping[Others, set[str]] = {"all": every, "failed": some, "none": set()}
    references = frozenset(each.name for each in used_in(rows, wanted.campaign[0]))
    return Scope(
        frozenset(failed),
        frozenset(shown[wanted.datasets]),
        references,
        max((place for place in ends if place.dataset in listed[wanted.datasets]), default=NOWHERE),
    )


class _OneState(Reader):
    """Asks the one state of the ledger that the whole site is of."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def ask(self, question: Callable[[Rows], T], _patience: float | None = None) -> T:
        return question(self._rows)


class _AtOnce(Later):
    """Makes what takes long while the page waits for it, and once."""

    def __init__(self) -> None:
        self._made: dict[object, object] = {}

    def get(self, key: Any, make: Callable[..., T], *_: object, **__: object) -> T:
        if key not in self._made:
            self._made[key] = make()
        answer: T = self._made[key]  # type: ignore[assignment]
        return answer


class _Site:
    """Writes the pages of a book until there is none left."""

    def __init__(self, rows: Rows, wanted: Wanted, shelf: Shelf, written: Written) -> None:
        self._rows, self._wanted, self._shelf = rows, wanted, shelf
        self.written = written
        self._scope = scope_of(rows, wanted)
        self._pictures: dict[int, str | None] = {}
        first = (
            Address("campaign", (wanted.campaign[1],))
            if wanted.campaign
            else Address("reprocessing", (str(wanted.reprocessing),))
        )
        self._book = Book(rules_of(wanted, self._scope), first, self._picture)
        mine, one = wanted.campaign and wanted.campaign[1], wanted.reprocessing
        self._names: dict[str, tuple[str, ...]] = {
            page: (str(mine),) for _, page in NAVIGATION if page != "references"
        }
        self._names |= {"references": (), "reprocessing": (str(one),)}
        self._now = datetime.now(UTC)
        self._desk = replace(build_desk(wanted.settings), reader=_OneState(rows), later=_AtOnce())

    def write(self, follow: Follow) -> None:
        for name in ASSETS:
            self._put(f"static/{name}", (STATIC / name).read_bytes())
        for address, file in self._addresses():
            self._put(file, self._html(address, file).encode())
            self.written.pages += 1
            self.written.datasets += address.page == "dataset"
            follow(self.written.pages, len(self._book))
        what = {"campaign": self._wanted.campaign and self._wanted.campaign[1]}
        what |= {"reprocessing": self._wanted.reprocessing, "written_at": self._now.isoformat()}
        self._put(MARK, mark_of(dict(what)))

    def _addresses(self) -> Iterator[tuple[Address, str]]:
        """Yield what is linked to, and then the datasets that no page links to."""
        yield from self._book.leaves()
        for name in sorted(self._scope.shown):
            self._book.find(Address("dataset", (name,)), self._book.first)
        yield from self._book.leaves()

    def _html(self, address: Address, file: str) -> str:
        frame = self._frame(StaticLinks(self._book, address, file), address.page)
        if address.page == "references" and self._wanted.campaign:
            page = campaign_references_page(self._rows, frame.links, self._wanted.campaign)
            return render(page, frame)
        desk = replace(self._desk, frame=frame)
        try:
            answer = pages.ANSWERS[address.page](desk, _request(address))
        except NotFound as error:
            return self._why_not(error_text(error), frame)
        text = bytes(answer.body).decode()
        is_page = answer.status_code < 400 and answer.media_type == "text/html"  # noqa: PLR2004 - HTTP's
        return text if is_page else self._why_not("The ledger has nothing of this.", frame)

    def _frame(self, links: StaticLinks, here: str) -> Frame:
        names = self._names
        found = (
            (text, links.to(page, *names.get(page, ())), page == here) for text, page in NAVIGATION
        )
        return Frame(
            links,
            written_at=self._now.strftime("%Y-%m-%d %H:%M:%S"),
            words={"navigation": [each for each in found if each[1]]},
        )

    def _why_not(self, said: str, frame: Frame) -> str:
        """Return a page that says why one is not there, rather than a link that leads nowhere."""
        self.written.not_shown += 1
        return render(Page("error.html", "Not found", {"said": said}, is_live=False), frame)

    def _picture(self, number: int) -> str | None:
        """Copy a picture of a dataset that has a page; return its file."""
        if number not in self._pictures:
            self._pictures[number] = self._copy(number)
        return self._pictures[number]

    def _copy(self, number: int) -> str | None:
        from calib.ledger.dataset_files import file_of

        found = file_of(self._rows, number)
        if found is None or found.dataset not in self._scope.shown:
            return None
        ending = PurePosixPath(found.name).suffix.lower()
        if ending not in PICTURES:
            return None
        try:
            given = find_file(found)
        except CannotShow:
            return None
        try:
            content = given.read(0, found.size)
        finally:
            given.close()
        file = f"pictures/{found.dataset[:4]}/{number}{ending}"
        self._put(file, content)
        self.written.pictures += 1
        return file

    def _put(self, name: str, content: bytes) -> None:
        self._shelf.put(name, content)
        self.written.bytes += len(content)


def _request(address: Address) -> Request:
    """Return the request that a browser would send for a page."""
    words = pages.NAMES.get(address.page, ())
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "server": ("localhost", 80),
        "path": PATHS[address.page].format(*address.names),
        "query_string": urlencode(address.filters).encode(),
        "headers": [],
        "path_params": dict(zip(words, address.names, strict=True)),
    }
    return Request(scope)
