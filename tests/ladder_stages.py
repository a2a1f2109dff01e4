"""Stages that need as much memory as a test says, hang, or kill the worker that takes them.

A campaign is given them by their name; the workers find the needs in their environment. This
module changes the calibration of the process that imports it: tests import
:mod:`ladder_needs` alone.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ladder_needs import LIMIT, NEEDS

from calib.campaigns import model
from calib.programs.run import run_program
from calib.stages import calibrate as calibrating
from calib.stages.job import Job
from calib.stages.sequence import PLAIN as STAGES

__all__ = ["STAGES"]

# Seconds for which memory is held: longer than the watchdog looks away.
_HELD = 1.5

_calibrate = calibrating.calibrate


def _needy(job: Job, *given: Any, **named: Any) -> Any:
    """Calibrate, with a need."""
    need = _need_of(job)
    if need == "poison":
        os.kill(os.getpid(), signal.SIGKILL)
    if need == "hang":
        _sleep(3600)
    if need == "freeze":
        time.sleep(3600)
    if need == "program":
        log = job.folder / "sleep.log"
        run_program(["sleep", "3600"], folder=job.folder, log_file=log)
    ballast = b"\1" * int(need)
    _sleep(_HELD if ballast else 0)
    finished = _calibrate(job, *given, **named)
    del ballast
    return finished


def _need_of(job: Job) -> Any:
    return json.loads(os.environ.get(NEEDS, "{}")).get(job.dataset, 0)


def limited(job_of: Callable[..., Job]) -> Callable[..., Job]:
    """Return a maker of jobs in which those that hang have the limit of the environment."""

    def make(*given: Any) -> Job:
        job = job_of(*given)
        if _need_of(job) not in {"hang", "freeze"}:
            return job
        limits = {**job.grant.limits, "calibrate": float(os.environ[LIMIT])}
        return replace(job, grant=replace(job.grant, limits=limits))

    return make


def _sleep(seconds: float) -> None:
    """Sleep in small naps: an exception that is raised in this thread comes in between."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.02)


calibrating.calibrate = _needy
model.LEAST_LIMIT = 0.0
