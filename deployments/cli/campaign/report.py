"""`hstflow campaign report`: how a campaign went."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.markup import escape

from calib.campaigns.remedies import next_steps
from calib.errors import ConfigError
from calib.ledger.campaign_overview import LIVE_STATES
from calib.ledger.campaign_reports import LEFT, campaigns, failures_of
from calib.ledger.reprocessing_reports import holder
from calib.reprocessing import life
from deployments.cli.campaign.lookup import find_campaign, reading
from deployments.cli.campaign.status import tell_steps
from deployments.cli.console import Flag, err, out, print_json
from deployments.cli.tables import print_rows

if TYPE_CHECKING:
    from calib.campaigns.report import CampaignReport
    from calib.ledger.campaign_reports import Campaign, Failure
    from calib.ledger.cost_summaries import Spread
    from calib.ledger.reports import Rows
    from calib.ledger.reprocessing_reports import Reprocessing
    from calib.reprocessing.final_report import FinalReport


def report(
    name: str,
    /,
    *,
    html: Path | None = None,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    datasets: Literal["all", "failed", "none"] = "failed",
    others: Annotated[int, Parameter(validator=Number(gte=0))] = 200,
    replace: Flag = False,
    json: Flag = False,
) -> int:
    """Say how a campaign went: states, failures, retries, memory, what each stage cost.

    It may still be running. Of a reprocessing it says first what became of each wave, what was
    left out, and who decided what.

    --html writes one page of charts, to mail or print. -o writes the pages of the dashboard, with
    datasets, errors, pictures and references: open its index.html, no server is needed. Neither
    has scripts or asks anybody for anything.

    Examples: `hstflow campaign report night`, `hstflow campaign report night --html night.html`,
    `hstflow campaign report night -o night.zip --datasets all`.

    Parameters
    ----------
    name
        The campaign.
    html
        Write a page into this file.
    output
        Write the dashboard's pages into this new folder, or file that ends in .zip.
    datasets
        With -o: datasets that have a page. `failed`: all that failed and some others.
    others
        With -o: how many others have a page beside those that failed, the first by name.
    replace
        Take the place of a page or folder of an earlier report.
    json
        Write JSON to stdout; with -o it tells what was written.
    """
    if output is not None:
        if html is not None:
            raise ConfigError("one report at a time", expected="--html or -o")
        from deployments.cli.campaign.report_site import write_site

        return write_site(name, output, datasets, others, replace=replace, json=json)
    from calib.campaigns.report import report_of
    from calib.reprocessing.final_report import final_report_of, find_reprocessing

    with reading() as rows:
        one = find_reprocessing(rows, name)
        whole = None if one is None else final_report_of(rows, one)
        further = [] if one is None else _further(rows, one)
        # A reprocessing may have no campaign of its own name yet, or never.
        if whole is not None and not campaigns(rows, name):
            return _report_alone(whole, further, html, replace=replace, json=json)
        campaign = find_campaign(rows, name)
        found = report_of(rows, campaign)
        failures = failures_of(rows, campaign.id)
        steps = _steps(campaign, found, failures, further if one else None)
    if html is not None:
        _write_page(html, _page(found, steps, whole), replace=replace)
    if json:
        print_json(_as_json(found, steps) | _reprocessing_json(whole))
    elif html is None:
        _print(found, steps, whole)
    else:
        out.print(f"{escape(str(html))}: written", soft_wrap=True)
    return 0


def _page(found: CampaignReport, steps: list[str], whole: FinalReport | None) -> str:
    from calib.campaigns.report_page import report_page
    from calib.reprocessing.final_page import final_parts

    return report_page(found, steps, () if whole is None else tuple(final_parts(whole)))


def _further(rows: Rows, one: Reprocessing) -> list[str]:
    """Return the commands that may come next for a reprocessing, but for this one."""
    steps = life.next_steps(one, is_held=holder(rows, one.id) is not None)
    return [step for step in steps if not step.startswith("hstflow campaign report ")]


def _report_alone(
    whole: FinalReport, steps: list[str], html: Path | None, *, replace: bool, json: bool
) -> int:
    """Report a reprocessing none of whose datasets has begun to run but its canaries."""
    if html is not None:
        from calib.reprocessing.final_page import final_page

        _write_page(html, final_page(whole, steps), replace=replace)
    if json:
        print_json(_reprocessing_json(whole) | {"next": steps})
    elif html is None:
        _print_reprocessing(whole)
        tell_steps(steps)
    else:
        out.print(f"{escape(str(html))}: written", soft_wrap=True)
    return 0


def _reprocessing_json(whole: FinalReport | None) -> dict[str, Any]:
    if whole is None:
        return {}
    content = asdict(whole)
    # It holds addresses, and has its place in the ledger.
    del content["reprocessing"]["plan"]
    return {"reprocessing": content}


def _print_reprocessing(whole: FinalReport) -> None:
    from calib.reprocessing.final_report import final_words

    out.print(f"[bold]reprocessing {escape(whole.reprocessing.name)}[/bold]")
    for line in final_words(whole):
        out.print(escape(line), soft_wrap=True)
    if whole.reprocessing.report:
        out.print(f"before and after: {escape(whole.reprocessing.report)}", soft_wrap=True)
    gone = [
        (e.reason, str(e.wave), f"{e.datasets:,}", ", ".join(e.examples)) for e in whole.left_out
    ]
    columns = ("left out because", "wave", "datasets", "such as")
    _print_table(columns, gone, right=("wave", "datasets"))
    failed = [
        (f"{each.number:,}", wave.campaign, each.error_class or each.state, each.dataset)
        for wave in whole.waves
        for each in wave.failures
    ]
    _print_table(("failed", "campaign", "class", "first"), failed, right=("failed",))
    steps = [
        (step.at[:19].replace("T", " "), step.to_state, step.who, step.note or "")
        for step in whole.steps
    ]
    _print_table(("time (UTC)", "became", "who", "why"), steps)


def _steps(
    campaign: Campaign,
    found: CampaignReport,
    failures: Sequence[Failure],
    further: list[str] | None = None,
) -> list[str]:
    """Return the commands that go on from here: a reprocessing has its own (`further`)."""
    name = shlex.quote(campaign.name)
    if further is not None:
        return next_steps(campaign.name, failures) + further
    if found.state in LIVE_STATES:
        return [f"hstflow campaign watch {name}"]
    left = sum(campaign.counts.get(state, 0) for state in LEFT)
    first = [f"hstflow campaign resume {name}   # {left:,} left"] if left and campaign.plan else []
    return first + next_steps(campaign.name, failures)


def _write_page(target: Path, page: str, *, replace: bool) -> None:
    from calib.stores.new_file import new_file, newer_file

    try:
        with newer_file(target) if replace else new_file(target) as part:
            part.write_text(page, encoding="utf-8")
    except FileExistsError as error:
        message = "the file exists: name another one, or say --replace"
        raise ConfigError(message, path=target) from error
    except OSError as error:
        raise ConfigError(f"the page cannot be written: {error}", path=target) from error


def _as_json(found: CampaignReport, steps: list[str]) -> dict[str, Any]:
    return {**asdict(found), "seconds": found.seconds, "next": steps}


def _print(found: CampaignReport, steps: list[str], whole: FinalReport | None) -> None:
    from calib.campaigns.report_words import prediction_words, summary_words

    if whole is not None:
        _print_reprocessing(whole)
        out.print()
    out.print(f"[bold]campaign {escape(found.name)}[/bold]")
    for line in summary_words(found):
        out.print(escape(line), soft_wrap=True)
    _print_failures(found)
    for line in prediction_words(found):
        out.print(escape(line), soft_wrap=True)
    _print_ladder(found)
    _print_stages(found)
    _print_slowest(found)
    _print_sessions(found)
    for step in steps:
        err.print(escape(step), soft_wrap=True)


def _print_failures(found: CampaignReport) -> None:
    columns = ("failed", "state", "class", "code", "examples", "reason of the first")
    rows = [
        (
            f"{f.number:,}",
            f.state,
            f.error_class or "",
            _text(f.code),
            ", ".join(f.examples),
            f.reason or "",
        )
        for f in found.failures
    ]
    _print_table(columns, rows, right=("failed", "code"))
    again = [(f"{r.number:,}", r.error_class or "", _text(r.code)) for r in found.retried]
    _print_table(("tried again", "class", "code"), again, right=("tried again", "code"))


def _print_ladder(found: CampaignReport) -> None:
    from calib.campaigns.report_words import ladder_words

    if any(rung.memory for rung in found.rungs):
        numbers = ("began here", "attempts", "finished", "too small", "highest peak")
        _print_table(("rung", *numbers), ladder_words(found), right=numbers)


def _print_stages(found: CampaignReport) -> None:
    counts = ("runs", "reused", "failed")
    columns = [
        f"{what} {of}" for what in ("wall s", "CPU s", "peak MB") for of in ("med", "95%", "max")
    ]
    rows = [
        (
            *(each.stage, f"{each.done:,}", f"{each.reused:,}", f"{each.failed:,}"),
            *(*_cells(each.wall, 1), *_cells(each.cpu, 1), *_cells(each.peak_rss, 1e6)),
        )
        for each in found.stages
    ]
    _print_table(("stage", *counts, *columns), rows, right=(*counts, *columns))


def _print_slowest(found: CampaignReport) -> None:
    columns = ("slowest", "attempt", "outcome", "s", "peak MB", "mostly in")
    rows = [
        (
            *(each.dataset, str(each.attempt), each.outcome or "at work", f"{each.seconds:,.1f}"),
            *("" if each.peak_rss is None else f"{each.peak_rss / 1e6:,.0f}", each.stage or ""),
        )
        for each in found.slowest
    ]
    _print_table(columns, rows, right=("attempt", "s", "peak MB"))


def _print_sessions(found: CampaignReport) -> None:
    from calib.campaigns.report_words import session_words

    columns = ("session began (UTC)", "who", "ended (UTC)", "outcome", "message")
    _print_table(columns, [session_words(each) for each in found.sessions])


def _print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: tuple[str, ...] = ()
) -> None:
    if rows:
        out.print()
        print_rows(out, columns, rows, right=right)


def _cells(spread: Spread | None, unit: float) -> tuple[str, ...]:
    if spread is None:
        return ("", "", "")
    digits = 2 if unit == 1 else 0
    return tuple(f"{v / unit:,.{digits}f}" for v in (spread.median, spread.high, spread.most))


def _text(value: object) -> str:
    return "" if value is None else str(value)
