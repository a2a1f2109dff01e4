"""Campaigns of what programs of others make: visits, skycells, and lack of memory."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from hap_inputs import SKYCELL, make_poller
from reprocessing_world import OLD, World, sky, states_in_of, world
from standin_programs import (
    COMBINES_VISIT,
    FINDS_NOTHING_VIABLE,
    hstcal_body,
    make_combiners,
    make_program,
    put_first_on_path,
)

from calib.archive.outputs import open_output
from calib.campaigns.job_overrides import parse_words
from calib.campaigns.manifest import Entry
from calib.hap_names import visit_of
from calib.ids import parse_dataset
from calib.stages.job import Options
from deployments.cli.main import run
from flows.campaign import submit_campaign

__all__ = ["sky", "world"]

GB = 10**9
RUNGS = (2 * GB, 3 * GB)


def entries(names: list[str], *words: str) -> list[Entry]:
    """Return lines of a list of datasets, all with the same settings."""
    return [Entry(parse_dataset(name), parse_words(words)) for name in names]


def mosaic_inputs(world: World) -> tuple[str, list[str]]:
    """Lay the calibrated exposures of a world and the poller of a skycell in a folder."""
    world.calibrate()
    folder = world.folder / "images"
    folder.mkdir()
    data = world.folder / "out" / "data" / "acs"
    images = [
        Path(shutil.copy(data / name / f"{name}_flt.fits", folder)) for name in world.sky.datasets
    ]
    make_poller(folder, SKYCELL, *images)
    return f"file:{folder}", sorted({visit_of(name) for name in world.sky.datasets})


def submitted(world: World, source: str, wanted: list[Entry]) -> Any:
    """Run a campaign of visits and skycells to its end."""
    plan = world.plan("mosaics", OLD)
    plan = dataclasses.replace(plan, request=dataclasses.replace(plan.request, source=source))
    return submit_campaign(plan, wanted)


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return what a command says."""
    capsys.readouterr()
    assert run(list(arguments)) == 0
    return capsys.readouterr().out


@pytest.mark.slow
def test_visits_and_a_skycell_in_one_list(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two are made, one has no viable data: all are finished, and each command tells them apart."""
    source, visits = mosaic_inputs(world)
    empty, full = visits[0], visits[1:]
    body = f"if [ $1 = {empty}_input.out ]; then {FINDS_NOTHING_VIABLE}\nfi\n{COMBINES_VISIT}"
    put_first_on_path(make_combiners(tmp_path / "bin", visit=body), monkeypatch)

    result = submitted(world, source, entries([*visits, SKYCELL], "disk=10MB", "rung=2"))

    assert (result.outcome, result.counts) == (
        "completed",
        {"processed": len(full) + 1, "skipped": 1},
    )
    made = dict.fromkeys([*full, SKYCELL], "processed")
    assert states_in_of(world, "mosaics") == {**made, empty: "skipped"}
    output = open_output(f"file:{world.folder / 'out'}")
    assert output.current_manifest(parse_dataset(SKYCELL)) is not None
    assert output.current_manifest(parse_dataset(empty)) is None

    monkeypatch.setenv("HSTFLOW_LEDGER", world.url)
    assert "no viable data" in told(capsys, "status", empty)
    assert json.loads(told(capsys, "campaign", "status", "mosaics", "--json"))
    report = told(capsys, "campaign", "report", "mosaics", "--json")
    assert json.loads(report)
    assert "skipped" in told(capsys, "campaign", "report", "mosaics")


def test_a_skycell_that_finds_no_room_says_what_to_do(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is started; the reason has how much, where, and two ways out."""
    put_first_on_path(make_combiners(tmp_path / "bin"), monkeypatch)

    result = submitted(
        world, f"file:{tmp_path}", entries([SKYCELL], "disk=900000GB", "rung=2", "retries=0")
    )

    assert result.counts == {"error": 1}
    (row,) = world.ledger.jobs_of(parse_dataset(SKYCELL))
    assert (row.code, row.attempts) == (25, 0)
    for part in ("9e+05 GB of disk", "HSTFLOW_WORK on a larger disk", "--disk SIZE"):
        assert part in row.reason


def test_a_program_that_lacks_memory_climbs_the_ladder(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it is granted is its limit; the next rung is enough; the lack is in the history."""
    lacks = "echo 'calacs.e: out of memory'; exit 2"
    body = f'[ "$(ulimit -v)" -ge 2500000 ] || {{ {lacks}; }}\n{hstcal_body("calacs")}'
    put_first_on_path(make_program(tmp_path / "bin", "calacs.e", body).parent, monkeypatch)
    plan = world.plan("memory", OLD)
    request = dataclasses.replace(plan.request, options=Options(engine="hstcal", previews="none"))
    plan = dataclasses.replace(plan, request=request, rungs=RUNGS)
    name = world.sky.datasets[0]

    result = submit_campaign(plan, entries([name], "rung=2"))

    assert (result.outcome, result.counts) == ("completed", {"processed": 1})
    query = "SELECT memory, outcome, error_class, code FROM attempt ORDER BY number"
    tries = [tuple(row.values()) for row in map(dict, world.ledger.ask(lambda r: r(query, {})))]
    assert tries == [(RUNGS[0], "error", "OutOfMemory", 31), (RUNGS[1], "processed", None, 0)]


SCRIPT = """
from flows.dataset import process_dataset
outcome = process_dataset({visit!r}, {source!r}, {output!r}, context={context!r})
print("OUTCOME", outcome.state, outcome.code, outcome.reason)
"""


@pytest.mark.prefect
@pytest.mark.slow
def test_flow_run_of_a_visit_without_viable_data_is_completed(
    world: World, tmp_path: Path, prefect_environment: dict[str, str]
) -> None:
    """It is no failure: the flow run is green, and its outcome says `skipped`."""
    source, visits = mosaic_inputs(world)
    programs = make_combiners(tmp_path / "bin", visit=FINDS_NOTHING_VIABLE)
    output = f"file:{world.folder / 'out'}"
    text = SCRIPT.format(visit=visits[0], source=source, output=output, context=OLD)
    server = {k: v for k, v in prefect_environment.items() if k.startswith("PREFECT_")}
    path = {"PATH": f"{programs}:{os.environ['PATH']}"}
    done = subprocess.run(
        [sys.executable, "-c", text],
        env={**os.environ, **server, **world.sky.environ, **path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert "OUTCOME skipped 0 no viable data" in done.stdout, done.stderr
    wanted = {"flow_runs": {"name": {"any_": [f"process-{visits[0]}"]}}}
    url = f"{prefect_environment['PREFECT_API_URL']}/flow_runs/filter"
    (flow_run,) = httpx.post(url, json=wanted, timeout=30).json()
    assert flow_run["state_type"] == "COMPLETED"
