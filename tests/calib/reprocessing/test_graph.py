"""The graph of a reprocessing: small ones whole, large ones by kinds."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from calib.reprocessing.graph import MOST_NODES, Node, dot_of, graph_of, svg_of

LINKS = {
    ("ACS DARKFILE", "j8bt05njq"),
    ("j8bt05njq", "j8bt05010"),
    ("j8bt05010", "acs_8bt_05"),
    ("acs_8bt_05", "skycell-p2381x06y09"),
    ("WFPC2 DARKFILE", "u2440101t"),
}


def test_a_small_graph_has_every_dataset_in_its_column() -> None:
    """Types, exposures, associations, visits, skycells; what is not linked, too."""
    graph = graph_of(["j9aa01abq"], LINKS)
    columns = {node.name: node.column for node in graph.nodes}
    assert columns["ACS DARKFILE"] == 0
    assert [columns[name] for name in ("j8bt05njq", "j9aa01abq", "u2440101t")] == [1, 1, 1]
    assert [columns[n] for n in ("j8bt05010", "acs_8bt_05", "skycell-p2381x06y09")] == [2, 3, 4]
    assert len(graph.edges) == len(LINKS)


def test_a_large_graph_is_bounded_and_counts() -> None:
    """Thousands of exposures are one node, which says how many."""
    names = [f"j8bt{number:04d}q" for number in range(5000)]
    links = {("ACS DARKFILE", name) for name in names} | LINKS
    graph = graph_of(names, links)
    assert len(graph.nodes) < MOST_NODES
    assert Node("acs exposures", 1, 5001) in graph.nodes
    assert ("ACS DARKFILE", "acs exposures", 5001) in graph.edges
    assert sum(node.count for node in graph.nodes) == 5007


def test_dot_quotes_and_svg_is_xml() -> None:
    """Both name every node; a title with marks of the language breaks neither."""
    graph, title = graph_of([], LINKS), 'a "b" <c>'
    dot = dot_of(graph, title)
    assert dot.startswith('digraph "a \\"b\\" <c>" {')
    assert dot.count(" -> ") == len(LINKS)
    root = ET.fromstring(svg_of(graph, title))  # noqa: S314 - our own text
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert sorted(filter(None, texts)) == sorted(node.name for node in graph.nodes)


def test_nothing_is_a_graph_too() -> None:
    """An empty selection can be drawn."""
    assert ET.fromstring(svg_of(graph_of([], []), "x")).tag.endswith("svg")  # noqa: S314
