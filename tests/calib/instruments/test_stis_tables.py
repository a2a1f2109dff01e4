"""Rows of the STIS reference tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from calib.errors import MissingReference
from calib.fitsfile import Table
from calib.instruments.stis_tables import (
    DEFAULT_CLIP,
    detector_shape,
    select_bad_runs,
    select_ccd,
    select_samples,
)

HEADER = {"CCDAMP": "d ", "CCDGAIN": 4, "CCDOFFST": 3, "BINAXIS1": 1, "BINAXIS2": 2}
CCD = {
    "CCDAMP": "D", "CCDGAIN": 4, "CCDOFFST": 3, "BINAXIS1": 1, "BINAXIS2": 2, "ATODGAIN": 4.016,
    "CCDBIAS": 1510.0, "READNSE": 7.8, "SATURATE": 33000.0,
}  # fmt: skip
BAD = {"OPT_ELEM": "ANY", "PIX1": 3, "PIX2": 4, "LENGTH": 2, "AXIS": 1, "VALUE": 16}
SIZES = {"SIZAXIS1": 1024, "SIZAXIS2": 1024}


def make_table(*rows: Mapping[str, Any], header: Mapping[str, Any] | None = None) -> Table:
    """Return a table in memory."""
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return Table(columns, header or {}, {}, "table.fits")


def test_row_of_amplifier_gain_offset_and_binning() -> None:
    """The first one that fits in all five; BLEV_CLIP is 50 where there is no such column."""
    others = [{**CCD, key: value} for key, value in (("CCDAMP", "A"), ("BINAXIS2", 1))]
    found = select_ccd(make_table(*others, CCD, {**CCD, "ATODGAIN": 9.0}), HEADER)
    assert found.gain == np.float32(4.016)
    assert (found.bias, found.saturation, found.clip) == (1510, 33000, DEFAULT_CLIP)


@pytest.mark.parametrize("change", [{"CCDGAIN": -1}, {"CCDAMP": "ANY"}, {"CCDOFFST": -999}])
def test_wildcards_fit(change: dict[str, Any]) -> None:
    """-1 and ANY fit everything, and so does what is not relevant."""
    assert select_ccd(make_table({**CCD, **change, "BLEV_CLIP": 7.0}), HEADER).clip == 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"CCDGAIN": 1}, "no row"),
        ({"ATODGAIN": 0.0}, "ATODGAIN"),
        ({"READNSE": -1.0}, "READNSE"),
        ({"CCDBIAS": float("nan")}, "CCDBIAS"),
    ],
)
def test_unusable_rows_are_refused(change: dict[str, Any], message: str) -> None:
    """No row, or numbers that no amplifier has."""
    with pytest.raises(MissingReference, match=message):
        select_ccd(make_table({**CCD, **change}), HEADER)


def test_bad_pixels_are_those_of_the_element() -> None:
    """Rows for other gratings, and such that begin off the detector, do not count."""
    rows = [BAD, {**BAD, "OPT_ELEM": "G750L"}, {**BAD, "OPT_ELEM": "MIRVIS"}, {**BAD, "PIX1": 1025}]
    found = select_bad_runs(make_table(*rows, header=SIZES), {"OPT_ELEM": "MIRVIS"})
    assert [(run.x, run.y, run.length, run.axis, run.flag) for run in found] == [
        (2, 3, 2, 1, 16)
    ] * 2


def test_table_without_the_size_of_the_detector_is_refused() -> None:
    """SIZAXIS1 and SIZAXIS2 say what PIX1 and PIX2 count."""
    assert detector_shape(make_table(BAD, header=SIZES)) == (1024, 1024)
    with pytest.raises(MissingReference, match="size of the detector"):
        detector_shape(make_table(BAD, header={"SIZAXIS1": 1024}))


def samples(value: float, factor: float, count: int = 3) -> dict[str, Any]:
    """Return a row of ATODTAB."""
    own = {"REF_KEY": "OCCDHTAV", "REF_KEY_VALUE": value, "NELEM": count}
    return {"CCDAMP": "D", "CCDGAIN": 4, **own, "ATOD": np.arange(3) * factor}


def test_samples_are_those_of_the_nearest_temperature() -> None:
    """21 is nearer to 20 than to 30; the first of equals counts."""
    table = make_table(samples(30.0, 3.0), samples(20.0, 2.0), samples(20.0, 5.0))
    assert select_samples(table, HEADER, {"OCCDHTAV": 21.0}).tolist() == [0, 2, 4]


@pytest.mark.parametrize("count", [0, 4])
def test_samples_that_are_too_few_are_refused(count: int) -> None:
    """NELEM promises more values than there are, or none."""
    with pytest.raises(MissingReference, match="too short"):
        select_samples(make_table(samples(20.0, 1.0, count)), HEADER, {"OCCDHTAV": 20.0})
