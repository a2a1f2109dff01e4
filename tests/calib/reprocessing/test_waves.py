"""Waves: what is run when its inputs are final, and what is left out with which reason."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from standin_programs import hide_programs, make_combiners, put_first_on_path

from calib.ids import parse_dataset
from calib.ledger.campaigns import NewJob, enter_jobs
from calib.ledger.ledger import Ledger, open_ledger
from calib.ledger.reprocessing_reports import Reprocessing, reprocessings
from calib.ledger.reprocessings import NewMark, NewReprocessing, enter_reprocessing, leave_out
from calib.reprocessing.waves import WAITS, Wave, runnable, wave_of

ALL = frozenset({"ipst", "svm", "mvm"})
NEW = "hst_9002.pmap"
MARKS = {
    "j8bt05njq": 1,
    "j8bt05020": 1,
    "j8bt06o6q": 1,
    "acs_8bt_05": 2,
    "acs_8bt_06": 2,
    "skycell-p0001x01y01": 3,
}


class Books:
    """A ledger with a reprocessing of exposures, visits and a skycell."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        marks = [NewMark(parse_dataset(name), wave) for name, wave in MARKS.items()]
        new = NewReprocessing("july", None, NEW, "list", "{}")
        ledger.write(lambda c: enter_reprocessing(c, new, marks, who="test"))

    @property
    def one(self) -> Reprocessing:
        """The reprocessing."""
        return self.ledger.ask(lambda rows: reprocessings(rows, "july"))[0]

    def ends(self, campaign: str, states: Mapping[str, str]) -> None:
        """Enter a campaign whose datasets came to these ends."""
        jobs = [NewJob(parse_dataset(name), name) for name in states]
        self.ledger.write(
            lambda c: enter_jobs(c, campaign, jobs, run="r", context=NEW, chunk_size=10)
        )
        for name, state in states.items():
            text = f"UPDATE job SET state = '{state}' WHERE dataset = '{name}'"  # noqa: S608
            self.ledger.write(lambda c, text=text: c.exec_driver_sql(text))

    def wave(self, number: int, **options: Any) -> Any:
        """Return a wave."""
        return self.ledger.ask(lambda rows: wave_of(rows, self.one, number, **options))


@pytest.fixture
def books(tmp_path: Any) -> Any:
    """Return a ledger with the reprocessing."""
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        yield Books(ledger)


def test_first_wave_is_everything_that_has_an_engine(books: Books) -> None:
    """Exposures and associations; what is left out stays out."""
    books.ledger.write(lambda c: leave_out(c, "july", {"j8bt06o6q": "not covered"}))
    wave = books.wave(1)
    assert sorted(wave.datasets) == ["j8bt05020", "j8bt05njq"]
    assert wave.left_out == {}


def test_kinds_without_an_engine_are_named(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """A visit is not run, and the reason says so, with what to install."""
    hide_programs(monkeypatch)
    wave = books.wave(2)
    assert wave.datasets == ()
    assert set(wave.left_out) == {"acs_8bt_05", "acs_8bt_06"}
    for why in wave.left_out.values():
        assert str(why).startswith("no engine makes visits (SVM): ")
        assert "runsinglehap is not on PATH (pip install 'hstflow[drizzle]')" in str(why)


def test_programs_that_came_make_visits(
    books: Books, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They are looked for each time: what was left out for want of them is run."""
    hide_programs(monkeypatch)
    books.ends("july", dict.fromkeys(("j8bt05njq", "j8bt05020", "j8bt06o6q"), "processed"))
    books.ledger.write(lambda c: leave_out(c, "july", books.wave(2).left_out))
    put_first_on_path(make_combiners(tmp_path / "bin"), monkeypatch)

    assert set(books.wave(2).datasets) == {"acs_8bt_05", "acs_8bt_06"}


def test_what_had_no_engine_is_looked_at_again(books: Books) -> None:
    """The reason of the plan is not final: once an engine makes visits, they are run."""
    said: dict[str, str | None] = {
        "j8bt06o6q": "no engine calibrates ACS",
        "acs_8bt_05": "no engine makes visits (SVM)",
        "skycell-p0001x01y01": "no engine makes skycells (MVM)",
        "acs_8bt_06": "a person said so",
    }
    books.ledger.write(lambda c: leave_out(c, "july", said))
    assert books.wave(1).left_out == {"j8bt06o6q": None}
    assert books.wave(2, kinds={"ipst"}) == Wave((), {})
    kinds = {"ipst", "svm"}
    wave = books.wave(2, kinds=kinds)
    assert wave == Wave((), {"acs_8bt_05": f"{WAITS}j8bt05020 (not run), j8bt05njq (not run)"})
    books.ends("july", {"j8bt05njq": "processed", "j8bt05020": "processed"})
    assert books.wave(2, kinds=kinds) == Wave(("acs_8bt_05",), {"acs_8bt_05": None})
    found = books.ledger.ask(lambda rows: runnable(rows, books.one, kinds=kinds))
    assert {each.dataset for each in found} == {
        "j8bt05njq",
        "j8bt05020",
        "j8bt06o6q",
        "acs_8bt_05",
    }


def test_visit_waits_for_inputs_that_failed_and_comes_back_when_they_are_mended(
    books: Books,
) -> None:
    """Only the visit of the bad input is left out; once the input is well it runs again."""
    good = {"j8bt05njq": "processed", "j8bt05020": "error", "j8bt06o6q": "skipped"}
    books.ends("july", good)
    wave = books.wave(2, kinds=ALL)
    assert wave.datasets == ("acs_8bt_06",)
    assert wave.left_out == {"acs_8bt_05": f"{WAITS}j8bt05020 (error)"}
    books.ledger.write(lambda c: leave_out(c, "july", wave.left_out))

    mend = "UPDATE job SET state = 'processed' WHERE dataset = 'j8bt05020'"
    books.ledger.write(lambda c: c.exec_driver_sql(mend))
    again = books.wave(2, kinds=ALL)
    assert set(again.datasets) == {"acs_8bt_05", "acs_8bt_06"}
    assert again.left_out == {"acs_8bt_05": None}


def test_visit_of_an_input_that_is_left_out_is_left_out(books: Books) -> None:
    """An input that stays on the older context would make a mixture."""
    books.ends("july", {"j8bt05njq": "processed", "j8bt05020": "processed"})
    books.ledger.write(lambda c: leave_out(c, "july", {"j8bt06o6q": "not covered"}))
    wave = books.wave(2, kinds=ALL)
    assert wave.datasets == ("acs_8bt_05",)
    assert wave.left_out == {"acs_8bt_06": f"{WAITS}j8bt06o6q (left out)"}
