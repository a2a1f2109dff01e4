"""The first page of a difference report: what changes, what was seen, what to do now."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from calib.campaigns.charts import memory_text, span_text
from calib.campaigns.page import Html, page, table
from calib.reprocessing.canary_records import CanaryDifference
from calib.reprocessing.difference_records import ChangedType, DifferenceReport
from calib.reprocessing.final_report import TITLES
from calib.reprocessing.page_parts import (
    NOTHING,
    STYLE,
    command,
    framed,
    joined,
    link,
    number,
    paragraph,
    reference,
    section,
    share,
    word,
)
from calib.reprocessing.selection import keyword_of

# What started it, in words.
TRIGGERS = {
    "context": "a new context",
    "list": "a list of datasets",
    "query": "a query",
    "reference": "a reference",
}

# Missing files that are named; the plan has all.
_MOST_MISSING = 20

# References of a type that are named on this page; report.json has more.
_MOST_PAIRS = 4


def index_page(report: DifferenceReport) -> str:
    """Return the first page of a difference report, as HTML."""
    title = f"Reprocessing {report.reprocessing.name}: before and after"
    return page(title, framed(_head(report, title), _body(report), _foot()), style=STYLE)


def _head(report: DifferenceReport, title: str) -> Iterator[str]:
    one = report.reprocessing
    yield f"<h1>{escape(title)}</h1>"
    change = f"{one.old_context} to {one.new_context}" if one.old_context else one.new_context
    why = TRIGGERS.get(one.trigger, one.trigger)
    yield paragraph(f"context {change}; because of {why}")
    yield paragraph(f"written {report.written_at[:19].replace('T', ' ')} UTC", "soft")


def _body(report: DifferenceReport) -> Iterator[str]:
    yield section("What to do now", _advice(report), key="now", kind=_kind(report))
    yield section("Canaries", _canaries(report), key="canaries")
    yield section("References that change", _types(report), key="types")
    yield section("What would run", _amount(report), key="amount")


def _foot() -> Iterator[str]:
    numbers = link("report.json", "report.json")
    yield paragraph(joined(["All numbers, for programs: ", numbers], ""))


def _kind(report: DifferenceReport) -> str:
    is_wrong = any(each.has_failed for each in report.canaries) or _missing(report)
    return "box warn" if is_wrong or not report.canaries else "box"


def _advice(report: DifferenceReport) -> Iterator[str]:
    name = shlex.quote(report.reprocessing.name)
    yield paragraph(_in_short(report))
    failed = [each.dataset for each in report.canaries if each.has_failed]
    if failed:
        named = ", ".join(failed[:5]) + (" ..." if len(failed) > 5 else "")  # noqa: PLR2004 - a line
        yield paragraph(f"Look at what failed first ({named}), and run the canaries again:")
        yield command(f"hstflow campaign report {name}-canary\nhstflow campaign canary {name}")
    if _missing(report):
        yield paragraph("Files of the new context are missing (below): nothing runs before.")
    # Canaries of later waves run when their inputs are there.
    waiting = any(each.state == "not run" and each.wave == 1 for each in report.canaries)
    if waiting or not report.canaries:
        yield paragraph("Run the canaries:")
        yield command(f"hstflow campaign canary {name}")
    yield from _decision(report, name)


def _decision(report: DifferenceReport, name: str) -> Iterator[str]:
    state = report.reprocessing.state
    if state not in {"planned", "canary", "review", "blocked"}:
        yield paragraph(f"It was decided: this reprocessing is {state}.")
        return
    yield paragraph(f"If the differences are what you expect, let {_datasets(report.to_run)} run:")
    yield command(f"hstflow campaign approve {name}\nhstflow campaign reprocess {name}")
    yield paragraph("If they are not, nothing runs, and nothing that is current changes:")
    yield command(f"hstflow campaign approve {name} --reject --note 'why'")


def _in_short(report: DifferenceReport) -> str:
    counts = Counter(each.verdict for each in report.canaries)
    said = ", ".join(f"{verdict}: {amount}" for verdict, amount in counts.items())
    shown = {(one.instrument, one.keyword) for one in report.types if one.canaries}
    types = f"{len(shown)} of {len(report.types)} changed types are shown by a canary"
    return f"{len(report.canaries)} canaries ({said or 'none chosen'}). {types}."


def _canaries(report: DifferenceReport) -> Iterator[str]:
    if not report.canaries:
        yield paragraph("No dataset was chosen to run first.")
        return
    yield paragraph(
        "Worst first. Numbers are of the science image that differs most, where it changed;"
        " 3 sigma is three times the error that the pixel had before.",
        "soft",
    )
    columns = (
        *("dataset", "verdict", "because of", "pixels changed", "median", "largest"),
        *("beyond 3 sigma", "flags gained", "lost"),
    )
    yield table(columns, map(_canary_row, report.canaries), columns[3:], title="Canaries")


def _canary_row(each: CanaryDifference) -> Sequence[str]:
    found = each.summary
    verdict = word(each.verdict, is_bad=each.has_failed, is_good=each.verdict == "no difference")
    first = (
        link(f"{each.dataset}.html", each.dataset),
        verdict,
        ", ".join(dict.fromkeys(map(keyword_of, each.changes))) or NOTHING,
    )
    if found is None:
        return (*first, *(NOTHING,) * 6)
    return (
        *first,
        share(found.changed),
        number(found.median),
        f"{number(found.largest)} {found.unit}".strip(),
        share(found.beyond),
        f"{found.gained:,}",
        f"{found.lost:,}",
    )


def _types(report: DifferenceReport) -> Iterator[str]:
    if not report.types:
        yield paragraph("No type of reference is known to change.")
        return
    columns = ("type", "before and after", "datasets", "left out", "canaries")
    rows = [_type_row(each) for each in report.types]
    yield table(columns, rows, ("datasets", "left out"), title="References that change")


def _type_row(each: ChangedType) -> Sequence[str]:
    named = [
        Html(
            f"<code>{escape(reference(pair.old))}</code> → "
            f"<code>{escape(reference(pair.new))}</code> ({pair.datasets:,})"
        )
        for pair in each.references[:_MOST_PAIRS]
    ]
    more = each.more_references + max(0, len(each.references) - _MOST_PAIRS)
    named += [Html(f"and {more:,} more")] if more else []
    canaries = joined(link(f"{name}.html", name) for name in each.canaries)
    stage2 = f" ({each.stage2_only:,} in stage 2 only)" if each.stage2_only else ""
    return (
        f"{each.instrument.upper()} {each.keyword}{stage2}",
        joined(named, "<br>"),
        f"{each.datasets:,}",
        f"{each.left_out:,}",
        canaries or word("none", is_bad=True),
    )


def _amount(report: DifferenceReport) -> Iterator[str]:
    totals: Counter[tuple[int, str]] = Counter()
    gone: Counter[tuple[int, str]] = Counter()
    for each in report.counts:
        key = (each.wave, each.instrument)
        totals[key] += each.number
        gone[key] += each.left_out
    yield paragraph(f"{_datasets(report.to_run)} in all.")
    rows = [
        (
            f"{wave}: {TITLES[wave]}",
            instrument.upper(),
            f"{totals[wave, instrument]:,}",
            f"{gone[wave, instrument]:,}",
        )
        for wave, instrument in sorted(totals)
    ]
    columns = ("wave", "instrument", "marked", "left out")
    yield table(columns, rows, ("marked", "left out"), title="Datasets by wave")
    if report.left_out:
        reasons = [(why, f"{amount:,}") for why, amount in report.left_out.items()]
        yield "<h3>Left out</h3>"
        yield table(("reason", "datasets"), reasons, ("datasets",), title="Left out")
    yield from _foreseen(report.reprocessing.foresight)


def _foreseen(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield what was predicted; of a plan that predicted nothing, that."""
    yield "<h3>Predicted</h3>"
    times = [
        (words, span_text(float(found[key])))
        for key, words in (("cpu_seconds", "of CPU"), ("wall_seconds", "until the last has ended"))
        if found.get(key)
    ]
    yield paragraph(
        "; ".join(f"{value} {words}" for words, value in times) or "Nothing was predicted."
    )
    rungs = found.get("rungs") or {}
    if rungs:
        rows = [(memory_text(float(size)), f"{int(n):,}") for size, n in rungs.items()]
        yield table(("memory", "datasets"), rows, ("datasets",), title="Memory")
    for key, words in (("missing_rules", "rules"), ("missing_references", "references")):
        names = [str(name) for name in found.get(key) or ()]
        if names:
            more = len(names) - _MOST_MISSING
            listed = ", ".join(names[:_MOST_MISSING]) + (f" and {more:,} more" if more > 0 else "")
            said = f"missing in the cache, {len(names):,} {words}: {listed}"
            yield paragraph(word(said, is_bad=True))


def _missing(report: DifferenceReport) -> bool:
    found = report.reprocessing.foresight
    return bool(found.get("missing_rules") or found.get("missing_references"))


def _datasets(amount: int) -> str:
    return "1 dataset" if amount == 1 else f"{amount:,} datasets"
