"""The previews of a campaign as a grid: a look at hundreds of datasets in a minute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from calib.errors import ConfigError
from calib.ledger.gallery import (
    NOWHERE,
    WITH_PICTURES,
    GalleryJob,
    GalleryPlace,
    GalleryWanted,
    Picture,
    gallery_jobs,
    instruments_in,
    pictures_of,
)
from calib.ledger.reports import Rows
from calib.ledger.states import STATES
from deployments.dashboard.files import MOST_INLINE, PICTURES
from deployments.dashboard.links import Links
from deployments.dashboard.page import Page
from deployments.dashboard.pages.campaigns import find_campaign, trail_of

if TYPE_CHECKING:
    from deployments.dashboard.app import Desk

# Cards of a page: eight rows of six on a wide screen, some 0.5 MB of thumbnails.
_CARDS = 48

# A picture without a thumbnail is shown itself up to this size, bytes: 48 of them are 50 MB.
_MOST_WITHOUT_THUMB = 1_000_000

_LONGEST_WORD = 100

# A place in the list is DATASET~NUMBER, as in the matrix; a person types a dataset alone.
_SEPARATOR = "~"
_LARGEST_NUMBER = (1 << 63) - 1

# What is looked at first of what a dataset has: the last that was made of it.
_FIRST = (
    *("drc", "drz", "crc", "crj", "x1dsum", "x1d", "sx1", "sx2", "x2d", "flc", "flt"),
    *("asn", "sum", "ima", "rawtag", "raw"),
)
_THUMB = "_thumb"


@dataclass(frozen=True)
class Card:
    """A dataset in the gallery.

    Attributes
    ----------
    job
        The dataset.
    shown, whole
        Numbers of the picture in the grid and of the one behind it; None without a picture.
    text
        What the picture shows, for who does not see it.
    pictures
        How many there are.
    """

    job: GalleryJob
    shown: int | None = None
    whole: int | None = None
    text: str = ""
    pictures: int = 0


@dataclass(frozen=True)
class Filters:
    """What a reader wants to see; `state` is empty for those that have pictures."""

    state: str = ""
    instrument: str = ""
    after: GalleryPlace | None = None
    before: GalleryPlace | None = None


def gallery_page(rows: Rows, links: Links, campaign: str, filters: Filters) -> Page:
    """Return a portion of a campaign's gallery, by dataset.

    Raises
    ------
    NotFound
        There is no such campaign.
    """
    found = find_campaign(rows, campaign)
    wanted = GalleryWanted(
        states=_states(filters.state),
        instrument=filters.instrument or None,
        after=filters.after or NOWHERE,
        before=filters.before,
        number=_CARDS + 1,
    )
    jobs, has_earlier, has_later = _cut(gallery_jobs(rows, found.id, wanted), filters)
    pictures = pictures_of(rows, jobs)
    content = {
        "campaign": campaign,
        "filters": filters,
        "cards": [_card(job, pictures.get((job.dataset, job.uri or ""), ())) for job in jobs],
        "states": list(found.counts),
        "instruments": instruments_in(rows, found.id, list(found.counts)),
        "number": _number(found.counts, wanted),
        "earlier": _place_text(jobs[0]) if has_earlier else None,
        "later": _place_text(jobs[-1]) if has_later else None,
    }
    return Page("gallery.html", "Gallery", content, trail_of(links, campaign), is_live=False)


def answer_gallery(desk: Desk, request: Request) -> Response:
    """Answer for a campaign: ``?state=``, ``instrument=``, ``after=`` or ``before=`` a place."""
    asked = {key: value[:_LONGEST_WORD] for key, value in request.query_params.items()}
    filters = Filters(
        asked.get("state", ""),
        asked.get("instrument", ""),
        read_place(asked.get("after", ""), behind=True),
        read_place(asked.get("before", ""), behind=False),
    )
    name = request.path_params["campaign"]
    return desk.show(request, partial(gallery_page, campaign=name, filters=filters))


def read_place(text: str, *, behind: bool) -> GalleryPlace | None:
    """Return the place of ``DATASET~NUMBER``; None for no text.

    Parameters
    ----------
    text
        A dataset alone means all of its jobs.
    behind
        Whether those behind the place are wanted, or those before it.

    Raises
    ------
    ConfigError
        What stands behind the sign is no number.
    """
    dataset, sign, number = text.partition(_SEPARATOR)
    if not sign:
        return GalleryPlace(dataset, _LARGEST_NUMBER if behind else 0) if dataset else None
    if not (number.isascii() and number.isdecimal() and int(number) <= _LARGEST_NUMBER):
        raise ConfigError("not a place in the gallery", found=text)
    return GalleryPlace(dataset, int(number))


def _place_text(job: GalleryJob) -> str:
    return f"{job.dataset}{_SEPARATOR}{job.id}"


def _states(asked: str) -> Sequence[str]:
    if asked == "any":
        return STATES
    return (asked,) if asked in STATES else WITH_PICTURES


def _cut(jobs: Sequence[GalleryJob], filters: Filters) -> tuple[Sequence[GalleryJob], bool, bool]:
    """Return what a page shows, and whether there is anything before and behind it."""
    has_more = len(jobs) > _CARDS
    if filters.before is not None:
        return (jobs[1:] if has_more else jobs), has_more, bool(jobs)
    return jobs[:_CARDS], filters.after is not None and bool(jobs), has_more


def _number(counts: Mapping[str, int], wanted: GalleryWanted) -> int | None:
    """Return how many datasets are wanted; of one instrument that is not counted."""
    if wanted.instrument is not None:
        return None
    return sum(number for state, number in counts.items() if state in wanted.states)


def _card(job: GalleryJob, pictures: Sequence[Picture]) -> Card:
    """Choose one picture of a dataset."""
    usable = [each for each in pictures if _ending(each) in PICTURES and each.size <= MOST_INLINE]
    whole = {PurePosixPath(each.name).stem: each for each in usable}
    thumbs = {stem: each for stem, each in whole.items() if stem.endswith(_THUMB)}
    stems = sorted(whole.keys() - thumbs.keys(), key=_rank)
    empty = Card(job, pictures=len(stems))
    if not stems:
        return empty
    stem = stems[0]
    shown = thumbs.get(stem + _THUMB, whole[stem])
    if shown is whole[stem] and shown.size > _MOST_WITHOUT_THUMB:
        return replace(empty, whole=whole[stem].id)
    return replace(empty, shown=shown.id, whole=whole[stem].id, text=f"preview of {stem}")


def _rank(stem: str) -> tuple[int, str]:
    ending = stem.rpartition("_")[2]
    return (_FIRST.index(ending) if ending in _FIRST else len(_FIRST), stem)


def _ending(picture: Picture) -> str:
    return PurePosixPath(picture.name).suffix.lower()
