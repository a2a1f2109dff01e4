"""CRREJTAB: which row counts, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from associations import make_rejection_table

from calib.errors import MissingReference
from calib.fitsfile import read_table
from calib.instruments.acs_rejection import select_row

ROWS = [
    {"CRSPLIT": count, "MEANEXP": seconds, "CRRADIUS": float(number)}
    for number, (count, seconds) in enumerate(
        [(2, 1000.0), (2, 100.0), (2, 100.0), (3, 1e6), (4, 1e6)]
    )
]


@pytest.mark.parametrize(
    ("count", "seconds", "row"),
    [
        (2, 100.0, 2),  # not below, and the last of equals
        (2, 99.0, 2),
        (2, 100.5, 0),
        (3, 5.0, 3),
        (4, 5.0, 4),
        (9, 5.0, 4),  # more than the table knows: its largest
    ],
)
def test_row_by_number_and_mean_time(tmp_path: Path, count: int, seconds: float, row: int) -> None:
    """CRSPLIT as the number, MEANEXP the nearest that is not smaller."""
    table = read_table(make_rejection_table(tmp_path, *ROWS))
    assert select_row(table, count, seconds).rejection.radius == row


def test_values_of_a_row(tmp_path: Path) -> None:
    """Percent become a fraction, the text becomes numbers; headers show the table's words."""
    row = select_row(read_table(make_rejection_table(tmp_path)), 2, 100.0)
    assert row.rejection.sigmas == (6.5, 5.5, 4.5)
    assert row.rejection.scale_noise == pytest.approx(0.03)
    assert (row.rejection.first_guess, row.rejection.sky) == ("min", "mode")
    assert row.marks_exposures is True
    assert row.keywords["SCALENSE"] == 3.0
    assert row.keywords["CRSIGMAS"] == "6.5,5.5,4.5"
    assert row.keywords["MEANEXP"] == 100.0


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"MEANEXP": 50.0}, "no row for these exposures.*MEANEXP >= 100"),
        ({"CRSPLIT": 3}, "no row for these exposures.*CRSPLIT=2"),
        ({"INITGUES": "mean"}, "INITGUES.*min or med.*mean"),
        ({"SKYSUB": "mean"}, "SKYSUB"),
        ({"CRSIGMAS": "6.5;5.5"}, "CRSIGMAS"),
        ({"CRSIGMAS": "6.5,-1"}, "CRSIGMAS"),
    ],
)
def test_unusable_tables(tmp_path: Path, changes: dict[str, Any], match: str) -> None:
    """Said with the file, what would do and what is there."""
    table = read_table(make_rejection_table(tmp_path, changes))
    with pytest.raises(MissingReference, match=match) as caught:
        select_row(table, 2, 100.0)
    assert str(caught.value.path).endswith("crrejtab.fits")
