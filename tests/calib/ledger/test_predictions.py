"""Features of attempts, what they did cost, and models: written and asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from cost_history import GB, RUNGS, frame, made_history
from sqlalchemy import insert, update

from calib.campaigns.training import train
from calib.cost_model import FORESEEN, Example, Measured, Model
from calib.errors import Interrupted, OutOfMemory
from calib.ids import DatasetId, parse_dataset
from calib.ledger.ledger import Attempt, Ledger, StageMetrics
from calib.ledger.predictions import (
    AT_ONCE,
    examples,
    last_costs,
    last_features,
    load_model,
    record_features,
    save_model,
)
from calib.ledger.schema import attempt as attempts
from calib.ledger.schema import prediction, stage_run
from calib.records import Outcome

Begin = Callable[..., Attempt]
FRAME = frame()


@pytest.fixture
def work(ledger: Ledger, begin: Begin) -> Callable[..., Attempt]:
    """Return a function that tells the story of one attempt with its features."""

    def run(
        name: str = "j8bt05njq",
        *,
        memory: int = GB,
        wall: float = 3.0,
        state: str = "processed",
        error: str | None = None,
        calibrated: str = "done",
        message: str = "told",
        **fields: Any,
    ) -> Attempt:
        attempt = begin(parse_dataset(name))
        features = dataclasses.replace(FRAME, **fields)
        ledger.write(lambda c: record_features(c, attempt, features))
        stages = {"fetch": ("done", GB // 4), "calibrate": (calibrated, memory)}
        for stage, (end, peak) in stages.items():
            number = ledger.open_stage(attempt, stage)
            ledger.close_stage(number, end, metrics=StageMetrics(wall=wall, cpu=1, peak_rss=peak))
            set_disk(ledger, number, peak // 10)
        ledger.finish_attempt(attempt, Outcome(name, state, message, 31, error))
        return attempt

    return run


def set_disk(ledger: Ledger, number: int, disk: int) -> None:
    """Write down the disk that a stage run took."""
    change = update(stage_run).where(stage_run.c.id == number).values(disk=disk)
    ledger.write(lambda c: c.execute(change))


def set_grant(ledger: Ledger, attempt: Attempt, memory: int | None) -> None:
    """Write down what memory an attempt was granted."""
    change = update(attempts).where(attempts.c.id == attempt.id).values(memory=memory)
    ledger.write(lambda c: c.execute(change))


def test_features_of_the_last_attempt(ledger: Ledger, work: Callable[..., Attempt]) -> None:
    """The latest features of each dataset are found; a dataset without any is left out."""
    work()
    work(total_mb=2.25)
    work("oabc01abq", instr=2)
    found = ledger.ask(lambda rows: last_features(rows, ["j8bt05njq", "oabc01abq", "j8bt05nkq"]))
    assert found == {
        "j8bt05njq": dataclasses.replace(FRAME, total_mb=2.25),
        "oabc01abq": dataclasses.replace(FRAME, instr=2),
    }


def test_features_of_many_names(ledger: Ledger, work: Callable[..., Attempt]) -> None:
    """More names than one statement takes are asked for in turns; none is no question."""
    work()
    names = [f"j{number:07d}q" for number in range(2 * AT_ONCE)]
    found = ledger.ask(lambda rows: last_features(rows, [*names, "j8bt05njq"]))
    assert found == {"j8bt05njq": FRAME}
    assert ledger.ask(lambda rows: last_features(rows, [])) == {}


def test_features_are_written_again(ledger: Ledger, begin: Begin) -> None:
    """A fetch that is tried again replaces the features of its attempt."""
    attempt = begin()
    for features in (FRAME, dataclasses.replace(FRAME, n_files=3)):
        ledger.write(lambda c, each=features: record_features(c, attempt, each))
    found = ledger.ask(lambda rows: last_features(rows, [attempt.dataset]))
    assert found[attempt.dataset].n_files == 3


def test_features_of_a_closed_attempt(ledger: Ledger, work: Callable[..., Attempt]) -> None:
    """Whose attempt is closed writes nothing more."""
    attempt = work()
    with pytest.raises(Interrupted):
        ledger.write(lambda c: record_features(c, attempt, FRAME))


def test_costs_of_the_last_calibration(ledger: Ledger, work: Callable[..., Attempt]) -> None:
    """The most of all stages counts; attempts that failed or took stages over do not."""
    work(memory=9 * GB, wall=99)
    work(memory=5 * GB, wall=7)
    work(memory=GB, calibrated="reused")
    work(memory=GB, state="error", error="CorruptFile")
    found = ledger.ask(lambda rows: last_costs(rows, ["j8bt05njq", "oabc01abq"]))
    walls = {"fetch": 7, "calibrate": 7}
    assert found == {"j8bt05njq": Measured(memory=5 * GB, disk=GB // 2, walls=walls)}


def test_costs_that_were_not_measured(ledger: Ledger, begin: Begin, dataset: DatasetId) -> None:
    """Where no stage has a peak there is none."""
    attempt = begin()
    number = ledger.open_stage(attempt, "calibrate")
    ledger.close_stage(number, "done", metrics=StageMetrics(wall=1, cpu=1))
    ledger.finish_attempt(attempt, Outcome(dataset.name, "processed", "told"))
    found = ledger.ask(lambda rows: last_costs(rows, [dataset.name]))
    assert found == {dataset.name: Measured(walls={"calibrate": 1})}


def test_examples_to_learn_from(ledger: Ledger, work: Callable[..., Attempt]) -> None:
    """Good attempts tell what they cost, those out of memory what was not enough; newest first."""
    work(memory=5 * GB, wall=7)
    set_grant(ledger, work(state="error", error="OutOfMemory"), 2 * GB)
    set_grant(ledger, work(state="error", error="OutOfMemory"), None)
    work(state="error", error="CorruptFile")
    work("acs_8ph_01", calibrated="reused", wall=4)
    costs = {"fetch": 7, "calibrate": 7, "memory": 5 * GB, "disk": GB // 2}
    assert ledger.ask(examples) == [
        Example("acs_8ph_01", "svm", FRAME, {"fetch": 4}),
        Example("j8bt05njq", "acs", FRAME, at_least=2 * GB),
        Example("j8bt05njq", "acs", FRAME, costs),
    ]


def test_foreseen_lack_of_memory_teaches_nothing(
    ledger: Ledger, work: Callable[..., Attempt]
) -> None:
    """What a model foresaw is no example: it would learn from itself."""
    error = OutOfMemory(FORESEEN, dataset="j8bt05njq", expected="at most 2 GB", found="5 GB")
    attempt = work(state="error", error="OutOfMemory", message=str(error))
    set_grant(ledger, attempt, 2 * GB)
    assert ledger.ask(examples) == []


def test_examples_of_an_instrument(ledger: Ledger, work: Callable[..., Attempt]) -> None:
    """Examples can be those of one instrument, and the latest ones alone."""
    work()
    work("oabc01abq")
    work("j8bt05nkq")

    def names(instrument: str | None, latest: int = 10) -> list[str]:
        found = ledger.ask(lambda rows: examples(rows, instrument, latest=latest))
        assert all(each.costs["memory"] == GB for each in found)
        return [each.dataset for each in found]

    assert names("acs") == ["j8bt05nkq", "j8bt05njq"]
    assert names("cos") == []
    assert names(None, latest=2) == ["j8bt05nkq", "oabc01abq"]


def test_last_model_of_each_target(ledger: Ledger) -> None:
    """Laws come back as they were; a later law replaces the one of its target and no other."""
    assert ledger.ask(load_model) is None
    ledger.write(lambda c: save_model(c, Model()))
    assert ledger.ask(load_model) is None
    first = train(made_history(20), RUNGS).model
    later = train(made_history(30), RUNGS).model
    ledger.write(lambda c: save_model(c, first))
    assert ledger.ask(load_model) == first
    ledger.write(lambda c: save_model(c, Model({"memory": later.laws["memory"]})))
    found = ledger.ask(load_model)
    assert found is not None
    assert found.laws == {**first.laws, "memory": later.laws["memory"]}


@pytest.mark.parametrize("content", ["", "{}", '{"target": "memory"}', "[1"])
def test_law_that_cannot_be_read(
    ledger: Ledger, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A law of another form is passed over with a warning; the others count."""
    model = train(made_history(20), RUNGS).model
    ledger.write(lambda c: save_model(c, model))
    row = {"target": "memory", "trained_at": "2026", "examples": 1, "content": content}
    ledger.write(lambda c: c.execute(insert(prediction).values(row)))
    found = ledger.ask(load_model)
    assert found is not None
    assert set(found.laws) == {"calibrate"}
    assert "hstflow campaign train" in caplog.text
