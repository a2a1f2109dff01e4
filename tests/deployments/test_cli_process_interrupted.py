"""`hstflow process` stopped by signals: the next attempt goes on where it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from calib.simulate.observatory import Observatory

Process = Callable[..., tuple[int, Any, str]]
Published = Callable[[str], Path]


def interrupting_script(stage: str) -> str:
    """Return a program that is `hstflow`, but announces a stage and waits in it."""
    return f"""
import sys, time
import calib.stages.sequence as sequence
original = sequence.{stage}.{{function}}
def wait(*given):
    print("IN STAGE", flush=True)
    time.sleep(60)
sequence.{stage}.{{function}} = wait
from deployments.cli.main import main
main()
"""


@pytest.mark.parametrize(
    "stop", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)], ids=str
)
def test_interrupted_process_goes_on_at_the_first_unfinished_stage(
    process: Process,
    published: Published,
    crds: Observatory,
    raws: Path,
    tmp_path: Path,
    own_home: Path,
    stop: tuple[signal.Signals, int],
) -> None:
    """Stopped during the preview, the next attempt neither fetches nor calibrates again."""
    name = crds.datasets[0]
    program = interrupting_script("picturing").format(function="preview")
    places = [f"file:{raws}", f"file:{tmp_path / 'out'}", "--context", crds.contexts[0]]
    with subprocess.Popen(
        [sys.executable, "-c", program, "process", name, *places],
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as child:
        assert child.stdout is not None
        assert "IN STAGE" in child.stdout.readline()
        child.send_signal(stop[0])
        assert child.wait(30) == stop[1]
    finished = own_home / "work"
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("*_flt.fits")}

    time.sleep(0.01)
    status, outcomes, _ = process(name, "--keep-scratch")

    assert (status, outcomes[0]["state"]) == (0, "processed")
    assert {p: p.stat().st_mtime_ns for p in finished.rglob("*_flt.fits")} == before
    log = (published(name) / "logs" / "process.txt").read_text()
    assert "calibrate: finished before, used again" in log
