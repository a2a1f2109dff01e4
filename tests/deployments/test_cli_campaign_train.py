"""`hstflow campaign train`: what it says, what it saves, and what it refuses."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from cost_history import made_history

from calib.cost_model import Model
from calib.errors import COMMAND
from calib.ids import parse_dataset
from calib.ledger.ledger import StageMetrics, current_owner, open_ledger
from calib.ledger.predictions import load_model, record_features
from calib.records import Outcome
from deployments.cli.main import run


def fill(number: int) -> None:
    """Write so many attempts into the user's ledger."""
    with open_ledger(os.environ["HSTFLOW_LEDGER"]) as ledger:
        for each in made_history(number):
            job = ledger.submit("nightly", parse_dataset(each.dataset), "r1", context="hst_1.pmap")
            attempt = ledger.begin_attempt(job, current_owner())
            features = each.features
            ledger.write(lambda c, a=attempt, f=features: record_features(c, a, f))
            stage = ledger.open_stage(attempt, "calibrate")
            cost = StageMetrics(each.costs["calibrate"], 1.0, int(each.costs["memory"]))
            ledger.close_stage(stage, "done", metrics=cost)
            ledger.finish_attempt(attempt, Outcome(each.dataset, "processed", "published"))


def saved() -> Model | None:
    """Return the model that the user's ledger has."""
    with open_ledger(os.environ["HSTFLOW_LEDGER"]) as ledger:
        return ledger.ask(load_model)


def train(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return what the command says."""
    assert run(["campaign", "train", *arguments]) == 0
    return capsys.readouterr().out


def train_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """Return what the command says to a program."""
    return json.loads(train(capsys, "--json", *arguments))


def test_without_a_ledger(capsys: pytest.CaptureFixture[str], own_home: Path) -> None:
    """Where nothing was processed yet nothing is learned, and no ledger is made."""
    said = train(capsys)
    assert "0 examples of 0 datasets" in said
    assert said.splitlines()[-1] == "nothing was learned"
    assert not (own_home / "ledger.db").exists()


def test_few_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """Nine datasets are too few: it is said how many are needed, and nothing is saved."""
    fill(9)
    said = train(capsys)
    assert "memory, calibrate: measured for 9 of 10 datasets that are needed" in said
    assert saved() is None


def test_error_of_each_target_and_factors(capsys: pytest.CaptureFixture[str]) -> None:
    """Errors before and after and the factors are shown; the model is saved for campaigns."""
    fill(40)
    lines = train(capsys).splitlines()
    assert lines[0] == "40 examples of 40 datasets"
    (memory,) = (line for line in lines if line.startswith("memory"))
    before, _, after = memory.split()[2:5]
    assert float(before) > 3 * float(after)
    assert any(line.split()[:1] == ["drizcorr"] for line in lines)
    assert lines[-1] == "saved: the next campaigns use it"
    model = saved()
    assert model is not None
    assert set(model.laws) == {"memory", "calibrate"}


def test_dry_run_for_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has examples, coefficients and errors; a dry run saves nothing."""
    fill(40)
    found = train_json(capsys, "--dry-run")
    assert (found["examples"], found["datasets"], found["saved"]) == (40, 40, False)
    memory = next(law for law in found["laws"] if law["target"] == "memory")
    assert memory["after"]["too_low"] < memory["before"]["too_low"]
    assert {"drizcorr", "size", "acs"} <= set(memory["terms"])
    assert saved() is None
    assert train_json(capsys)["saved"]


def test_rungs_judge_predictions(capsys: pytest.CaptureFixture[str]) -> None:
    """On one rung for all no prediction is too low."""
    fill(20)
    found = train_json(capsys, "--rungs", "1TB", "--dry-run")
    (law,) = (law for law in found["laws"] if law["target"] == "memory")
    assert (law["before"]["right_rung"], law["before"]["too_low"]) == (1, 0)


def test_another_instrument_has_no_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """An instrument narrows what is learned from."""
    fill(10)
    assert train_json(capsys, "--instrument", "stis")["examples"] == 0
    assert train_json(capsys, "--instrument", "acs", "--dry-run")["examples"] == 10


@pytest.mark.parametrize(
    "wrong", [["--rungs", "8,2"], ["--rungs", "x"], ["--instrument", "nicmos"]]
)
def test_wrong_words(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be is refused with the exit code of wrong commands."""
    assert run(["campaign", "train", *wrong]) == COMMAND
    assert wrong[1] in capsys.readouterr().err
