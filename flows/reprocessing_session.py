"""One process that takes a reprocessing on, from wherever it stands to where it waits or ends.

All that is known lies in the ledger, so its name is enough to go on, in any process, after any
crash. Each step does what the state asks for and moves the state on when that is done; a step
that is done twice does nothing the second time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from calib.campaigns.manifest import entries_of
from calib.errors import ConfigError
from calib.ledger.campaign_reports import (
    JobSelection,
    campaigns,
    failures_of,
    find_jobs,
)
from calib.ledger.campaigns import Changes, rescue_jobs
from calib.ledger.ledger import Ledger
from calib.ledger.reprocessing_names import campaigns_of
from calib.ledger.reprocessing_reports import Mark, Reprocessing, history, reprocessings, state_of
from calib.ledger.reprocessing_states import ENDED
from calib.ledger.reprocessings import Overtaken, advance, fence, leave_out, set_canaries
from calib.ledger.rows import rows_of
from calib.references.profile import CrdsProfile
from calib.reprocessing.arrivals import Guard, awaited_by
from calib.reprocessing.canaries import canaries_of
from calib.reprocessing.choosing import choose_anew
from calib.reprocessing.guard import operational_context, what_is_missing
from calib.reprocessing.life import (
    WAVES,
    Approval,
    Canaries,
    Result,
    campaign_of_canary,
    canary_plan,
    counts_of,
    ended_text,
    plan_for,
    said_of,
    stood_at,
    unfinished,
    wave_plan,
    what_stays,
)
from calib.reprocessing.people import this_person
from calib.reprocessing.waves import runnable, wave_of
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.recording import ledger_of
from calib.stages.workplaces import REPROCESSINGS
from flows.campaign import STAGES, submit_campaign
from flows.reprocessing_hold import Heart, holding
from flows.work import Work

if TYPE_CHECKING:
    from sqlalchemy import Connection

log = logging.getLogger(__name__)

LOOK = 2.0  # seconds between two looks for a decision
REPORT = "differences"

# What people read beside the state `approved`.
_AUTOMATIC = "approved unasked (--yes): every canary ended well"


def _write_report(ledger: str, reprocessing: Reprocessing, folder: Path) -> Path:
    from calib.reprocessing.differences import write_difference_report  # NumPy and pictures

    return write_difference_report(ledger, reprocessing, folder)


@dataclass(frozen=True)
class Parts:
    """What a reprocessing does its steps with; the defaults are the real ones.

    Attributes
    ----------
    work
        The stages of its campaigns.
    choose
        Chooses the canaries.
    report
        Writes the difference report: URL of the ledger, reprocessing, folder.
    missing
        Says what a context needs and the cache has not: :func:`what_is_missing`.
    operational
        Says which context is operational now.
    kinds
        Of datasets that engines make.
    """

    work: Work = STAGES
    choose: Callable[[Sequence[Mark]], list[str]] = canaries_of
    report: Callable[[str, Reprocessing, Path], Path] = _write_report
    missing: Guard = what_is_missing
    operational: Callable[[CrdsProfile], str | None] = operational_context
    kinds: Collection[str] | None = None


def run_reprocessing(
    name: str,
    ledger: str,
    *,
    approval: Approval = "ask",
    canaries: Canaries | None = None,
    parts: Parts | None = None,
) -> Result:
    """Take a reprocessing from wherever it stands to where it must wait, or ends.

    Parameters
    ----------
    name, ledger
        The reprocessing, and the URL of the ledger that knows it.
    approval
        At the review: ``ask`` returns, for whoever called to ask; ``yes`` goes on where every
        canary ended well; ``wait`` waits for a decision in the ledger.
    canaries
        Refuse a reprocessing that is approved already; with names, these datasets run first.
    parts
        What to do it with.

    Returns
    -------
    Result
        How far it came, and why it stands there.

    Raises
    ------
    ConfigError
        There is no such reprocessing, a campaign of its cannot run, or it is too late for
        canaries.
    InOtherHands
        Another live process has it in its hands.
    Unavailable
        The ledger does not answer.
    Interrupted
        Another process has taken it over.
    KeyboardInterrupt, SystemExit
        A person or the system stopped us; the same call goes on.
    """
    with holding(name, ledger) as heart:
        if canaries is not None:
            choice = partial(choose_anew, name=name, datasets=canaries.names, who=this_person())
            ledger_of(ledger).write(choice)
        return Life(name, ledger, heart, parts or Parts()).run(approval)


def open_again(name: str, ledger: str) -> None:
    """Take a reprocessing up again that was finished or cancelled.

    What is finished in it stays so. Where it was cancelled, the datasets that were cancelled in
    its campaigns, canaries too, are submitted again. Those that failed are submitted by
    ``campaign rescue``; visits and skycells that waited for them are looked at again. One that is
    not at its end stays as it is: the call before was stopped.

    Raises
    ------
    ConfigError
        There is no such reprocessing, or it was rejected.
    """
    books = ledger_of(ledger)
    state = reprocessing_of(books, name).state
    if state not in ENDED:
        return
    target = {"finished": "running", "cancelled": "planned"}.get(state)
    if target is None:
        expected = "one that is finished or cancelled"
        raise ConfigError("it cannot be taken up again", expected=expected, found=state)

    def take_up(c: Connection) -> None:
        advance(c, name, target, who=this_person(), note="taken up again", seen=state)
        if state == "cancelled":
            for each in campaigns_of(name):
                _submit_again(c, JobSelection(each, ("cancelled",)), "it is taken up again")

    books.write(take_up)


def reprocessing_of(ledger: Ledger, name: str) -> Reprocessing:
    """Return a reprocessing as it is now.

    Raises
    ------
    ConfigError
        There is no such reprocessing.
    """
    found = ledger.ask(lambda rows: reprocessings(rows, name))
    if not found:
        raise ConfigError("there is no such reprocessing", found=name)
    return found[0]


def _submit_again(connection: Connection, selection: JobSelection, why: str) -> None:
    numbers = [job.id for job in find_jobs(rows_of(connection), selection)]
    rescue_jobs(connection, numbers, why, Changes())


class Life:
    """The steps of a reprocessing that this process holds."""

    def __init__(self, name: str, url: str, heart: Heart, parts: Parts) -> None:
        self.name, self.url, self.heart, self.parts = name, url, heart, parts
        self.ledger = ledger_of(url)
        self._approval: Approval = "ask"
        self._seen = "planned"  # the state that the step of now acts on
        self._steps: dict[str, Callable[[Reprocessing], Result | None]] = {
            "planned": self._begin,
            "blocked": self._unblock,
            "canary": self._canary,
            "review": self._review,
            "approved": self._start,
            "running": self._run_waves,
        }

    def run(self, approval: Approval) -> Result:
        """Do step after step, until one has to wait or there is none."""
        self._approval = approval
        while True:
            self.heart.check()
            found = reprocessing_of(self.ledger, self.name)
            step = self._steps.get(found.state)
            self._seen = found.state
            try:
                result = self._ended(found) if step is None else step(found)
            except Overtaken as error:
                log.info("%s", error)
                continue
            if result is not None:
                return result

    def _begin(self, found: Reprocessing) -> Result | None:
        todo = self._to_run(found)
        if not todo:
            return self._finish(found)
        if (why := self._missing(found)) is not None:
            return self._block(found, why)
        if not any(mark.is_canary for mark in todo):
            # Visits and skycells have no inputs on the new context yet.
            names = self.parts.choose([mark for mark in todo if mark.wave == WAVES[0]])
            held = self.heart.held
            self.ledger.write(lambda c: set_canaries(c, self.name, names, held=held))
        return self._advance("canary")

    def _unblock(self, found: Reprocessing) -> Result | None:
        if (why := self._missing(found)) is not None:
            return self._block(found, why)
        before = stood_at(self.ledger.ask(lambda rows: history(rows, found.id)))
        return self._advance(before, "what was missing is there")

    def _canary(self, found: Reprocessing) -> Result | None:
        todo = self._to_run(found)
        if (why := self._missing(found)) is not None:
            return self._block(found, why)
        names = [mark.dataset for mark in todo if mark.is_canary and mark.wave == WAVES[0]]
        if not names:
            return self._advance("review", "there is no canary")
        plan = canary_plan(found, self.url)
        if (stop := self._campaign(found, plan, names)) is not None:
            return stop
        return self._advance("review", self._canary_text(found.name), self._write_report(found))

    def _canary_text(self, name: str) -> str:
        counts = self._counts_of_campaign(campaign_of_canary(name))
        return f"{sum(counts.values())} canaries: {said_of(counts)}"

    def _write_report(self, found: Reprocessing) -> str:
        work = Path(plan_for(found, found.name, self.url).request.work).absolute()
        folder = work / REPROCESSINGS / found.name / REPORT
        folder.parent.mkdir(parents=True, exist_ok=True)
        return str(self.parts.report(self.url, found, folder))

    def _review(self, found: Reprocessing) -> Result | None:
        bad = unfinished(self._counts_of_campaign(campaign_of_canary(found.name)))
        if self._approval == "yes" and not bad:
            return self._advance("approved", _AUTOMATIC)
        if self._approval == "wait":
            self._wait()
            return None
        why = f"{bad} canaries failed: " if bad else ""
        message = f"{why}{found.reason or 'the canaries ran'}; it waits for approval"
        return Result("review", message, self._counts(found), found.report)

    def _wait(self) -> None:
        while self.ledger.ask(lambda rows: state_of(rows, self.name)) == "review":
            self.heart.check()
            time.sleep(LOOK)

    def _start(self, found: Reprocessing) -> Result | None:
        if (why := self._missing(found)) is not None:
            return self._block(found, why)
        return self._advance("running")

    def _run_waves(self, found: Reprocessing) -> Result | None:
        for number in WAVES:
            self.heart.check()
            kinds = self.parts.kinds
            wave = self.ledger.ask(partial(wave_of, found=found, number=number, kinds=kinds))
            for dataset, why in wave.left_out.items():
                log.info("%s: %s", dataset, f"left out, {why}" if why else "not left out any more")
            if wave.left_out:
                reasons, held = wave.left_out, self.heart.held
                self.ledger.write(partial(leave_out, name=self.name, reasons=reasons, held=held))
            if not wave.datasets:
                continue
            plan = wave_plan(found, number, self.url)
            if (stop := self._campaign(found, plan, wave.datasets)) is not None:
                return stop
        return self._finish(found)

    def _finish(self, found: Reprocessing) -> Result | None:
        """End it, and say so where the archive has moved on meanwhile."""
        plan = plan_for(found, found.name, self.url)
        now = self.parts.operational(plan.request.profile)
        text = ended_text(found, self._counts(found), now)
        stays = self.ledger.ask(lambda rows: what_stays(rows, found))
        return self._advance("finished", "; ".join((text, *stays)))

    def _ended(self, found: Reprocessing) -> Result:
        counts = self._counts(found)
        failed = found.state == "finished" and unfinished(counts)
        outcome = "failed" if failed else found.state
        return Result(outcome, found.reason or found.state, counts, found.report)

    def _campaign(
        self, found: Reprocessing, plan: CampaignPlan, names: Sequence[str]
    ) -> Result | None:
        """Run one of its campaigns; return why it did not come to its end."""
        if self.ledger.ask(lambda rows: state_of(rows, self.name)) == "cancelled":
            return self._ended(reprocessing_of(self.ledger, self.name))
        waited = JobSelection(plan.name, states=("blocked",))
        self.ledger.write(lambda c: _submit_again(c, waited, "the reprocessing goes on"))
        entries, work = entries_of(names), self.parts.work
        result = submit_campaign(plan, entries, work=work, reprocessing=self.name)
        if result.outcome == "cancelled":
            return self._advance("cancelled", f"campaign {plan.name} was cancelled")
        if result.outcome == "paused":
            message = f"campaign {plan.name} is paused"
            paused = Result("paused", message, self._counts(found), found.report)
            return self._advance(found.state, message) or paused
        if number := result.counts.get("blocked", 0):
            first = self._first_blocked(plan.name)
            why = f"{number} of {sum(result.counts.values())} datasets of {plan.name}: {first}"
            return self._block(found, why)
        return None

    def _first_blocked(self, campaign: str) -> str:
        number = self.ledger.ask(lambda rows: campaigns(rows, campaign))[0].id
        failures = self.ledger.ask(lambda rows: failures_of(rows, number))
        return next((str(each.reason) for each in failures if each.state == "blocked"), "blocked")

    def _missing(self, found: Reprocessing) -> str | None:
        return awaited_by(self.ledger, found, self.parts.missing)

    def _block(self, found: Reprocessing, why: str) -> Result:
        blocked = Result("blocked", why, self._counts(found), found.report)
        return self._advance("blocked", why) or blocked

    def _advance(
        self, state: str, note: str | None = None, report: str | None = None
    ) -> Result | None:
        """Move on; the next step is that of the new state. Where there is none, return the end.

        Raises
        ------
        Overtaken
            A person has decided something else meanwhile: what is true now comes next.
        """
        self.heart.check()
        move = partial(advance, name=self.name, state=state, who=this_person(), seen=self._seen)

        def write(c: Connection) -> None:
            fence(c, self.heart.held)
            move(c, note=note, report=report)

        self.ledger.write(write)
        self._seen = state
        log.info("%s: %s%s", self.name, state, f" ({note})" if note else "")
        return self._ended(reprocessing_of(self.ledger, self.name)) if state in ENDED else None

    def _to_run(self, found: Reprocessing) -> list[Mark]:
        return self.ledger.ask(lambda rows: runnable(rows, found, kinds=self.parts.kinds))

    def _counts(self, found: Reprocessing) -> dict[str, int]:
        return self.ledger.ask(lambda rows: counts_of(rows, found))

    def _counts_of_campaign(self, name: str) -> dict[str, int]:
        found = self.ledger.ask(lambda rows: campaigns(rows, name))
        return dict(found[0].counts) if found else {}
