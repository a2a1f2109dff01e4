"""The table of legal transitions."""

from __future__ import annotations

import pytest

from calib.errors import ConfigError
from calib.ledger.states import (
    FINISHED,
    OUTCOMES,
    STATES,
    TRANSITIONS,
    check_stage_state,
    check_transition,
)

RESTING = set(STATES) - {"submitted", "processing"}


def test_table_is_closed() -> None:
    """Every next state is a state of the table, and no state follows itself."""
    assert set().union(*TRANSITIONS.values()) <= set(STATES)
    assert all(state not in TRANSITIONS[state] for state in STATES)


@pytest.mark.parametrize("state", sorted(RESTING))
def test_repeat_is_legal_from_every_state_of_rest(state: str) -> None:
    """A job that nobody works on can be asked for again."""
    check_transition(state, "submitted", dataset="j8bt05njq")


def test_only_submitted_jobs_are_processed() -> None:
    """Nothing is processed that was not submitted first."""
    assert [s for s in STATES if "processing" in TRANSITIONS[s]] == ["submitted"]


def test_outcomes_are_where_processing_ends() -> None:
    """The ends of an attempt are the next states of processing, without the resumable one."""
    assert TRANSITIONS["processing"] - {"submitted"} == OUTCOMES
    assert set(STATES) > FINISHED


def test_illegal_change_is_refused_with_the_legal_ones() -> None:
    """The message says what was asked, of which dataset, and what would be legal."""
    with pytest.raises(ConfigError) as caught:
        check_transition("archived", "processed", dataset="j8bt05njq")
    text = str(caught.value)
    assert "archived cannot become processed" in text
    assert "dataset j8bt05njq" in text
    assert "expected submitted" in text


@pytest.mark.parametrize("state", ["running", "completed", ""])
def test_stage_run_ends_in_a_known_state(state: str) -> None:
    """A stage run cannot end as running, nor in a word that is not in the table."""
    with pytest.raises(ConfigError, match="done, error"):
        check_stage_state(state)
