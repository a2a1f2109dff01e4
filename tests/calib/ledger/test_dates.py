"""Dates in the one form that sorts."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.errors import ConfigError
from calib.ledger.dates import parse_date


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2004", "2004-01-01T00:00:00"),
        ("2004-06", "2004-06-01T00:00:00"),
        (" 2004-06-01 ", "2004-06-01T00:00:00"),
        ("2004-06-01T12:30", "2004-06-01T12:30:00"),
        ("2004-06-01 12:30:07", "2004-06-01T12:30:07"),
        ("2004-06-01T12:30:07.250", "2004-06-01T12:30:07.25"),
        ("2004-06-01T12:30:07.000000Z", "2004-06-01T12:30:07"),
        ("2004-06-01T00:30:00+02:00", "2004-05-31T22:30:00"),
    ],
)
def test_forms_that_people_write(text: str, expected: str) -> None:
    """What is left out is the first; a zone is taken into account."""
    assert parse_date(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "yesterday", "04-06-01", "2004-6-1", "20040601", "2004-W01", "2004-13", "2004-02-30"),
        *("2004-06-01T25:00", "2004-06-01T12", "2004-06-01T12:30:61", "0000", "2004-06-01x"),
        *("0001-01-01T00:00:00+02:00", "٢٠٠٤", "2004-06-01T12:30:07.0000001", "2004-06-01Z"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    """The message has what was found and the forms that can be read."""
    with pytest.raises(ConfigError, match="2004-06-01T12:30:00") as caught:
        parse_date(text)
    assert caught.value.found == repr(text)


@given(st.lists(st.datetimes(min_value=datetime(1000, 1, 1)), min_size=2, max_size=2))  # noqa: DTZ001 - UTC by definition
def test_texts_sort_as_times(moments: list[datetime]) -> None:
    """The order of the texts is that of the times, and the form is stable."""
    one, other = moments
    texts = [parse_date(each.isoformat()) for each in moments]
    assert (texts[0] < texts[1], texts[0] == texts[1]) == (one < other, one == other)
    assert [parse_date(text) for text in texts] == texts
