"""Whatever happens in a stage, the job ends in the ledger and the next attempt goes on there."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
from failing_stages import failing

from calib.archive.outputs import FileOutput
from calib.archive.pointer import current_run
from calib.errors import CorruptFile, EngineError, OutOfMemory, Unavailable
from calib.ledger.ledger import current_owner
from calib.ledger.reports import stages_of
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
