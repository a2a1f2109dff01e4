"""The retry table: what is tried again, how often, and with what."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib import errors
from calib.campaigns.retries import RULES, decide, limit_all, rule_for, table
from calib.grants import Grant

GB = 10**9
RUNGS = (2 * GB, 8 * GB, 16 * GB, 64 * GB)


def follow(error_class: str, code: int, grant: Grant) -> list[Grant]:
    """Return the grants of all attempts that follow while each fails in the same way."""
    found = []
    while retry := decide(error_class, code, grant):
        grant = retry.grant
        found.append(grant)
        assert len(found) < 50
    return found


@pytest.mark.parametrize(
    ("error_class", "code"),
    [("OutOfMemory", 31), ("OutOfMemory", 32), ("WorkerLost", 33), ("OSError", 34)],
)
def test_memory_climbs_to_the_top(error_class: str, code: int) -> None:
    """Each rung is tried once; after the largest the error is final."""
    grants = follow(error_class, code, Grant(memory=2 * GB, rungs=RUNGS))
    assert [each.memory for each in grants] == [8 * GB, 16 * GB, 64 * GB]
    assert grants[-1].retries == {"memory": 3}
    said = decide(error_class, code, Grant(memory=2 * GB, rungs=RUNGS))
    assert said is not None
    assert (said.kind, said.reason, said.delay) == ("memory", "next rung, 8 GB", 0)


def test_memory_between_rungs_and_without_limit() -> None:
    """A rung of one's own goes to the next larger one; no limit begins at the smallest."""
    for memory, expected in [(3 * GB, 8 * GB), (None, 2 * GB)]:
        assert follow("OutOfMemory", 32, Grant(memory=memory, rungs=RUNGS))[0].memory == expected
    assert follow("OutOfMemory", 32, Grant(memory=65 * GB, rungs=RUNGS)) == []
    assert follow("OutOfMemory", 32, Grant()) == []


def test_timeout_has_twice_the_time_once() -> None:
    """A stage that hangs twice is an error."""
    (grant,) = follow("TimedOut", 137, Grant(memory=2 * GB, time_scale=1.5))
    assert (grant.time_scale, grant.memory, grant.retries) == (3.0, 2 * GB, {"time": 1})


def test_what_may_pass_is_waited_for() -> None:
    """A service that is away has three more chances, each later than the one before."""
    grant, delays = Grant(), []
    while retry := decide("Unavailable", 22, grant):
        delays.append(retry.delay)
        grant = retry.grant
    assert delays == [60, 300, 900]
    quick = decide("Unavailable", 22, Grant(delay_scale=0.01))
    assert quick is not None
    assert quick.delay == pytest.approx(0.6)


def test_retries_are_counted_by_kind() -> None:
    """A job that climbed the ladder still has its chance after a timeout."""
    grant = Grant(memory=8 * GB, rungs=RUNGS, retries={"memory": 1, "again": 3})
    assert decide("Unavailable", 22, grant) is None
    later = decide("TimedOut", 137, grant)
    assert later is not None
    assert later.grant.retries == {"memory": 1, "again": 3, "time": 1}


@pytest.mark.parametrize("most", [0, 1, 5])
def test_manifest_limits_all_kinds(most: int) -> None:
    """`retries=N` counts for each kind; the ladder has its own end."""
    grant = Grant(memory=2 * GB, rungs=RUNGS, most=limit_all(most))
    assert len(follow("Unavailable", 22, grant)) == most
    assert len(follow("TimedOut", 137, grant)) == most
    assert len(follow("OutOfMemory", 32, grant)) == min(most, 3)


FINAL = [
    "InOtherHands",  # of a reprocessing as a whole, never of a dataset
    *("ConfigError", "ContextError", "ReferenceUnavailable", "Cancelled", "DataError"),
    *("NotFound", "Proprietary", "CorruptFile", "MissingMember", "UnsupportedMode"),
    *("MissingReference", "EngineError", "PreviewError", "ArchiveError", "HstflowError"),
]


@pytest.mark.parametrize("name", FINAL)
def test_the_same_answer_again_is_final(name: str) -> None:
    """Data, settings, engines, the archive and an operator's cancellation end the job."""
    code = getattr(errors, name).code
    assert decide(name, code, Grant(memory=GB, rungs=RUNGS)) is None


def test_every_error_is_in_the_table_or_final() -> None:
    """A new class of error makes somebody think about its retries."""
    tree = {name for name, kind in inspect.getmembers(errors, inspect.isclass)}
    named = {name for rule in RULES for name in rule.classes}
    assert {name for name in tree if issubclass(getattr(errors, name), Exception)} == (
        named - {"MemoryError"} | set(FINAL)
    )


def test_classes_count_before_codes() -> None:
    """An unknown class is known by its code; a known class whatever its code is."""
    by_code, by_class = rule_for("Exit", 137), rule_for("Unavailable", 32)
    assert by_code is not None
    assert by_class is not None
    assert (by_code.kind, by_class.kind) == ("time", "again")
    assert rule_for("Exit", 1) is None


@given(
    st.sampled_from([each for rule in RULES for each in rule.classes]),
    st.sets(st.integers(1, 10**12), max_size=6),
    st.none() | st.integers(1, 10**12),
)
def test_retries_end(error_class: str, rungs: set[int], memory: int | None) -> None:
    """Whatever fails for ever ends, no grant ever shrinks, and all else stays as it was."""
    first = Grant(memory=memory, disk=5, rungs=tuple(sorted(rungs)), is_supervised=True)
    grants = [first, *follow(error_class, 0, first)]
    assert len(grants) <= 1 + max(3, len(rungs))
    sizes = [each.memory for each in grants if each.memory is not None]
    assert sizes == sorted(sizes)
    kept = {"disk": 5, "rungs": first.rungs, "is_supervised": True}
    for each in grants:
        assert dataclasses.asdict(each).items() >= kept.items()


PAGE = Path(__file__).parents[3] / "docs" / "campaigns.md"


@pytest.mark.skipif(not PAGE.exists(), reason="an installed copy has no documentation")
def test_table_is_documented() -> None:
    """The page about campaigns has the table as the program has it."""
    lines = PAGE.read_text().splitlines()
    assert [row for row in table() if f"| {' | '.join(row)} |" not in lines] == []


@pytest.mark.parametrize(
    ("need", "memory"), [(None, 8), (1, 8), (8, 16), (14, 16), (15, 64), (56, 64), (500, 64)]
)
def test_known_need_is_granted_at_once(need: int | None, memory: int) -> None:
    """Rungs that are foreseen to be too small are not tried one after the other."""
    grant = Grant(memory=2 * GB, rungs=RUNGS)
    retry = decide("OutOfMemory", 32, grant, None if need is None else need * GB)
    assert retry is not None
    assert retry.grant.memory == memory * GB
    assert f"{memory} GB" in retry.reason
