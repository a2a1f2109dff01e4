"""Sessions that an operator stops, or that meet stages which nothing can stop."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from campaign_sessions import Sessions, ended, names, wait_for

from calib.simulate.observatory import Observatory
from calib.stages.faults import parse_faults

pytestmark = pytest.mark.prefect

# Seconds between the word of the operator and the end: the watchdog waits ten for a stage.
SOON = 45.0


@pytest.fixture
def sessions(
    observatory: Observatory, prefect_environment: dict[str, str], tmp_path: Path
) -> Sessions:
    """Return a campaign with the test server."""
    return Sessions(observatory, prefect_environment, tmp_path)


def test_paused_session_ends_and_is_resumed(sessions: Sessions) -> None:
    """A second session is refused; paused, what runs is finished; resumed, the rest is."""
    sessions.enrol(names(600), runner="threads", chunk_size=100)
    first = sessions.start()
    wait_for(lambda: "processed" in sessions.states(), "the first dataset")

    refused = sessions.run()
    sessions.control("pause")
    said = ended(first)

    assert "campaign night is run by" in refused, refused
    assert "RESULT paused" in said, said
    assert "processing" not in sessions.states()
    assert 0 < sessions.states().count("processed") < 600
    assert "RESULT completed all 600" in sessions.run()
    tries = sessions.ask("SELECT MAX(attempts) AS most FROM job")
    assert tries == [{"most": 1}]


@pytest.mark.slow
@pytest.mark.parametrize("runner", ["threads", "local"])
def test_cancelled_session_does_not_wait_for_a_stage_that_hangs(
    sessions: Sessions, runner: str
) -> None:
    """One dataset hangs in a call of C: it is cancelled all the same, and the process ends."""
    bad, *good = names(4)
    sessions.enrol([bad, *good], runner=runner, faults=parse_faults([f"calibrate=hang@{bad}"]))
    child = sessions.start()
    wait_for(lambda: sessions.states().count("processed") == len(good), "the good ones")

    sessions.control("cancel")
    said = ended(child, SOON)

    assert "RESULT cancelled" in said, said
    assert child.returncode == 0, said
    assert sessions.rows_by_name() == {bad: "cancelled", **dict.fromkeys(good, "processed")}
    assert sessions.ask("SELECT id FROM attempt WHERE outcome IS NULL") == []


@pytest.mark.slow
def test_terminated_session_does_not_wait_for_a_stage_that_hangs(sessions: Sessions) -> None:
    """SIGTERM ends the process and closes the attempt; nothing is left at work."""
    (bad,) = names(1)
    sessions.enrol([bad], runner="threads", faults=parse_faults(["calibrate=hang"]))
    child = sessions.start()
    wait_for(lambda: "processing" in sessions.states(), "the hang")
    time.sleep(1)

    child.send_signal(signal.SIGTERM)
    said = ended(child, SOON)

    assert child.returncode == 143, said
    assert "processing" not in sessions.states()
    assert sessions.ask("SELECT outcome FROM campaign_session") == [{"outcome": "interrupted"}]
