"""What a stage costs is measured for that stage alone, and written in few transactions."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from calib.cost_model import Features
from calib.errors import ConfigError, Interrupted, Unavailable
from calib.ledger import predictions
from calib.ledger.ledger import current_owner
from calib.ledger.reports import stages_of
from calib.records import Outcome
from calib.stages import metrics
from calib.stages.job import Job
from calib.stages.metrics import Meter, bytes_in
from calib.stages.recording import keeping_book, ledger_of, recorded
from calib.stages.sequence import process_dataset, run_state_message

MB = 1 << 20
HUGE = Features(8, 3000.0, 1, 1, 2, 0, 1, 1, 0)


def test_peak_is_that_of_the_stage(tmp_path: Path) -> None:
    """A stage that follows a large one does not have its peak."""
    large = Meter(tmp_path)
    held = b"x" * (200 * MB)
    del held
    first = large.read()
    small = Meter(tmp_path).read()

    assert first.peak_rss is not None
    assert small.peak_rss is not None
    if metrics.HAS_PROC:
        assert first.peak_rss > small.peak_rss + 150 * MB


def test_costs_count_children_and_files(tmp_path: Path) -> None:
    """CPU and bytes of programs that were waited for count, and the files that are left."""
    place = tmp_path / "calibrate"
    (place / "deep").mkdir(parents=True)
    meter = Meter(place)
    code = "import sys; open(sys.argv[1], 'wb').write(b'x' * (3 << 20)); sum(range(3000000))"
    subprocess.run([sys.executable, "-c", code, str(place / "deep" / "x")], check=True)
    cost = meter.read()

    assert cost.disk == 3 * MB
    assert cost.cpu > 0.02
    assert cost.wall > 0.02
    if metrics.HAS_PROC:
        assert cost.bytes_out is not None
        assert cost.bytes_out >= 3 * MB
    assert bytes_in(tmp_path / "nowhere") is None


def test_threads_do_not_pay_for_each_other(tmp_path: Path) -> None:
    """Where two stages run at once, each has the CPU of its own thread."""
    meter = Meter(tmp_path)
    costs: list[Any] = []

    def work() -> None:
        other = Meter(tmp_path)
        sum(range(3_000_000))
        costs.append(other.read())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    mine = meter.read()

    assert costs[0].cpu > mine.cpu
    assert not metrics._measuring


def test_few_transactions_for_a_dataset(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ends of stages are written with what follows: eleven transactions, not twenty-four."""
    ledger = ledger_of(job.ledger)
    number = [0]
    store = ledger._store.write

    def counted(work: Any) -> Any:
        number[0] += 1
        return store(work)

    monkeypatch.setattr(ledger._store, "write", counted)
    assert process_dataset(job).state == "processed"

    assert number[0] <= 11
    runs = ledger.ask(lambda rows: stages_of(rows, ledger.jobs_of(job.id)[-1]))
    assert [(run.stage, run.state) for run in runs] == [
        (stage, "done")
        for stage in ("fetch", "bestrefs", "calibrate", "preview", "archive", "state-message")
    ]
    assert all(run.peak_rss and run.wall is not None for run in runs)


def begun(job: Job) -> Any:
    """Begin an attempt of a job."""
    ledger = ledger_of(job.ledger)
    number = ledger.submit(job.campaign, job.id, job.run, context=job.context)
    return ledger.begin_attempt(number, current_owner())


def test_what_waits_survives_a_ledger_that_is_away(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a stage that could not be written comes with the next write."""
    attempt, ledger = begun(job), ledger_of(job.ledger)
    with keeping_book(job, attempt) as book:
        with recorded(job, attempt, "fetch"):
            pass
        with monkeypatch.context() as patch:
            patch.setattr(ledger._store, "write", _raise(Unavailable("locked")))
            with pytest.raises(Unavailable), recorded(job, attempt, "bestrefs"):
                pass
        assert len(book._left) == 1
        with recorded(job, attempt, "bestrefs"):
            pass
    assert _states(job) == [("fetch", "done"), ("bestrefs", "done")]


def test_last_word_can_be_said_again(job: Job) -> None:
    """After its commit the same end is accepted once more; another one is not."""
    attempt = begun(job)
    outcome = Outcome(job.dataset, "error", "bad", 21, "CorruptFile")
    other = Outcome(job.dataset, "error", "worse", 23, "EngineError")
    with keeping_book(job, attempt):
        assert run_state_message(job, attempt, outcome) == outcome
        assert run_state_message(job, attempt, outcome) == outcome
        with pytest.raises(Interrupted, match="is closed: bad"):
            run_state_message(job, attempt, other)
    assert _states(job) == [("state-message", "done")]
    assert len(ledger_of(job.ledger).history(job.id)) == 4  # planned, submitted, processing, end


def test_last_stage_that_was_rolled_back_is_forgotten(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number belongs to nobody, or to another process: nothing is closed by it."""
    attempt = begun(job)
    outcome = Outcome(job.dataset, "error", "bad", 21, "CorruptFile")
    with keeping_book(job, attempt) as book:
        with monkeypatch.context() as patch:
            patch.setattr("calib.stages.state_message.finish", _raise(Unavailable("locked")))
            for _ in range(3):
                with pytest.raises(Unavailable):
                    run_state_message(job, attempt, outcome)
        assert book._left == []
        run_state_message(job, attempt, outcome)
    assert _states(job) == [("state-message", "done")]


def test_job_is_locked_before_its_attempt(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """The transaction that closes an attempt locks in the order of whoever cancels it."""
    attempt, order = begun(job), []
    for place, name in (
        ("calib.stages.recording.lock_job", "job"),
        ("calib.ledger.stage_runs.check_held", "attempt"),
        ("calib.ledger.predictions.record_features", "attempt"),
    ):
        monkeypatch.setattr(place, _noted(order, name))
    with keeping_book(job, attempt) as book:
        book.later(lambda c: predictions.record_features(c, attempt, HUGE))
        run_state_message(job, attempt, Outcome(job.dataset, "error", "bad", 21, "CorruptFile"))
    assert order[0] == "job"
    assert "attempt" in order


def _noted(order: list[str], name: str) -> Any:
    return lambda *_given, **_named: order.append(name)


def test_refused_write_takes_nothing_with_it(job: Job) -> None:
    """What waits beside a write that is refused is written all the same."""
    attempt = begun(job)
    with keeping_book(job, attempt) as book:
        with recorded(job, attempt, "fetch"):
            pass
        with pytest.raises(ConfigError, match="refused"):
            book.now(_raise(ConfigError("refused")))
    assert _states(job) == [("fetch", "done")]


def test_failed_stage_is_closed_without_a_last_word(job: Job) -> None:
    """A stage that ends with an error is closed when its attempt is left."""
    attempt = begun(job)
    with pytest.raises(ValueError, match="bad"), keeping_book(job, attempt):  # noqa: SIM117
        with recorded(job, attempt, "fetch"):
            _raise(ValueError("bad"))()
    assert _states(job) == [("fetch", "error")]


def _raise(error: Exception) -> Any:
    def call(*_given: Any) -> None:
        raise error

    return call


def _states(job: Job) -> list[tuple[str, str]]:
    ledger = ledger_of(job.ledger)
    runs = ledger.ask(lambda rows: stages_of(rows, ledger.jobs_of(job.id)[-1]))
    return [(run.stage, run.state) for run in runs]
