"""`hstflow campaign plan`: what a reprocessing would do, shown and entered."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from databases import template
from small_registry import ALONE, ASSOCIATION, BIAS, fill
from standin_programs import hide_programs

from calib.errors import COMMAND
from calib.ledger.ledger import Ledger, open_ledger
from calib.ledger.reprocessing_reports import marks, reprocessings
from calib.ledger.reprocessings import advance
from calib.simulate.crds_server import CrdsServer
from calib.simulate.observatory import Observatory
from deployments.cli.main import run

__all__ = ["template"]

Plan = Callable[..., tuple[int, str, str]]


@pytest.fixture
def plan(
    crds: Observatory,
    template: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Plan:
    """Return a function that plans with an empty ledger, on the newer context."""
    path = tmp_path / "plans.db"
    path.write_bytes(template.read_bytes())
    monkeypatch.setenv("HSTFLOW_LEDGER", f"sqlite:///{path}")

    def call(*arguments: str) -> tuple[int, str, str]:
        places = [f"file:{crds.raws}", f"file:{tmp_path / 'out'}"]
        new = [] if "--new" in arguments else ["--new", crds.contexts[1]]
        at = next((n for n, a in enumerate(arguments) if a.startswith("-")), len(arguments))
        tokens = [*arguments[:at], *places, *arguments[at:], *new]
        code = run(["campaign", "plan", *tokens])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def ledger(plan: Plan, tmp_path: Path) -> Ledger:
    """Return the ledger of the plans."""
    del plan
    return open_ledger(str(tmp_path / "plans.db"))


def raws_of(crds: Observatory) -> list[str]:
    """Return options that name the headers of the simulated exposures."""
    return [
        word for path in sorted(crds.raws.glob("*_raw.fits")) for word in ("--headers", str(path))
    ]


def test_a_new_context_is_planned(plan: Plan, crds: Observatory, ledger: Ledger) -> None:
    """The newer dark marks what it is for; the plan says what to do next, and is entered."""
    code, out, _ = plan("july", "--old", crds.contexts[0], *raws_of(crds))
    assert code == 0
    assert f"{crds.contexts[0]} -> {crds.contexts[1]}" in out
    assert "DARKFILE" in out
    assert "hstflow campaign canary july" in out
    (one,) = ledger.ask(reprocessings)
    assert (one.name, one.state, one.trigger) == ("july", "planned", "list")
    found = ledger.ask(lambda rows: marks(rows, one.id))
    assert {each.dataset for each in found} <= set(crds.datasets)
    assert all([*each.changes] == ["DARKFILE"] for each in found)


def test_a_dry_run_writes_nothing(plan: Plan, crds: Observatory, ledger: Ledger) -> None:
    """The same words, and an empty ledger afterwards."""
    code, out, _ = plan("july", "--old", crds.contexts[0], *raws_of(crds), "-n")
    assert (code, "nothing was written" in out) == (0, True)
    assert ledger.ask(reprocessings) == []


def test_json_has_all_of_it(plan: Plan, crds: Observatory) -> None:
    """Counts, every dataset with its reasons, and whether it was entered."""
    code, out, _ = plan("list", *crds.datasets, "--json")
    found: Any = json.loads(out)
    assert (code, found["entered"], found["trigger"]) == (0, True, "list")
    assert [each["dataset"] for each in found["datasets"]] == sorted(crds.datasets)
    assert found["foresight"]["datasets"] == len(crds.datasets)


def test_everything_with_a_reference(plan: Plan, ledger: Ledger) -> None:
    """The ledger knows what was made with it."""
    fill(ledger)
    code, out, _ = plan("fix", "--with-reference", BIAS, "--json")
    assert code == 0
    assert [each["dataset"] for each in json.loads(out)["datasets"]] == [ALONE]


def test_the_ledger_is_compared_by_default(
    plan: Plan, crds: Observatory, ledger: Ledger, tmp_path: Path
) -> None:
    """Each current product from its own context; which those are is told."""
    fill(ledger)
    old = crds.contexts[0]
    with closing(sqlite3.connect(tmp_path / "plans.db")) as database:
        database.execute("DELETE FROM exposure_header")
        database.execute("UPDATE run SET context = ? WHERE name = 'r2'", (old,))
        database.commit()
    code, out, err = plan("july")
    assert (code, "no dataset is affected" in out) == (0, True)
    assert f"hst_1.pmap 1, {old} 1" in err
    assert ASSOCIATION not in out
    assert ledger.ask(reprocessings) == [], "nothing to do is not written down"


def test_what_cannot_be_compared_is_marked_and_told(
    plan: Plan, crds: Observatory, ledger: Ledger, tmp_path: Path
) -> None:
    """What has an empty header, or is of rules that nobody has, is affected, with the reason."""
    fill(ledger)
    with closing(sqlite3.connect(tmp_path / "plans.db")) as database:
        database.execute("UPDATE run SET context = ? WHERE name = 'r2'", (crds.contexts[0],))
        database.commit()
    code, out, _ = plan("july", "--old", crds.contexts[0], "--json")
    found = json.loads(out)["datasets"]
    assert (code, {each["dataset"] for each in found}) == (0, {ALONE, ASSOCIATION})
    problems = {each["dataset"]: each["changes"]["PROBLEM"][0] for each in found}
    assert "names no instrument" in problems[ASSOCIATION]
    assert problems[ALONE].startswith("hst_1.pmap: ")


@pytest.mark.parametrize("ending", ["dot", "svg"])
def test_the_graph_is_a_file(plan: Plan, tmp_path: Path, ending: str) -> None:
    """What marks what."""
    path = tmp_path / f"graph.{ending}"
    assert plan("list", ALONE, "-n", "--graph", str(path))[0] == 0
    assert ALONE in path.read_text()


def test_left_out_and_missing_are_said(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """A COS exposure has no engine; that it is left out is shown with the reason."""
    hide_programs(monkeypatch)
    _, out, _ = plan("list", ALONE, "l8bt05njq", "acs_8bt_05", "-n")
    assert "no engine calibrates COS" in out
    assert "no engine makes visits" in out


@pytest.mark.parametrize("readonly", [False, True], ids=["a server", "read-only"])
def test_what_is_missing_is_fetched_or_awaited(
    plan: Plan,
    crds: Observatory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    readonly: bool,
) -> None:
    """The command names the references too: rules alone would not help."""
    cache = shutil.copytree(crds.crds_path, tmp_path / "cache")
    dark = "z0000012j_drk.fits"
    next(cache.rglob(dark)).unlink()
    monkeypatch.setenv("CRDS_PATH", str(cache))
    with CrdsServer(crds.crds_path) as server:
        monkeypatch.setenv("CRDS_SERVER_URL", server.url)
        monkeypatch.setenv("CRDS_READONLY_CACHE", str(int(readonly)))
        code, out, _ = plan("july", "--old", crds.contexts[0], *raws_of(crds))
    assert (code, f"1 reference: {dark}" in out) == (0, True)
    command = f"hstflow context sync {crds.contexts[1]} --references {dark}"
    assert (command in out) is not readonly
    assert ("it is awaited" in out) is readonly


def test_a_second_plan_of_a_transition_names_the_first(
    plan: Plan, crds: Observatory, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends well, says where that one stands; `--again` leaves behind what has ended."""
    from calib.references.header_sources import headers_of_files

    every = sorted(crds.raws.glob("*_raw.fits"))
    current = "calib.reprocessing.current"
    monkeypatch.setattr(f"{current}.base_contexts", lambda _: [crds.contexts[0]])
    monkeypatch.setattr(f"{current}.headers_of_ledger", lambda _, base: headers_of_files(every))
    assert plan("july", "--old", crds.contexts[0])[0] == 0
    code, out, _ = plan("august", "--old", crds.contexts[0])
    assert (code, "july is the reprocessing" in out) == (0, True)
    assert "hstflow campaign status july" in out, (
        "it may have ended: no other command is always right"
    )
    assert "july is the reprocessing" in plan("august", "--old", crds.contexts[0], "--again")[1]
    ledger.write(lambda c: advance(c, "july", "rejected", who="test"))
    assert "july is the reprocessing" in plan("august", "--old", crds.contexts[0])[1]
    assert plan("august", "--old", crds.contexts[0], "--again")[0] == 0
    assert [each.name for each in ledger.ask(reprocessings)] == ["july", "august"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x", ALONE, "--from-ledger"], "datasets come from one place"),
        (["x", "--query", "proposal=1", "--with-reference", "a.fits"], "one place"),
        (["x", ALONE, "--old", "hst_9001.pmap"], "nothing to compare"),
        (["x", "--context", "hst_9001.pmap"], "the same thing"),
        (["x", ALONE, "--graph", "x.pdf"], "not a kind of graph"),
        (["x", "--query", "target=M31"], "not a query"),
        (["x", "--old", "hst_9002.pmap"], "nothing changes"),
        (["x"], "not known what to compare with"),
        (["x", "--with-reference", "nobody_drk.fits"], "no current product"),
        ([ALONE, "--from-ledger"], "name comes first"),
    ],
)
def test_what_contradicts_itself_is_refused(plan: Plan, arguments: list[str], message: str) -> None:
    """With the exit code of a bad command, and before anything is written."""
    code, _, err = plan(*arguments)
    assert code == COMMAND
    assert message in " ".join(err.split())


def test_settings_of_one_dataset_are_refused(plan: Plan, tmp_path: Path) -> None:
    """A reprocessing runs all of its datasets alike."""
    manifest = tmp_path / "ids.txt"
    manifest.write_text(f"{ALONE} rung=8\n")
    code, _, err = plan("x", f"@{manifest}")
    assert (code, "in the same way" in " ".join(err.split())) == (COMMAND, True)
