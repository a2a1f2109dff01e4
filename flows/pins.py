"""The context that an installation has agreed on: a Variable of its Prefect server."""

from __future__ import annotations

import logging

import httpx
from prefect.settings import PREFECT_API_URL
from prefect.variables import Variable

from calib.errors import ConfigError
from flows.prefect_errors import PREFECT_ERRORS

log = logging.getLogger(__name__)

NAME = "hstflow_context"


def context_variable() -> str | None:
    """Return the context of the Variable; None: no server, no answer, or no such Variable.

    A process that was not pointed at a server has none: asking would start one.
    """
    if not PREFECT_API_URL.value():
        return None
    try:
        value = Variable.get(NAME)
    except (*PREFECT_ERRORS, httpx.HTTPError, OSError) as error:
        log.warning("the Variable %s cannot be read: %s", NAME, error)
        return None
    return value if isinstance(value, str) and value else None


def set_context_variable(context: str | None) -> None:
    """Set the Variable, or remove it (None).

    Raises
    ------
    ConfigError
        No server is set, or it does not answer.
    """
    if not PREFECT_API_URL.value():
        raise ConfigError(
            "no Prefect server is set, which would keep the Variable",
            expected="PREFECT_API_URL, or the pin without --variable",
        )
    try:
        if context is None:
            Variable.unset(NAME)
        else:
            Variable.set(NAME, context, overwrite=True)
    except (*PREFECT_ERRORS, httpx.HTTPError, OSError) as error:
        message = f"the Variable {NAME} cannot be set: {error}"
        raise ConfigError(message, path=PREFECT_API_URL.value()) from error
