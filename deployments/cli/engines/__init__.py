"""`hstflow engines`: what calibrates which detector here, and how engines differ."""

from __future__ import annotations

from cyclopts import App
from cyclopts.group import Group

from deployments.cli.commands import Command, build_group

ENGINES = Group("Engines", sort_key=1)

COMMANDS = {
    "list": Command(
        "deployments.cli.engines.listing:list_engines",
        ENGINES,
        "List the engines: what they calibrate, their versions, and how to get what is absent.",
    ),
    "compare": Command(
        "deployments.cli.engines.compare:compare",
        ENGINES,
        "Calibrate a dataset with two engines and show the differences, pixel by pixel.",
        "DATASET [INPUT_URI] [OPTIONS]",
    ),
}

TEXT = "What calibrates which detector here, and how two engines differ on a dataset."


def build_app(focus: str | None = None) -> App:
    """Return the group, for the command about to run."""
    return build_group("engines", TEXT, COMMANDS, focus)
