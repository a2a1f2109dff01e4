"""A build step of prefect.yaml: the version of the installed package."""

from __future__ import annotations

from importlib.metadata import version


def installed() -> dict[str, str]:
    """Return what ``{{ package.version }}`` stands for in prefect.yaml.

    `prefect deploy` and `hstflow deploy` both run it as a build step.
    """
    return {"version": version("hstflow")}
