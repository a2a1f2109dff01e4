"""How a planned reprocessing is shown: for people, and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from deployments.cli.campaign.show import span_text
from deployments.cli.console import count_text
from deployments.cli.tables import print_rows

if TYPE_CHECKING:
    from rich.console import Console

    from calib.reprocessing.foresight import Foresight
    from calib.reprocessing.planning import Planned

# Names and reasons that are shown; the others are counted, and all are in the JSON.
_FIRST = 5


def plan_json(planned: Planned, entered: str | None) -> dict[str, Any]:
    """Return a plan as JSON; `entered` is the reprocessing that the ledger has of it now."""
    asked = planned.asked
    return {
        "name": asked.name,
        "old_context": asked.old,
        "new_context": asked.new,
        "trigger": asked.trigger,
        "origin": dict(asked.origin),
        "entered": entered == asked.name,
        "existing": None if entered in {None, asked.name} else entered,
        "foresight": dataclasses.asdict(planned.foresight),
        "datasets": [
            {
                "dataset": each.dataset.name,
                "kind": each.dataset.kind,
                "instrument": each.dataset.instrument,
                "wave": each.wave,
                "is_canary": each.is_canary,
                "changes": dict(each.changes),
                "left_out": each.left_out,
            }
            for each in planned.marks
        ],
    }


def show_plan(
    planned: Planned, entered: str | None, console: Console, *, is_dry: bool, quiet: bool
) -> None:
    """Print a plan: counts, time, memory, what is missing, and the next command."""
    if not quiet:
        console.print(escape(_title(planned)), soft_wrap=True)
        if planned.foresight.types:
            _print_types(planned.foresight, console)
        for title, text in _lines(planned):
            console.print(f"  {title:12}  {escape(text)}", soft_wrap=True)
    for line in _last(planned, entered, is_dry=is_dry):
        console.print(escape(line), soft_wrap=True)


def _title(planned: Planned) -> str:
    asked, found = planned.asked, planned.foresight
    way = f"{asked.old} -> {asked.new}" if asked.old else f"on {asked.new}"
    run = "all would run" if found.to_run == found.datasets else f"{found.to_run:,} would run"
    return f"{asked.name}: {way}, {count_text(found.datasets, 'dataset')}, {run}"


def _print_types(found: Foresight, console: Console) -> None:
    columns = ["  instrument", "type", "datasets"]
    rows = [[f"  {e.instrument}", e.keyword, f"{e.datasets:,}"] for e in found.types]
    if any(each.stage2_only for each in found.types):
        columns.append("stage 2 only")
        for row, each in zip(rows, found.types, strict=True):
            row.append(f"{each.stage2_only:,}" if each.stage2_only else "")
    print_rows(console, columns, rows, right=tuple(columns[2:]))


def _lines(planned: Planned) -> Iterator[tuple[str, str]]:
    """Yield titles and texts of what there is to say."""
    found, plan = planned.foresight, planned.asked.plan
    yield "by kind", ", ".join(f"{kind} {number:,}" for kind, number in found.kinds.items())
    if found.stage2_only:
        amount = count_text(found.stage2_only, "dataset")
        yield "stage 2 only", f"{amount}: drizzled products change, calibrated ones do not"
    if found.to_run:
        work = f"{span_text(found.cpu_seconds)} of work"
        yield "time", f"{work}, {span_text(found.wall_seconds)} on {plan.workers} workers"
        sizes = (f"{int(rung) / 1e9:g} GB {number:,}" for rung, number in found.rungs.items())
        yield "memory", ", ".join(sizes) or "not limited"
    canaries = [each.dataset.name for each in planned.marks if each.is_canary]
    if canaries:
        yield "canaries", f"{len(canaries):,}: {_some(canaries)}"
    if found.missing_rules:
        yield "no rules", f"{len(found.missing_rules):,}: {_some(found.missing_rules)}"
    if found.missing_references:
        missing = found.missing_references
        yield "missing", f"{count_text(len(missing), 'reference')}: {_some(missing)}"
    for reason, number in found.left_out.items():
        yield "left out", f"{number:,}: {reason}"
    if found.strange:
        named = [f"{name} ({why})" for name, why in found.strange.items()]
        yield "not known", f"{len(named):,}: {_some(named)}"


def _some(names: Any) -> str:
    every = list(names)
    more = f" and {len(every) - _FIRST:,} more" if len(every) > _FIRST else ""
    return ", ".join(every[:_FIRST]) + more


def _last(planned: Planned, entered: str | None, *, is_dry: bool) -> Iterator[str]:
    asked, found = planned.asked, planned.foresight
    if not found.datasets:
        yield "nothing to do: no dataset is affected; nothing was written"
    elif is_dry:
        yield "nothing was written"
    elif entered != asked.name:
        yield (
            f"nothing was written: {entered} is the reprocessing from {asked.old} to {asked.new};"
            f" where it stands: `hstflow campaign status {entered}`"
        )
    else:
        if found.missing_rules or found.missing_references:
            yield _of_missing(planned)
        yield f"planned; next: `hstflow campaign canary {asked.name}`, then"
        yield f"`hstflow campaign reprocess {asked.name}` for all that is left"


def _of_missing(planned: Planned) -> str:
    asked, names = planned.asked, planned.foresight.missing_references
    if not asked.plan.request.profile.can_fill:
        return (
            "what is missing cannot be fetched into this cache: it is awaited, nothing runs before"
        )
    command = f"hstflow context sync {asked.new}"
    if names:
        listed = ",".join(names) if len(names) <= _FIRST else "@FILE"
        command += f" --references {listed}"
    return f"what is missing is fetched before the canaries; or now: `{command}`"
