"""Compares two versions of a product, as a program of its own: ``ORDER RESULT-FOLDER``.

Arrays of a product take gigabytes and FITS files come from anywhere, so this is no work for the
process that answers readers: this one has its own memory and its own end.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from calib.records import from_json, to_json
from calib.reprocessing.pictures import Pictures
from calib.reprocessing.product_differences import Compared
from deployments.dashboard.comparison_order import (
    RESULT,
    SIDES,
    Comparison,
    Drawn,
    Order,
    picture_name,
)


def main(order_file: str, folder: str) -> int:
    """Compare, and write pictures and numbers into a folder; the numbers last."""
    from calib.reprocessing.differences import compare_pair

    order = from_json(Order, Path(order_file).read_bytes())
    place = Path(folder)
    with tempfile.TemporaryDirectory(dir=place) as scratch:
        compared = compare_pair(order.old, order.new, order.instrument, Path(scratch))
    for version, pictures in compared.pictures.items():
        for side in SIDES:
            (place / picture_name(version, side)).write_bytes(getattr(pictures, side))
    (place / RESULT).write_text(to_json(_result(compared)), encoding="utf-8")
    return 0


def _result(compared: Compared) -> Comparison:
    drawn = tuple(_drawn(version, each) for version, each in compared.pictures.items())
    return Comparison(compared.difference, drawn)


def _drawn(version: int, pictures: Pictures) -> Drawn:
    return Drawn(
        version=version,
        width=pictures.width,
        height=pictures.height,
        block=pictures.block,
        limit=pictures.limit,
        is_mean=pictures.is_mean,
        low=pictures.low,
        high=pictures.high,
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
