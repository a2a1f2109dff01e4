"""A forecast as a graph in the DOT language (graphviz.org/doc/info/lang.html)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calib.stages.outlook import DatasetForecast, Forecast, ReferenceForecast

# Fill colour of a dataset's stages by its state.
FILL = {
    "run": "palegreen",
    "resume": "palegreen",
    "skip": "lightcyan",
    "blocked": "khaki",
    "error": "lightpink",
}
_COLOUR = {"missing": "red", "bad": "red", "no match": "red", "download": "orange"}


def dot_of(found: Forecast) -> str:
    """Return the graph: inputs -> fetch -> bestrefs -> calibrate -> products -> run.

    References point at `calibrate`: required ones with a solid line; missing ones are red, those
    to download orange. Equal forecasts give equal text.
    """
    lines = ["digraph forecast {", '  rankdir="LR";', '  node [fontname="Helvetica"];']
    shared = {name: None for each in found.datasets for name in _reference_nodes(each)}
    lines += [f"  {line}" for line in shared]
    for each in found.datasets:
        lines += [f"  {line}" for line in _dataset(each)]
    return "\n".join([*lines, "}", ""])


def quote(text: str) -> str:
    """Return a string of the DOT language."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + plain.replace("\n", "\\n") + '"'


def _dataset(each: DatasetForecast) -> Iterator[str]:
    """Yield nodes and edges of one dataset."""
    name = each.dataset
    yield f"subgraph {quote(f'cluster {name}')} {{"
    yield f"  label={quote(f'{name}: {each.state}')};"
    yield from (f"  {line}" for line in _nodes(each))
    yield "}"
    yield from _edges(each)


def _nodes(each: DatasetForecast) -> Iterator[str]:
    name = each.dataset
    for stage in ("fetch", "bestrefs", "calibrate", "archive"):
        failed = each.trouble is not None and each.trouble.stage == stage
        done = stage in each.finished or each.state == "skip"
        style = "filled,dashed" if done else "filled"
        yield _node(
            f"{name} {stage}",
            label=f"{stage}\n{each.engine}" if stage == "calibrate" and each.engine else stage,
            shape="box",
            style=style,
            fillcolor=FILL[each.state],
            color="red" if failed else "black",
            **({"tooltip": each.trouble.message} if failed and each.trouble else {}),
        )
    for file in each.inputs:
        yield _node(f"{name} input {file.name}", label=file.name, shape="note")
    for product in each.products or ():
        yield _node(f"{name} product {product}", label=product, shape="note")


def _edges(each: DatasetForecast) -> Iterator[str]:
    name = each.dataset
    for file in each.inputs:
        yield _edge(f"{name} input {file.name}", f"{name} fetch")
    for before, after in (("fetch", "bestrefs"), ("bestrefs", "calibrate")):
        yield _edge(f"{name} {before}", f"{name} {after}")
    uses = {(_node_name(use), use.required): use for use in each.references if use.name}
    lost = {f"{use.keyword} (no match)" for use in each.references if _is_lost(use)}
    for (node, required), use in uses.items():
        yield _edge(
            node, f"{name} calibrate", label=use.keyword, style="solid" if required else "dotted"
        )
    for node in sorted(lost):
        yield _edge(node, f"{name} calibrate", style="solid", color="red")
    for product in each.products or ():
        yield _edge(f"{name} calibrate", f"{name} product {product}")
        yield _edge(f"{name} product {product}", f"{name} archive")
    if not each.products:
        yield _edge(f"{name} calibrate", f"{name} archive")
    if each.run:
        yield _node(f"run {each.run}", label=each.run, shape="folder")
        yield _edge(f"{name} archive", f"run {each.run}")


def _reference_nodes(each: DatasetForecast) -> Iterator[str]:
    """Yield the node of every reference: datasets share them."""
    for use in each.references:
        if use.name:
            colour = _COLOUR.get(use.state, "black")
            yield _node(_node_name(use), label=use.name, shape="cylinder", color=colour)
        elif _is_lost(use):
            node = f"{use.keyword} (no match)"
            yield _node(node, label=node, shape="cylinder", color="red")


def _node_name(use: ReferenceForecast) -> str:
    return f"reference {use.path or use.name}" if use.custom else f"reference {use.name}"


def _is_lost(use: ReferenceForecast) -> bool:
    return use.required and not use.name


def _node(name: str, **attributes: str) -> str:
    return f"{quote(name)} [{_listed(attributes)}];"


def _edge(start: str, end: str, **attributes: str) -> str:
    words = f" [{_listed(attributes)}]" if attributes else ""
    return f"{quote(start)} -> {quote(end)}{words};"


def _listed(attributes: dict[str, str]) -> str:
    return ", ".join(f"{key}={quote(value)}" for key, value in attributes.items())
