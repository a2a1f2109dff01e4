"""`hstflow archive`: what is published, where it came from, and what to do with it."""

from __future__ import annotations

from cyclopts import App
from cyclopts.group import Group

LOOK = Group("Look", sort_key=1)
WORK = Group("Work", sort_key=2)
KEEP = Group("Keep", sort_key=3)

# Command -> (where it is, group, one line of help). The modules are imported on use.
COMMANDS: dict[str, tuple[str, Group, str]] = {
    "plan": (
        "deployments.cli.archive.plan:plan",
        WORK,
        "Say what processing datasets would do, and what is missing, before anything runs.",
    ),
}

app = App(name="archive", help="Find, trace, ingest, verify, remake and prune products.")
for _name, (_where, _group, _text) in COMMANDS.items():
    app.command(_where, name=_name, group=_group, help=_text)
