"""The loop of a campaign on a real ledger: what becomes of jobs whose workers do not say."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from databases import template
from distributed.scheduler import KilledWorker
from sqlalchemy import text

from calib.campaigns.retries import decide
from calib.errors import HstflowError, Unavailable
from calib.ids import parse_dataset
from calib.ledger.attempts import finish
from calib.ledger.campaigns import NewJob, enter_jobs, set_plan
from calib.ledger.ledger import Attempt, Ledger, Start, current_owner, open_ledger
from calib.records import Outcome
from calib.references.profile import CrdsProfile
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.job import Options
from calib.stages.planning import Request
from flows import backlog as backlogs
from flows import fanout, placement, session
from flows.backlog import Backlog
from flows.fanout import Order
from flows.interrupts import Endings
from flows.placement import GB, ClusterPlacement, HostPlacement, Offer, Placement
from flows.session import Loop
from flows.work import Work

__all__ = ["template"]

CONTEXT, NAME, DATASET = "hst_0001.pmap", "night", "j8bt05njq"
Behaviour = Callable[[Order, int], Any]


@dataclass
class Pool:
    """Workers that do with each order what a test says; its number is given, from 1.

    A future as the answer is the one that the campaign gets.
    """

    placement: Placement
    behave: Behaviour
    look: Callable[[], None] = lambda: None
    refresh: Callable[[], None] = lambda: None
    orders: list[Order] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def submit(self, order: Order) -> Future[Any]:
        """Take an order."""
        self.orders.append(order)
        self.times.append(time.monotonic())
        future: Future[Any] = Future()
        try:
            future.set_result(self.behave(order, len(self.orders)))
        except (KilledWorker, HstflowError) as error:
            future.set_exception(error)
        return future


class Frames:
    """No flow runs; the chunks that were closed."""

    def __init__(self) -> None:
        self.closed: list[int] = []

    def is_ready(self, _chunk: int) -> bool:
        """Return that nothing is waited for."""
        return True

    def frame(self, _chunk: int) -> None:
        """Return that stages are plain."""

    def note(self, _chunk: int, _outcome: Outcome | None) -> None:
        """Count nothing."""

    def close(self, chunk: int) -> None:
        """Note it."""
        self.closed.append(chunk)


class Campaign:
    """A campaign of one chunk in a ledger, and the loop that runs it."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self.ledger, self.frames = ledger, Frames()
        request = Request(
            source=f"file:{folder}",
            output="none",
            profile=CrdsProfile("onsite", "serverless", folder),
            work=str(folder / "work"),
            ledger=f"sqlite:///{folder / 'ledger.db'}",
            context=CONTEXT,
            campaign=NAME,
        )
        rungs = (2 * GB, 8 * GB)
        self.plan = CampaignPlan(request, "threads", stages="plain", rungs=rungs, delay_scale=0.0)
        self.beats: list[Callable[[], str]] = []

    def enter(self, **needs: dict[str, int]) -> None:
        """Enter datasets with their needs."""
        jobs = [NewJob(parse_dataset(name), **need) for name, need in needs.items()]
        self.ledger.write(lambda c: set_plan(c, NAME, context=CONTEXT, plan="{}"))
        self.ledger.write(
            lambda c: enter_jobs(c, NAME, jobs, run="r1", context=CONTEXT, chunk_size=100)
        )

    def begin(self, order: Order) -> Attempt:
        """Begin an attempt as a worker does."""
        job = order.job
        known = (job.campaign, job.id, job.run, job.context)
        start = Start(*known, is_supervised=True, attempts=job.attempts)
        return self.ledger.start(start, current_owner())

    def fail(self, order: Order, attempt: Attempt, name: str, code: int) -> Outcome:
        """Say the last word of an attempt that failed, as its worker does."""
        retry = decide(name, code, order.job.grant)
        end = Outcome(order.job.dataset, "error", name, error_class=name, code=code, retry=retry)
        self.ledger.write(lambda c: finish(c, attempt, end))
        return end

    def succeed(self, order: Order, _number: int = 0) -> Outcome:
        """Do all that a dataset needs."""
        end = Outcome(order.job.dataset, "processed", "published", run="r1", uri="file:/x")
        attempt = self.begin(order)
        self.ledger.write(lambda c: finish(c, attempt, end))
        return end

    def beat(self) -> str:
        """Return what the operator wants: the next thing that a test does, else to go on."""
        return self.beats.pop(0)() if self.beats else "run"

    def loop(self, room: Placement, behave: Behaviour, kind: type[Pool] = Pool) -> tuple[Pool, str]:
        """Run the campaign to its end."""
        pool = kind(room, behave)
        if isinstance(room, HostPlacement):
            pool.refresh = room.refresh
        todo = Backlog(self.ledger, self.ledger.ask(_campaign_id))
        heart = SimpleNamespace(beat=self.beat)
        loop = Loop(self.plan, Work(), self.ledger, todo, pool, self.frames, heart, Endings())
        return pool, loop.run()

    def job(self, dataset: str = DATASET) -> dict[str, Any]:
        """Return the row of a dataset."""
        query = "SELECT * FROM job WHERE dataset = :dataset"
        return dict(self.ledger.ask(lambda rows: rows(query, {"dataset": dataset}))[0])


def _campaign_id(rows: Any) -> int:
    return int(rows("SELECT id FROM campaign WHERE name = :name", {"name": NAME})[0]["id"])


@pytest.fixture
def campaign(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Campaign]:
    """Return a campaign whose loop does not rest."""
    monkeypatch.setattr(session, "NAP", 0.01)
    monkeypatch.setattr(session, "BEAT", 0.0)
    monkeypatch.setattr(backlogs, "POLL", 0.0)
    shutil.copy(template, tmp_path / "ledger.db")
    with open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        yield Campaign(ledger, tmp_path)


def host(**changes: Any) -> HostPlacement:
    """Return a host with room for all."""
    return replace(HostPlacement(64 * GB, 100 * GB, at_once=4), **changes)


def killed() -> KilledWorker:
    """Return what Dask says of a worker that died."""
    return KilledWorker("dataset", None, 1)


def test_lost_worker_costs_a_rung(campaign: Campaign) -> None:
    """A worker that dies without a word is a lack of memory, most likely."""
    campaign.enter(**{DATASET: {"memory": 2 * GB}})

    def behave(order: Order, number: int) -> Outcome:
        if number > 1:
            return campaign.succeed(order)
        attempt = campaign.begin(order)
        lost = "UPDATE attempt SET pid = 1, process_started = 1.0 WHERE id = :id"
        campaign.ledger.write(lambda c: c.execute(text(lost), {"id": attempt.id}))
        raise killed()

    pool, _ = campaign.loop(host(), behave)

    assert [order.job.grant.memory for order in pool.orders] == [2 * GB, 8 * GB]
    assert campaign.job()["state"] == "processed"
    assert campaign.frames.closed == [0]


@pytest.mark.parametrize("is_seen_at_work", [False, True])
def test_last_word_of_a_worker_goes_before_its_loss(
    campaign: Campaign, *, is_seen_at_work: bool
) -> None:
    """It closed the attempt as timed out, and was ended: more time is given, and no memory."""
    campaign.enter(**{DATASET: {"memory": 2 * GB}})

    def behave(order: Order, number: int) -> Outcome:
        if number > 1:
            return campaign.succeed(order)
        attempt = campaign.begin(order)
        if not is_seen_at_work:
            campaign.fail(order, attempt, "TimedOut", 137)
            raise killed()

        def say_late() -> str:
            campaign.fail(order, attempt, "TimedOut", 137)
            return "run"

        campaign.beats[:] = [say_late]
        raise killed()

    pool, _ = campaign.loop(host(), behave)

    second = pool.orders[1].job.grant
    assert (second.memory, second.time_scale, second.retries) == (2 * GB, 2.0, {"time": 1})
    assert campaign.job()["attempts"] == 2


def test_rest_that_a_last_word_asks_for_is_kept(campaign: Campaign) -> None:
    """A service was away and the worker is lost after that: the job waits all the same."""
    campaign.plan = replace(campaign.plan, delay_scale=0.005)  # of 60 s
    campaign.enter(**{DATASET: {}})

    def behave(order: Order, number: int) -> Outcome:
        if number > 1:
            return campaign.succeed(order)
        campaign.fail(order, campaign.begin(order), "Unavailable", 23)
        raise killed()

    pool, _ = campaign.loop(host(), behave)

    assert pool.times[1] - pool.times[0] >= 0.3


def test_result_that_does_not_come_over_is_found_in_the_ledger(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker died between its word and the fetching of it: the campaign goes on."""
    campaign.enter(**{DATASET: {}})
    monkeypatch.setattr(fanout, "FETCH_LIMIT", 0.01)

    class Reported(Future[Any]):
        def add_done_callback(self, call: Callable[[Future[Any]], object]) -> None:
            call(self)

    class Silent(Pool):
        def submit(self, order: Order) -> Future[Any]:
            super().submit(order)
            return Reported()

    campaign.loop(host(), campaign.succeed, Silent)

    assert campaign.job()["state"] == "processed"


def test_ledger_that_is_away_when_a_job_is_made_ends_nothing(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is put back, and started once the ledger answers."""
    campaign.enter(**{DATASET: {}})
    failures, real = [Unavailable("the ledger is away")], session.job_of

    def job_of(*given: Any) -> Any:
        if failures:
            raise failures.pop()
        return real(*given)

    monkeypatch.setattr(session, "job_of", job_of)
    pool, _ = campaign.loop(host(), campaign.succeed)

    assert (len(pool.orders), campaign.job()["attempts"]) == (1, 1)


def test_job_that_lacks_disk_waits_for_it(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Disk may become free: the job is looked at again, and runs then, in its first attempt."""
    campaign.plan = replace(campaign.plan, delay_scale=0.001)  # of 60 s
    campaign.enter(**{DATASET: {"disk": 50 * GB}})
    free = [1 * GB, 1 * GB, 100 * GB]

    def usage(_path: Path) -> Any:
        return SimpleNamespace(free=free.pop(0) if len(free) > 1 else free[0])

    monkeypatch.setattr(placement.shutil, "disk_usage", usage)
    monkeypatch.setattr(session, "SWEEP", 0.0)
    campaign.loop(host(disk=1 * GB, folder=tmp_path), campaign.succeed)

    assert (campaign.job()["state"], campaign.job()["attempts"]) == ("processed", 1)


def test_disk_that_never_comes_is_no_lack_of_memory(campaign: Campaign) -> None:
    """It ends as a work folder that has no room, after the table's three more looks."""
    campaign.enter(**{DATASET: {"disk": 50 * GB}})

    pool, _ = campaign.loop(host(disk=1 * GB), campaign.succeed)

    row = campaign.job()
    assert pool.orders == []
    assert (row["state"], row["error_class"], row["code"]) == ("error", "Unavailable", 25)
    assert "50 GB of disk; the most that the work folder can give is 1 GB" in row["reason"]


def test_memory_that_no_host_has_is_refused_at_once(campaign: Campaign) -> None:
    """Waiting brings no memory."""
    campaign.enter(**{DATASET: {"memory": 500 * GB}})

    campaign.loop(host(), campaign.succeed)

    row = campaign.job()
    assert (row["error_class"], row["code"], row["retries"]) == ("OutOfMemory", 32, None)


def test_end_that_no_worker_tells_is_announced(campaign: Campaign, tmp_path: Path) -> None:
    """The session writes the message file and the bundle of a job that it ends itself."""
    options = Options(messages="flat")
    request = replace(campaign.plan.request, options=options)
    campaign.plan = replace(campaign.plan, request=request)
    campaign.enter(**{DATASET: {"memory": 500 * GB}})

    campaign.loop(host(), campaign.succeed)

    said = [path.read_text() for path in tmp_path.rglob(f"error-{DATASET}*")]
    assert len(said) == 1
    assert "500 GB of memory" in said[0]
    assert list(tmp_path.rglob("failed/**/*.json"))


def test_others_go_on_while_a_large_worker_is_away(campaign: Campaign) -> None:
    """A job that waits for it ends neither, nor keeps more than 64 others from starting."""
    small = [f"j8b1{a}{b}{c}{d}q" for a in "abc" for b in "abc" for c in "abc" for d in "abc"]
    campaign.enter(**{DATASET: {"memory": 8 * GB}}, **{name: {"memory": 2 * GB} for name in small})
    cluster = ClusterPlacement((), ahead=2, patience=600.0)
    cluster.see([Offer(1, 8 * GB), Offer(1, 2 * GB)], 0.0)
    cluster.see([Offer(1, 2 * GB)], 30.0)

    def behave(order: Order, number: int) -> Outcome:
        if number == len(small):
            campaign.beats[:] = [lambda: "pause"]
        return campaign.succeed(order)

    pool, wanted = campaign.loop(cluster, behave)

    assert (len(pool.orders), wanted) == (len(small), "pause")
    assert campaign.job()["state"] == "submitted"
