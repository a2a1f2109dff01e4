"""Types that only stage 2 opens."""

from __future__ import annotations

import pytest

from calib.references.keywords import reference_keywords
from calib.references.stage2_types import STAGE2_TYPES, is_stage2_only


@pytest.mark.parametrize(
    ("instrument", "keyword", "only"),
    [
        ("acs", "IDCTAB", True),
        ("WFC3", "mdriztab", True),
        ("acs", "DARKFILE", False),
        ("stis", "IDCTAB", False),
        ("cos", "DGEOFILE", False),
        ("nicmos", "IDCTAB", False),
    ],
)
def test_types(instrument: str, keyword: str, only: bool) -> None:
    """ACS and WFC3 are drizzled; calstis and calcos open what has the same name there."""
    assert is_stage2_only(instrument, keyword) is only


def test_crds_knows_every_type() -> None:
    """No type is misspelt."""
    for instrument, types in STAGE2_TYPES.items():
        assert types <= set(reference_keywords(instrument))
