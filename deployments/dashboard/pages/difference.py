"""Two versions of a dataset beside each other: headers, numbers and pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from calib.campaigns.charts import histogram_chart
from calib.errors import NotFound
from calib.ledger.dataset_files import file_of
from calib.ledger.products import Product, ProductQuery, find_products
from calib.ledger.reports import Rows
from calib.ledger.versions import Version, versions_of
from calib.reprocessing.palette import stops
from calib.reprocessing.product_records import (
    PERCENTILES,
    SIGMAS,
    STATES,
    HeaderChange,
    ImageSetDifference,
)
from deployments.dashboard.comparison_order import Comparison
from deployments.dashboard.comparisons import Failed, Waiting
from deployments.dashboard.files import say_why
from deployments.dashboard.links import Links
from deployments.dashboard.page import Page

if TYPE_CHECKING:
    from deployments.dashboard.app import Desk

# Made for people, or of the moment: the products are what is compared.
_BESIDE = frozenset({"preview", "log", "env"})

# Products that are compared without being asked for one by one: each takes seconds.
_MOST_COMPARED = 8

# Image sets of a product whose numbers are on the page.
MOST_SETS = 8

_LARGEST_NUMBER = (1 << 63) - 1
_LONGEST_WORD = 255

_CACHE = {
    "cache-control": "private, max-age=3600",
    "content-security-policy": "default-src 'none'; sandbox",
}

Compare = Callable[[Product, Product], Comparison | Waiting | Failed]


@dataclass(frozen=True)
class Pair:
    """A product of two versions.

    Attributes
    ----------
    old, new
        None where a version does not have it.
    found
        How they differ; None where nobody asked yet.
    """

    old: Product | None
    new: Product | None
    found: Comparison | Waiting | Failed | None = None

    @property
    def one(self) -> Product:
        """Either of the two."""
        found = self.new or self.old
        if found is None:
            raise ValueError(found)
        return found

    @property
    def is_same(self) -> bool:
        """Whether both have the same bytes."""
        return bool(self.old and self.new and self.old.sha256 and self._sums == 1)

    @property
    def is_waiting(self) -> bool:
        """Whether it is being compared."""
        return isinstance(self.found, Waiting)

    @property
    def comparison(self) -> Comparison | None:
        """How they differ, where that is known."""
        return self.found if isinstance(self.found, Comparison) else None

    @property
    def words(self) -> str:
        """How they differ, in a few words."""
        if self.old is None or self.new is None:
            return STATES["new" if self.old is None else "vanished"]
        if self.is_same:
            return STATES["identical"]
        if isinstance(self.found, Comparison):
            return STATES[self.found.difference.state]
        if isinstance(self.found, Failed):
            return "cannot be compared"
        return "other bytes"

    @property
    def _sums(self) -> int:
        return len({each.sha256 for each in (self.old, self.new) if each})


@dataclass(frozen=True)
class DifferenceWanted:
    """Which versions a reader wants beside each other: runs, and one product alone."""

    new: str = ""
    old: str = ""
    product: str = ""


def difference_page(
    rows: Rows, links: Links, dataset: str, wanted: DifferenceWanted, compare: Compare
) -> Page:
    """Return two versions of a dataset beside each other.

    Parameters
    ----------
    dataset
        Its name.
    wanted
        Which versions; by default the current one and the one before it.
    compare
        Returns how two versions of a product differ, as far as that is known.

    Raises
    ------
    NotFound
        The dataset is not published.
    """
    versions = [each for each in versions_of(rows, dataset) if each.removed_at is None]
    if not versions:
        raise NotFound("nothing of this dataset is published", dataset=dataset)
    old, new = _chosen(versions, wanted)
    pairs = _pairs(rows, dataset, old, new) if old and new else []
    compared = _compared(pairs, wanted.product, compare)
    content = {
        "dataset": dataset,
        "versions": versions[::-1],
        "old": old,
        "new": new,
        "pairs": compared,
        "shown": [each for each in compared if each.found is not None],
        "is_waiting": any(each.is_waiting for each in compared),
        "most_sets": MOST_SETS,
        "chart": _chart,
        "card": _card,
        "sigmas": SIGMAS,
        "percentiles": PERCENTILES,
        "colours": stops(),
    }
    trail = ((dataset, links.to("dataset", dataset)),)
    is_live = bool(content["is_waiting"])
    return Page("difference.html", f"{dataset}: two versions", content, trail, is_live=is_live)


def answer_difference(desk: Desk, request: Request) -> Response:
    """Answer with two versions: ``?new=RUN``, ``old=RUN``, ``product=NAME``."""
    asked = {key: value[:_LONGEST_WORD] for key, value in request.query_params.items()}
    wanted = DifferenceWanted(*(asked.get(word, "") for word in ("new", "old", "product")))
    page = partial(
        difference_page,
        dataset=request.path_params["dataset"],
        wanted=wanted,
        compare=desk.comparisons.get,
    )
    return desk.show(request, page)


def answer_picture(desk: Desk, request: Request) -> Response:
    """Answer with a picture of a comparison that was made, by the numbers of its products."""
    asked = request.path_params
    numbers = (asked["old"], asked["new"])
    sums = [desk.reader.ask(partial(_sum, number=number)) for number in numbers]
    data = None
    if sums[0] and sums[1]:
        data = desk.comparisons.picture(sums[0], sums[1], asked["version"], asked["side"])
    if data is None:
        return say_why(desk, "there is no such picture: look at the differences first", 404)
    return Response(data, media_type="image/png", headers=_CACHE)


def _sum(rows: Rows, number: int) -> str | None:
    file = file_of(rows, min(number, _LARGEST_NUMBER))
    return file.sha256 if file else None


def _chosen(
    versions: Sequence[Version], wanted: DifferenceWanted
) -> tuple[Version | None, Version | None]:
    """Return the version before and the new one; versions come in the order of their times."""
    by_run = {each.run: each for each in versions}
    current = next((each for each in versions if each.is_current), versions[-1])
    new = by_run.get(wanted.new, current)
    others = [each for each in versions if each is not new]
    before = [each for each in others if each.published_at <= new.published_at]
    old = by_run.get(wanted.old) or next(iter([*before[-1:], *others[:1]]), None)
    return (None if old is new else old), new


def _pairs(rows: Rows, dataset: str, old: Version, new: Version) -> list[Pair]:
    before, after = (_products(rows, dataset, each.run) for each in (old, new))
    return [Pair(before.get(name), after.get(name)) for name in sorted({*before, *after})]


def _products(rows: Rows, dataset: str, run: str) -> dict[str, Product]:
    found = find_products(rows, ProductQuery(datasets=(dataset,), runs=(run,)))
    return {product.name: product for product in found if product.type not in _BESIDE}


def _compared(pairs: Sequence[Pair], product: str, compare: Compare) -> list[Pair]:
    """Compare the first products that differ, or the one that is asked for."""
    differ = [each for each in pairs if each.old and each.new and not each.is_same]
    named = [each for each in differ if each.one.name == product]
    chosen = {each.one.name for each in named or differ[:_MOST_COMPARED]}
    return [
        Pair(each.old, each.new, compare(each.old, each.new))
        if each.old and each.new and each in differ and each.one.name in chosen
        else each
        for each in pairs
    ]


def _chart(one: ImageSetDifference) -> str:
    """Return the histogram of an image set as SVG, empty where nothing changed."""
    science = one.science
    if science is None or science.histogram is None:
        return ""
    bars = science.histogram
    said = (
        f"{science.name}: how often differences occur where it changed"
        f" ({one.unit or 'no unit'}, logarithmic)"
    )
    chart = histogram_chart(bars.counts, bars.high, said, ends=(bars.below, bars.above))
    return Markup(chart)  # noqa: S704 - the chart escapes its words


def _card(card: HeaderChange, side: str) -> str:
    """Return the value of a card with its comment; the keyword stands beside it."""
    text: str | None = getattr(card, side)
    return "absent" if text is None else text[8:].removeprefix("=").strip() or "empty"
