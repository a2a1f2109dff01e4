"""Which datasets are left out as no engine makes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from standin_programs import hide_programs, make_calcos, make_combiners, put_first_on_path

from calib.ids import parse_dataset
from calib.ledger.reprocessings import NewMark
from calib.reprocessing.coverage import why_not_made, with_coverage


@pytest.mark.parametrize(
    ("kind", "instrument", "make"), [("ipst", "cos", make_calcos), ("svm", "acs", make_combiners)]
)
def test_program_that_comes_later_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, instrument: str, make: object
) -> None:
    """A process that waits need not be started anew, though PATH is what it was."""
    hide_programs(monkeypatch)
    put_first_on_path(tmp_path, monkeypatch)
    before = why_not_made(kind, instrument, "auto")
    make(tmp_path)  # type: ignore[operator]

    assert before is not None
    assert "not on PATH" in before
    assert why_not_made(kind, instrument, "auto") is None


def test_each_kind_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once for each of 60,000 datasets; a reason that was given before stays."""
    asked: list[str] = []

    def why(kind: str, *_: object) -> str | None:
        asked.append(kind)
        return "no engine" if kind == "svm" else None

    monkeypatch.setattr("calib.reprocessing.coverage.why_not_made", why)
    names = ["acs_8bt_05", "acs_8bt_06", "acs_8bt_07", "j8bt05njq"]
    marks = [NewMark(parse_dataset(name), 1) for name in names]
    marks[0] = NewMark(marks[0].dataset, 2, left_out="by hand")

    found = with_coverage(marks, "auto")

    assert [each.left_out for each in found] == ["by hand", "no engine", "no engine", None]
    assert sorted(asked) == ["ipst", "svm"]
