"""Sessions of campaigns of no-op stages, each in a process of its own, as operators start them."""

from __future__ import annotations

import itertools
import os
import string
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from calib.campaigns.manifest import entries_of
from calib.ledger.campaigns import set_control
from calib.ledger.ledger import open_ledger
from calib.ledger.reports import states_in
from calib.simulate.observatory import Observatory
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.enrolment import enrol
from calib.stages.planning import Request

ROOT = Path(__file__).parents[1]
NAME = "night"

SCRIPT = """
import logging, sys
from flows.private_server import set_defaults
set_defaults()

def main():
    from flows.campaign import resume_campaign
    from flows.work import Work
    logging.basicConfig(level="WARNING", stream=sys.stderr)
    name, ledger, runner, stages = sys.argv[1:]
    if stages:
        work = Work(plain="tests.noop_stages:PLAIN", tasks="tests.noop_tasks:TASKS")
    else:
        work = Work()
    result = resume_campaign(name, ledger, runner=runner or None, work=work)
    print("RESULT", result.outcome, result.message)

if __name__ == "__main__":
    main()
"""


def names(number: int) -> list[str]:
    """Return names of exposures."""
    letters = itertools.product(string.ascii_lowercase + string.digits, repeat=4)
    return [f"j8b1{''.join(each)}q" for each in itertools.islice(letters, number)]


def wait_for(what: Callable[[], bool], message: str, seconds: float = 60.0) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {message}"
        time.sleep(0.05)


class Sessions:
    """A campaign in a ledger of its own, and the processes that work on it.

    Parameters
    ----------
    observatory
        Where its context comes from.
    server
        The variables that point at Prefect's server.
    folder
        Where everything is.
    ledger
        Its URL; None: a SQLite file in the folder.
    """

    def __init__(
        self,
        observatory: Observatory,
        server: dict[str, str],
        folder: Path,
        ledger: str | None = None,
    ) -> None:
        self.observatory, self.folder = observatory, folder
        self.ledger = ledger or f"sqlite:///{folder / 'ledger.db'}"
        ours = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
        self.environment = {
            **ours,
            **{k: v for k, v in server.items() if k.startswith("PREFECT_")},
            **observatory.environ,
            "PYTHONPATH": str(ROOT),
            "HSTFLOW_LEDGER": self.ledger,
            "HSTFLOW_WORK": str(folder / "work"),
        }
        self.request = Request(
            source=f"file:{observatory.raws}",
            output="none",
            profile=observatory.profile,
            work=str(folder / "work"),
            ledger=self.ledger,
            context=observatory.contexts[0],
            campaign=NAME,
        )

    def enrol(self, datasets: list[str], **how: Any) -> CampaignPlan:
        """Enter the campaign in the ledger."""
        options = replace(self.request.options, faults=how.pop("faults", ()))
        request = replace(self.request, options=options, output=how.pop("output", "none"))
        plan = CampaignPlan(request, **{"workers": 2, "stages": "plain", "delay_scale": 0.0} | how)
        return enrol(plan, entries_of(datasets)).plan

    def start(self, runner: str = "", *, noop: bool = True) -> subprocess.Popen[str]:
        """Start a session."""
        script = self.folder / "session_script.py"
        script.write_text(SCRIPT)
        return subprocess.Popen(
            [sys.executable, str(script), NAME, self.ledger, runner, "noop" if noop else ""],
            env=self.environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, runner: str = "", *, noop: bool = True, seconds: float = 120) -> str:
        """Run a session to its end; return all that it says."""
        return ended(self.start(runner, noop=noop), seconds)

    def states(self) -> list[str]:
        """Return the states of the datasets."""
        return list(self.rows_by_name().values())

    def rows_by_name(self) -> dict[str, str]:
        """Return the state of each dataset."""
        with open_ledger(self.ledger) as ledger:
            return ledger.ask(lambda rows: states_in(rows, NAME))

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Ask the ledger."""
        with open_ledger(self.ledger) as ledger:
            return list(ledger.ask(lambda rows: rows(query, {})))

    def control(self, wanted: str) -> None:
        """Say what the operator wants."""
        with open_ledger(self.ledger) as ledger:
            ledger.write(lambda c: set_control(c, NAME, wanted))

    def set_memory(self, dataset: str, memory: int) -> None:
        """Grant a dataset another memory than was predicted."""
        from sqlalchemy import text

        change = text("UPDATE job SET memory = :memory WHERE dataset = :dataset")
        with open_ledger(self.ledger) as ledger:
            ledger.write(lambda c: c.execute(change, {"memory": memory, "dataset": dataset}))


def ended(child: subprocess.Popen[str], seconds: float = 120) -> str:
    """Wait for the end of a session; return all that it said."""
    with child:
        try:
            out, err = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
            err += f"\nDID NOT END within {seconds:g} s"
    return out + err


def running(command: list[str], environment: dict[str, str], log: Path) -> Iterator[Any]:
    """Run a process as long as a fixture lives."""
    with log.open("wb") as out:
        child = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        try:
            yield child
        finally:
            child.terminate()
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
