"""What runs at the same time stays within what there is, and nothing waits for ever."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows import placement
from flows.placement import (
    GB,
    ClusterPlacement,
    HostPlacement,
    Need,
    Offer,
    Refusal,
    offers_of,
)

NEEDS = st.builds(
    Need,
    st.none() | st.integers(1, 70).map(lambda n: n * GB),
    st.none() | st.integers(1, 20).map(lambda n: n * GB),
)


@given(st.lists(NEEDS, max_size=30))
def test_a_host_is_never_given_away_twice(needs: list[Need]) -> None:
    """Whatever asks: the sum of all grants stays within memory and disk."""
    host = HostPlacement(64 * GB, 16 * GB, at_once=8)
    taken = []
    for need in needs:
        if host.fits(need):
            host.take(need)
            taken.append(need)
    assert len(taken) <= 8
    assert sum(need.memory or 0 for need in taken) <= 64 * GB
    assert sum(need.disk or 0 for need in taken) <= 16 * GB
    for need in taken:
        host.give_back(need)
    assert host.running == host.used["memory"] == host.used["disk"] == 0


@given(NEEDS)
def test_what_is_not_refused_fits_alone(need: Need) -> None:
    """A job waits only for what can come about."""
    for place in (
        HostPlacement(16 * GB, 8 * GB, at_once=2),
        ClusterPlacement([Offer(1, 8 * GB, 4 * GB), Offer(2, 64 * GB, 16 * GB)], ahead=2),
    ):
        assert (place.refusal(need) is None) == place.fits(need)


def test_a_rung_that_no_worker_offers_is_refused_by_size() -> None:
    """The message says what is asked for, and the largest there is."""
    cluster = ClusterPlacement([Offer(1, 8 * GB), Offer(1, 16 * GB)], ahead=2)

    assert cluster.refusal(Need(64 * GB)) == Refusal(
        "the job needs 64 GB of memory; the most that the workers can give is 16 GB",
        "OutOfMemory",
        32,
    )


def test_memory_and_disk_on_different_workers_are_told() -> None:
    """Each of the two is there, but not together."""
    cluster = ClusterPlacement([Offer(1, 16 * GB, 1 * GB), Offer(1, 2 * GB, 50 * GB)], ahead=2)

    found = cluster.refusal(Need(8 * GB, 20 * GB))

    assert found is not None
    assert "8 GB of memory and 20 GB of disk; workers offer each of the two" in found.reason


def test_large_worker_is_waited_for_while_it_is_started_again() -> None:
    """Jobs that only it can hold wait; where it does not come back they are refused."""
    cluster, large = ClusterPlacement((), ahead=2, patience=600.0), Need(64 * GB)
    cluster.see([Offer(1, 64 * GB), Offer(1, 8 * GB)], 0.0)
    assert cluster.is_there(large)

    cluster.see([Offer(1, 8 * GB)], 30.0)
    assert cluster.refusal(large) is None
    assert not cluster.fits(large)
    assert not cluster.is_there(large)

    cluster.see([Offer(1, 8 * GB)], 700.0)
    assert cluster.refusal(large) is not None


def test_disk_of_a_host_is_looked_at_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What runs may have used its share: a job waits for that, and is refused for lack of more."""
    free = iter([100 * GB, 60 * GB])
    monkeypatch.setattr(placement.shutil, "disk_usage", lambda _: SimpleNamespace(free=next(free)))
    host = HostPlacement(64 * GB, None, at_once=4, folder=tmp_path)
    host.refresh()
    host.take(Need(disk=40 * GB))
    host.refresh()

    assert not host.fits(Need(disk=50 * GB))
    assert host.refusal(Need(disk=50 * GB)) is None
    found = host.refusal(Need(disk=150 * GB))
    assert found is not None
    assert (found.error_class, found.code) == ("Unavailable", 25)


@pytest.mark.parametrize(
    ("offers", "resources"),
    [([Offer(1)], {}), ([Offer(1, 64 * GB)], {"MEM_GB": 8.0})],
)
def test_jobs_ask_only_for_what_workers_name(
    offers: list[Offer], resources: dict[str, float]
) -> None:
    """Workers that offer nothing by name take any job."""
    cluster = ClusterPlacement(offers, ahead=2)

    assert cluster.resources(Need(8 * GB, 1 * GB)) == resources
    assert cluster.refusal(Need(8 * GB)) is None


def test_offers_are_read_from_the_scheduler() -> None:
    """MEM_GB and DISK_GB are gigabytes; a worker may name neither."""
    workers = {
        "tcp://a": {"nthreads": 2, "resources": {"MEM_GB": 64, "DISK_GB": 0.5}},
        "tcp://b": {"nthreads": 1, "resources": {}},
    }

    assert offers_of(workers) == [Offer(2, 64 * GB, GB // 2), Offer(1)]


def test_workers_that_come_with_the_work_get_some_before_they_are_there() -> None:
    """A cluster that starts with none is given a few jobs, then as many as it may grow to."""
    cluster = ClusterPlacement((), ahead=2, most=3)
    need = Need(8 * GB)

    assert cluster.refusal(need) is None
    assert handed_out(cluster, need) == 2
    cluster.see([Offer(1, 8 * GB)])
    assert handed_out(cluster, need) == 4
    assert cluster.refusal(Need(64 * GB)) is not None
    cluster.see([])
    assert cluster.running.total() == 6
    cluster.give_back(need)
    assert cluster.fits(need)
    assert cluster.resources(need) == {"MEM_GB": 8.0}


def test_a_cluster_that_lost_its_workers_gets_nothing() -> None:
    """Where none come by themselves, jobs wait in the campaign's process."""
    cluster = ClusterPlacement((), ahead=2)

    assert not cluster.fits(Need())
    assert cluster.refusal(Need(64 * GB)) is None


def handed_out(cluster: ClusterPlacement, need: Need) -> int:
    """Hand out as many jobs as fit; return how many."""
    number = 0
    while cluster.fits(need):
        cluster.take(need)
        number += 1
    return number
