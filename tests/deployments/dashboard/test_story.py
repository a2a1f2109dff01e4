"""An operator's first day: a fresh `hstflow up`, the demo, a damaged file, a rescue."""

from __future__ import annotations

from pathlib import Path

import pytest

from calib.ledger.reading import open_reader
from calib.ledger.reports import history_of
from tests.deployments.dashboard.browser import Visitor, picture
from tests.deployments.dashboard.story import PASSWORD, PERSON, fresh, is_up, play, submit_demo

pytestmark = [pytest.mark.prefect, pytest.mark.slow]


def test_an_operator_rescues_a_damaged_dataset_in_the_browser(
    visit: Visitor, tmp_path: Path
) -> None:
    """The work goes on by itself; history names the person, the lineage where the file was."""
    environment = fresh(tmp_path)
    with is_up(environment) as found:
        told = submit_demo(environment, tmp_path / "demo")
        assert told["page"] == found["pages"]["dashboard"]
        page = visit(found["pages"]["dashboard"], user=(PERSON, PASSWORD))
        play(page, told, lambda shown, step: picture(shown, f"story-{step}"))
    # Chromium says of the place that was refused, which the story wants, that it was.
    visit.complaints[:] = [line for line in visit.complaints if "status of 400" not in line]
    with open_reader(environment["HSTFLOW_LEDGER"]) as rows:
        assert rows is not None
        said = [change.reason for change in history_of(rows, told["broken"])]
        sources = rows("SELECT DISTINCT source FROM input_used", {})
    assert f"rescued by {PERSON} in the dashboard" in said
    assert any(told["redelivered"].removeprefix("file:") in row["source"] for row in sources)
