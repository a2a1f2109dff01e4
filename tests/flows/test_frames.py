"""Flow runs of chunks, where no server answers, and where a chunk is opened again."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import frames
from flows.frames import ChunkFlow, Label

DEAD = "http://127.0.0.1:9/api"


@pytest.fixture
def dead_server() -> Iterator[None]:
    """Point at a server that does not answer."""
    with temporary_settings({PREFECT_API_URL: DEAD}):
        yield


@pytest.mark.usefixtures("dead_server")
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_chunk_is_given_up_where_no_server_answers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its thread says so and ends; the datasets are woken."""
    monkeypatch.setattr(frames, "PATIENCE", 0.0)
    woken = threading.Event()
    chunk = ChunkFlow(Label("night"), 3, woken.set, sends_settings=False)
    chunk.join(30)

    assert chunk.is_gone
    assert (chunk.is_settled, chunk.frame, woken.is_set()) == (True, None, True)
    assert "chunk 3: its flow run is not shown" in caplog.text


def test_old_flow_run_does_not_take_the_new_one_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk that is opened again while the first run says its last words stays known."""
    ends = [threading.Event(), threading.Event()]
    waiting = iter(ends)
    monkeypatch.setattr(ChunkFlow, "_try", lambda _: next(waiting).wait(30))
    old, new = (ChunkFlow(Label("night"), 7, lambda: None, sends_settings=False) for _ in ends)
    ends[0].set()
    old.join(30)

    assert frames._shown["night", 7] is new
    ends[1].set()
    new.join(30)
    assert frames._shown == {}
