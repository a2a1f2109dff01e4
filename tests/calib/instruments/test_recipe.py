"""Recipes are data: checked when made, changed by making another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from factories import PRIMARY

from calib.errors import ConfigError
from calib.instruments.acs_recipes import HRC
from calib.instruments.recipe import Phase, Recipe, Step, shown_parameters
from calib.instruments.state import ExposureState
from calib.switches import parse_overrides


def nothing(state: ExposureState) -> ExposureState:
    """Do nothing."""
    return state


@dataclass(frozen=True)
class Knobs:
    """One parameter of each kind."""

    level: float = 1.5
    count: int = 2
    hard: bool = False
    name: str = "a"


def make(*steps: Step) -> Recipe:
    """Return a recipe of one phase."""
    return Recipe("r", "ACS", "HRC", (Phase("exposure", steps),), lambda _header: None)


def test_a_step_must_come_after_what_it_needs() -> None:
    """Said when the recipe is made, not when it runs."""
    gives, needs = Step("a", nothing, gives=("x",)), Step("b", nothing, needs=("x",))
    make(gives, needs)
    with pytest.raises(ConfigError, match=r"b.*too early.*x"):
        make(needs, gives)
    with pytest.raises(ConfigError, match="too early"):
        HRC.insert_before("select_amplifiers", Step("b", nothing, needs=("ccd",)))


def test_names_are_unique() -> None:
    """Two steps of one name cannot be told apart in log and settings."""
    with pytest.raises(ConfigError, match="twice"):
        HRC.insert_after("subtract_dark", Step("subtract_dark", nothing))


def test_insertion_keeps_the_order_and_the_original() -> None:
    """A new recipe with one more step; the old one stays."""
    after = HRC.insert_after("subtract_dark", Step("mine", nothing))
    before = HRC.insert_before("subtract_dark", Step("mine", nothing))
    names = [step.name for step in after.steps]
    assert names[names.index("subtract_dark") + 1] == "mine"
    names = [step.name for step in before.steps]
    assert names[names.index("subtract_dark") - 1] == "mine"
    assert "mine" not in [step.name for step in HRC.steps]
    assert [phase.name for phase in after.phases] == ["exposure", "combine", "product"]


def test_a_replaced_step_takes_the_place_of_the_old_one() -> None:
    """Same place, another function; a name that is not there is refused."""
    mine = Step("my_dark", nothing, switch="DARKCORR", needs=("trimmed",))
    names = [step.name for step in HRC.replace("subtract_dark", mine).steps]
    assert names.index("my_dark") == [s.name for s in HRC.steps].index("subtract_dark")
    assert "subtract_dark" not in names
    with pytest.raises(ConfigError, match="no such step"):
        HRC.replace("nonsense", mine)
    with pytest.raises(ConfigError, match="no such step"):
        HRC.insert_after("nonsense", mine)


@pytest.mark.parametrize(
    ("setting", "field", "value"),
    [
        ("thing.level=4", "level", 4.0),
        ("do_thing.level=4e-1", "level", 0.4),
        ("thing.count=7", "count", 7),
        ("thing.hard=yes", "hard", True),
        ("thing.hard=False", "hard", False),
        ("thing.name=b", "name", "b"),
    ],
)
def test_parameters_take_the_type_of_their_default(setting: str, field: str, value: Any) -> None:
    """By subject or full name of the step."""
    recipe = make(Step("do_thing", nothing, parameters=Knobs()))
    found = recipe.resolve_parameters(parse_overrides([setting]))["do_thing"]
    assert getattr(found, field) == value
    assert type(getattr(found, field)) is type(value)
    assert shown_parameters(recipe.steps, {"do_thing": found})[f"thing.{field}"] == str(value)


@pytest.mark.parametrize("setting", ["thing.count=1.5", "thing.level=x", "thing.level=inf"])
def test_values_of_another_type_are_refused(setting: str) -> None:
    """With what was expected."""
    recipe = make(Step("do_thing", nothing, parameters=Knobs()))
    with pytest.raises(ConfigError, match="cannot be set"):
        recipe.resolve_parameters(parse_overrides([setting]))


def test_recipe_applies_to_its_detector() -> None:
    """Blanks and case of the header do not matter."""
    assert HRC.applies_to({**PRIMARY, "DETECTOR": "hrc  "})
    assert not HRC.applies_to({**PRIMARY, "DETECTOR": "WFC"})
    assert not HRC.applies_to({})
