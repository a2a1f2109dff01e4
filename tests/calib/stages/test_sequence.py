"""Whatever happens in a stage, the job ends in the ledger and the next attempt goes on there."""

from __future__ import annotations

import dataclasses
import errno
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from failing_stages import failing

from calib.archive.outputs import FileOutput
from calib.archive.pointer import current_run
from calib.errors import Cancelled, CorruptFile, EngineError, OutOfMemory, Unavailable
from calib.grants import Grant
from calib.ledger.campaigns import cancel_jobs
from calib.ledger.ledger import current_owner
from calib.ledger.predictions import last_features
from calib.ledger.reports import stages_of
from calib.stages import policy, sequence, watch
from calib.stages.faults import parse_faults
from calib.stages.job import Job
from calib.stages.policy import STAGES
from calib.stages.recording import ledger_of
from calib.stages.sequence import process_dataset

WORKING = STAGES[:-1]  # state-message closes what the others leave


def output_of(job: Job) -> Path:
    """Return the output folder."""
    return Path(str(job.output).removeprefix("file:"))


def last_stages(job: Job) -> dict[str, str]:
    """Return the stage states of the last attempt."""
    ledger = ledger_of(job.ledger)
    last = ledger.jobs_of(job.id)[-1]
    stages = ledger.ask(lambda rows: stages_of(rows, last, last_only=True))
    return {stage.stage: stage.state for stage in stages}


def state_of(job: Job) -> tuple[str, str | None, int | None]:
    """Return state, error class and code of the job in the ledger."""
    row = ledger_of(job.ledger).jobs_of(job.id)[-1]
    return row.state, row.error_class, row.code


@pytest.mark.parametrize("stage", WORKING)
def test_failed_stage_is_an_outcome_and_the_next_attempt_goes_on(job: Job, stage: str) -> None:
    """Stages before the failed one are not run again; the dataset is published after all."""
    outcome = process_dataset(job, failing(stage, CorruptFile("broken")))

    assert (outcome.state, outcome.stage, outcome.code) == ("error", stage, 21)
    assert state_of(job) == ("error", "CorruptFile", 21)

    again = process_dataset(job)

    assert again.state == "processed"
    place = WORKING.index(stage)
    kept = {name for name, state in last_stages(job).items() if state == "reused"}
    assert kept == set(WORKING[:place])
    assert state_of(job)[0] == "processed"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EngineError("calacs failed", program="calacs.e", exit_code=2), 23),
        (OutOfMemory("no more", code=31), 31),
        (ZeroDivisionError("a bug of ours"), 1),
    ],
    ids=["engine", "memory", "bug"],
)
def test_every_kind_of_failure_has_its_code(job: Job, error: Exception, code: int) -> None:
    """Expected errors keep their code; a bug is code 1 with its class and text."""
    outcome = process_dataset(job, failing("calibrate", error))

    assert (outcome.code, outcome.error_class) == (code, type(error).__name__)
    assert str(error) in outcome.reason


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_interrupt_is_recorded_and_passed_on(job: Job, stop: BaseException, code: int) -> None:
    """A person who stops us gets the exception; the ledger knows that it was an interrupt."""
    with pytest.raises(type(stop)):
        process_dataset(job, failing("preview", stop))

    assert state_of(job) == ("error", "Interrupted", code)
    assert process_dataset(job).state == "processed"


def test_crash_between_publication_and_ledger(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Products that were published before a crash are found, and entered in the ledger."""

    def crash(*_given: Any) -> None:
        raise SystemExit(143)

    with monkeypatch.context() as patch:
        patch.setattr("calib.stages.archive.register_products", crash)
        with pytest.raises(SystemExit):
            process_dataset(job)

    outcome = process_dataset(job)

    assert outcome.state == "skipped"
    assert "nothing to do" in outcome.reason
    assert state_of(job)[0] == "processed"
    assert current_run(output_of(job), job.id) == outcome.run
    assert FileOutput(output_of(job)).verify(job.id) == []


def test_dataset_at_work_elsewhere_is_left_alone(job: Job) -> None:
    """While another living process holds the dataset, a second one says so and does nothing."""
    ledger = ledger_of(job.ledger)
    number = ledger.submit(job.campaign, job.id, job.run, context=job.context)
    attempt = ledger.begin_attempt(number, current_owner())

    with pytest.raises(Unavailable, match="pid"):
        process_dataset(job)

    ledger.heartbeat(attempt)
    assert state_of(job)[0] == "processing"


def test_published_job_leaves_no_scratch(job: Job) -> None:
    """The work folder of a published dataset is removed, that of a failed one is kept."""
    process_dataset(job, failing("archive", CorruptFile("broken")))
    assert (job.folder / "calibrate").is_dir()

    process_dataset(job)

    assert not job.folder.exists()


def test_failed_preview_is_a_warning_or_an_error_as_asked(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Normally a preview that fails is a warning; where previews are required it is error 28."""
    from calib.records import Previews

    monkeypatch.setattr(
        "calib.stages.preview.make_previews", lambda *_a, **_k: Previews(warnings=("no picture",))
    )
    required = dataclasses.replace(job.options, previews="required")

    strict = process_dataset(dataclasses.replace(job, options=required))
    assert (strict.state, strict.code, strict.error_class) == ("error", 28, "PreviewError")

    normal = process_dataset(job)
    assert (normal.state, normal.code, normal.warnings) == ("processed", 0, ("no picture",))


def test_remarks_on_previews_are_told(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where previews are required too, what a viewer should know fails nothing."""
    from calib.records import Previews

    monkeypatch.setattr(
        "calib.stages.preview.make_previews", lambda *_a, **_k: Previews(remarks=("all black",))
    )
    required = dataclasses.replace(job.options, previews="required")

    outcome = process_dataset(dataclasses.replace(job, options=required))

    assert (outcome.state, outcome.code, outcome.warnings) == ("processed", 0, ("all black",))


def test_preview_that_failed_is_drawn_again(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next attempt draws what could not be drawn, and repeats nothing that was finished."""
    from calib.records import Previews

    required = dataclasses.replace(
        job, options=dataclasses.replace(job.options, previews="required")
    )
    with monkeypatch.context() as broken:
        warned = Previews(warnings=("no picture",))
        broken.setattr("calib.stages.preview.make_previews", lambda *_a, **_k: warned)
        assert process_dataset(required).state == "error"

    again = process_dataset(required)

    assert (again.state, again.warnings) == ("processed", ())
    kept = {name for name, state in last_stages(job).items() if state == "reused"}
    assert kept == {"fetch", "bestrefs", "calibrate"}


def test_message_that_cannot_be_written_fails_nothing(job: Job) -> None:
    """Published products stay published when the message folder is not usable."""
    options = dataclasses.replace(job.options, messages="flat")
    output_of(job).mkdir()
    (output_of(job) / "messages").write_text("a file in the way")

    outcome = process_dataset(dataclasses.replace(job, options=options))

    assert outcome.state == "processed"
    assert state_of(job)[0] == "processed"


@pytest.mark.parametrize("keyword", ["BPIXTAB", "BIASFILE"])
def test_own_reference_edited_under_its_name_is_another_result(
    job: Job, tmp_path: Path, keyword: str
) -> None:
    """A file of the user's own counts by its content, also one that no switch requires."""
    kind = {"BPIXTAB": "bpx", "BIASFILE": "bia"}[keyword]
    found = next(job.profile.references.glob(f"*_{kind}.fits"))
    own = Path(shutil.copy(found, tmp_path / f"my_{kind}.fits"))
    options = dataclasses.replace(job.options, references={keyword: str(own)})
    states = []
    for _ in range(2):
        asked = dataclasses.replace(job, run_is_named=False, options=options)
        states += [process_dataset(asked).state, process_dataset(asked).state]
        own.write_bytes(own.read_bytes().replace(b"PEDIGREE", b"PEDIGREF", 1))

    assert states == ["processed", "skipped"] * 2


def test_log_that_cannot_be_opened_is_an_outcome(job: Job) -> None:
    """A file in the way of the work folder ends the attempt; it is not left open."""
    job.folder.parent.mkdir(parents=True)
    job.folder.write_text("in the way")

    outcome = process_dataset(job)

    assert (outcome.state, outcome.code) == ("error", 2)
    assert state_of(job) == ("error", "ConfigError", 2)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_disk_that_is_full_at_the_log_may_pass(
    job: Job, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """It is what a full disk is everywhere else: error 25, which a campaign tries again."""
    monkeypatch.setattr("calib.stages.joblog.logging.FileHandler", fails(OSError(number, "full")))

    outcome = process_dataset(dataclasses.replace(job, grant=Grant(is_supervised=True)))

    assert (outcome.error_class, outcome.code) == ("Unavailable", 25)
    assert outcome.retry is not None


def test_last_word_waits_for_the_ledger(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that is away for longer than the retries of the stage loses no result."""
    monkeypatch.setattr(policy, "PATIENCE_STEP", 0.01)
    left = [Unavailable("the ledger is away")] * 3
    real = sequence.run_state_message

    def said(*given: Any) -> Any:
        if left:
            raise left.pop()
        return real(*given)

    monkeypatch.setattr(sequence, "run_state_message", said)

    outcome = process_dataset(job, failing("state_message", Unavailable("the ledger is away")))

    assert (outcome.state, left) == ("processed", [])
    assert state_of(job)[0] == "processed"
    assert last_stages(job)["state-message"] == "done"


def test_last_word_is_given_up_at_last(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """After ten minutes the attempt is left to whoever finds it."""
    monkeypatch.setattr(policy, "PATIENCE_STEP", 0.001)
    monkeypatch.setattr(policy, "PATIENCE", 0.02)
    monkeypatch.setattr(sequence, "run_state_message", fails(Unavailable("the ledger is away")))

    with pytest.raises(Unavailable, match="away"):
        process_dataset(job, failing("state_message", Unavailable("the ledger is away")))


def test_message_of_an_unreadable_output_fails_nothing(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be listed after the commit is a warning, and no second last word."""
    job = dataclasses.replace(job, options=dataclasses.replace(job.options, messages="flat"))
    monkeypatch.setattr(
        "calib.stages.state_message.open_output", fails(Unavailable("no answer", code=26))
    )

    outcome = process_dataset(job)

    assert (outcome.state, outcome.code) == ("processed", 0)
    assert state_of(job)[0] == "processed"


@pytest.mark.parametrize("moment", ["during a stage", "after the last"])
def test_cancelled_dataset_is_told(job: Job, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """Whoever reads message files learns that an operator cancelled it."""
    job = dataclasses.replace(job, options=dataclasses.replace(job.options, messages="flat"))
    ledger = ledger_of(job.ledger)

    def cancel() -> None:
        number = ledger.jobs_of(job.id)[-1].id
        ledger.write(lambda c: cancel_jobs(c, [number], "the operator"))

    def previews(*_given: Any) -> Any:
        cancel()
        raise Cancelled("the operator")

    real = sequence.PLAIN.archive

    def archived(*given: Any) -> Any:
        made = real(*given)
        cancel()
        return made

    stage = {"preview": previews} if moment == "during a stage" else {"archive": archived}
    outcome = process_dataset(job, dataclasses.replace(sequence.PLAIN, **stage))

    assert (outcome.state, outcome.code) == ("cancelled", 143)
    assert state_of(job)[0] == "cancelled"
    messages = [path.name for path in job.messages_folder.glob("[!.]*")]
    assert messages == [f"terminated-{job.dataset}"]


def test_features_of_a_failed_attempt_are_kept(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lack of memory is a bound that training learns from; one on purpose is none."""
    monkeypatch.setattr("calib.stages.calibrate.calibrate", fails(OutOfMemory("no more", code=32)))
    process_dataset(job)
    known = ledger_of(job.ledger).ask(lambda rows: last_features(rows, [job.dataset]))
    assert known[job.dataset].n_files == 1


def test_failure_on_purpose_teaches_nothing(job: Job) -> None:
    """Neither the failure nor what follows it in the same job is an example."""
    options = dataclasses.replace(job.options, faults=parse_faults(["preview=memory"]))
    assert process_dataset(dataclasses.replace(job, options=options)).code == 32
    assert not ledger_of(job.ledger).ask(lambda rows: last_features(rows, [job.dataset]))


@pytest.mark.parametrize(
    ("place", "stage"),
    [
        ("features_of_files", "calibrate"),
        ("check_disk", "fetch"),
        ("published_before", "bestrefs"),
        ("archiving.register_found", "archive"),
    ],
)
def test_all_work_is_watched(
    job: Job, monkeypatch: pytest.MonkeyPatch, place: str, stage: str
) -> None:
    """What is done around the stages has their time limits, and ends when they are stopped."""
    if stage == "archive":
        process_dataset(job)
    seen = []

    def look(*_given: Any) -> None:
        current = next(iter(watch._threads.all()))
        seen.append((current.is_at_work(), current.stage))

    monkeypatch.setattr(f"calib.stages.sequence.{place}", look)
    process_dataset(job)
    assert seen == [(True, stage)]


def test_exit_in_a_thread_is_an_outcome(job: Job) -> None:
    """A library that calls `exit` ends its dataset, not the process that runs others."""
    job = dataclasses.replace(job, grant=Grant(is_supervised=True))
    ends: list[Any] = []
    stages = failing("calibrate", SystemExit(3))
    thread = threading.Thread(target=lambda: ends.append(process_dataset(job, stages)))
    thread.start()
    thread.join()

    assert (ends[0].error_class, ends[0].code) == ("Interrupted", 3)
    assert ends[0].retry is not None
    assert state_of(job)[0] == "submitted"


def fails(error: Exception) -> Any:
    """Return a function that raises."""

    def fail(*_given: Any, **_named: Any) -> Any:
        raise error

    return fail
