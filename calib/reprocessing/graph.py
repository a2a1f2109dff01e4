"""What marks what in a reprocessing, as a graph of bounded size: DOT, and SVG without graphviz."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from calib.errors import ConfigError
from calib.ids import parse_dataset

# Nodes of a graph that a person can read; above, datasets of one kind become one node.
MOST_NODES = 60

COLUMNS = ("types", "exposures", "associations", "visits", "skycells")

# Of the drawing, in pixels: boxes and the room between them.
_WIDTH, _HEIGHT, _GAP, _ROOM, _EDGE = 190, 26, 10, 90, 20


@dataclass(frozen=True)
class Node:
    """A type, a dataset, or all datasets of a kind; `column` counts :data:`COLUMNS`."""

    name: str
    column: int
    count: int = 1

    @property
    def label(self) -> str:
        """What is written on it."""
        return self.name if self.count == 1 else f"{self.name}: {self.count:,}"


@dataclass(frozen=True)
class Graph:
    """What marks what.

    Attributes
    ----------
    nodes
        By column and name.
    edges
        Names of two nodes, and how many links of datasets they stand for.
    """

    nodes: tuple[Node, ...] = ()
    edges: tuple[tuple[str, str, int], ...] = ()


def graph_of(datasets: Iterable[str], links: Iterable[tuple[str, str]]) -> Graph:
    """Return the graph of a selection.

    Parameters
    ----------
    datasets
        What is marked.
    links
        :attr:`calib.reprocessing.selection.Selection.links`.
    """
    pairs = set(links)
    names = {*datasets, *(name for pair in pairs for name in pair)}
    columns = {name: _column(name) for name in names}
    if len(names) <= MOST_NODES:
        groups = {name: name for name in names}
    else:
        groups = {name: _group(name, column) for name, column in columns.items()}
    nodes = Counter((columns[name], groups[name]) for name in names)
    edges = Counter((groups[one], groups[other]) for one, other in pairs)
    return Graph(
        tuple(Node(name, column, count) for (column, name), count in sorted(nodes.items())),
        tuple((one, other, count) for (one, other), count in sorted(edges.items())),
    )


def _column(name: str) -> int:
    if " " in name:
        return 0
    try:
        dataset = parse_dataset(name)
    except ConfigError:  # an exposure of a retired instrument
        return 1
    if dataset.kind == "ipst":
        return 2 if dataset.is_association else 1
    return 3 if dataset.kind == "svm" else 4


def _group(name: str, column: int) -> str:
    """Return the node of a dataset where there are too many: instrument and kind."""
    if column == 0:
        return name
    try:
        instrument = parse_dataset(name).instrument
    except ConfigError:
        instrument = "other"
    return COLUMNS[column] if column == len(COLUMNS) - 1 else f"{instrument} {COLUMNS[column]}"


def dot_of(graph: Graph, title: str) -> str:
    """Return the graph in the DOT language (graphviz.org/doc/info/lang.html)."""
    lines = [f"digraph {_quote(title)} {{", '  rankdir="LR";', "  node [shape=box];"]
    lines += [f"  {_quote(node.name)} [label={_quote(node.label)}];" for node in graph.nodes]
    for one, other, count in graph.edges:
        label = f" [label={_quote(f'{count:,}')}]" if count > 1 else ""
        lines.append(f"  {_quote(one)} -> {_quote(other)}{label};")
    return "\n".join([*lines, "}", ""])


def svg_of(graph: Graph, title: str) -> str:
    """Return the graph as a drawing of columns: types first, skycells last."""
    places = _places(graph.nodes)
    width = max((x for x, _ in places.values()), default=0) + _WIDTH + _EDGE
    height = max((y for _, y in places.values()), default=0) + _HEIGHT + _EDGE
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">']
    lines.append(f"<title>{escape(title)}</title>")
    lines += [_line(places[one], places[other], count) for one, other, count in graph.edges]
    lines += [_box(places[node.name], node) for node in graph.nodes]
    return "\n".join([*lines, "</svg>", ""])


def _places(nodes: Sequence[Node]) -> dict[str, tuple[int, int]]:
    """Return where the boxes are; columns without any take no room."""
    used = sorted({node.column for node in nodes})
    rows: defaultdict[int, int] = defaultdict(int)
    places = {}
    for node in nodes:
        x = _EDGE + used.index(node.column) * (_WIDTH + _ROOM)
        places[node.name] = (x, _EDGE + rows[node.column] * (_HEIGHT + _GAP))
        rows[node.column] += 1
    return places


def _line(start: tuple[int, int], end: tuple[int, int], count: int) -> str:
    (x1, y1), (x2, y2) = start, end
    x1, middle = x1 + _WIDTH, _HEIGHT // 2
    path = (
        f"M{x1} {y1 + middle} C{x1 + 45} {y1 + middle} {x2 - 45} {y2 + middle} {x2} {y2 + middle}"
    )
    return f'<path d="{path}" fill="none" stroke="#889"><title>{count:,}</title></path>'


def _box(place: tuple[int, int], node: Node) -> str:
    x, y = place
    fill = "#fff3d6" if node.column == 0 else "#e4eefb"
    text = f'<text x="{x + 8}" y="{y + 17}" font-size="12">{escape(node.label)}</text>'
    shape = f'x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="4"'
    return f'<g><rect {shape} fill="{fill}" stroke="#556"/>{text}</g>'


def _quote(text: str) -> str:
    """Return a string of the DOT language."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'
