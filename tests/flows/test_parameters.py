"""Flow parameters are validated before anything starts."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from calib.errors import ConfigError
from calib.stages.campaign_plan import CampaignPlan
from flows.parameters import (
    CampaignOptions,
    IngestOptions,
    ProcessOptions,
    ReprocessOptions,
    build_ingest,
    build_request,
    parse_references,
)


def test_options_override_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a call names wins over HSTFLOW_* variables; the rest comes from them."""
    monkeypatch.setenv("HSTFLOW_MESSAGES", "folders")
    monkeypatch.setenv("HSTFLOW_ENGINE", "native")

    request = build_request(
        "file:in", "file:out", None, None, None, ProcessOptions(messages="flat")
    )

    assert (request.options.messages, request.options.engine) == ("flat", "native")


@pytest.mark.parametrize(
    ("setting", "option", "expected"),
    [(None, None, None), ("lab", None, "lab"), ("lab", "other", "other"), ("lab", "none", None)],
)
def test_collection_of_references(
    monkeypatch: pytest.MonkeyPatch, setting: str | None, option: str | None, expected: str | None
) -> None:
    """A call's collection wins over HSTFLOW_CALIBRATIONS, and `none` is no collection."""
    if setting:
        monkeypatch.setenv("HSTFLOW_CALIBRATIONS", setting)
    options = ProcessOptions(calibrations=option)

    request = build_request("file:in", "file:out", None, None, None, options)

    assert request.options.calibrations == expected


def test_campaigns_of_deployments_have_every_setting() -> None:
    """What a campaign's plan holds can be given to its flow, with the same defaults."""
    request = build_request("file:in", "file:out", None, None, None, ProcessOptions())
    asked = CampaignOptions().model_dump(exclude={"profile", "run"})
    assert CampaignPlan(request=request, **asked) == CampaignPlan(request)
    assert set(asked) == {each.name for each in fields(CampaignPlan)} - {"request"}


def test_one_thread_unless_asked() -> None:
    """Datasets are the parallelism of campaigns and deployments."""
    plain, two = ProcessOptions(), ProcessOptions(threads=2)

    requests = [build_request("file:in", "file:out", None, None, None, o) for o in (plain, two)]

    assert [request.options.threads for request in requests] == [1, 2]
    with pytest.raises(ValidationError, match="threads"):
        ProcessOptions(threads=0)


def test_unknown_option_is_refused() -> None:
    """A misspelt option of a deployment is an error, not silence."""
    with pytest.raises(ValidationError, match="enginee"):
        ProcessOptions.model_validate({"enginee": "native"})


@pytest.mark.parametrize("text", ["BIASFILE", "=b.fits", "BIAS FILE=b.fits"])
def test_reference_needs_keyword_and_path(text: str) -> None:
    """--reference without KEYWORD=PATH is a bad command."""
    with pytest.raises(ConfigError, match="KEYWORD=PATH"):
        parse_references([text])


def test_reference_must_exist(tmp_path: Path) -> None:
    """A reference file that is not there is found out before anything starts."""
    with pytest.raises(ConfigError, match="no such reference file"):
        parse_references([f"BIASFILE={tmp_path / 'b.fits'}"])


def test_every_option_of_an_ingest_is_passed_on(own_home: Path) -> None:
    """The command and the flow fill one model, of which nothing is lost."""
    asked = {
        "template": "caldp",
        "transfer": "in-place",
        "headers": False,
        "checksums": False,
        "trust_size": True,
        "threads": 2,
    }

    request = build_ingest("file:/in", None, "old", IngestOptions(current=True, **asked))

    assert {name: getattr(request, name) for name in asked} == asked
    assert {*asked, "current"} == {*IngestOptions.model_fields}
    assert (request.uri, request.output, request.run) == ("file:/in", None, "old")
    assert (request.is_current, request.scratch) == (True, own_home / "work" / "ingest")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"source": "list"}, "needs datasets or manifest"),
        ({"source": "query"}, "needs query"),
        ({"source": "reference"}, "needs reference"),
        ({"datasets": ["j8bt05njq"]}, "belongs to source list, not to ledger"),
        ({"source": "list", "manifest": "m.txt", "query": "proposal=1"}, "belongs to source query"),
        ({"per_type": -1}, "greater than or equal to 0"),
        ({"approval": "maybe"}, "'ask', 'yes' or 'wait'"),
        ({"sources": "ledger"}, "Extra inputs"),
    ],
)
def test_reprocessing_that_is_not_clear_is_refused(given: dict[str, Any], said: str) -> None:
    """A source without its words, words of another one, and numbers that cannot be."""
    with pytest.raises(ValidationError, match=said):
        ReprocessOptions(**given)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"source": "list", "datasets": ["j8bt05njq"]},
        {"source": "query", "query": "proposal=9574"},
        {"source": "reference", "reference": "n3o1059hj_drk.fits", "approval": "wait"},
    ],
)
def test_sources_of_a_reprocessing(given: dict[str, Any]) -> None:
    """Each source with its words is taken, and comes back as it was given."""
    assert ReprocessOptions(**given).model_dump(exclude_defaults=True) == given
