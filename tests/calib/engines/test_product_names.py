"""What the native engine says that it would make is what it makes."""

from __future__ import annotations

from pathlib import Path

import pytest
from associations import MEMBERS, PAIR, REPEATS, Rows, associate, make_pair_references

from calib.engines.native import NativeEngine
from calib.engines.protocol import ForeseeingEngine
from calib.errors import ConfigError, UnsupportedMode
from calib.instruments.acs_recipes import HRC

DITHER = ((MEMBERS[0], "EXP-DTH"), (MEMBERS[1], "EXP-DTH"), ("j8zz01010", "PROD-DTH"))


@pytest.mark.parametrize(
    ("rows", "header"),
    [
        (PAIR, {}),
        (PAIR, {"EXPSCORR": "OMIT"}),
        (REPEATS, {"CRCORR": "OMIT", "RPTCORR": "PERFORM"}),
        (DITHER, {"CRCORR": "OMIT"}),
    ],
    ids=["split", "split without exposures", "repeated", "dithered"],
)
def test_names_are_those_of_the_products(
    tmp_path: Path, rows: Rows, header: dict[str, str]
) -> None:
    """Asked first, the engine names every file in order; nothing is written by asking."""
    request = associate(tmp_path, make_pair_references(tmp_path), rows, **header)
    engine = NativeEngine([HRC])
    assert isinstance(engine, ForeseeingEngine)

    names = engine.product_names(request)

    assert not request.output.exists()
    assert sorted(names) == sorted(file.name for file in engine.calibrate(request).files)


def test_what_calibration_would_refuse_is_refused(tmp_path: Path) -> None:
    """An unknown parameter, and a table that contradicts the switches."""
    references = make_pair_references(tmp_path)
    engine = NativeEngine([HRC])

    with pytest.raises(ConfigError, match="no such parameter"):
        engine.product_names(associate(tmp_path, references, PAIR, "noise.nothing=1"))
    with pytest.raises(UnsupportedMode, match="disagree"):
        engine.product_names(associate(tmp_path, references, PAIR, CRCORR="OMIT"))
