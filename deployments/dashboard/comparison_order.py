"""What is asked of a comparison, and where its results lie.

Apart from what compares, which imports NumPy and Astropy: the process that answers readers does
without their memory until somebody looks at a difference.
"""

from __future__ import annotations

from dataclasses import dataclass

from calib.ledger.products import Product

RESULT = "comparison.json"

# The three pictures of an image set, in the order in which they stand.
SIDES = ("old", "new", "difference")


@dataclass(frozen=True)
class Order:
    """What to compare: two rows of the view of products, and whose they are."""

    old: Product
    new: Product
    instrument: str


def picture_name(version: int, side: str) -> str:
    """Return the name of a picture's file."""
    return f"{version}-{side}.png"
