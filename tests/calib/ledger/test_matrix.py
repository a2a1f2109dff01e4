"""Datasets of a campaign: filters, orders and pages, compared with a plain search of all rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger, current_owner
from calib.ledger.matrix import Line, Part, count_of, part_of
from calib.ledger.matrix_question import ORDERS, Wanted
from calib.ledger.matrix_standing import STAGES, standing_of
from calib.records import Outcome

CONTEXT = "hst_0001.pmap"
NAMES = tuple(f"{'ji'[n % 2]}8bt{n:02d}njq" for n in range(24))
ERRORS = (
    ("NotFound", 22, "fetch"),
    ("EngineError", 23, "calibrate"),
    ("EngineError", 24, "preview"),
)


@dataclass(frozen=True)
class Filled:
    """A ledger with a campaign of 24, and a plain search of it."""

    ledger: Ledger
    campaign: int

    def ask(self, wanted: Wanted, size: int = 5) -> list[Part]:
        """Return all pages, from the first to the last."""

        def pages(rows: Callable[..., object]) -> list[Part]:
            standing = standing_of(rows, self.campaign)  # type: ignore[arg-type]
            found = [part_of(rows, self.campaign, wanted, standing, size=size)]  # type: ignore[arg-type]
            while found[-1].after is not None:
                place = found[-1].after
                found.append(part_of(rows, self.campaign, wanted, standing, place=place, size=size))  # type: ignore[arg-type]
            return found

        return self.ledger.ask(pages)


def fill(ledger: Ledger) -> Filled:
    """Bring 24 datasets of two instruments to their ends: done, failed in three ways, waiting."""
    ledger.plan("spring", [parse_dataset(name) for name in NAMES], "spring", context=CONTEXT)
    for place, name in enumerate(NAMES[:18]):
        for _ in range(2 if place % 5 == 0 else 1):
            job = ledger.submit("spring", parse_dataset(name), "spring", context=CONTEXT)
            attempt = ledger.begin_attempt(job, current_owner())
            if place == 17:
                ledger.open_stage(attempt, "bestrefs")
                continue
            error = ERRORS[place % 3] if place % 2 else None
            for stage in STAGES[: STAGES.index(error[2]) if error else None]:
                ledger.close_stage(ledger.open_stage(attempt, stage), "done")
            outcome = Outcome(name, "processed", "published")
            if error:
                ledger.close_stage(ledger.open_stage(attempt, error[2]), "error", error="no")
                outcome = Outcome(name, "error", "no", error[1], error[0])
            ledger.open_stage(attempt, "state-message")
            ledger.finish_attempt(attempt, outcome)
    number = ledger.ask(lambda rows: rows("SELECT id FROM campaign", {}))[0]["id"]
    return Filled(ledger, number)


def is_wanted(line: Line, wanted: Wanted) -> bool:
    """Tell what the database is asked, in plain words."""
    return (
        (not wanted.states or line.state in wanted.states)
        and (not wanted.instruments or line.instrument in wanted.instruments)
        and wanted.failed in {None, line.failed_stage}
        and wanted.error_class in {None, line.error_class}
        and wanted.code in {None, line.code}
        and (not wanted.again or line.attempts > 1)
        and (wanted.name is None or line.dataset.startswith(wanted.name))
        and (wanted.sort != "duration" or line.seconds is not None)
    )


WANTED = st.builds(
    Wanted,
    states=st.sampled_from([(), ("error",), ("processed", "planned"), ("blocked",)]),
    instruments=st.sampled_from([(), ("acs",), ("wfc3", "cos")]),
    failed=st.sampled_from([None, None, "calibrate", "archive"]),
    error_class=st.sampled_from([None, None, "EngineError", "Unheard"]),
    code=st.sampled_from([None, None, 23, 24]),
    name=st.sampled_from([None, None, "j8bt0", "i"]),
    again=st.booleans(),
    sort=st.sampled_from([*ORDERS]),
)


def test_pages_are_those_of_a_plain_search(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked, pages hold each dataset that is wanted once, in order, both ways."""
    filled = fill(ledger)
    every = [line for part in filled.ask(Wanted(), size=50) for line in part.lines]
    assert [line.dataset for line in every] == sorted(NAMES)

    @given(wanted=WANTED, few=st.sampled_from([0, 5_000]))
    @settings(max_examples=40, deadline=None, database=None, suppress_health_check=[*HealthCheck])
    def check(wanted: Wanted, few: int) -> None:
        monkeypatch.setattr("calib.ledger.matrix._FEW", few)  # walked through, or sorted
        pages = filled.ask(wanted)
        found = [line for part in pages for line in part.lines]
        column, is_down = ORDERS[wanted.sort]
        expected = [line for line in every if is_wanted(line, wanted)]
        expected.sort(key=lambda line: (getattr(line, column), line.id), reverse=is_down)
        assert [line.dataset for line in found] == [line.dataset for line in expected]
        if wanted.sort != "duration":
            assert {part.number for part in pages} == {len(expected)}
        for first, second in pairwise(pages):
            assert second.before is not None
            back = ledger.ask(
                lambda rows, second=second: part_of(
                    rows,
                    filled.campaign,
                    wanted,
                    standing_of(rows, filled.campaign),
                    place=second.before,
                    size=5,
                )
            )
            assert back.lines == first.lines
            assert back.after is not None
        assert pages[0].before is None

    check()


def test_what_is_at_work_and_where_it_failed(ledger: Ledger) -> None:
    """The standing counts stages: odd places below 17 failed, by place modulo 3; one is at work."""
    filled = fill(ledger)
    standing = ledger.ask(lambda rows: standing_of(rows, filled.campaign))
    # Odd places 1, 3 ... 15: modulo 3 is 0 for 3, 9, 15; 1 for 1, 7, 13; 2 for 5, 11.
    assert standing.failed_at() == {"fetch": 3, "calibrate": 3, "preview": 2}
    assert standing.errors() == {"EngineError": 5, "NotFound": 3}
    assert standing.codes() == {22: 3, 23: 3, 24: 2}
    assert standing.states() == {"planned": 6, "processing": 1, "processed": 9, "error": 8}
    assert standing.instruments() == {"acs": 12, "wfc3": 12}
    (line,) = filled.ask(Wanted(at_work="bestrefs"))[0].lines
    assert (line.dataset, line.cells["bestrefs"].state) == (NAMES[17], "running")
    assert filled.ask(Wanted(at_work="fetch"))[0].lines == ()


def test_name_is_a_pattern_where_it_has_a_star(ledger: Ledger) -> None:
    """A part of a name is found with stars; signs of SQL in it are letters."""
    filled = fill(ledger)
    found = filled.ask(Wanted(name="*T07*"))[0]
    assert [line.dataset for line in found.lines] == ["i8bt07njq"]
    assert filled.ask(Wanted(name="*_*"))[0].number == 0
    assert filled.ask(Wanted(name="%"))[0].number == 0


def test_a_rescue_forgets_the_stage(ledger: Ledger) -> None:
    """A dataset that is submitted again is not among those that failed."""
    filled = fill(ledger)
    ledger.submit("spring", parse_dataset(NAMES[3]), "spring", context=CONTEXT)
    assert len(filled.ask(Wanted(failed="fetch"))[0].lines) == 2


def test_more_than_are_counted(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would take long to count is said to be more."""
    filled = fill(ledger)
    monkeypatch.setattr("calib.ledger.matrix_question.COUNTED", 4)
    monkeypatch.setattr("calib.ledger.matrix.COUNTED", 4)
    wanted = Wanted(name="j")
    standing = ledger.ask(lambda rows: standing_of(rows, filled.campaign))
    assert ledger.ask(lambda rows: count_of(rows, filled.campaign, wanted, standing)) is None


def test_duration_and_stage_of_one_that_was_cancelled(ledger: Ledger) -> None:
    """A dataset that is cancelled at work says at which stage, and how long it had taken."""
    filled = fill(ledger)
    (line,) = filled.ask(Wanted(at_work="bestrefs"))[0].lines
    ledger.change_state(line.id, "cancelled", "enough", error_class="Cancelled", code=143)
    (line,) = filled.ask(Wanted(failed="bestrefs"))[0].lines
    assert line.seconds is not None
    assert 0 <= line.seconds < 60
