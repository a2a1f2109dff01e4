"""Datasets of a proposal, an instrument, some dates: the real client on a loopback MAST."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from calib.errors import ConfigError, Unavailable
from calib.fetch import FetchOptions, Patience
from calib.fetch.observations import ObservationQuery, find_datasets, parse_query
from calib.simulate.mast_server import MastServer
from calib.simulate.observatory import Observatory

QUICK = Patience(connect=2, read=2, deadline=20, tries=2, backoff=0.01)


@pytest.fixture
def mast(observatory: Observatory) -> Iterator[MastServer]:
    """Return a running server of the simulated exposures."""
    with MastServer(observatory.raws) as server:
        yield server


def found(mast: MastServer, text: str) -> list[str]:
    """Return the names that a query finds."""
    return find_datasets(parse_query(text), FetchOptions(mast_url=mast.url, patience=QUICK))


def test_queries_find_what_they_ask_for(mast: MastServer, observatory: Observatory) -> None:
    """Instrument, proposal and dates each choose, and together."""
    every = sorted(observatory.datasets)
    row = mast.holdings.observations([])["data"][0]
    proposal, began = row["proposal_id"], row["t_min"]
    day = (datetime(1858, 11, 17, tzinfo=UTC).toordinal() + int(began)) - 1
    date = datetime.fromordinal(day + 1).date().isoformat()
    assert found(mast, "instrument=ACS") == every
    assert found(mast, "instrument=wfc3") == []
    assert row["obs_id"] in found(mast, f"proposal={proposal}, dates={date}")
    assert found(mast, "proposal=1") == []
    assert found(mast, "dates=1990-01-01..1990-12-31") == []
    assert found(mast, "dates=1990-01-01..2050-12-31,instrument=acs") == every


def test_an_answer_that_does_not_come_is_asked_for_again(mast: MastServer) -> None:
    """One error is passed over; errors without end are told."""
    mast.query_faults["observations"] = ["503"]
    assert found(mast, "instrument=acs")
    mast.query_faults["observations"] = ["503"] * 5
    with pytest.raises(Unavailable, match="gave up after 2 tries"):
        found(mast, "instrument=acs")


def test_the_whole_last_day_counts() -> None:
    """Days are days in UTC; times are taken as they are."""
    days = parse_query("dates=2002-04-01..2002-04-30")
    assert (days.since, days.until) == (
        datetime(2002, 4, 1, tzinfo=UTC),
        datetime(2002, 5, 1, tzinfo=UTC),
    )
    times = parse_query("dates=2002-04-12T18:00..2002-04-12T19:00:30+00:00")
    assert times.until == datetime(2002, 4, 12, 19, 0, 30, tzinfo=UTC)
    assert parse_query("dates=2002-04-12T18:00..2002-04-12 19:00:30") == times
    assert parse_query("dates=2002-04-01").criteria()["t_min"] == [52365.0, 52366.0]
    assert parse_query("dates=9999-12-30").until == datetime(9999, 12, 31, tzinfo=UTC)


def test_what_is_not_asked_is_no_criterion() -> None:
    """Only HST is always asked for."""
    assert ObservationQuery(proposal=9025).criteria() == {
        "obs_collection": "HST",
        "proposal_id": "9025",
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "9025",
        "target=M31",
        "proposal=",
        "proposal=9x",
        "proposal=-1",
        "proposal=1,proposal=2",
        "instrument=nicmos",
        "dates=yesterday",
        "dates=2002-04-30..2002-04-01",
        "dates=2002-04-30..",
    ],
)
def test_what_is_no_query_is_refused(text: str) -> None:
    """Nothing is asked of MAST for it."""
    with pytest.raises(ConfigError):
        parse_query(text)


@pytest.mark.parametrize(
    ("dates", "why"),
    [
        ("2002-04-12T10:00", "there is no time between"),
        ("2002-04-12T10:00..2002-04-12T10:00", "there is no time between"),
        ("2002-04-12T10:00..2002-04-12T09:00", "end before they begin"),
        ("9999-12-31", "one before 9999-12-31"),
        ("2002-04-12..9999-12-31", "one before 9999-12-31"),
    ],
)
def test_dates_that_are_refused_say_why(dates: str, why: str) -> None:
    """A time alone is no span of time, and there is no day after the last one."""
    with pytest.raises(ConfigError, match=why):
        parse_query(f"dates={dates}")
