"""An archive's word moves jobs on, once, and never those that it is not about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from calib.archive.messages import find_style, write_message
from calib.archive.outputs import FileOutput
from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger, current_owner
from calib.records import Outcome
from calib.repository.acknowledgement import Acknowledged, acknowledge

Publish = Callable[..., str]
DATASET, OTHER = "j8bt05njq", "iaaua1n4q"


@pytest.fixture
def process(ledger: Ledger, publish: Publish, tmp_path: Path) -> Callable[..., None]:
    """Return a function that publishes a dataset as the job of a campaign."""

    def publish_by_job(
        dataset: str = DATASET, run: str = "r1", campaign: str = "adhoc", day: str = "01"
    ) -> None:
        output = FileOutput(tmp_path / "out")
        job = ledger.submit(campaign, parse_dataset(dataset), run, context="hst_1.pmap")
        attempt = ledger.begin_attempt(job, current_owner())
        uri = publish(output, run, dataset, day=day)
        ledger.finish_attempt(attempt, Outcome(dataset, "processed", "published", uri=uri))

    return publish_by_job


def tell(ledger: Ledger, word: Any, *datasets: str, **more: Any) -> list[Acknowledged]:
    """Return what becomes of acknowledgements."""
    return [*acknowledge(ledger, word, datasets, **{"work": Path("/nowhere"), **more})]


def test_a_dataset_goes_through(ledger: Ledger, process: Callable[..., None]) -> None:
    """Processed, synced, archived; each word twice changes nothing the second time."""
    process()
    for word in ("synced", "archived"):
        expected = Acknowledged(DATASET, "adhoc", "r1", word, is_new=True)
        assert tell(ledger, word, DATASET, message="tape 7") == [expected]
        assert [each.is_new for each in tell(ledger, word, DATASET.upper())] == [False]

    (late,) = tell(ledger, "synced", DATASET)
    assert (late.state, late.is_new, late.refusal) == ("archived", False, "")
    history = ledger.history(parse_dataset(DATASET))
    assert [(c.to_state, c.reason) for c in history[-2:]] == [
        ("synced", "tape 7"),
        ("archived", "tape 7"),
    ]


def test_a_failure_is_an_error_with_the_words_of_the_archive(
    ledger: Ledger, process: Callable[..., None], tmp_path: Path
) -> None:
    """Class and code are those of archives, and the products stay."""
    process()
    assert tell(ledger, "failed", DATASET, message="checksum of flt")[0].is_new
    assert [each.is_new for each in tell(ledger, "failed", DATASET)] == [False]

    (job,) = ledger.jobs_of(parse_dataset(DATASET))
    told = (job.state, job.error_class, job.code, job.reason)
    assert told == ("error", "ArchiveError", 25, "checksum of flt")
    assert FileOutput(tmp_path / "out").verify(parse_dataset(DATASET)) == []
    (refused,) = tell(ledger, "archived", DATASET)
    assert "error cannot become archived" in refused.refusal


def test_what_cannot_be_taken_is_refused_alone(
    ledger: Ledger, process: Callable[..., None]
) -> None:
    """Odd names, unknown datasets and wrong states, between good ones."""
    process()
    process(OTHER)
    tell(ledger, "archived", OTHER)
    ledger.submit("night", parse_dataset("la8q99030"), "r1", context="hst_1.pmap")

    found = tell(ledger, "failed", "../x", DATASET, OTHER, "la8q99030", "j00000000", "../x")

    assert [(each.dataset, each.state, bool(each.refusal)) for each in found] == [
        ("../x", None, True),
        (DATASET, "error", False),
        (OTHER, "archived", True),
        ("la8q99030", None, True),
        ("j00000000", None, True),
    ]


def test_jobs_are_chosen_by_run_and_campaign(ledger: Ledger, process: Callable[..., None]) -> None:
    """By default those of the current version, in whatever campaign."""
    process(run="r1", campaign="old")
    process(run="r2", campaign="new", day="02")
    process(run="r2", campaign="again", day="02")

    assert {each.campaign for each in tell(ledger, "synced", DATASET)} == {"new", "again"}
    assert [each.campaign for each in tell(ledger, "synced", DATASET, run="r1")] == ["old"]
    (one,) = tell(ledger, "archived", DATASET, campaign="again")
    assert (one.campaign, one.state) == ("again", "archived")
    (none,) = tell(ledger, "archived", DATASET, campaign="other", run="r9")
    assert none.refusal == "no job in campaign other has products in run r9"


def test_an_old_version_is_found_by_its_campaign(
    ledger: Ledger, process: Callable[..., None]
) -> None:
    """Where the campaign's version is not current, its last one is meant."""
    process(run="r1", campaign="old")
    process(run="r2", campaign="new", day="02")
    assert [each.run for each in tell(ledger, "synced", DATASET, campaign="old")] == ["r1"]


@pytest.mark.parametrize("style", ["folders", "flat"])
def test_message_files_follow(
    ledger: Ledger, process: Callable[..., None], tmp_path: Path, style: Any
) -> None:
    """In the style that the dataset has; none where it has none."""
    process()
    process(OTHER)
    folder = tmp_path / "out" / "messages"
    write_message(folder, style, "processed", DATASET)
    tell(ledger, "synced", DATASET, OTHER)

    listing = f"synced\n{DATASET}_flt.fits\nlogs/process.txt\n"
    files = {str(p.relative_to(folder)): p.read_text() for p in folder.glob("*[!.]*/*[qj]")}
    if style == "folders":
        assert files == {f"dataset-synced/{DATASET}": listing}
        (folder / "dataset-synced" / DATASET).write_text("")
        tell(ledger, "synced", DATASET)  # mends what a crash after the commit left
        assert (folder / "dataset-synced" / DATASET).read_text() == listing
    tell(ledger, "failed", DATASET, message="no space")
    name = f"dataset-error/{DATASET}" if style == "folders" else f"error-{DATASET}"
    assert (folder / name).read_text() == "error\nno space\n"
    assert find_style(folder, DATASET) == style
    assert find_style(folder, OTHER) is None


def test_messages_beside_the_work(
    ledger: Ledger, publish: Publish, in_bucket: Any, tmp_path: Path
) -> None:
    """Products in a bucket: message files are in the work folder; a broken one is a warning."""
    job = ledger.submit("adhoc", parse_dataset(DATASET), "r1", context="hst_1.pmap")
    attempt = ledger.begin_attempt(job, current_owner())
    uri = publish(in_bucket, "r1")
    ledger.finish_attempt(attempt, Outcome(DATASET, "processed", "published", uri=uri))
    write_message(tmp_path / "messages", "folders", "processed", DATASET)
    (tmp_path / "messages" / "dataset-archived").write_text("in the way")

    assert tell(ledger, "synced", DATASET, work=tmp_path)[0].is_new
    assert (tmp_path / "messages" / "dataset-synced" / DATASET).exists()
    assert tell(ledger, "archived", DATASET, work=tmp_path)[0].state == "archived"


def test_hundreds_in_few_transactions(
    ledger: Ledger, process: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two thousand names are four transactions, and the one that is known is found."""
    process()
    names = [f"j{number:08d}" for number in range(1999)]
    calls = []
    write = ledger.write
    monkeypatch.setattr(ledger, "write", lambda work: calls.append(1) or write(work))

    found = tell(ledger, "synced", *names, DATASET)

    assert len(calls) == 4
    assert len(found) == 2000
    assert [each.dataset for each in found if not each.refusal] == [DATASET]


@pytest.mark.parametrize("state", ["submitted", "processing"])
@pytest.mark.parametrize("word", ["synced", "failed"])
def test_a_job_that_is_at_work_again_is_left_alone(
    ledger: Ledger, process: Callable[..., None], state: str, word: str
) -> None:
    """The word is about products of before: it stops nobody who makes new ones."""
    process()
    job = ledger.submit("adhoc", parse_dataset(DATASET), "r1", context="hst_1.pmap")
    attempt = ledger.begin_attempt(job, current_owner()) if state == "processing" else None
    (told,) = tell(ledger, word, DATASET)

    assert told.refusal == f"a job is at work on it again ({state})"
    assert (told.state, ledger.jobs_of(parse_dataset(DATASET))[0].state) == (state, state)
    if attempt is not None:
        ledger.heartbeat(attempt)
