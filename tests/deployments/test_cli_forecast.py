"""`hstflow archive plan` and `hstflow process --dry-run`: one answer in three forms."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from calib.simulate.observatory import Observatory
from calib.stages.outlook import (
    DatasetForecast,
    Forecast,
    MemberForecast,
    ReferenceForecast,
    Settings,
    Trouble,
)
from deployments.cli.forecast import as_record, print_forecast, summary
from deployments.cli.forecast_dot import dot_of, quote
from deployments.cli.main import run

Capture = pytest.CaptureFixture[str]

# The DOT language as far as it is written here: graphviz.org/doc/info/lang.html.
_STRING = r'"(?:[^"\\]|\\.)*"'
_ATTRIBUTES = rf"(?: \[\w+={_STRING}(?:, \w+={_STRING})*\])?"
_STATEMENT = re.compile(
    rf"digraph \w+ {{|subgraph {_STRING} {{|}}|\w+={_STRING};|node{_ATTRIBUTES};"
    rf"|(?P<start>{_STRING})(?: -> (?P<end>{_STRING}))?{_ATTRIBUTES};"
)


def read_dot(text: str) -> tuple[dict[str, str], set[tuple[str, str]]]:
    """Read a graph: the line of each node, and the edges; anything else fails the test."""
    nodes: dict[str, str] = {}
    edges: set[tuple[str, str]] = set()
    depth = 0
    for line in text.splitlines():
        found = _STATEMENT.fullmatch(line.strip())
        assert found, line
        depth += line.endswith("{") - (line.strip() == "}")
        if found["end"]:
            edges.add((found["start"], found["end"]))
        elif found["start"]:
            nodes[found["start"]] = line.strip()
    assert depth == 0
    assert {end for edge in edges for end in edge} <= set(nodes)
    return nodes, edges


@pytest.fixture
def places(crds: Observatory, raws: Path, tmp_path: Path) -> list[str]:
    """Return the URIs and the context that the commands get."""
    return [f"file:{raws}", f"file:{tmp_path / 'out'}", "--context", crds.contexts[0]]


def test_both_commands_give_the_same_json(
    crds: Observatory, places: list[str], capsys: Capture
) -> None:
    """The dry run of process is archive plan, and stdout is JSON alone."""
    names = [*crds.datasets, "nonsense"]

    code = run(["archive", "plan", *names, *places, "--json"])
    planned = capsys.readouterr().out
    again = run(["process", *names, *places, "--json", "--dry-run"])

    assert (code, again) == (2, 2)
    assert capsys.readouterr().out == planned
    found = json.loads(planned)
    assert [each["state"] for each in found["datasets"]] == ["run", "run", "error"]
    assert found["counts"] == {"run": 2, "error": 1}


def test_nothing_to_do_is_said_with_exit_0(
    crds: Observatory, places: list[str], own_home: Path, tmp_path: Path, capsys: Capture
) -> None:
    """After processing, the plan is empty, which is no error; before, nothing is written."""
    name = crds.datasets[0]
    assert run(["archive", "plan", name, *places]) == 0
    assert not (tmp_path / "out").exists()
    assert not (own_home / "ledger.db").exists()
    assert run(["process", name, *places, "-q"]) == 0
    capsys.readouterr()

    code = run(["process", name, *places, "-n"])

    assert code == 0
    assert capsys.readouterr().out.splitlines()[-1] == "nothing to do"


def test_missing_input_and_reference_have_their_codes(
    crds: Observatory, places: list[str], raws: Path, capsys: Capture
) -> None:
    """The first dataset that would fail decides, and its error is shown whole."""
    first, second = crds.datasets
    (raws / f"{second}_raw.fits").unlink()

    code = run(["archive", "plan", second, first, *places])

    shown = capsys.readouterr().out
    assert code == 21
    assert f"{second} NotFound 21 in fetch: no exposure file" in shown
    assert shown.splitlines()[-1].startswith("1 to run, 1 in error; about ")


def test_list_file_and_details(
    crds: Observatory, places: list[str], tmp_path: Path, capsys: Capture
) -> None:
    """@FILE names datasets; -v shows files, references, switches and products."""
    (tmp_path / "names").write_text(f"{crds.datasets[0]}  # the first\n")

    code = run(["archive", "plan", f"@{tmp_path / 'names'}", *places, "-v"])

    shown = capsys.readouterr().out
    assert code == 0
    for text in ("input", "reference", "performs", f"{crds.datasets[0]}_flt.fits", "required"):
        assert text in shown


def test_graph_goes_to_a_file_or_stdout(
    crds: Observatory, places: list[str], tmp_path: Path, capsys: Capture
) -> None:
    """Both hold the same valid graph, twice the same; --json may go with a file."""
    target = tmp_path / "graph.dot"

    run(["archive", "plan", *crds.datasets, *places, "--dot", str(target), "--json"])
    assert json.loads(capsys.readouterr().out)["code"] == 0
    run(["archive", "plan", *crds.datasets, *places, "--dot", "-"])

    text = capsys.readouterr().out
    assert text == target.read_text()
    nodes, edges = read_dot(text)
    name = crds.datasets[0]
    assert (f'"{name} input {name}_raw.fits"', f'"{name} fetch"') in edges
    assert (f'"{name} calibrate"', f'"{name} product {name}_flt.fits"') in edges
    assert any(node.startswith('"reference ') for node in nodes)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--dot", "-", "--json", "--dry-run"], "both write to stdout"),
        (["--dot", "--json", "--dry-run"], "needs a file"),
        (["--dot", "/no/such/folder/x.dot", "--dry-run"], "cannot be written"),
        (["--dot", "x.dot"], "belong to a dry run"),
        (["--fetch"], "belong to a dry run"),
    ],
)
def test_options_that_cannot_work_are_refused(
    crds: Observatory, places: list[str], words: list[str], text: str, capsys: Capture
) -> None:
    """Error 2 with one line; a person who asked for a graph gets nothing processed."""
    code = run(["process", crds.datasets[0], *places, *words])

    assert code == 2
    assert text in capsys.readouterr().err


def forecast_of(*datasets: DatasetForecast) -> Forecast:
    """Return a forecast of made-up datasets."""
    settings = Settings(
        "hst_0001.pmap", "file:/in", None, "r", run_is_named=False, engine="auto",
        switches={"DARKCORR": "OMIT"}, parameters={}, references={}, fetched=False,
    )  # fmt: skip
    return Forecast(settings, datasets, ("the disk is [small]",))


def reference(name: str, state: Any, size: int | None = None) -> ReferenceForecast:
    """Return a required dark."""
    return ReferenceForecast(
        "x_raw.fits", "DARKFILE", name, required=True, custom=False, state=state, size=size
    )


def test_summary_counts_downloads_once_and_says_what_is_not_known() -> None:
    """Two datasets that share a file download it once; an unknown size makes a lower bound."""
    shared, other = reference("a.fits", "download", 210_000_000), reference("b.fits", "download")
    found = forecast_of(
        DatasetForecast("j1", "run", "", references=(shared,), inputs_known=True),
        DatasetForecast("j2", "run", "", references=(shared, other), inputs_known=True),
        DatasetForecast("j3", "skip", ""),
    )

    assert summary(found) == (
        "2 to run, 1 nothing to do; 2 references to download (210.0 MB or more); "
        "some is known after fetch only: see --fetch"
    )
    assert as_record(found)["downloads"] == {"a.fits": 210_000_000, "b.fits": None}


def test_graph_marks_what_is_missing_and_quotes_what_is_odd() -> None:
    """A lost reference is red; quotes, backslashes and line ends stay inside their strings."""
    odd = 'we"ird\\na\nme'
    blocked = DatasetForecast(
        odd,
        "blocked",
        "",
        references=(reference("lost.fits", "missing"), reference("", "no match")),
        members=(MemberForecast("j2", "EXP-CR1", is_product=False, present=True, found=False),),
        run=odd,
        trouble=Trouble("bestrefs", "ReferenceUnavailable", 27, 'no "file"\n'),
    )

    nodes, _ = read_dot(dot_of(forecast_of(blocked, blocked)))

    assert 'color="red"' in nodes['"reference lost.fits"']
    assert 'color="red"' in nodes['"DARKFILE (no match)"']
    assert f"{quote(f'{odd} bestrefs')}" in nodes


def test_markup_in_names_is_shown_as_it_is(capsys: Capture) -> None:
    """Brackets in messages and paths are text, not styles of the table."""
    trouble = Trouble("fetch", "NotFound", 21, "[red]nothing[/red] in [/tmp]")
    found = forecast_of(DatasetForecast("[bold]", "error", "", trouble=trouble))

    print_forecast(found, verbose=True)

    shown = capsys.readouterr().out
    assert "[red]nothing[/red] in [/tmp]" in shown
    assert "the disk is [small]" in shown
