"""`hstflow context diff`: what differs between two contexts."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from rich.markup import escape

from calib.errors import DONE
from calib.references.changes import ContextChanges, TypeChange
from deployments.cli.console import Flag, count_text, out, print_json
from deployments.cli.tables import print_rows


def diff(
    old: str,
    new: str,
    /,
    *,
    references: Flag = False,
    profile: str | None = None,
    json: Flag = False,
) -> int:
    """Show what differs between two contexts: types, rules and references.

    Exposures that were taken before the date under "since" keep their references.

    Parameters
    ----------
    old, new
        Contexts, such as hst_0728.pmap.
    references
        Name the references that are new and that are gone.
    profile
        onsite, offsite, cloud, or a TOML file; by default HSTFLOW_PROFILE, else what CRDS_PATH
        and CRDS_SERVER_URL say, else offsite.
    json
        Write JSON to stdout.
    """
    from calib.references.comparison import context_changes
    from calib.references.context import resolve_context
    from calib.references.profile import load_profile
    from tasks.settings import load_settings

    place = load_profile(profile or load_settings().profile, os.environ)
    changes = context_changes(place, *(resolve_context(name, place) for name in (old, new)))
    if json:
        print_json(_as_json(changes))
    else:
        _print(changes, references=references)
    return DONE


def _as_json(changes: ContextChanges) -> dict[str, Any]:
    instruments: dict[str, dict[str, Any]] = {}
    for change in changes.types:
        row = asdict(change)
        of_instrument = instruments.setdefault(row.pop("instrument"), {})
        of_instrument[row.pop("keyword")] = row
    return {"old": changes.old, "new": changes.new, "instruments": instruments}


def _print(changes: ContextChanges, *, references: bool) -> None:
    names = escape(f"{changes.old} -> {changes.new}")
    if not changes.types:
        out.print(f"{names}: no rules differ")
        return
    columns = ("instrument", "type", "old rules", "new rules", "new", "gone", "since", "")
    print_rows(out, columns, [_row(change) for change in changes.types], right=("new", "gone"))
    instruments = {change.instrument for change in changes.types}
    out.print(
        f"{names}: {count_text(len(changes.types), 'type')} "
        f"of {count_text(len(instruments), 'instrument')}"
    )
    if references:
        for change in changes.types:
            _print_references(change)


def _row(change: TypeChange) -> tuple[str, ...]:
    return (
        change.instrument.upper(),
        change.keyword,
        change.old or "none",
        change.new or "none",
        f"{len(change.added):,}",
        f"{len(change.deleted):,}",
        _since(change),
        "stage 2 only" if change.stage2_only else "",
    )


def _since(change: TypeChange) -> str:
    from calib.references.rule_changes import NEVER

    if change.since == NEVER:
        return "no exposure"
    return change.since or "all dates"


def _print_references(change: TypeChange) -> None:
    title = f"{change.instrument.upper()} {change.keyword}"
    for word, names in (("new", change.added), ("gone", change.deleted)):
        for name in names:
            out.print(f"{title} {word} {escape(name)}", soft_wrap=True)
