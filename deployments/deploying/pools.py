"""Work pools: where runs are started, and what is known of each kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect.utilities.schema_tools.validation import ValidationError as PrefectValidationError
from prefect.utilities.schema_tools.validation import validate
from prefect.workers.process import ProcessWorker

from calib.errors import ConfigError

FOLDER = Path(__file__).parents[1] / "work-pools"

# Prefect's names for the kinds of pools.
KINDS = ("process", "docker", "kubernetes", "ecs")


def base_job_template(kind: str) -> dict[str, Any]:
    """Return how a pool of a kind starts runs: variables with defaults, and the job.

    Raises
    ------
    ConfigError
        There is no such kind, or its file is damaged.
    """
    if kind == "process":
        return dict(ProcessWorker.get_default_base_job_template())
    path = FOLDER / f"{kind}.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"no template of work pools of type {kind}: {error}"
        raise ConfigError(message, path=path, expected=", ".join(KINDS)) from error
    return dict(found)


def with_variables(template: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a template whose variables have other defaults.

    Raises
    ------
    ConfigError
        It has no such variable, or one does not take its value.
    """
    result: dict[str, Any] = json.loads(json.dumps(template))
    known = result.get("variables", {}).get("properties", {})
    for name, value in values.items():
        if name not in known:
            raise ConfigError(
                f"runs of this work pool have no variable {name}", expected=", ".join(known)
            )
        _check(name, value, result["variables"])
        known[name]["default"] = value
    return result


def refuse_incomplete(template: Mapping[str, Any]) -> None:
    """Refuse a template that needs what nobody said.

    Raises
    ------
    ConfigError
        A variable that is required has no value; the message says what it is.
    """
    variables = template.get("variables", {})
    for name in variables.get("required", ()):
        about = variables["properties"][name]
        if "default" not in about:
            option = "--image NAME" if name == "image" else f"--variable {name}=VALUE"
            raise ConfigError(
                f"this type of work pool needs {name}: {about.get('description', '')}",
                expected=option,
            )


def _check(name: str, value: Any, variables: Mapping[str, Any]) -> None:
    schema = {**variables, "required": []}
    try:
        validate({name: value}, schema, raise_on_error=True)
    except PrefectValidationError as error:
        raise ConfigError(
            f"variable {name} of the work pool: {error}", found=repr(value)
        ) from error
