"""The dry run of `hstflow process` and `hstflow archive plan`: one forecast, three forms."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from calib.errors import ConfigError
from deployments.cli.console import Flag, out, print_json, size_text
from deployments.cli.progress import following
from deployments.cli.tables import plain_table

if TYPE_CHECKING:
    from calib.stages.outlook import DatasetForecast, Forecast, ReferenceForecast
    from calib.stages.planning import Request

STYLE = {"run": "green", "resume": "green", "skip": "cyan", "blocked": "yellow", "error": "red"}
WORDS = {
    "run": "to run",
    "resume": "to resume",
    "skip": "nothing to do",
    "blocked": "blocked",
    "error": "in error",
}
# The states of a reference that stop a dataset when a switch opens it.
MISSING = {"missing", "bad", "no match"}


@dataclass(frozen=True)
class ForecastFlags:
    """Options of a dry run.

    Attributes
    ----------
    fetch
        Fetch inputs from MAST or a bucket into a temporary folder, to resolve everything; without
        it, what only fetching shows is said to be known after fetch. Dry run only.
    dot
        Write the graph of inputs, references, stages and products for Graphviz to a file, - for
        stdout. Dry run only.
    """

    fetch: Flag = False
    dot: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None


def show_forecast(
    request: Request, names: list[str], view: ForecastFlags, *, json: bool, verbose: bool
) -> int:
    """Forecast, show it, and return the exit code.

    Raises
    ------
    ConfigError
        Two documents would go to stdout, or the graph cannot be written; or as
        :func:`calib.stages.forecast.forecast`.
    """
    _check_dot(view.dot, json=json)
    found = _with_progress(request, names, fetch=view.fetch)
    if view.dot:
        _write_dot(found, view.dot)
    if json:
        print_json(as_record(found))
    elif view.dot != "-":
        print_forecast(found, verbose=verbose)
    return found.code


def _check_dot(target: str | None, *, json: bool) -> None:
    if target is None:
        return
    if target.startswith("-") and target != "-":
        raise ConfigError("--dot needs a file", expected="--dot FILE or --dot -", found=target)
    if json and target == "-":
        raise ConfigError("--json and --dot - both write to stdout", expected="--dot FILE")


def as_record(found: Forecast) -> dict[str, Any]:
    """Return a forecast as JSON can hold it, with its sums."""
    return {
        **dataclasses.asdict(found.settings),
        "code": found.code,
        "counts": found.counts,
        "nothing_to_do": found.is_nothing_to_do,
        "downloads": found.downloads,
        "output_bytes": found.output_bytes,
        "notes": list(found.notes),
        "datasets": [{**dataclasses.asdict(d), "code": d.code} for d in found.datasets],
    }


def print_forecast(found: Forecast, *, verbose: bool = False) -> None:
    """Print one line per dataset, what is wrong with some, and a summary."""
    _print_settings(found)
    whole = ("dataset", "state")
    table = plain_table(*whole, "inputs", "references", "engine", "run", "from", whole=whole)
    for each in found.datasets:
        table.add_row(*_cells(each))
    out.print(table)
    for each in found.datasets:
        if verbose:
            _print_details(each)
        elif each.trouble:
            _print_trouble(each)
    for note in found.notes:
        out.print(f"[yellow]warning[/yellow]  {escape(note)}", soft_wrap=True)
    out.print(summary(found), soft_wrap=True)


def summary(found: Forecast) -> str:
    """Return the sums in one line."""
    counts = ", ".join(f"{number} {WORDS[state]}" for state, number in found.counts.items())
    parts = ["nothing to do" if found.is_nothing_to_do else counts]
    if sizes := list(found.downloads.values()):
        known = sum(size or 0 for size in sizes)
        more = " or more" if None in sizes else ""
        noun = "reference" if len(sizes) == 1 else "references"
        parts.append(f"{len(sizes)} {noun} to download ({size_text(known)}{more})")
    if found.output_bytes:
        parts.append(f"about {size_text(found.output_bytes)} of products")
    if any(not each.inputs_known and not each.trouble for each in found.datasets):
        parts.append("some is known after fetch only: see --fetch")
    return "; ".join(parts)


def _with_progress(request: Request, names: list[str], *, fetch: bool) -> Forecast:
    from calib.stages.forecast import forecast

    numbers, total = count(1), len(set(names))
    with following("datasets") as progress:
        return forecast(request, names, fetch=fetch, done=lambda _: progress(next(numbers), total))


def _write_dot(found: Forecast, target: str) -> None:
    from deployments.cli.forecast_dot import dot_of

    text = dot_of(found)
    if target == "-":
        sys.stdout.write(text)
        return
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"the graph cannot be written: {error.strerror}"
        raise ConfigError(message, path=target) from error


def _print_settings(found: Forecast) -> None:
    used = found.settings
    out.print(
        f"context {used.context}, engine {escape(used.engine)}, from {escape(used.source)}, "
        f"to {escape(used.output or 'the work folder')}, run {escape(used.run or '?')}",
        soft_wrap=True,
    )
    custom = {**used.switches, **used.parameters, **used.references}
    if custom:
        words = ", ".join(f"{key}={value}" for key, value in custom.items())
        out.print(f"set by you: {escape(words)}", soft_wrap=True)


def _cells(each: DatasetForecast) -> tuple[str, ...]:
    style = STYLE[each.state]
    references = _reference_cell(each)
    engine = escape(each.engine or ("?" if not each.trouble else ""))
    return (
        escape(each.dataset),
        f"[{style}]{each.state}[/{style}]",
        _input_cell(each),
        references,
        engine,
        escape(each.run or ""),
        each.start or "",
    )


def _input_cell(each: DatasetForecast) -> str:
    if not each.inputs:
        return ""
    sizes = [file.size for file in each.inputs]
    total = "" if None in sizes else f", {size_text(sum(size or 0 for size in sizes))}"
    places = "/".join(sorted({file.where for file in each.inputs}))
    return f"{len(sizes)} ({places}{total})"


def _reference_cell(each: DatasetForecast) -> str:
    needed = {(r.keyword, r.name): r for r in each.references if r.required}
    if not needed:
        return "" if each.trouble else (each.references_from or "")
    states = [reference.state for reference in needed.values()]
    lost = sum(state in MISSING for state in states)
    coming = states.count("download")
    words = [f"{states.count('present')} ok"]
    words += [f"{coming} to download"] if coming else []
    words += [f"[red]{lost} missing[/red]"] if lost else []
    words += ["(ledger)"] if each.references_from == "ledger" else []
    return ", ".join(words)


def _print_trouble(each: DatasetForecast) -> None:
    trouble = each.trouble
    if trouble is None:
        return
    style = STYLE[each.state]
    out.print(
        f"[bold]{escape(each.dataset)}[/bold] [{style}]{trouble.error_class}[/{style}] "
        f"{trouble.code} in {trouble.stage}: {escape(trouble.message)}",
        soft_wrap=True,
    )


def _print_details(each: DatasetForecast) -> None:
    lines = [f"[bold]{escape(each.dataset)}[/bold]: {each.state}"]
    if not each.trouble:
        lines[0] += f", {escape(each.reason)}"
    for file in each.inputs:
        size = "size not known" if file.size is None else size_text(file.size)
        lines.append(f"  input  {file.name}  {size}  {file.where}  {escape(file.place)}")
    for member in each.members:
        state = "found" if member.found else "made" if member.is_product else "absent"
        lines.append(f"  member  {member.name}  {member.type}  {state}")
    lines += [_reference_line(use) for use in each.references if use.state != "N/A"]
    needless = sorted({use.keyword for use in each.references if use.state == "N/A"})
    lines += [f"  no reference needed  {' '.join(needless)}"] if needless else []
    lines += [f"  differs  {escape(text)}" for text in each.differences]
    if each.switches:
        lines.append(f"  performs  {' '.join(each.switches)}")
    if each.stage2:
        lines.append(f"  stage 2  {escape(each.stage2)}")
    if each.products:
        lines.append(f"  products  {' '.join(each.products)}")
    if each.work_bytes:
        kept = size_text(each.output_bytes or 0)
        lines.append(f"  disk  about {size_text(each.work_bytes)} at work, {kept} kept")
    if each.finished:
        lines.append(f"  finished before  {' '.join(each.finished)}")
    lines += [f"  note  {escape(text)}" for text in each.notes]
    for line in lines:
        out.print(line, soft_wrap=True)
    _print_trouble(each)


def _reference_line(reference: ReferenceForecast) -> str:
    lost = reference.required and reference.state in MISSING
    state = f"[red]{reference.state}[/red]" if lost else reference.state
    words = [reference.exposure, reference.keyword, escape(reference.name) or "-", state]
    words += ["required"] if reference.required else []
    words += ["yours"] if reference.custom else []
    words += [] if reference.size is None else [size_text(reference.size)]
    words += [escape(reference.note)] if reference.note else []
    return "  reference  " + "  ".join(words)
