"""The page of a dataset: jobs, attempts, stages, history, and what to type."""

from __future__ import annotations

from datetime import datetime

from campaign_ledger import BUSY, DONE, HEAVY, begin_session, end, enter
from hypothesis import given
from hypothesis import strategies as st

from calib.ids import parse_dataset
from calib.ledger.dataset_story import AttemptStory, StageStory, story_of
from calib.ledger.ledger import Ledger, current_owner
from calib.records import Outcome
from deployments.dashboard.pages.dataset import WIDTH, bars_of, commands_for
from tests.deployments.dashboard.conftest import Client

NOW = datetime.fromisoformat("2026-01-31T12:00:00+00:00")


def test_failed_dataset_says_why_and_what_to_do(client: Client) -> None:
    """The error, its code, the attempt and the command that rescues it are on the page."""
    text = client().get(f"/datasets/{HEAVY}").text
    assert "OutOfMemory" in text
    assert "code 32" in text
    assert "more than 8 GB" in text
    assert f"hstflow campaign rescue spring {HEAVY} --run" in text
    assert 'href="/campaigns/spring/errors"' in text
    assert "History of states" in text
    assert " style=" not in text


def test_dataset_at_work_says_at_which_stage(client: Client) -> None:
    """The stage that runs has a bar, its process is named; the page is live."""
    text = client().get(f"/datasets/{BUSY}").text
    assert f"process {current_owner().pid}" in text
    assert '<span class="state running">running</span>' in text
    assert '<rect class="running"' in text


def test_each_job_is_there_and_the_current_run_is_marked(client: Client, ledger: Ledger) -> None:
    """A dataset of two campaigns has both, the later first; the current run is said."""
    enter(ledger, "summer", (DONE,))
    end(ledger, "summer", Outcome(DONE, "error", "<b>no</b>", 23, "EngineError"))
    ledger.ensure_run(
        "spring",
        context="hst_0001.pmap",
        engine="native",
        engine_version="1",
        parameters={},
        output="file:///o",
    )
    ledger.set_current(parse_dataset(DONE), "spring")
    text = client().get(f"/datasets/{DONE}").text
    assert text.index(">summer</a>") < text.index(">spring</a> <b>(current)</b>")
    assert "&lt;b&gt;no&lt;/b&gt;" in text
    assert "<b>no</b>" not in text


def test_prefect_run_of_the_session_is_linked(client: Client, ledger: Ledger) -> None:
    """An attempt of a session that Prefect runs has a link to it, where Prefect is known."""
    begin_session(ledger)
    ledger.write(
        lambda c: c.exec_driver_sql(
            "UPDATE campaign_session SET flow_run = 'abc', started_at = '2020-01-01'"
        )
    )
    text = client(prefect="http://localhost:4200/").get(f"/datasets/{BUSY}").text
    assert 'href="http://localhost:4200/runs/flow-run/abc"' in text
    assert "flow-run" not in client().get(f"/datasets/{BUSY}").text


def test_owner_that_died_is_told(client: Client, ledger: Ledger) -> None:
    """An attempt whose process has gone is lost, with the reason."""
    ledger.write(lambda c: c.exec_driver_sql("UPDATE attempt SET process_started = 1"))
    text = client().get(f"/datasets/{BUSY}").text
    assert "Taken for dead" in text


def test_unknown_dataset_is_not_found(client: Client) -> None:
    """A name that the ledger does not have is 404, escaped."""
    answer = client().get("/datasets/<script>")
    assert answer.status_code == 404
    assert "<script>" not in answer.text


def test_names_are_quoted_in_commands(ledger: Ledger) -> None:
    """What is to be typed is safe to type."""
    (job,) = ledger.ask(lambda rows: story_of(rows, HEAVY))
    commands = dict(commands_for("a; rm -rf b", job))
    assert commands["try it again"] == "hstflow campaign rescue spring 'a; rm -rf b' --run"


@given(
    spans=st.lists(
        st.tuples(st.integers(0, 59), st.one_of(st.none(), st.integers(0, 59))), max_size=6
    )
)
def test_bars_are_inside_and_seen(spans: list[tuple[int, int | None]]) -> None:
    """Whatever the clocks said, each stage has a bar inside of the drawing."""
    stages = tuple(
        StageStory("fetch", "done", _at(began), None if end is None else _at(end), *[None] * 7)
        for began, end in spans
    )
    attempt = AttemptStory(
        *(1, "host", 1, None, 1.0, _at(30), _at(30), None, None, None, None, None),
        *((), None, None, stages),
    )
    for bar in bars_of(attempt, NOW):
        assert 0 <= bar.x <= bar.x + bar.width <= WIDTH + 1e-6
        assert bar.width >= 3


def _at(second: int) -> str:
    return f"2026-01-31T11:59:{second:02d}+00:00"
