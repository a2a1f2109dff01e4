"""A canary beside what was there before: what became of its products, and the worst of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from calib.ledger.states import FINISHED
from calib.reprocessing.canary_runs import Publication
from calib.reprocessing.product_records import ProductDifference

# What is said of a canary whose job has not ended well; other states are words of their own.
_UNFINISHED = {"not run": "not run yet", "error": "failed"}

# What is said of a canary by the worst state of its products, the worst first.
VERDICTS = {
    "unreadable": "cannot be compared",
    "vanished": "products vanished",
    "form": "other shape",
    "data": "differs",
    "new": "new products",
    "header": "headers differ",
}

# Verdicts in the order in which a person should read them; a failure (-1) comes before.
_ORDER = (
    *VERDICTS.values(),
    *("first time", "nothing made", "not run yet", "no difference"),
)


@dataclass(frozen=True)
class Summary:
    """The most telling numbers of a canary: the worst over its products.

    Attributes
    ----------
    product
        The product with the largest share of pixels beyond three errors, or that changed most.
    changed
        Share of its SCI pixels that changed.
    median, largest
        Of the differences where it changed; the largest without its sign.
    beyond
        Share of pixels more than three errors away; None without errors.
    unit
        Of the pixels.
    gained, lost
        DQ bits, over all products.
    """

    product: str
    changed: float
    median: float | None = None
    largest: float | None = None
    beyond: float | None = None
    unit: str = ""
    gained: int = 0
    lost: int = 0


@dataclass(frozen=True)
class CanaryDifference:
    """A canary beside what was there before.

    Attributes
    ----------
    dataset, instrument, kind, wave, changes
        Which one, and the references that change: old and new by the keys of its mark.
    state, reason
        Of its job.
    old, new
        The two versions.
    products
        What became of each product.
    summary
        None where no image differs.
    """

    dataset: str
    instrument: str
    kind: str
    wave: int
    changes: Mapping[str, tuple[str | None, str | None]]
    state: str
    reason: str | None
    old: Publication | None
    new: Publication | None
    products: tuple[ProductDifference, ...]
    summary: Summary | None = None

    @property
    def verdict(self) -> str:
        """What became of it, in a few words."""
        if self.state not in FINISHED:
            return _UNFINISHED.get(self.state, self.state)
        if self.new is None:
            return "nothing made"
        if self.old is None:
            return "first time"
        states = {product.state for product in self.products}
        said = (words for state, words in VERDICTS.items() if state in states)
        return next(said, "no difference")

    @property
    def has_failed(self) -> bool:
        """Whether it ended without a result."""
        return self.state not in FINISHED and self.state != "not run"

    @property
    def rank(self) -> tuple[int, float, float, str]:
        """Its place in the report: failures first, then the largest differences."""
        order = _ORDER.index(self.verdict) if self.verdict in _ORDER else -1
        found = self.summary
        worst = (-(found.beyond or 0.0), -found.changed) if found else (0.0, 0.0)
        return (order, *worst, self.dataset)
