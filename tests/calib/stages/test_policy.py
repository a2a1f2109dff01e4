"""Each stage is tried as often as its policy says, and only for what may pass by itself."""

from __future__ import annotations

import pytest

from calib.errors import CorruptFile, HstflowError, Interrupted, ReferenceUnavailable, Unavailable
from calib.stages.policy import POLICIES, STAGES, is_retryable, with_retries


class Flaky:
    """A stage that fails a number of times with the same error, then returns 42."""

    def __init__(self, failures: int, error: HstflowError) -> None:
        self.left, self.error, self.calls = failures, error, 0

    def __call__(self) -> int:
        """Fail while failures are left."""
        self.calls += 1
        if self.left:
            self.left -= 1
            raise self.error
        return 42


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_survives_two_transient_failures(stage: str) -> None:
    """Two failures of a service are waited out, the third try passes."""
    waits: list[float] = []
    flaky = Flaky(2, Unavailable("busy"))

    assert with_retries(stage, flaky, sleep=waits.append) == 42
    assert flaky.calls == 3
    delays = POLICIES[stage].delays
    assert all(delay <= wait <= 1.5 * delay for delay, wait in zip(delays[:2], waits, strict=True))


@pytest.mark.parametrize("stage", STAGES)
def test_last_error_is_raised_when_tries_are_used_up(stage: str) -> None:
    """A service that stays away is reported after the last try."""
    tries = 1 + len(POLICIES[stage].delays)
    flaky = Flaky(99, Unavailable("still busy"))

    with pytest.raises(Unavailable, match="still busy"):
        with_retries(stage, flaky, sleep=lambda _: None)
    assert flaky.calls == tries


@pytest.mark.parametrize("error", [CorruptFile("cut"), Interrupted("stopped")])
def test_what_cannot_pass_is_not_tried_again(error: HstflowError) -> None:
    """Bad data stay bad, and a person who stops us means it."""
    flaky = Flaky(1, error)

    with pytest.raises(type(error)):
        with_retries("fetch", flaky, sleep=lambda _: None)
    assert flaky.calls == 1


def test_reference_that_may_arrive_is_waited_for() -> None:
    """A reference on its way into the cache is a transient failure."""
    assert is_retryable(ReferenceUnavailable("not yet"))
