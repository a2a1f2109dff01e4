"""Reading a ledger again and again, on each kind of database."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing

import pytest
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError, ProgrammingError

from calib.errors import Unavailable
from calib.ledger import readers
from calib.ledger.database import may_pass
from calib.ledger.readers import open_readers

IS_THERE = "SELECT COUNT(*) AS number FROM job"


class Said(Exception):
    """What a driver raises; `sqlstate` is the database's word."""

    def __init__(self, sqlstate: str | None) -> None:
        super().__init__("said")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("kind", "state", "expected"),
    [
        (InternalError, "25P03", True),  # idle in a transaction for too long
        (OperationalError, None, True),  # there is no server
        (OperationalError, "57014", True),  # took too long
        (ProgrammingError, "42703", False),  # no such column: a fault of ours
        (InternalError, "XX001", False),  # the data are damaged
    ],
)
def test_what_may_pass(kind: type[DBAPIError], state: str | None, expected: bool) -> None:
    """What the database says of itself decides, whatever its driver calls that."""
    assert may_pass(kind("SELECT", {}, Said(state))) is expected


@pytest.mark.usefixtures("ledger")
def test_question_sees_the_ledger_again_and_again(url: str) -> None:
    """A connection is good for one look after the other."""
    with closing(open_readers(url)) as opened:
        for _ in range(3):
            with opened.open() as rows:
                assert rows is not None
                assert rows(IS_THERE, {}) == [{"number": 0}]


@pytest.mark.usefixtures("ledger")
def test_session_that_the_server_ends_is_another_time(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that lasts longer than the server lets it is no fault of ours; the next one is new."""
    if not url.startswith("postgresql"):
        pytest.skip("SQLite has no sessions")
    monkeypatch.setattr(readers, "_AWAY_SECONDS", 0.0)
    limit = "SELECT set_config('idle_in_transaction_session_timeout', '10', false)"
    with closing(open_readers(url, most=1)) as opened:
        look = ExitStack()
        rows = look.enter_context(opened.open())
        assert rows is not None
        rows(limit, {})
        time.sleep(0.3)
        with pytest.raises(Unavailable), look:
            rows(IS_THERE, {})
        with opened.open() as rows:
            assert rows is not None
            assert rows(IS_THERE, {}) == [{"number": 0}]
