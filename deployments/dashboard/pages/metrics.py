"""Figures of the ledger for Prometheus: campaigns, states, errors, signs of life, stages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from calib.errors import HstflowError
from calib.ledger.campaign_overview import Overview, overview_of
from calib.ledger.campaign_reports import at_work, campaigns, errors_by_class
from calib.ledger.reports import Rows
from calib.ledger.states import STATES
from deployments.dashboard.digests import Digest, Look, look_later
from deployments.dashboard.reader import NoLedger

if TYPE_CHECKING:
    from deployments.dashboard.app import Desk

# A label's values are kept for ever by who collects them: the latest campaigns, and the errors
# that most datasets ended in; the rest is counted as `other`.
CAMPAIGNS = 20
ERRORS = 20
OTHER = "other"


@dataclass(frozen=True)
class Figures:
    """What is told of one campaign; `oldest` is the age of the oldest sign of life, seconds."""

    overview: Overview
    errors: dict[str, int]
    oldest: float | None
    digest: Digest | None


class LedgerCollector:
    """Gives the figures of campaigns as metrics; None: the ledger cannot be read."""

    def __init__(self, figures: Sequence[Figures] | None) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield _gauge("hstflow_info", "The version that serves this", ("version",), [_INFO])
        is_up = self._figures is not None
        yield _gauge("hstflow_ledger_up", "Whether the ledger can be read", (), [((), is_up)])
        found = self._figures or ()
        yield from _states(found)
        yield from _work(found)
        yield from _costs(found)


_INFO = ((version("hstflow"),), 1.0)


def figures_of(rows: Rows, look: Look) -> list[Figures]:
    """Return the figures of the latest campaigns."""
    found = campaigns(rows)[-CAMPAIGNS:]
    now = datetime.now(UTC)
    return [
        Figures(
            overview_of(rows, each),
            _most(errors_by_class(rows, each.id)),
            _oldest([one.heartbeat_at for one in at_work(rows, each.id)], now),
            look(rows, each),
        )
        for each in found
    ]


def metrics_text(figures: Sequence[Figures] | None) -> bytes:
    """Return the figures in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(LedgerCollector(figures))
    return generate_latest(registry)


def answer_metrics(desk: Desk, _request: Request) -> Response:
    """Answer who collects metrics; a ledger that is away is a figure too."""

    def make() -> bytes:
        return metrics_text(desk.look(lambda rows: figures_of(rows, _look(desk))))

    try:
        found = desk.kept.get("metrics", make)
    except NoLedger:
        found = metrics_text(())
    except HstflowError:
        found = metrics_text(None)
    return Response(found, media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _look(desk: Desk) -> Look:
    return lambda rows, campaign: look_later(desk, rows, campaign)


def _states(found: Sequence[Figures]) -> Iterator[Metric]:
    counts = [
        ((each.overview.campaign.name, state), each.overview.campaign.counts.get(state, 0))
        for each in found
        for state in STATES
    ]
    yield _gauge("hstflow_jobs", "Datasets by state", ("campaign", "state"), counts)
    errors = [
        ((each.overview.campaign.name, kind), number)
        for each in found
        for kind, number in each.errors.items()
    ]
    said = "Datasets that rest in error, by class"
    yield _gauge("hstflow_errors", said, ("campaign", "class"), errors)


def _work(found: Sequence[Figures]) -> Iterator[Metric]:
    by_name = {each.overview.campaign.name: each for each in found}
    live = {name: each.overview.is_live for name, each in by_name.items()}
    rates = {name: (each.overview.rate or 0.0) / 60 for name, each in by_name.items()}
    left = {name: each.overview.seconds_left for name, each in by_name.items()}
    oldest = {name: each.oldest for name, each in by_name.items()}
    for name, said, values in (
        ("hstflow_campaign_live", "Whether a process is at work on it", live),
        ("hstflow_campaign_rate", "Datasets that come to an end per second", rates),
        ("hstflow_campaign_left_seconds", "How long the rest takes at this rate", left),
        ("hstflow_oldest_heartbeat_seconds", "Age of the oldest sign of life at work", oldest),
    ):
        samples = [((key,), value) for key, value in values.items() if value is not None]
        yield _gauge(name, said, ("campaign",), samples)


def _costs(found: Sequence[Figures]) -> Iterator[Metric]:
    counted = [(each.overview.campaign.name, each.digest.report) for each in found if each.digest]
    attempts = [((name,), report.attempts) for name, report in counted]
    said = "Attempts, as counted last"
    yield _gauge("hstflow_attempts", said, ("campaign",), attempts)
    stages = [(name, stage) for name, report in counted for stage in report.stages]
    labels = ("campaign", "stage")
    for name, said, values in (
        ("hstflow_stage_wall_seconds", "Wall clock of all runs", [s.total_wall for _, s in stages]),
        ("hstflow_stage_cpu_seconds", "CPU of all runs", [s.total_cpu for _, s in stages]),
        ("hstflow_stage_done", "Runs that did the work", [s.done for _, s in stages]),
        ("hstflow_stage_failed", "Runs that failed", [s.failed for _, s in stages]),
    ):
        samples = [((key, s.stage), value) for (key, s), value in zip(stages, values, strict=True)]
        yield _gauge(name, said, labels, samples)


def _gauge(
    name: str,
    said: str,
    labels: Sequence[str],
    samples: Sequence[tuple[tuple[str, ...], float]],
) -> GaugeMetricFamily:
    made = GaugeMetricFamily(name, said, labels=labels)
    for values, value in samples:
        made.add_metric(values, float(value))
    return made


def _most(errors: dict[str, int]) -> dict[str, int]:
    """Return the classes that most ended in, and the others together."""
    ordered = sorted(errors.items(), key=lambda item: -item[1])
    kept = dict(ordered[:ERRORS])
    rest = sum(number for _, number in ordered[ERRORS:])
    return kept | {OTHER: rest} if rest else kept


def _oldest(times: Sequence[str], now: datetime) -> float | None:
    if not times:
        return None
    return max(0.0, (now - datetime.fromisoformat(min(times))).total_seconds())
