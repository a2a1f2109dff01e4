"""What is fixed in a run: written once, compared ever after. No SQLAlchemy: readers ask too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from calib.errors import ConfigError
from calib.ledger.location import hide_credentials
from calib.ledger.reports import Rows

# Words in the names of parameters whose values have no place in a database.
_SECRET_WORDS = ("password", "passwd", "secret", "token", "credential", "apikey", "api_key")

_RUN = """
SELECT name, context, engine, engine_version, parameters, output FROM run WHERE name = :name
"""


def run_values(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a run.

    Parameters
    ----------
    content
        As for :func:`calib.ledger.registry.ensure_run`.

    Raises
    ------
    ConfigError
        A parameter looks like a secret.
    """
    parameters = content["parameters"]
    _refuse_secrets(parameters)
    return {
        **content,
        "parameters": json.dumps(parameters, sort_keys=True),
        "output": hide_credentials(content["output"]),
    }


def refuse_other_content(name: str, found: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Compare a run with what is asked of it.

    Raises
    ------
    ConfigError
        The run exists with other content (a run is write-once).
    """
    for field, asked in values.items():
        if found[field] != asked:
            message = f"run {name} exists with another {field}: a run is write-once"
            raise ConfigError(message, expected=found[field], found=asked)


def check_run(rows: Rows, name: str, content: Mapping[str, Any]) -> None:
    """Refuse what :func:`calib.ledger.registry.ensure_run` would refuse; nothing is written.

    Raises
    ------
    ConfigError
        As there.
    """
    values = run_values(content)
    for found in rows(_RUN, {"name": name}):
        refuse_other_content(name, found, values)


def _refuse_secrets(parameters: Mapping[str, Any]) -> None:
    for name, value in parameters.items():
        if any(word in name.lower() for word in _SECRET_WORDS):
            message = "a parameter that looks like a secret is not stored in the ledger"
            raise ConfigError(message, found=name)
        if isinstance(value, Mapping):
            _refuse_secrets(value)
