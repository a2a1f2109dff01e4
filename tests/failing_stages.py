"""The plain stages, one of which fails."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from calib.stages.sequence import PLAIN, Stages


def failing(stage: str, error: BaseException) -> Stages:
    """Return the plain stages, one of which raises."""

    def fail(*_given: Any) -> Any:
        raise error

    changes: dict[str, Callable[..., Any]] = {stage: fail}
    return dataclasses.replace(PLAIN, **changes)
