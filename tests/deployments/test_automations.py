"""The example automations are ones that Prefect takes, about events that campaigns tell."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from flows.alarms import EVENTS, PREFIX

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "deployments" / "automations").glob("*.yaml"))
TOLD = {f"{PREFIX}.{word}" for word in (*EVENTS.values(), "recovered", "finished", "stopped")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_prefect_takes_each_automation(path: Path) -> None:
    """Its parts are known to Prefect, and so are the events to hstflow."""
    from prefect.events.schemas.automations import AutomationCore

    described = yaml.safe_load(path.read_text())["automations"]
    assert described
    for each in described:
        found = AutomationCore.model_validate(each)
        assert set(found.trigger.expect) <= TOLD  # type: ignore[union-attr]


def test_trigger_of_the_pause_is_off_and_names_parameters_of_its_flow() -> None:
    """Nothing is paused by itself until somebody wants it; its parameters are the flow's own."""
    from flows.campaign_watch import pause_campaign

    every = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    (deployment,) = [each for each in every if each["name"] == "pause-campaign"]
    (trigger,) = deployment["triggers"]

    assert trigger["enabled"] is False
    assert set(trigger["expect"]) <= TOLD
    assert set(trigger["parameters"]) <= set(pause_campaign.parameters.properties)
