"""Rungs of memory: read from text, chosen for a need, climbed."""

from __future__ import annotations

import pytest
from cost_history import GB, RUNGS
from hypothesis import given
from hypothesis import strategies as st

from calib.campaigns.rungs import next_rung, parse_rungs, parse_size, rung_for, usable
from calib.errors import ConfigError

ladders = st.lists(st.integers(1, 10**13), min_size=1, unique=True).map(lambda r: tuple(sorted(r)))


@pytest.mark.parametrize(
    ("text", "rungs"),
    [
        ("2,8,16,64", RUNGS),
        ("500MB, 2GiB", (500 * 10**6, 2 * 2**30)),
        ("0.5", (GB // 2,)),
        ("64 mib,1gb", (64 * 2**20, GB)),
    ],
)
def test_rungs_of_text(text: str, rungs: tuple[int, ...]) -> None:
    """Numbers are GB; units of 1000 and of 1024 are understood, in any case."""
    assert parse_rungs(text) == rungs


@pytest.mark.parametrize(
    "text", ["", "2,,8", "8,2", "2,2", "0", "-2", "two", "2XB", "nan", "1e3", "2;8", "0.0000000001"]
)
def test_rungs_that_cannot_be(text: str) -> None:
    """A size that is none, or a ladder that does not ascend, is refused with what was found."""
    with pytest.raises(ConfigError) as caught:
        parse_rungs(text)
    assert caught.value.expected


def test_size_names_what_it_expects() -> None:
    """A wrong size says how sizes are written."""
    with pytest.raises(ConfigError, match=r"not a size.*8GB.*'much'"):
        parse_size("much")


def test_share_of_a_rung_is_that_of_calcloud() -> None:
    """Of 2 GB 1.75 may be needed, of 64 GB 56: 128 MB of each 1024 are left to the system."""
    assert [usable(rung) for rung in RUNGS] == [1.75 * GB, 7 * GB, 14 * GB, 56 * GB]


@pytest.mark.parametrize(
    ("need", "rung"),
    [(1, 2), (1.75, 2), (1.8, 8), (7, 8), (7.1, 16), (14.1, 64), (56, 64), (56.1, None)],
)
def test_smallest_rung_that_is_enough(need: float, rung: int | None) -> None:
    """The edges of each rung are those of what is usable of it; above the last there is none."""
    found = rung_for(int(need * GB), RUNGS)
    assert found == (None if rung is None else rung * GB)


@given(ladders, st.integers(0, 10**14))
def test_rung_is_never_below_the_need(rungs: tuple[int, ...], need: int) -> None:
    """A chosen rung holds the need in its usable part, and the one below does not."""
    found = rung_for(need, rungs)
    fitting = [rung for rung in rungs if usable(rung) >= need]
    assert found == (fitting[0] if fitting else None)
    assert found is None or found >= need


@given(ladders)
def test_climbing_ends(rungs: tuple[int, ...]) -> None:
    """From the first rung each step leads to the next one, and the last has none."""
    climbed = [rungs[0]]
    while (above := next_rung(climbed[-1], rungs)) is not None:
        climbed.append(above)
    assert tuple(climbed) == rungs


def test_grant_without_limit_has_no_next_rung() -> None:
    """Who may use everything cannot be given more."""
    assert next_rung(None, RUNGS) is None
