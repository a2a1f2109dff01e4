"""What is asked of a comparison, what it answers, and where its results lie.

Apart from what compares, which imports NumPy and Astropy: the process that answers readers does
without their memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from calib.ledger.products import Product
from calib.reprocessing.product_records import ProductDifference

RESULT = "comparison.json"

# The three pictures of an image set, in the order in which they stand.
SIDES = ("old", "new", "difference")


@dataclass(frozen=True)
class Order:
    """What to compare: two rows of the view of products, and whose they are."""

    old: Product
    new: Product
    instrument: str


@dataclass(frozen=True)
class Drawn:
    """What is to be known of the three pictures of an image set (:class:`Pictures`)."""

    version: int
    width: int
    height: int
    block: int
    limit: float
    is_mean: bool
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """How two versions of a product differ, and which pictures of it there are."""

    difference: ProductDifference
    drawn: tuple[Drawn, ...] = ()


def picture_name(version: int, side: str) -> str:
    """Return the name of a picture's file."""
    return f"{version}-{side}.png"
