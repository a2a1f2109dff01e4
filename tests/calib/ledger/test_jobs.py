"""Campaigns and jobs: entered once, on one context."""

from __future__ import annotations

import pytest

from calib.errors import ConfigError
from calib.ids import DatasetId, parse_dataset
from calib.ledger.ledger import Ledger

NATIVE = {"engine": "native", "engine_version": "1", "parameters": {}, "output": "/out"}


def test_campaign_is_made_once(ledger: Ledger) -> None:
    """The same name is the same campaign, whoever asks."""
    number = ledger.ensure_campaign("nightly", context="hst_1.pmap")
    assert ledger.ensure_campaign("nightly", context="hst_1.pmap") == number
    assert ledger.ensure_campaign("nightly") == number
    assert ledger.ensure_campaign("other") != number


def test_campaign_is_frozen_on_its_context(ledger: Ledger, dataset: DatasetId) -> None:
    """Neither the campaign nor a job of it can be asked for on another context."""
    ledger.ensure_campaign("nightly", context="hst_1.pmap")
    with pytest.raises(ConfigError, match=r"nightly is frozen.*expected hst_1.pmap; found hst_2"):
        ledger.ensure_campaign("nightly", context="hst_2.pmap")
    with pytest.raises(ConfigError, match="campaign nightly is frozen"):
        ledger.submit("nightly", dataset, "r1", context="hst_2.pmap")
    assert ledger.jobs_of(dataset) == []


def test_adhoc_campaign_takes_any_context(ledger: Ledger, dataset: DatasetId) -> None:
    """A campaign without a context has jobs on several."""
    for number in (1, 2):
        ledger.submit("adhoc", dataset, f"r{number}", context=f"hst_{number}.pmap")
    assert [job.context for job in ledger.jobs_of(dataset)] == ["hst_1.pmap", "hst_2.pmap"]


def test_run_is_frozen_on_its_context(ledger: Ledger, dataset: DatasetId) -> None:
    """A job cannot write into a run that was made on another context."""
    ledger.ensure_run("r1", context="hst_1.pmap", **NATIVE)
    with pytest.raises(ConfigError, match="run r1 is frozen"):
        ledger.submit("adhoc", dataset, "r1", context="hst_2.pmap")


def test_context_of_a_job_that_published_nothing_can_change(
    ledger: Ledger, dataset: DatasetId
) -> None:
    """A job asked for again on another context is on that one, while its run is unwritten."""
    first = ledger.submit("adhoc", dataset, "r1", context="hst_1.pmap")
    assert ledger.submit("adhoc", dataset, "r1", context="hst_2.pmap") == first
    assert [job.context for job in ledger.jobs_of(dataset)] == ["hst_2.pmap"]


def test_campaign_needs_a_name(ledger: Ledger) -> None:
    """An empty name is refused."""
    with pytest.raises(ConfigError, match="needs a name"):
        ledger.ensure_campaign("")


def test_job_is_one_dataset_of_a_campaign_in_a_run(ledger: Ledger, dataset: DatasetId) -> None:
    """Campaign, dataset and run name one job; asking again changes nothing."""
    first = ledger.submit("adhoc", dataset, "r1", context="hst_1.pmap")
    assert ledger.submit("adhoc", dataset, "r1", context="hst_1.pmap") == first
    assert ledger.submit("adhoc", dataset, "r2", context="hst_1.pmap") != first
    assert ledger.submit("nightly", dataset, "r1", context="hst_1.pmap") != first
    changes = [(c.job_id, c.from_state, c.to_state) for c in ledger.history(dataset)]
    assert [c[1:] for c in changes if c[0] == first] == [
        (None, "planned"),
        ("planned", "submitted"),
    ]


def test_plan_enters_what_is_new(ledger: Ledger) -> None:
    """Planning names twice, or again later, enters each once and leaves the others alone."""
    names = [parse_dataset(f"j8bt05n{letter}q") for letter in "aabc"]
    assert ledger.plan("nightly", names, "r1", context="hst_1.pmap") == 3
    ledger.submit("nightly", names[0], "r1", context="hst_1.pmap")
    more = [*names, parse_dataset("acs_8ph_01")]
    assert ledger.plan("nightly", more, "r1", context="hst_1.pmap") == 1
    assert ledger.plan("nightly", [], "r1", context="hst_1.pmap") == 0
    assert ledger.count_states(campaign="nightly") == {"planned": 3, "submitted": 1}
    assert [c.to_state for c in ledger.history(names[1])] == ["planned", "submitted"]
    assert [c.to_state for c in ledger.history(names[2])] == ["planned"]


def test_unknown_job_is_named(ledger: Ledger) -> None:
    """A number that no job has is a ConfigError."""
    with pytest.raises(ConfigError, match=r"no such job.*77"):
        ledger.change_state(77, "cancelled", "a test")
