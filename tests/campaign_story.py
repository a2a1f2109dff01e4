"""The story of a small campaign, told to a ledger: a climb, a failure, one cancelled, one left."""

from __future__ import annotations

import json
from typing import Any

from calib.cost_model import Features
from calib.grants import Grant, Retry
from calib.ids import parse_dataset
from calib.ledger.campaigns import NewJob, enter_jobs, set_plan
from calib.ledger.ledger import Attempt, Ledger, StageMetrics, current_owner
from calib.ledger.predictions import record_features
from calib.ledger.sessions import close_session, open_session
from calib.records import Outcome

GB = 10**9
NAME, RUN, CONTEXT = "night", "r1", "hst_1.pmap"
EASY, CLIMBS, BROKEN = "j8bt05njq", "j8bt05nkq", "jbxx01abq"
CANCELLED, LEFT = "la8q99030", "la8q99040"
EVERY = (EASY, CLIMBS, BROKEN, CANCELLED, LEFT)
FEATURES = Features(2, 20.5, 0, 1, 2, 0, 1, 0, 0)


def tell(ledger: Ledger, *, output: str = "file:/o", name: str = NAME) -> dict[str, int]:
    """Write the story down; return the number of each dataset's job.

    `EASY` is processed on 2 GB at once, `CLIMBS` on 8 GB after 2 were not enough, `BROKEN` is
    an error, `CANCELLED` was, and `LEFT` has not begun.
    """
    ledger.ensure_run(
        RUN, context=CONTEXT, engine="native", engine_version="1", parameters={}, output=output
    )
    plan = json.dumps({"rungs": [2 * GB, 8 * GB], "request": {"output": output}})
    wanted = [NewJob(parse_dataset(each), memory=2 * GB) for each in EVERY]
    ledger.write(lambda c: set_plan(c, name, context=CONTEXT, plan=plan))
    ledger.write(lambda c: enter_jobs(c, name, wanted, run=RUN, context=CONTEXT, chunk_size=500))
    session = ledger.write(lambda c: open_session(c, name, current_owner()))
    numbers = _numbers(ledger, name)
    for each in EVERY[:3]:
        ledger.change_state(numbers[each], "submitted", "to be run")
    ledger.change_state(numbers[CANCELLED], "cancelled", "not wanted | any\nmore")
    work(ledger, numbers[EASY], GB, Outcome(EASY, "processed", "published", uri=place(EASY)))
    climb = Retry("memory", "next rung, 8 GB", 0.0, Grant(memory=8 * GB, retries={"memory": 1}))
    starved = Outcome(CLIMBS, "error", "2 GB were not enough", 31, "OutOfMemory", retry=climb)
    work(ledger, numbers[CLIMBS], 2 * GB, starved)
    work(
        ledger,
        numbers[CLIMBS],
        5 * GB,
        Outcome(CLIMBS, "processed", "published", uri=place(CLIMBS)),
    )
    broken = Outcome(BROKEN, "error", f"{BROKEN}_raw.fits: [cut] short", 22, "CorruptFile")
    work(ledger, numbers[BROKEN], GB, broken)
    ledger.write(lambda c: close_session(c, session, "failed", "2 of 5 failed"))
    return numbers


def place(dataset: str) -> str:
    """Return where a dataset's products are."""
    return f"file:///o/runs/{RUN}/acs/{dataset}"


def work(ledger: Ledger, job: int, peak: int, outcome: Outcome) -> Attempt:
    """Tell of one attempt of two stages, the second with this peak of memory."""
    attempt = ledger.begin_attempt(job, current_owner())
    ledger.write(lambda c: record_features(c, attempt, FEATURES))
    end = "error" if outcome.error_class else "done"
    for stage, state, wall, memory in (
        ("fetch", "done", 0.5, GB // 10),
        ("calibrate", end, 8.0, peak),
    ):
        metrics = StageMetrics(wall, wall / 2, peak_rss=memory, bytes_in=1_000, bytes_out=10)
        ledger.close_stage(ledger.open_stage(attempt, stage), state, metrics=metrics)
    ledger.finish_attempt(attempt, outcome)
    return attempt


def _numbers(ledger: Ledger, name: str) -> dict[str, int]:
    query = "SELECT dataset, id FROM jobs WHERE campaign = :name"
    rows: list[dict[str, Any]] = ledger.ask(lambda ask: ask(query, {"name": name}))
    return {row["dataset"]: row["id"] for row in rows}
