"""What a worker does with one dataset of a campaign."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """The stages of a campaign, by import path, so that workers anywhere find the same.

    Attributes
    ----------
    tasks, plain
        ``module:NAME`` of a :class:`calib.stages.sequence.Stages`: as Prefect tasks, and as
        plain functions.
    """

    tasks: str = "flows.dataset:TASKS"
    plain: str = "flows.dataset:PLAIN"
