"""`hstflow campaign plan`: what a reprocessing would do, looked at, and entered in the ledger."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from calib.errors import DONE, ConfigError
from calib.ledger.location import ledger_url
from calib.ledger.reading import open_reader
from deployments.cli.campaign.lookup import check_name
from deployments.cli.campaign.plan_view import plan_json, show_plan
from deployments.cli.campaign.submit import PlanFlags, build_plan, read_datasets
from deployments.cli.console import err, expand_names, out, print_json

if TYPE_CHECKING:
    from calib.campaigns.manifest import Entry
    from calib.ledger.reports import Rows
    from calib.references.changes import ExposureHeader
    from calib.reprocessing.planning import Asked, Planned, Trigger
    from calib.reprocessing.selection import Selection

_DRAWINGS = (".dot", ".gv", ".svg")
LEDGER = "ledger"  # the source of exposures where nobody names one


def plan(
    name: str,
    /,
    *arguments: str,
    flags: Annotated[PlanFlags | None, Parameter(name="*")] = None,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative=())] = False,
) -> int:
    """Plan a reprocessing: which datasets, why, what it will take, and what is missing.

    For example, after a new context: `hstflow campaign plan july --old hst_0632.pmap
    --new hst_0633.pmap astroquery: file:/archive`; or for what a bad dark was used in:
    `hstflow campaign plan fix --with-reference n3o1059hj_drk.fits astroquery: file:/archive`.

    Nothing is calibrated: `hstflow campaign canary NAME` tries a few datasets and reports what
    differs, `hstflow campaign reprocess NAME` goes through all that is left. There is one
    reprocessing from a context to another until a later one leads back: a second plan says so
    and writes nothing. With `--again` one that was finished, rejected or cancelled is left behind.

    Parameters
    ----------
    name
        Name of the reprocessing and of its campaigns.
    arguments
        DATASET: exactly these, or @FILE: one a line; without any, those that the new context
        marks. INPUT_URI, OUTPUT_URI and PROFILE as of `hstflow process`.
    dry_run
        Show it and write nothing.
    """
    flags = flags or PlanFlags()
    entries, places = read_datasets(arguments)
    _check(entries, flags)
    base = build_plan(check_name(name), places, dataclasses.replace(flags, context=None))
    with err.status("looking for datasets"), open_reader(ledger_url(os.environ)) as rows:
        asked, selection = _ask(base, entries, flags, rows)
    from calib.reprocessing.planning import plan_reprocessing

    _tell_others(asked)
    with err.status("predicting what they need"):
        planned = plan_reprocessing(asked, selection)
    if flags.graph is not None:
        _write_graph(planned, flags.graph)
    entered = None if dry_run or not planned.marks else _enter(planned)
    if flags.json:
        print_json(plan_json(planned, entered))
    else:
        show_plan(planned, entered, out, is_dry=dry_run, quiet=flags.quiet)
    return DONE


def _tell_others(asked: Asked) -> None:
    """Say from which contexts the current products were compared, where it is not only one."""
    from calib.ledger.published_contexts import elsewhere

    if asked.origin.get("source") != LEDGER:
        return
    with open_reader(asked.plan.request.ledger) as rows:
        counts = elsewhere(rows, asked.new) if rows is not None else {}
    if set(counts) - {asked.old}:
        each = ", ".join(f"{name} {number:,}" for name, number in sorted(counts.items()))
        text = f"current datasets are compared from the contexts they were made on: {each}"
        err.print(escape(text), soft_wrap=True)


def _check(entries: Sequence[Entry], flags: PlanFlags) -> None:
    """Refuse what contradicts itself, before anything is read."""
    sources = {
        "DATASET": bool(entries),
        "--from-ledger": flags.from_ledger,
        "--from-server": flags.from_server,
        "--headers": bool(flags.headers),
        "--with-reference": bool(flags.with_reference),
        "--query": flags.query is not None,
    }
    given = [word for word, is_given in sources.items() if is_given]
    if len(given) > 1:
        expected = "one of " + ", ".join(sources)
        raise ConfigError("datasets come from one place", expected=expected, found=given)
    if flags.old and given and given[0] in {"DATASET", "--with-reference", "--query"}:
        raise ConfigError(f"{given[0]} says which datasets: there is nothing to compare with --old")
    if flags.context and flags.new and flags.context != flags.new:
        raise ConfigError("--context and --new are the same thing here", found=flags.context)
    if flags.graph is not None and flags.graph.suffix not in _DRAWINGS:
        expected = ", ".join(_DRAWINGS)
        raise ConfigError("not a kind of graph", expected=expected, found=flags.graph.suffix)
    own = [each.dataset.name for each in entries if each.overrides]
    if own:
        message = "a reprocessing runs all its datasets in the same way"
        raise ConfigError(message, expected="names alone", found=", ".join(own[:5]))


def _ask(
    base: Any, entries: Sequence[Entry], flags: PlanFlags, rows: Rows | None
) -> tuple[Asked, Selection]:
    """Find the datasets, and say with which words they were asked for."""
    from calib.references.context import resolve_context
    from calib.reprocessing.planning import Asked

    profile = base.request.profile
    new = resolve_context(flags.new or flags.context or "hst-operational", profile)
    chosen = _chosen(entries, flags, rows)
    if chosen is not None:
        trigger, origin, select = chosen
        return Asked(base.name, None, new, trigger, base, origin), select()
    old = resolve_context(_old_context(flags, profile, new, rows), profile)
    if old == new:
        message = "nothing changes: both contexts are the same"
        raise ConfigError(message, expected="--old CONTEXT and --new CONTEXT", found=new)
    source, selection = _compared(profile, old, new, flags, rows)
    # A file of headers is a part of the world: the whole may be asked for afterwards.
    kind: Trigger = "list" if flags.headers else "context"
    origin = {"source": source}
    return Asked(base.name, old, new, kind, base, origin, again=flags.again), selection


def _chosen(entries: Sequence[Entry], flags: PlanFlags, rows: Rows | None) -> Any:
    """Return trigger, words and a function that selects; None: contexts are to be compared."""
    from calib.reprocessing import sources

    if entries:
        names = [each.dataset for each in entries]
        return "list", {"datasets": len(names)}, lambda: sources.select_listed(names)
    if flags.with_reference:
        files = expand_names(flags.with_reference)
        return "reference", {"references": files}, lambda: sources.select_users(files, rows)
    if flags.query is not None:
        from calib.fetch.observations import parse_query
        from calib.fetch.options import options_from

        query, options = parse_query(flags.query), options_from(os.environ)
        origin = {"query": flags.query, "archive": options.mast_url}
        return "query", origin, lambda: sources.select_queried(query, options, rows)
    return None


def _old_context(flags: PlanFlags, profile: Any, new: str, rows: Rows | None) -> str:
    from calib.ledger.published_contexts import usual_context

    usual = usual_context(rows, new) if rows is not None and not flags.old else None
    found = flags.old or usual or profile.context
    if not found:
        message = "it is not known what to compare with: the ledger has no product"
        raise ConfigError(message, expected="--old CONTEXT, such as hst_0632.pmap")
    return str(found)


def _compared(
    profile: Any, old: str, new: str, flags: PlanFlags, rows: Rows | None
) -> tuple[str, Selection]:
    """Compare two contexts; return for which exposures, in words, and what they mark."""
    from calib.references.comparison import compare_contexts
    from calib.reprocessing.current import compare_current, select_current
    from calib.reprocessing.selection import select_datasets

    if flags.headers or flags.from_server:
        source, headers = _headers(profile, (old, new), flags)
        affected = compare_contexts(profile, old, new, headers, processes=flags.processes)
        return source, select_datasets(affected, rows)
    if rows is None:
        expected = "--headers FILE, --from-server, or names of datasets"
        raise ConfigError("there is no ledger to take exposures from", expected=expected)
    affected = compare_current(profile, new, rows, otherwise=old, processes=flags.processes)
    return LEDGER, select_current(affected, new, rows)


def _headers(
    profile: Any, contexts: tuple[str, str], flags: PlanFlags
) -> tuple[str, Iterator[ExposureHeader]]:
    from calib.references import header_sources
    from calib.references.comparison import context_changes

    if flags.headers:
        files = [Path(name) for name in expand_names(flags.headers)]
        return "headers: " + ", ".join(map(str, files)), _of_files(files)
    changes = context_changes(profile, *contexts)
    return "server", header_sources.headers_of_server(profile, changes)


def _of_files(files: Sequence[Path]) -> Any:
    from calib.references.header_sources import headers_of_files, headers_of_json

    for path in files:
        yield from headers_of_json(path) if path.suffix == ".json" else headers_of_files([path])


def _enter(planned: Planned) -> str:
    from calib.reprocessing.people import this_person
    from calib.reprocessing.planning import enter

    with err.status("writing it down"):
        return enter(planned, this_person())


def _write_graph(planned: Planned, path: Path) -> None:
    from calib.reprocessing.graph import dot_of, svg_of

    draw = svg_of if path.suffix == ".svg" else dot_of
    try:
        path.write_text(draw(planned.foresight.graph, planned.asked.name), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the graph cannot be written: {error}", path=path) from error
    err.print(escape(f"graph: {path}"), soft_wrap=True)
