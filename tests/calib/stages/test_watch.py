"""Stages are stopped for time, memory and cancellation, and nothing else is hit by that."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from calib.errors import Cancelled, HstflowError, Interrupted, OutOfMemory, TimedOut
from calib.grants import Grant
from calib.ledger.attempts import Attempt
from calib.ledger.campaigns import cancel_jobs
from calib.ledger.reports import stages_of
from calib.programs.run import run_program
from calib.programs.tree import resident
from calib.stages import watch
from calib.stages.faults import parse_faults
from calib.stages.job import Job
from calib.stages.recording import ledger_of
from calib.stages.sequence import PLAIN, process_dataset
from calib.stages.watch import at_work, pause, unstopped, watching
from calib.stages.watched import Stopped, Watched

MB = 1 << 20


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, so that tests are short."""
    monkeypatch.setattr(watch, "PERIOD", 0.02)
    monkeypatch.setattr(watch, "LISTEN_SECONDS", 0.05)
    monkeypatch.setattr(watch, "GRACE", 0.6)
    monkeypatch.setattr(watch._threads, "is_disposable", False)


def granted(job: Job, **values: Any) -> Job:
    """Return the job with another grant."""
    return dataclasses.replace(job, grant=Grant(**values))


def limited(job: Job, stage: str, seconds: float) -> Job:
    """Return the job with a limit of a stage that is far below those of real ones."""
    return granted(job, limits={stage: seconds * 1000}, time_scale=0.001)


@contextmanager
def watched(job: Job) -> Iterator[tuple[Attempt, Watched]]:
    """Watch over an attempt that the ledger does not know."""
    attempt = Attempt(id=-1, job_id=-1, dataset=job.dataset, number=1, token="t")  # noqa: S106

    def close(*_given: object) -> None:
        raise AssertionError

    with watching(job, attempt, close) as one:
        yield attempt, one


def busy(seconds: float = 10.0) -> str:
    """Work in Python."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return "done"


def test_stage_over_its_time_is_stopped(job: Job) -> None:
    """A loop in Python ends at once, with the limit in the message."""
    start = time.monotonic()
    with (
        watched(limited(job, "calibrate", 0.1)) as (attempt, _),
        pytest.raises(TimedOut, match=r"calibrate went over its limit after 0 s, 0\.001 times"),
    ):
        at_work(attempt, "calibrate", busy)

    assert time.monotonic() - start < 3


def test_limit_is_that_of_the_stage_alone(job: Job) -> None:
    """Another stage has its own time, or none."""
    with watched(limited(job, "calibrate", 0.1)) as (attempt, _):
        assert at_work(attempt, "preview", lambda: busy(0.3)) == "done"


def test_memory_over_the_grant_is_stopped(job: Job) -> None:
    """What is held above what the process had before counts."""

    def eat() -> None:
        held = []
        while True:
            held.append(b"x" * (8 * MB))
            time.sleep(0.005)

    before = resident()
    with (
        watched(granted(job, memory=64 * MB)) as (attempt, _),
        pytest.raises(OutOfMemory, match=r"at most 0\.07 GB") as caught,
    ):
        at_work(attempt, "calibrate", eat)

    assert caught.value.code == 32
    assert resident() - before < 400 * MB


def test_error_that_is_kept_holds_no_memory(job: Job) -> None:
    """Whoever keeps the error of a stage does not keep its arrays: a worker goes on to others."""

    def eat() -> None:
        held = [bytearray(b"x" * (200 * MB))]
        message = f"no room for more than {len(held)}"
        raise MemoryError(message)

    before = resident()
    with (
        watched(granted(job)) as (attempt, _),
        pytest.raises(OutOfMemory) as kept,
    ):
        at_work(attempt, "calibrate", eat)

    assert isinstance(kept.value.__cause__, MemoryError)
    assert resident() - before < 100 * MB


def test_stage_that_was_stopped_holds_no_memory(job: Job) -> None:
    """The same for one that was stopped from outside."""

    def eat() -> None:
        held = [bytearray(b"x" * (200 * MB))]
        busy(10.0 * len(held))

    before = resident()
    with (
        watched(limited(job, "calibrate", 1.0)) as (attempt, _),
        pytest.raises(TimedOut) as kept,
    ):
        at_work(attempt, "calibrate", eat)

    assert kept.value.code == 137
    assert resident() - before < 100 * MB


def test_memory_of_programs_counts(job: Job, tmp_path: Path) -> None:
    """A program that holds too much is ended, and that is what is said."""
    code = "x = b'1' * (200 << 20); import time; time.sleep(20)"
    words = [sys.executable, "-I", "-S", "-c", code]

    def work() -> None:
        run_program(words, folder=tmp_path, log_file=tmp_path / "log", memory=4000 * MB)

    with (
        watched(granted(job, memory=100 * MB)) as (attempt, _),
        pytest.raises(OutOfMemory, match="calibrate went over its memory"),
    ):
        at_work(attempt, "calibrate", work)


def test_nothing_hits_what_follows_a_stage(job: Job) -> None:
    """Stages that end in the moment in which they are stopped: no exception comes later."""
    outcomes = set()
    for number in range(60):
        with watched(limited(job, "fetch", 10)) as (attempt, one):
            ready = threading.Event()

            def work(ready: threading.Event = ready, number: int = number) -> str:
                ready.set()
                return busy(number * 2e-6)

            def stop(ready: threading.Event = ready, one: Watched = one) -> None:
                ready.wait()
                one.stop(TimedOut("now"))

            stopper = threading.Thread(target=stop)
            stopper.start()
            try:
                outcomes.add(at_work(attempt, "fetch", work))
            except TimedOut:
                outcomes.add("stopped")
            busy(0.002)  # what comes next in the thread
            stopper.join()
            busy(0.001)
    assert outcomes <= {"done", "stopped"}


def test_profiler_works_after_a_stage(job: Job) -> None:
    """A thread that was watched goes on under a profiler, whether it was stopped or not."""
    for limit in (100.0, 0.02):
        with watched(limited(job, "fetch", limit)) as (attempt, _), suppress(TimedOut):
            at_work(attempt, "fetch", lambda: busy(0.05))
        calls: list[str] = []
        sys.setprofile(lambda _frame, event, _value, seen=calls: seen.append(event))
        busy(0.0)
        sys.setprofile(None)
        assert "call" in calls


def test_finished_work_outlives_the_end_of_its_time(job: Job) -> None:
    """A stage whose time is up while it cannot be stopped, and which succeeds, has succeeded."""
    with watched(limited(job, "archive", 0.05)) as (attempt, one):

        def work() -> str:
            with unstopped():
                return busy(0.3)

        try:
            said = at_work(attempt, "archive", work)
        except TimedOut:  # the watchdog came between the end of the block and that of the stage
            return
        assert said == "done"
        assert one.allowance.breach is None
        assert at_work(attempt, "preview", lambda: "next") == "next"


def test_what_a_stage_makes_of_its_end_does_not_count(job: Job) -> None:
    """An error that the stop caused further in is not what is reported."""

    def work() -> None:
        try:
            busy()
        except Stopped as stop:
            message = "the library fell over"
            raise ValueError(message) from stop

    with (
        watched(limited(job, "calibrate", 0.05)) as (attempt, _),
        pytest.raises(TimedOut),
    ):
        at_work(attempt, "calibrate", work)


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (MemoryError("4 GiB"), OutOfMemory, 32),
        (OSError(12, "Cannot allocate memory"), OutOfMemory, 34),
        (OSError(28, "No space left on device", "x.fits"), HstflowError, 25),
        (OSError(2, "No such file"), FileNotFoundError, None),
    ],
)
def test_what_the_system_lacks_is_an_error_of_ours(
    job: Job, error: OSError, kind: type[Exception], code: int | None
) -> None:
    """Memory and disk have their codes; another error stays what it is."""

    def work() -> None:
        raise error

    with watched(job) as (attempt, _), pytest.raises(kind) as caught:
        at_work(attempt, "fetch", work)
    assert getattr(caught.value, "code", None) == code


def test_wait_for_another_try_ends_with_the_attempt(job: Job) -> None:
    """A cancelled job does not wait for its next try, and does not begin it."""
    with watched(job) as (attempt, one):
        timer = threading.Timer(0.05, one.stop, [Cancelled("enough")])
        timer.start()
        start = time.monotonic()
        pause(20)
        assert time.monotonic() - start < 5
        with pytest.raises(Cancelled, match="enough"):
            at_work(attempt, "fetch", busy)
        timer.join()


def test_no_thread_is_left(job: Job) -> None:
    """When nothing is watched nobody watches, and it begins again."""
    for _ in range(2):
        with watched(job) as (attempt, _):
            assert at_work(attempt, "fetch", lambda: busy(0.05)) == "done"
            assert "watchdog" in {thread.name for thread in threading.enumerate()}
    end = time.monotonic() + 3
    while time.monotonic() < end and _names() & {"watchdog", "heartbeat"}:
        time.sleep(0.02)
    assert not _names() & {"watchdog", "heartbeat"}


def _names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def with_stage(stage: str, work: Callable[[], Any]) -> Any:
    """Return plain stages of which one does something else, under watch."""

    def other(_job: Job, attempt: Attempt, *_given: Any) -> Any:
        return at_work(attempt, stage, work)

    return dataclasses.replace(PLAIN, **{stage: other})


@pytest.mark.parametrize(
    ("state", "kind"), [("cancelled", "Cancelled"), ("taken over", "Interrupted")]
)
def test_attempt_that_the_ledger_closed_is_stopped(job: Job, state: str, kind: str) -> None:
    """A cancelled job is stopped and stays cancelled; one that was taken over says no more."""
    job = granted(job, is_supervised=True)
    ledger = ledger_of(job.ledger)
    ledger.submit(job.campaign, job.id, job.run, context=job.context)

    def work() -> str:
        number = ledger.jobs_of(job.id)[-1].id
        if state == "cancelled":
            ledger.write(lambda c: cancel_jobs(c, [number], "the operator"))
        else:
            ledger.change_state(number, "error", "another host has it")
        return busy()

    start = time.monotonic()
    outcome = process_dataset(job, with_stage("bestrefs", work))

    assert time.monotonic() - start < 6
    assert outcome.error_class == kind
    row = ledger.jobs_of(job.id)[-1]
    assert row.state == ("cancelled" if state == "cancelled" else "error")
    assert row.reason in {"the operator", "another host has it"}
    assert len(ledger.history(job.id)) == 4  # planned, submitted, processing, its end


def test_supervised_attempt_is_followed_by_another(job: Job) -> None:
    """After a lack of memory the job waits for the next rung; nobody is told of an end."""
    rungs = (100 * MB, 200 * MB)
    options = dataclasses.replace(
        job.options, faults=parse_faults(["calibrate=memory"]), messages="flat"
    )
    job = dataclasses.replace(
        granted(job, is_supervised=True, memory=rungs[0], rungs=rungs), options=options
    )
    ledger = ledger_of(job.ledger)
    ledger.submit(job.campaign, job.id, job.run, context=job.context)

    outcome = process_dataset(job)

    assert outcome.retry is not None
    assert (outcome.error_class, outcome.code) == ("OutOfMemory", 32)
    assert outcome.retry.grant.memory == rungs[1]
    assert ledger.jobs_of(job.id)[-1].state == "submitted"
    messages = [path.name for path in job.messages_folder.glob("[!.]*")]
    assert messages == [f"processing-{job.dataset}"]
    assert not (Path(job.work) / "failed").exists()

    again = process_dataset(dataclasses.replace(job, grant=outcome.retry.grant))

    assert again.state == "processed"


HANGING = """
import dataclasses, pickle, sys
from calib.stages import watch
from calib.stages.sequence import process_dataset

watch.PERIOD, watch.GRACE = 0.05, 0.3
watch.make_disposable()
process_dataset(pickle.loads(sys.stdin.buffer.read()))
"""


def test_disposable_process_ends_itself_with_a_stage_that_hangs(job: Job) -> None:
    """What hangs in C is closed in the ledger, as its time limit says, and the process ends."""
    import pickle

    options = dataclasses.replace(job.options, faults=parse_faults(["bestrefs=hang:9"]))
    grant = Grant(limits={"bestrefs": 300.0}, time_scale=0.001, is_supervised=True)
    ledger = ledger_of(job.ledger)
    ledger.submit(job.campaign, job.id, job.run, context=job.context)
    job = dataclasses.replace(job, options=options, grant=grant)
    states = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", HANGING], input=pickle.dumps(job), timeout=60, check=False
        )
        assert done.returncode == 137
        row = ledger.jobs_of(job.id)[-1]
        states.append(row.state)
        job = dataclasses.replace(
            job, grant=dataclasses.replace(grant, time_scale=0.002, retries={"time": 1})
        )

    assert states == ["submitted", "error"]
    assert (row.error_class, row.code) == ("TimedOut", 137)
    runs = ledger.ask(lambda rows: stages_of(rows, row))
    assert "running" not in {each.state for each in runs}
    assert "does not come back: the worker ends itself" in (job.folder / "process.txt").read_text()
    assert (Path(job.work) / "failed" / job.run / job.dataset / "outcome.json").is_file()


def test_takeover_is_told_apart(job: Job) -> None:
    """What another process has taken over is interrupted here, not cancelled."""
    with watched(job) as (attempt, one):
        watch._stop_closed(one, "interrupted", "attempt 1 was lost")
        with pytest.raises(Interrupted, match="was lost"):
            at_work(attempt, "fetch", busy)
