"""The end of a reprocessing: what became of each wave, and how it got there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from calib.ledger.campaign_overview import failed_in, state_of
from calib.ledger.campaign_reports import Campaign, Failure, campaigns, failures_of
from calib.ledger.published_contexts import elsewhere, elsewhere_text
from calib.ledger.reports import Rows
from calib.ledger.reprocessing_names import campaigns_of
from calib.ledger.reprocessing_reports import (
    Mark,
    MarkCount,
    Reprocessing,
    SeenContext,
    Step,
    history,
    mark_counts,
    marks,
    reprocessings,
    seen_contexts,
)
from calib.ledger.reprocessing_states import ENDED
from calib.records import utc_now

TITLES = ("canaries", "exposures and associations", "visits", "skycells")

# Datasets that are named for each reason.
_EXAMPLES = 5


@dataclass(frozen=True)
class WaveReport:
    """What became of a wave.

    Attributes
    ----------
    wave, title
        0 is the canaries, which are of later waves, too.
    campaign, state
        What ran it, and how that stands; None where there was none.
    marked, left_out
        Datasets of the wave, and those of them that are not run.
    counts
        Jobs of its campaign by state.
    finished, failed
        How many need nothing more, and how many ended without a result.
    failures
        By class, the most frequent first.
    """

    wave: int
    title: str
    campaign: str
    state: str | None
    marked: int
    left_out: int
    counts: dict[str, int]
    finished: int
    failed: int
    failures: tuple[Failure, ...]

    @property
    def missing(self) -> int:
        """How many datasets that were to run have not ended."""
        return max(0, self.marked - self.left_out - self.finished - self.failed)


@dataclass(frozen=True)
class LeftOut:
    """Datasets that are not run for one reason; some are named."""

    reason: str
    wave: int
    datasets: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class FinalReport:
    """How a reprocessing went, as the ledger has it.

    Attributes
    ----------
    reprocessing
        As it is now.
    written_at
        ISO 8601, UTC.
    waves
        Those that have a dataset or a campaign.
    left_out
        Reasons, the most frequent first.
    steps
        What happened to it, oldest first.
    meanwhile
        Contexts that became operational somewhere between its beginning and its end, and that
        it did not run on.
    elsewhere
        How many datasets are current on other contexts now, by those; nothing changed for them,
        or they failed, were left out, or were published meanwhile.
    """

    reprocessing: Reprocessing
    written_at: str
    waves: tuple[WaveReport, ...]
    left_out: tuple[LeftOut, ...]
    steps: tuple[Step, ...]
    meanwhile: tuple[SeenContext, ...]
    elsewhere: Mapping[str, int] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """How many datasets ended without a result; the canaries ran for the other waves."""
        return sum(each.failed for each in self.waves if each.wave)

    @property
    def finished(self) -> int:
        """How many datasets need nothing more."""
        return sum(each.finished for each in self.waves if each.wave)


def find_reprocessing(rows: Rows, name: str) -> Reprocessing | None:
    """Return the reprocessing of a name; None where there is none."""
    return next(iter(reprocessings(rows, name)), None)


def final_report_of(rows: Rows, reprocessing: Reprocessing) -> FinalReport:
    """Read how a reprocessing went; it need not have ended."""
    counts = mark_counts(rows, reprocessing.id)
    names = campaigns_of(reprocessing.name)
    found = (_wave(rows, each, wave, counts) for wave, each in enumerate(names))
    return FinalReport(
        reprocessing=reprocessing,
        written_at=utc_now(),
        waves=tuple(each for each in found if each.marked or each.state),
        left_out=_left_out(rows, reprocessing.id) if any(c.left_out for c in counts) else (),
        steps=tuple(history(rows, reprocessing.id)),
        meanwhile=_meanwhile(rows, reprocessing),
        elsewhere=elsewhere(rows, reprocessing.new_context) if reprocessing.old_context else {},
    )


def final_words(report: FinalReport) -> Iterator[str]:
    """Yield what became of a reprocessing, in lines for people."""
    one = report.reprocessing
    change = f"from {one.old_context} to {one.new_context}" if one.old_context else one.new_context
    reason = f": {one.reason}" if one.reason else ""
    yield f"now {one.state}{reason}"
    yield f"context {change}; {report.finished:,} datasets finished, {report.failed:,} failed"
    for each in report.meanwhile:
        when = each.seen_at[:19].replace("T", " ")
        yield (
            f"context {each.context} became operational at {each.source} meanwhile"
            f" (seen {when} UTC); this ran on {one.new_context}"
        )
    if report.elsewhere:
        yield elsewhere_text(report.elsewhere, one.new_context)
    for wave in report.waves:
        yield wave_words(wave)


def wave_words(wave: WaveReport) -> str:
    """Return what became of a wave in one line."""
    said = [f"{wave.finished:,} of {wave.marked:,} finished"]
    said += [f"{wave.failed:,} failed"] if wave.failed else []
    said += [f"{wave.left_out:,} left out"] if wave.left_out else []
    said += [f"{wave.missing:,} still to run"] if wave.missing else []
    state = f", {wave.state}" if wave.state else ", not begun"
    return f"{wave.title} (campaign {wave.campaign}{state}): {', '.join(said)}"


def _wave(rows: Rows, name: str, wave: int, counts: list[MarkCount]) -> WaveReport:
    mine = [each for each in counts if (each.wave == wave if wave else each.is_canary)]
    campaign: Campaign | None = next(iter(campaigns(rows, name)), None)
    return WaveReport(
        wave=wave,
        title=TITLES[wave],
        campaign=name,
        state=None if campaign is None else state_of(campaign),
        marked=sum(each.number for each in mine),
        left_out=sum(each.left_out for each in mine),
        counts={} if campaign is None else dict(campaign.counts),
        finished=0 if campaign is None else campaign.finished,
        failed=0 if campaign is None else failed_in(campaign),
        failures=() if campaign is None else tuple(failures_of(rows, campaign.id)),
    )


def _left_out(rows: Rows, number: int) -> tuple[LeftOut, ...]:
    gone = [mark for mark in marks(rows, number) if mark.left_out is not None]
    counts = Counter((str(mark.left_out), mark.wave) for mark in gone)
    return tuple(
        LeftOut(reason, wave, number, _examples(gone, reason, wave))
        for (reason, wave), number in sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    )


def _examples(gone: list[Mark], reason: str, wave: int) -> tuple[str, ...]:
    named = [mark.dataset for mark in gone if (mark.left_out, mark.wave) == (reason, wave)]
    return tuple(named[:_EXAMPLES])


def _meanwhile(rows: Rows, one: Reprocessing) -> tuple[SeenContext, ...]:
    end = one.updated_at if one.state in ENDED else utc_now()
    return tuple(
        each
        for each in seen_contexts(rows)
        if one.created_at < each.seen_at <= end
        and each.context not in {one.new_context, one.old_context}
    )
