"""`hstflow archive prune`: old versions removed, never the only copy."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, validators
from rich.markup import escape

from calib.errors import ARCHIVE, DONE
from calib.ledger.location import ledger_url
from calib.ledger.reading import open_reader
from deployments.cli.console import (
    Flag,
    Several,
    count_text,
    err,
    expand_names,
    out,
    print_json,
    size_text,
)
from deployments.cli.progress import counted
from deployments.cli.tables import cell, plain_table, time_text

if TYPE_CHECKING:
    from calib.ledger.versions import Version
    from calib.repository.pruning import Pruned, PrunePlan

# Longest table for people; --json has all.
_ROWS = 100

_NUMBERS = ("files", "size")
_COLUMNS = (*_NUMBERS, "published (UTC)")


def prune(
    *runs: str,
    dataset: Several = None,
    replaced: Flag = False,
    older_than: Annotated[float | None, Parameter(validator=validators.Number(gte=0))] = None,
    obsolete: Flag = False,
    yes: Flag = False,
    json: Flag = False,
) -> int:
    """Remove old versions of datasets. Without --yes only show what would go, and what stays.

    A version stays where it is current, in a chain or a tag, where a job is at work on its
    dataset, or where no current or newer version has all its products.
    With --yes the version that stays is read and compared with its checksums first. Files that
    are not the archive's (ingested in-place) are never touched: only their rows go. Rows of
    what went stay for lineage. Exit code 25 where something could not be removed.

    Parameters
    ----------
    runs
        All versions in these runs, or @FILE with one name a line.
    dataset
        Only this dataset: names, commas or @FILE; may be repeated.
    replaced
        Every version that is not current.
    older_than
        Only versions published more than this many days ago.
    obsolete
        Also the last copies of products that the version that stays declares to be gone: it
        was made in a way that does not make them.
    yes
        Do it.
    json
        Write JSON to stdout.
    """
    from calib.repository.pruning import PrunePlan, Selection, plan_prune

    before = None if older_than is None else datetime.now(UTC) - timedelta(days=older_than)
    names, datasets = tuple(expand_names(runs)), tuple(expand_names(dataset or ()))
    selection = Selection(names, datasets, replaced, before, obsolete)
    with open_reader(ledger_url(os.environ)) as rows:
        plan = PrunePlan((), ()) if rows is None else plan_prune(rows, selection)
    done = _prune(plan) if yes else None
    if json:
        print_json(_as_json(plan, done))
    elif done is None:
        _show_plan(plan)
    else:
        _show_done(plan, done)
    return ARCHIVE if any(not each.is_gone for each in done or ()) else DONE


def _prune(plan: PrunePlan) -> list[Pruned]:
    from calib.ledger.ledger import open_ledger
    from calib.repository.pruning import prune as prune_planned

    with open_ledger(ledger_url(os.environ)) as ledger:
        return [*counted(prune_planned(plan, ledger), "versions", len(plan.going))]


def _as_json(plan: PrunePlan, done: Sequence[Pruned] | None) -> dict[str, Any]:
    going = [
        {**asdict(each.version), "keeper": each.keeper.run if each.keeper else None}
        for each in plan.going
    ]
    staying = [{**asdict(each.version), "why": each.why} for each in plan.staying]
    found: dict[str, Any] = {"dry_run": done is None, "going": going, "staying": staying}
    if done is not None:
        found["removed"] = [asdict(each.version) for each in done if each.is_gone]
        found["failed"] = [
            {**asdict(each.version), "why": each.why} for each in done if not each.is_gone
        ]
    return {**found, "bytes": plan.freed if done is None else _freed(done)}


def _show_plan(plan: PrunePlan) -> None:
    if plan.going:
        table = plain_table("would go", *_COLUMNS, "stays instead", right=_NUMBERS)
        for each in plan.going[:_ROWS]:
            keeper = (
                f"{each.keeper.run}, to be verified" if each.keeper else "only rows go: not ours"
            )
            table.add_row(*_cells(each.version), escape(keeper))
        out.print(table)
        _say_more(len(plan.going))
    _show_staying([(each.version, each.why) for each in plan.staying], "stays")
    count = len(plan.going)
    gone = f"{count_text(count, 'version')}, {size_text(plan.freed)}"
    said = f"{gone} would go, {len(plan.staying)} stay"
    out.print(f"{said}: --yes does it" if count else "nothing to do", soft_wrap=True)


def _show_done(plan: PrunePlan, done: Sequence[Pruned]) -> None:
    _show_staying([(each.version, each.why) for each in plan.staying], "stays")
    failed = [(each.version, each.why) for each in done if not each.is_gone]
    _show_staying(failed, "[red]could not go[/red]")
    gone = len(done) - len(failed)
    said = f"{count_text(gone, 'version')} removed, {size_text(_freed(done))} freed"
    out.print(f"{said}; {len(plan.staying) + len(failed)} stay" if done else "nothing to do")


def _show_staying(found: Sequence[tuple[Version, str]], title: str) -> None:
    if not found:
        return
    table = plain_table(title, *_COLUMNS, "why", right=_NUMBERS)
    for version, why in found[:_ROWS]:
        table.add_row(*_cells(version), escape(why))
    out.print(table)
    _say_more(len(found))


def _say_more(count: int) -> None:
    if count > _ROWS:
        err.print(f"{count - _ROWS} more: --json shows all")


def _cells(version: Version) -> tuple[str, str, str, str]:
    size = size_text(version.size) if version.is_ours else ""
    when = time_text(version.published_at)
    return cell(f"{version.run}/{version.dataset}"), str(version.files), size, when


def _freed(done: Sequence[Pruned]) -> int:
    return sum(each.version.size for each in done if each.is_gone and each.version.is_ours)
