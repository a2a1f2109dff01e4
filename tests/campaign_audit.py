"""What must be true of a campaign that has ended, however it was disturbed.

Each check returns what is wrong, one line each, so that a test shows all of it at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from calib.fitsfile.comparison import compare_fits
from calib.ledger.reading import open_reader
from calib.ledger.states import TRANSITIONS
from calib.preview.comparison import compare_descriptions

# States that a campaign leaves a job in.
_ENDS = frozenset({"processed", "error", "skipped", "blocked", "cancelled"})


def ask(url: str, query: str, **values: Any) -> list[dict[str, Any]]:
    """Return rows of the ledger; none before there is one."""
    with open_reader(url) as rows:
        return rows(query, values) if rows else []


def wrong_ends(url: str, campaign: str, expected: Mapping[str, str]) -> list[str]:
    """Compare the state of each dataset, with its error class, with what is expected."""
    query = """
        SELECT job.dataset AS dataset, job.state AS state, job.error_class AS error_class,
          job.reason AS reason
        FROM job JOIN campaign ON campaign.id = job.campaign_id WHERE campaign.name = :name
    """
    found = {row["dataset"]: row for row in ask(url, query, name=campaign)}
    wrong = [f"{name}: not in the ledger" for name in expected if name not in found]
    for name, row in found.items():
        error = f" {row['error_class']}" if row["state"] == "error" else ""
        end = f"{row['state']}{error}"
        if end != expected.get(name):
            wrong.append(f"{name}: {end} ({row['reason']}), expected {expected.get(name)}")
    return wrong


def wrong_history(url: str) -> list[str]:
    """Follow every job from planned to its end: connected, legal, ended once, all closed."""
    wrong = []
    for job in ask(url, "SELECT id, dataset, state, attempts FROM job"):
        steps = ask(url, _STEPS, job=job["id"])
        tries = ask(url, _TRIES, job=job["id"])
        found = [*_wrong_steps(job, steps), *_wrong_attempts(job, tries, steps)]
        wrong += [f"{job['dataset']}: {line}" for line in found]
    return wrong + _left_open(url)


_STEPS = """
SELECT from_state, to_state, attempt_id, at, reason FROM transition WHERE job_id = :job ORDER BY id
"""
_TRIES = """
SELECT id, number, outcome, started_at, ended_at FROM attempt WHERE job_id = :job ORDER BY number
"""


def _wrong_steps(job: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> list[str]:
    wrong = []
    if (steps[0]["from_state"], steps[0]["to_state"]) != (None, "planned"):
        wrong.append("its history does not begin with planned")
    for before, after in pairwise(steps):
        if after["from_state"] != before["to_state"]:
            wrong.append(f"{before['to_state']} is followed by a change of {after['from_state']}")
        if after["to_state"] not in TRANSITIONS[after["from_state"]]:
            wrong.append(f"{after['from_state']} became {after['to_state']}")
    if steps[-1]["to_state"] != job["state"]:
        wrong.append(f"it is {job['state']}, and its history ends with {steps[-1]['to_state']}")
    ends = [step["to_state"] for step in steps if step["to_state"] in _ENDS]
    if len(ends) != 1:
        wrong.append(f"it has ended {len(ends)} times: {', '.join(ends)}")
    return wrong


def _wrong_attempts(
    job: Mapping[str, Any],
    tries: Sequence[Mapping[str, Any]],
    steps: Sequence[Mapping[str, Any]],
) -> list[str]:
    wrong = []
    if [each["number"] for each in tries] != list(range(1, job["attempts"] + 1)):
        wrong.append(f"it counts {job['attempts']} attempts of {len(tries)}")
    wrong += [f"attempt {each['number']} is open" for each in tries if each["ended_at"] is None]
    good = [each["number"] for each in tries if each["outcome"] in {"processed", "skipped"}]
    if len(good) != int(job["state"] == "processed"):
        wrong.append(f"{job['state']}, and good were the attempts {good}")
    begun = Counter(step["attempt_id"] for step in steps if step["to_state"] == "processing")
    if begun != Counter(each["id"] for each in tries):
        wrong.append("an attempt began without a transition, or twice")
    for before, after in pairwise(tries):
        if before["ended_at"] and before["ended_at"] > after["started_at"]:
            wrong.append(f"attempts {before['number']} and {after['number']} overlap")
    return wrong


def _left_open(url: str) -> list[str]:
    stages = "SELECT stage, attempt_id FROM stage_run WHERE state = 'running' OR ended_at IS NULL"
    sessions = "SELECT id FROM campaign_session WHERE ended_at IS NULL"
    return [
        *(f"{row['stage']} of attempt {row['attempt_id']} is open" for row in ask(url, stages)),
        *(f"session {row['id']} is open" for row in ask(url, sessions)),
    ]


def wrong_publications(url: str, expected: Sequence[str]) -> list[str]:
    """Insist on one publication of each dataset, in one run, which is current."""
    wrong = []
    published = Counter(row["dataset"] for row in ask(url, "SELECT dataset FROM publication"))
    if published != Counter(expected):
        wrong.append(f"publications: {published - Counter(expected)} too many")
        wrong.append(f"publications: {Counter(expected) - published} are missing")
    current = Counter(row["dataset"] for row in ask(url, "SELECT dataset FROM current_run"))
    if current != Counter(expected):
        wrong.append(f"current: {len(current)} datasets, expected {len(expected)}")
    if len(ask(url, "SELECT name FROM run")) != 1:
        wrong.append("there is not one run")
    return wrong


def other_products(expected: Path, found: Path) -> list[str]:
    """Compare two folders of publications, file by file; dates may differ."""
    names = {path.relative_to(expected).as_posix() for path in expected.rglob("*.*")}
    others = {path.relative_to(found).as_posix() for path in found.rglob("*.*")}
    wrong = [f"{name}: in one of them only" for name in sorted(names ^ others)]
    both = sorted(names & others)
    changed = [name for name in both if not _is_same(expected / name, found / name)]
    return wrong + [f"{name}: differs" for name in changed]


def _is_same(expected: Path, found: Path) -> bool:
    if expected.suffix == ".fits":
        compared = compare_fits(expected, found)
        return not any(each.cards or each.data or each.form for each in compared)
    if "previews/" in expected.as_posix() and expected.suffix == ".json":
        return not compare_descriptions(expected, found)
    if "previews/" in expected.as_posix():
        return expected.read_bytes() == found.read_bytes()
    return True  # logs and manifests tell times and hosts


def scratch_left(work: Path, finished: Sequence[str]) -> list[str]:
    """Return what is left in a work folder of finished datasets and of killed processes."""
    hidden = [path for path in work.rglob(".*") if path.is_dir()]
    left = [path for path in hidden if path.name != ".staging" or any(path.iterdir())]
    left += [path for name in finished for path in work.glob(f"*/{name}")]
    left += [path for path in work.rglob("*") if path.suffix == ".part"]
    left += list(work.glob("dask/*"))
    return [str(path.relative_to(work)) for path in left]
