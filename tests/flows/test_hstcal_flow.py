"""A dataset that a program of another package calibrates, as a real flow run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from standin_programs import calls_of, make_hstcal

from calib.simulate.observatory import Observatory

pytestmark = [pytest.mark.prefect, pytest.mark.slow]

SCRIPT = """
from flows.dataset import process_dataset
from flows.parameters import ProcessOptions
outcome = process_dataset({dataset!r}, {source!r}, {output!r}, context={context!r},
                          options=ProcessOptions(engine="hstcal"))
print("OUTCOME", outcome.state, outcome.uri)
"""


def test_flow_starts_the_program_once(
    prefect_environment: dict[str, str],
    observatory: Observatory,
    own_home: Path,
    tmp_path: Path,
) -> None:
    """The engine goes to the task as a parameter; the program's words are archived."""
    programs = make_hstcal(tmp_path / "programs")
    dataset = observatory.datasets[0]
    script = SCRIPT.format(
        dataset=dataset,
        source=f"file:{observatory.raws}",
        output=f"file:{tmp_path / 'out'}",
        context=observatory.contexts[0],
    )
    server = {k: v for k, v in prefect_environment.items() if k.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={
            **os.environ,
            **server,
            **observatory.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "OUTCOME processed" in done.stdout
    assert calls_of(programs, "calacs") == [f"{dataset}_raw.fits"]
    logs = tmp_path / "out" / "data" / "acs" / dataset / "logs"
    assert (logs / f"{dataset}.tra").is_file()
    assert "CALBEG*** CALACS" in (logs / f"{dataset}_hstcal.log").read_text()
