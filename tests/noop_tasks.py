"""The stages of noop_stages.py as Prefect tasks."""

from __future__ import annotations

from calib.stages.sequence import Stages
from tasks.policies import stage_task
from tests import noop_stages

TASKS = Stages(
    fetch=stage_task("fetch")(noop_stages.fetch),
    bestrefs=stage_task("bestrefs")(noop_stages.bestrefs),
    calibrate=stage_task("calibrate")(noop_stages.calibrate),
    preview=stage_task("preview")(noop_stages.preview),
    archive=stage_task("archive")(noop_stages.archive),
    state_message=stage_task("state-message")(noop_stages.state_message),
)
