"""Which datasets are submitted again after hours: whose error may have passed, and not for ever."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from campaign_ledger import end, enter, states

from calib.campaigns.operating import rescue
from calib.campaigns.second_tries import (
    TRANSIENT,
    Bounds,
    Choice,
    choose,
    left_behind,
    open_campaigns,
    submit_again,
)
from calib.ledger.campaign_reports import JobSelection, find_jobs
from calib.ledger.campaigns import Changes, set_control
from calib.ledger.ledger import Ledger, open_ledger
from calib.records import Outcome
from calib.references.profile import CrdsProfile, load_profile

A, B, C = "j8bt05njq", "j8bt06niq", "iaaj01ivq"
NOW = timedelta(0)
EVER = timedelta(days=1000)
BOUNDS = Bounds(tries=2, settle=NOW, age=EVER)
AWAITED = "references cannot be used: DARKFILE: abc12345j_drk.fits is not in the cache (x)"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Give a ledger with a campaign of three datasets."""
    with open_ledger(str(tmp_path / "ledger.db")) as opened:
        enter(opened, "spring", (A, B, C))
        yield opened


@pytest.fixture
def profile(tmp_path: Path) -> CrdsProfile:
    """Return a profile with an empty cache."""
    return load_profile("offsite", {"CRDS_PATH": str(tmp_path / "cache")})


def fail(ledger: Ledger, dataset: str, name: str, state: str = "error", why: str = "no") -> None:
    """Bring a dataset to an error."""
    end(ledger, "spring", Outcome(dataset, state, why, code=22, error_class=name))


def chosen(ledger: Ledger, profile: CrdsProfile, bounds: Bounds = BOUNDS) -> Choice:
    """Return what would be submitted again."""
    profiles = dict.fromkeys(ledger.ask(open_campaigns), profile)
    return ledger.ask(lambda rows: choose(rows, bounds, profiles))


def names(choice: Choice) -> list[str]:
    """Return the datasets that are chosen."""
    return [job.dataset for job in choice.jobs]


def test_what_may_pass_is_what_the_retry_table_and_a_reference_say() -> None:
    """Errors of data, settings and programs are not among them."""
    assert {*TRANSIENT} == {
        *("Unavailable", "TransientError", "Interrupted"),
        *("ReferenceUnavailable", "WorkerLost"),
    }


def test_transient_errors_alone_are_tried_again(ledger: Ledger, profile: CrdsProfile) -> None:
    """A service that was away; not a corrupt file."""
    fail(ledger, A, "Unavailable")
    fail(ledger, B, "CorruptFile")

    choice = chosen(ledger, profile)
    done = submit_again(ledger, choice.jobs)

    assert (names(choice), done) == ([A], 1)
    assert states(ledger) == {A: "submitted", B: "error", C: "planned"}
    assert ledger.ask(left_behind) == {"spring"}


def test_tries_are_bounded_until_a_person_says_so(ledger: Ledger, profile: CrdsProfile) -> None:
    """Two tries by itself; then a rescue by a person counts anew."""
    for _ in range(2):
        fail(ledger, A, "Unavailable")
        submit_again(ledger, chosen(ledger, profile).jobs)
    fail(ledger, A, "Unavailable")
    over = chosen(ledger, profile)

    jobs = ledger.ask(lambda rows: find_jobs(rows, JobSelection("spring", datasets=(A,))))
    rescue(ledger, jobs, Changes(), "rescued by the operator")
    fail(ledger, A, "Unavailable")

    assert names(over) == []
    assert [left.why for left in over.left] == ["tried again 2 times"]
    assert names(chosen(ledger, profile)) == [A]


@pytest.mark.parametrize(
    ("change", "why"),
    [({"settle": timedelta(hours=1)}, "failed only at"), ({"age": NOW}, "failing since")],
)
def test_too_early_and_too_late(
    ledger: Ledger, profile: CrdsProfile, change: dict[str, timedelta], why: str
) -> None:
    """An error must have rested, and must not be older than a person should see."""
    fail(ledger, A, "Unavailable")

    choice = chosen(ledger, profile, replace(BOUNDS, **change))  # type: ignore[arg-type]

    assert names(choice) == []
    assert choice.left[0].why.startswith(why)


def test_blocked_until_its_reference_has_come(ledger: Ledger, profile: CrdsProfile) -> None:
    """A dataset that awaits a reference is tried when the file is in the cache."""
    fail(ledger, A, "ReferenceUnavailable", "blocked", AWAITED)
    before = chosen(ledger, profile)
    profile.references.mkdir(parents=True)
    (profile.references / "abc12345j_drk.fits").touch()

    assert names(before) == []
    assert before.left[0].why == "still waits for abc12345j_drk.fits"
    assert names(chosen(ledger, profile)) == [A]


@pytest.mark.parametrize("wish", ["pause", "cancel"])
def test_what_a_person_stopped_stays(ledger: Ledger, profile: CrdsProfile, wish: str) -> None:
    """A campaign that was paused or cancelled is left alone."""
    fail(ledger, A, "Unavailable")
    ledger.write(lambda c: set_control(c, "spring", wish))

    assert chosen(ledger, profile) == Choice((), ())


def test_taken_up_is_not_left_behind(ledger: Ledger, profile: CrdsProfile) -> None:
    """A campaign whose dataset was taken up since needs no new run."""
    fail(ledger, A, "Unavailable")
    submit_again(ledger, chosen(ledger, profile).jobs)
    fail(ledger, A, "Unavailable")

    assert ledger.ask(left_behind) == set()
