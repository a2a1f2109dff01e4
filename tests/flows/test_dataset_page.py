"""The page of a dataset in Prefect: nothing depends on it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from calib.records import Outcome
from flows import dataset_page

if TYPE_CHECKING:
    from calib.stages.job import Job


def test_a_page_that_cannot_be_shown_fails_no_dataset(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was published has not failed, whatever goes wrong with its page."""

    class Here:
        flow_run = object()

    def breaks(_url: str) -> None:
        raise KeyError("stage")

    monkeypatch.setattr(dataset_page.FlowRunContext, "get", Here)
    monkeypatch.setattr(dataset_page, "ledger_of", breaks)
    job = SimpleNamespace(dataset="j8bt05njq", ledger="sqlite://")

    with caplog.at_level("INFO"):
        dataset_page.show_dataset(cast("Job", job), Outcome("j8bt05njq", "processed", "published"))

    assert "j8bt05njq is not shown: 'stage'" in caplog.text
