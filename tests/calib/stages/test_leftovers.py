"""What is left in the work folder: what may go, what stays, and beside whom."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import campaign_story as story
import pytest
from databases import template

from calib.archive.messages import write_message
from calib.ids import parse_dataset
from calib.ledger.campaign_reports import JobSelection
from calib.ledger.ledger import Ledger, current_owner, open_ledger
from calib.ledger.owners import this_host
from calib.ledger.sessions import close_session, open_session
from calib.records import Outcome
from calib.stages.leftovers import CleanPlan, Wish, plan_clean, remove
from calib.stages.scratch import lies_in

__all__ = ["template"]

NO_PROCESS = 2**22 + 1  # above Linux's largest process number


@pytest.fixture
def ledger(tmp_path: Path, template: Path) -> Iterator[Ledger]:
    """Return a ledger with the story of a campaign."""
    shutil.copy(template, tmp_path / "ledger.db")
    with open_ledger(str(tmp_path / "ledger.db")) as opened:
        story.tell(opened, output=f"file:{tmp_path / 'out'}")
        yield opened


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Return a work folder in which every dataset has left 100 bytes."""
    for dataset in story.EVERY:
        folder = tmp_path / "work" / story.RUN / dataset / "fetch"
        folder.mkdir(parents=True)
        (folder / "x.fits").write_bytes(bytes(100))
    return tmp_path / "work"


def look(ledger: Ledger, work: Path, wish: Wish | None = None) -> CleanPlan:
    """Return what would go."""
    return ledger.ask(lambda ask: plan_clean(ask, work, wish or Wish()))


def names(plan: CleanPlan) -> set[str | None]:
    """Return the datasets whose leftovers would go."""
    return {each.dataset for each in plan.going}


def test_finished_and_cancelled_go(ledger: Ledger, work: Path) -> None:
    """What a rescue needs and what is still to run stays; the plan touches nothing."""
    plan = look(ledger, work)
    assert names(plan) == {story.EASY, story.CLIMBS, story.CANCELLED}
    assert {each.dataset: each.state for each in plan.staying} == {
        story.BROKEN: "error",
        story.LEFT: "planned",
    }
    assert plan.freed == 300
    assert len([*work.rglob("x.fits")]) == 5


def test_force_takes_what_failed_and_nothing_that_is_to_run(ledger: Ledger, work: Path) -> None:
    """Unpublished work of failed jobs goes by force; a job that is to run keeps all it has."""
    plan = look(ledger, work, Wish(force=True))
    assert story.BROKEN in names(plan)
    assert [each.dataset for each in plan.staying] == [story.LEFT]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (JobSelection(campaign="other"), set()),
        (JobSelection(campaign=story.NAME, states=("cancelled",)), {story.CANCELLED}),
        (JobSelection(instruments=("acs",)), {story.EASY, story.CLIMBS}),
        (JobSelection(older_than="2020-01-01"), set()),
    ],
)
def test_only_what_was_chosen(
    ledger: Ledger, work: Path, selection: JobSelection, expected: set[str]
) -> None:
    """Campaign, state, instrument and age narrow what goes."""
    assert names(look(ledger, work, Wish(selection))) == expected


@pytest.mark.parametrize("place", ["work", "my work", "Mühle%20", "alias", "x/../work"])
def test_products_in_the_work_folder_stay(ledger: Ledger, work: Path, place: str) -> None:
    """Where there was no output the products lie here, and nothing takes them, by any path."""
    base = work.parent
    (base / "x").mkdir()
    here = base / place
    if place == "alias":
        here.symlink_to(work)
    elif here.resolve() != work:
        work = work.rename(here.resolve())
    folder = here / story.RUN / story.LEFT
    numbers = {j.dataset: j.id for j in [*ledger.jobs_of(parse_dataset(story.LEFT))]}
    ledger.change_state(numbers[story.LEFT], "submitted", "now")
    done = Outcome(story.LEFT, "processed", "left in the work folder", uri=folder.as_uri())
    story.work(ledger, numbers[story.LEFT], story.GB, done)
    for way in {here, work}:
        (stays,) = look(ledger, way, Wish(force=True)).staying
        assert (stays.dataset, "products" in stays.why) == (story.LEFT, True)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("file:///a/b%20c/run/id", True),
        ("file:/a/b c/run/id", True),
        ("file:///a/b%20c/run/id/products", True),
        ("file:///a/b%20c/run/id2", False),
        ("file:///a/b%20c/run", False),
        ("s3://bucket/a/b c/run/id", False),
        ("file:a\0", True),
        ("nonsense", True),
    ],
)
def test_what_cannot_be_told_may_be_products(uri: str, expected: bool) -> None:
    """A place that cannot be read may be here: what could be the only copy stays."""
    assert lies_in(uri, Path("/a/b c/run/id")) is expected


def test_removed_for_good(ledger: Ledger, work: Path) -> None:
    """What goes is gone, with nothing half removed; what stays is whole; again is nothing."""
    for each in look(ledger, work).going:
        assert remove(each, ledger) is None
    assert {p.name for p in (work / story.RUN).iterdir()} == {story.BROKEN, story.LEFT}
    assert look(ledger, work).going == ()


def test_a_job_that_began_meanwhile_keeps_its_folder(ledger: Ledger, work: Path) -> None:
    """Between the look and the removal a job was rescued: it wins."""
    plan = look(ledger, work)
    mine = next(each for each in plan.going if each.dataset == story.CANCELLED)
    (job,) = ledger.jobs_of(parse_dataset(story.CANCELLED))
    ledger.change_state(job.id, "submitted", "rescued")
    ledger.begin_attempt(job.id, current_owner())
    assert "gone on" in str(remove(mine, ledger))
    assert (work / story.RUN / story.CANCELLED / "fetch" / "x.fits").exists()


def test_an_interrupted_clean_up_is_finished(ledger: Ledger, work: Path) -> None:
    """What was renamed and not removed goes the next time."""
    half = work / story.RUN / f".removed-{story.EASY}-1"
    half.mkdir()
    (found,) = [each for each in look(ledger, work).going if each.kind == "removed"]
    assert remove(found, ledger) is None
    assert not half.exists()


def test_scratch_of_the_dead_goes(ledger: Ledger, work: Path) -> None:
    """Dask's folder of a live process, or of one on another host, stays."""
    host, alive = this_host(), current_owner().pid
    for name in (f"{host}-{NO_PROCESS}", f"{host}-{alive}", f"elsewhere-{NO_PROCESS}", "odd"):
        (work / "dask" / name).mkdir(parents=True)
    plan = look(ledger, work)
    gone = [each.paths[0].name for each in plan.going if each.kind == "dask"]
    assert gone == [f"{host}-{NO_PROCESS}"]
    assert [e.kind for e in look(ledger, work, Wish(JobSelection(story.NAME))).going] == [
        "work"
    ] * 3


def test_logs_of_ended_sessions_go(ledger: Ledger, work: Path) -> None:
    """The log of a live session stays; those of others go, with the folders that held them."""
    log = work / "campaigns" / story.NAME / "session-20260101T000000Z.log"
    log.parent.mkdir(parents=True)
    log.write_text("hello")
    held = ledger.write(lambda c: open_session(c, story.NAME, current_owner()))
    assert not [each for each in look(ledger, work).going if each.kind == "logs"]
    ledger.write(lambda c: close_session(c, held, "completed", "done"))
    for other in (JobSelection("other"), JobSelection(states=("error",))):
        assert not [each for each in look(ledger, work, Wish(other)).going if each.kind == "logs"]
    (found,) = [each for each in look(ledger, work).going if each.kind == "logs"]
    assert remove(found, ledger) is None
    assert not (work / "campaigns").exists()


def test_nothing_empty_is_left(ledger: Ledger, work: Path) -> None:
    """Folders of Dask and of bundles go with what was in them."""
    (work / "dask" / f"{this_host()}-{NO_PROCESS}").mkdir(parents=True)
    (work / "failed" / story.RUN / story.EASY).mkdir(parents=True)
    shutil.rmtree(work / story.RUN)
    (job,) = ledger.jobs_of(parse_dataset(story.LEFT))  # while it is to run its folders stay
    ledger.change_state(job.id, "cancelled", "by the operator")
    for each in look(ledger, work).going:
        assert remove(each, ledger) is None
    assert [*work.iterdir()] == []


def test_messages_of_finished_jobs_go_when_asked(
    ledger: Ledger, work: Path, tmp_path: Path
) -> None:
    """Message files of both styles go with --messages only; other files and jobs keep theirs."""
    folder = tmp_path / "out" / "messages"
    write_message(folder, "flat", "processed", story.EASY)
    write_message(folder, "folders", "processed", story.CLIMBS)
    write_message(folder, "flat", "error", story.BROKEN)
    (folder / "README").write_text("mine")
    assert "messages" not in {each.kind for each in look(ledger, work).going}
    plan = look(ledger, work, Wish(messages=True))
    for each in plan.going:
        assert remove(each, ledger) is None
    left = {path.name for path in folder.rglob("*") if path.is_file()}
    assert left == {"README", f"error-{story.BROKEN}"}


def test_nothing_of_others_is_touched(ledger: Ledger, work: Path, tmp_path: Path) -> None:
    """Folders that the ledger does not know, links and a folder that is not there are left."""
    (work / "mine" / "j8bt05njq").mkdir(parents=True)
    (work / story.RUN / "link").symlink_to(tmp_path)
    plan = look(ledger, work)
    every = {path for each in (*plan.going, *plan.staying) for path in each.paths}
    assert every == {work / story.RUN / dataset for dataset in story.EVERY}
    assert look(ledger, tmp_path / "absent") == CleanPlan((), ())
