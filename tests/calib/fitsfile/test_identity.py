"""Data ids: what headers of each instrument say, and what associations share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.errors import ConfigError
from calib.fitsfile.identity import data_id_of, product_data_ids, shared_data_id
from calib.records import DataId, Member

HRC = {
    "DETECTOR": "HRC",
    "FILTER1": "F606W",
    "FILTER2": "CLEAR2S",
    "PROPOSID": 9025,
    "TARGNAME": "M31 ",
    "DATE-OBS": "2002-04-12",
    "TIME-OBS": "18:30:00",
    "EXPTIME": 120.0,
}
SHOWN = DataId(
    rootname="j8bt05njq",
    instrument="acs",
    program="8bt",
    visit="05",
    detector="HRC",
    filter="F606W",
    proposal=9025,
    target="M31",
    observed_at="2002-04-12T18:30:00",
    exptime=120.0,
)


def test_an_exposure() -> None:
    """The name gives instrument, program and visit, the header all else."""
    assert data_id_of("J8BT05NJQ", HRC) == SHOWN


@pytest.mark.parametrize(
    ("rootname", "header", "expected"),
    [
        ("j8bt05njq", {"FILTER1": "CLEAR1S", "FILTER2": "F435W"}, "F435W"),
        ("j8bt05njq", {"FILTER1": "F606W", "FILTER2": "POL0V"}, "F606W;POL0V"),
        ("j8bt05njq", {"FILTER1": "CLEAR1L", "FILTER2": "CLEAR2L"}, "CLEAR"),
        ("j8bt05njq", {"FILTER": "F606W"}, None),
        ("ibxx05njq", {"FILTER": "F160W"}, "F160W"),
        ("la8q99030", {"OPT_ELEM": "G130M"}, "G130M"),
        ("la8q99030", {"OPT_ELEM": "MIRRORA"}, "MIRRORA"),
        ("o4xx05njq", {"OPT_ELEM": "G140L", "FILTER": "Clear"}, "G140L"),
        ("o4xx05njq", {"OPT_ELEM": "MIRVIS", "FILTER": "F28X50LP"}, "F28X50LP"),
        ("j8bt05njq", {"FILTER1": "  ", "FILTER2": None}, None),
    ],
)
def test_what_is_in_the_beam(rootname: str, header: dict[str, Any], expected: str | None) -> None:
    """Wheels that let all light pass are left out; nothing but them is CLEAR."""
    assert data_id_of(rootname, header).filter == expected


def test_what_a_header_does_not_say() -> None:
    """Absent, blank and odd values are None; a date alone is midnight."""
    odd = {"PROPOSID": "n/a", "EXPTIME": True, "TARGNAME": "", "DATE-OBS": "2002-04-12"}
    found = data_id_of("j8bt05njq", odd)
    assert (found.proposal, found.exptime, found.target, found.detector) == (None,) * 4
    assert found.observed_at == "2002-04-12T00:00:00"
    assert data_id_of("j8bt05njq", {"TIME-OBS": "18:30:00"}).observed_at is None
    with pytest.raises(ConfigError):
        data_id_of("../etc", {})


def test_an_association() -> None:
    """It shows what its members share, begins with the first, and lasts as long as all."""
    later = replace(SHOWN, rootname="j8bt05nkq", filter="F814W", observed_at="2003", exptime=30.0)
    found = shared_data_id("j8bt05010", [later, SHOWN])
    assert found == replace(SHOWN, rootname="j8bt05010", filter=None, exptime=150.0)
    empty = shared_data_id("j8bt05010", [])
    assert empty == DataId("j8bt05010", "acs", "8bt", "05")


def test_products_within_an_association() -> None:
    """A product shows what the exposures of its own type share, not those of another."""
    other = replace(SHOWN, rootname="j8bt05nlq", filter="F814W")
    table = [
        Member("J8BT05NJQ", "EXP-CR1", present=True),
        Member("J8BT05NLQ", "EXP-CR2", present=True),
        Member("J8BT05011", "PROD-CR1", present=False),
        Member("J8BT05021", "PROD-CR2", present=False),
        Member("J8BT05010", "PROD-DTH", present=False),
    ]
    first, second = product_data_ids(table, [SHOWN, other])
    assert first == replace(SHOWN, rootname="j8bt05011")
    assert second == replace(other, rootname="j8bt05021")
    assert product_data_ids([], [SHOWN]) == []


@given(
    members=st.lists(
        st.tuples(st.sampled_from("ab"), st.one_of(st.none(), st.floats(0, 1e4))), max_size=5
    )
)
def test_sharing_is_agreement(members: list[tuple[str, float | None]]) -> None:
    """A part of the data id is shared where all members have it, and only there."""
    every = [replace(SHOWN, target=target, exptime=time) for target, time in members]
    found = shared_data_id("j8bt05010", every)
    targets = {target for target, _ in members}
    assert found.target == (targets.pop() if len(targets) == 1 else None)
    known = [time for _, time in members if time is not None]
    assert found.exptime == (pytest.approx(sum(known)) if known else None)
