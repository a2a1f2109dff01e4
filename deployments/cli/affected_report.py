"""What a change of context means, for people and for programs."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from calib.references.changes import AffectedExposure, ContextChanges
from deployments.cli.console import count_text, err, out
from deployments.cli.tables import print_rows

if TYPE_CHECKING:
    from calib.ledger.reprocessings import NewMark
    from calib.references.header_sources import StoredResult
    from calib.reprocessing.selection import Selection

# Kinds of datasets, in words.
_KINDS = {"ipst": "dataset", "svm": "visit", "mvm": "skycell"}


@dataclass
class Found:
    """The answer to one question.

    Attributes
    ----------
    old, new
        The contexts; no old one: what headers name, or where there are `bases` those.
    bases
        The contexts that current products were made on, each compared from its own, with how
        many datasets; None: all are compared from one.
    changes
        The types that differ.
    exposures
        What is affected.
    compared
        How many exposures were looked at.
    selection
        The datasets.
    stored
        What the server computed, where it was asked (`asked_server`) and knew.
    """

    old: str | None
    new: str
    changes: ContextChanges | None = None
    exposures: list[AffectedExposure] = field(default_factory=list)
    compared: int = 0
    selection: Selection | None = None
    stored: StoredResult | None = None
    asked_server: bool = False
    bases: Mapping[str, int] | None = None

    @property
    def marks(self) -> tuple[NewMark, ...]:
        """The datasets by wave and name."""
        return self.selection.marks if self.selection else ()

    @property
    def strange(self) -> Mapping[str, str]:
        """Names that are no dataset here, and why."""
        return self.selection.strange if self.selection else {}

    @property
    def products(self) -> set[str]:
        """What the source of the headers calls the datasets that differ: the server's words."""
        return {each.dataset.lower() for each in self.exposures if each.changes}

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many exposures differ, by instrument and type."""
        counts = Counter((e.instrument, c.keyword) for e in self.exposures for c in e.changes)
        found: dict[str, dict[str, int]] = {}
        for (instrument, keyword), number in sorted(counts.items()):
            found.setdefault(instrument, {})[keyword] = number
        return found


def as_json(found: Found) -> dict[str, Any]:
    """Return everything, in plain types."""
    from calib.reprocessing.selection import is_stage2_only

    return {
        "old": found.old,
        "new": found.new,
        **({} if found.bases is None else {"bases": dict(found.bases)}),
        "compared": found.compared,
        "counts": found.counts(),
        "datasets": [
            {
                "dataset": mark.dataset.name,
                "kind": mark.dataset.kind,
                "instrument": mark.dataset.instrument,
                "wave": mark.wave,
                "stage2_only": is_stage2_only(mark.changes),
                "changes": mark.changes,
            }
            for mark in found.marks
        ],
        "exposures": [
            {**asdict(each), "stage2_only": each.stage2_only} for each in found.exposures
        ],
        "strange": dict(found.strange),
        **({"server": _server(found)} if found.asked_server else {}),
    }


def print_names(found: Found) -> None:
    """Print the names of the datasets, one a line; what a list cannot say goes to stderr."""
    sys.stdout.writelines(f"{mark.dataset.name}\n" for mark in found.marks)
    told = [f"{each.exposure}: {each.problem}" for each in found.exposures if each.problem]
    told += [f"{name} is not in the list: {why}" for name, why in found.strange.items()]
    for line in told:
        err.print(f"[yellow]warning[/yellow]  {escape(line)}", soft_wrap=True)


def print_report(found: Found, *, details: bool) -> None:
    """Print what is affected, with counts, and beside it what the server says."""
    if details:
        _print_exposures(found)
    else:
        _print_datasets(found)
    _print_counts(found)
    if found.asked_server:
        _print_server(found)


def _print_datasets(found: Found) -> None:
    from calib.reprocessing.selection import is_stage2_only

    rows = [
        (
            mark.dataset.name,
            mark.dataset.instrument.upper(),
            _KINDS.get(mark.dataset.kind, mark.dataset.kind),
            "stage 2 only" if is_stage2_only(mark.changes) else "",
            ", ".join(_change(key, *pair) for key, pair in mark.changes.items()),
        )
        for mark in found.marks
    ]
    if rows:
        print_rows(out, ("dataset", "instrument", "kind", "", "what changes"), rows)


def _print_exposures(found: Found) -> None:
    rows = [
        [
            *map(
                _one_line,
                (each.exposure.lower(), each.dataset.lower(), each.instrument.upper(), *row),
            )
        ]
        for each in found.exposures
        for row in _rows(each)
    ]
    if rows:
        columns = ("exposure", "dataset", "instrument", "type", "old", "new", "")
        print_rows(out, columns, rows)


def _rows(each: AffectedExposure) -> list[tuple[str, str, str, str]]:
    rows = [
        (c.keyword, c.old or "none", c.new or "none", "stage 2 only" if c.stage2_only else "")
        for c in each.changes
    ]
    return rows + ([("problem", "", "", each.problem)] if each.problem else [])


def _change(key: str, old: str | None, new: str | None) -> str:
    """Say what changes under one key of a mark: ``DARKFILE a.fits -> b.fits``."""
    from calib.reprocessing.selection import PROBLEM, keyword_of

    keyword = keyword_of(key)
    said = f"{keyword} {old or 'none'} -> {new or 'none'}"
    # Values of headers that others wrote: nothing of them may reach a terminal as a command.
    return _one_line(f"problem: {old}" if keyword == PROBLEM else said)


def _one_line(text: str) -> str:
    """Return text with a question mark for what is not printable."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _print_counts(found: Found) -> None:
    before = found.old or ", ".join(found.bases or ()) or "what the headers name"
    out.print(
        f"{escape(before)} -> {escape(found.new)}: {count_text(found.compared, 'exposure')} "
        f"compared, {len(found.exposures):,} affected; "
        f"{count_text(len(found.marks), 'dataset')} to process again",
        soft_wrap=True,
    )
    for instrument, types in found.counts().items():
        counted = ", ".join(f"{keyword} {number:,}" for keyword, number in types.items())
        out.print(f"  {instrument.upper()}: {counted}", soft_wrap=True)
    troubled = sum(1 for each in found.exposures if each.problem)
    if troubled:
        told = f"{count_text(troubled, 'exposure')} with a problem; --details says which"
        out.print(f"  [yellow]{told}[/yellow]", soft_wrap=True)
    for name, why in found.strange.items():
        out.print(
            f"  [yellow]{escape(_one_line(name))} is left out: {escape(why)}[/yellow]",
            soft_wrap=True,
        )


def _server(found: Found) -> dict[str, Any]:
    """Return what the server computed, and the difference."""
    if found.stored is None:
        return {"computed": False}
    theirs = set(found.stored.datasets)
    return {
        "computed": True,
        "status": found.stored.status,
        "errors": found.stored.errors,
        "datasets": list(found.stored.datasets),
        "only_server": sorted(theirs - found.products),
        "only_ours": sorted(found.products - theirs),
    }


def _print_server(found: Found) -> None:
    told = _server(found)
    if found.stored is None:
        out.print("server: nothing was computed for this change of context")
        return
    out.print(f"server: {count_text(len(told['datasets']), 'dataset')}")
    if found.stored.status:
        out.print(f"  [yellow]its run had errors: {escape(found.stored.errors)}[/yellow]")
    if not found.compared:
        _print_list("", told["datasets"])
        return
    _print_list("only there: ", told["only_server"])
    _print_list("only here: ", told["only_ours"])
    if not told["only_server"] and not told["only_ours"]:
        out.print("  the same as here")


def _print_list(title: str, names: list[str]) -> None:
    if names:
        out.print(f"  {title}{', '.join(map(escape, names))}", soft_wrap=True)
