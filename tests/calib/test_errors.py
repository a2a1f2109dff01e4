"""The error tree: exit codes, messages, pickling."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib import errors
from calib.errors import EngineError, HstflowError

CODES = {
    "HstflowError": 1,
    "ConfigError": 2,
    "ContextError": 27,
    "TransientError": 1,
    "Unavailable": 21,
    "InOtherHands": 1,
    "ReferenceUnavailable": 27,
    "Interrupted": 130,
    "Cancelled": 143,
    "DataError": 21,
    "NotFound": 21,
    "Proprietary": 22,
    "CorruptFile": 21,
    "MissingMember": 21,
    "UnsupportedMode": 23,
    "MissingReference": 27,
    "EngineError": 23,
    "OutOfMemory": 32,
    "WorkerLost": 33,
    "TimedOut": 137,
    "PreviewError": 28,
    "ArchiveError": 25,
}


def tree(kind: type[HstflowError]) -> list[type[HstflowError]]:
    """Return a class and everything below it."""
    return [kind, *(each for child in kind.__subclasses__() for each in tree(child))]


def test_every_class_has_its_code_in_the_table() -> None:
    """Exit codes are CALDP's; a new class must be added here with its code."""
    ours = [kind for kind in tree(HstflowError) if kind.__module__ == errors.__name__]
    assert {kind.__name__: kind.code for kind in ours} == CODES


@pytest.mark.parametrize("name", CODES)
def test_every_class_pickles_with_all_fields(name: str) -> None:
    """Errors cross worker processes: class, message, details and own code survive."""
    kind = getattr(errors, name)
    error = kind("bad", dataset="j8bt05njq", path="/a/b", expected=3, found=[1, 2], code=77)

    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes

    assert type(copy) is kind
    assert (str(copy), copy.code) == (str(error), 77)
    assert copy.__dict__ == error.__dict__
    assert copy.args == ("bad",)


def test_engine_error_keeps_program_status_and_log() -> None:
    """What the program said is still there on the other side."""
    error = EngineError("failed", program="calacs.e", exit_code=-9, log_tail="last line", path="x")

    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes

    assert (copy.program, copy.exit_code, copy.log_tail) == ("calacs.e", -9, "last line")
    assert copy.path == "x"


@pytest.mark.parametrize(
    ("details", "text"),
    [
        ({}, "bad"),
        ({"dataset": "x"}, "bad (dataset x)"),
        (
            {"found": 0, "expected": "", "path": "p", "dataset": "d"},
            "bad (dataset d; file p; expected ; found 0)",
        ),
    ],
)
def test_message_lists_the_details_given(details: dict[str, object], text: str) -> None:
    """Details that were given appear in a fixed order, zero and empty ones too."""
    assert str(HstflowError("bad", **details)) == text  # type: ignore[arg-type]


@given(st.text(), st.one_of(st.none(), st.text()))
def test_any_text_survives_pickling(message: str, found: str | None) -> None:
    """No message text breaks the round trip."""
    error = HstflowError(message, found=found)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own bytes
