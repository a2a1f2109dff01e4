"""`hstflow context`: the rules that choose references, where they are, and what changes."""

from __future__ import annotations

from cyclopts import App
from cyclopts.group import Group

from deployments.cli.commands import Command, build_group

LOOK = Group("Look", sort_key=1)
KEEP = Group("Keep", sort_key=2)

COMMANDS = {
    "show": Command(
        "deployments.cli.context.show:show",
        LOOK,
        "Show the server, the cache, the operational context and the one that is pinned.",
    ),
    "history": Command(
        "deployments.cli.context.history:history",
        LOOK,
        "List the operational contexts of the server, and when we saw them.",
    ),
    "diff": Command(
        "deployments.cli.context.diff:diff",
        LOOK,
        "Show what differs between two contexts: types, rules and references.",
        "OLD NEW [OPTIONS]",
    ),
    "affected": Command(
        "deployments.cli.affected:affected",
        LOOK,
        "List the datasets whose references differ between two contexts.",
        "[FILE...] --old CONTEXT --new CONTEXT [OPTIONS]",
    ),
    "watch": Command(
        "deployments.cli.context.watch:watch",
        LOOK,
        "See whether there is a new operational context, and start what follows from it.",
    ),
    "pin": Command(
        "deployments.cli.context.pin:pin",
        KEEP,
        "Use one context until it is pinned to another, whatever the server says.",
        "CONTEXT|none [OPTIONS]",
    ),
    "sync": Command(
        "deployments.cli.context.sync:sync",
        KEEP,
        "Bring rules, and the references that datasets need, into the cache.",
        "[CONTEXT...] [OPTIONS]",
    ),
    "verify": Command(
        "deployments.cli.context.verify:verify",
        KEEP,
        "Check rules and references of the cache against size and sha1.",
        "[CONTEXT...] [OPTIONS]",
    ),
    "deliver": Command(
        "deployments.cli.context.deliver:deliver",
        KEEP,
        "Make a new context from reference files: certify, name, insert, deliver.",
        "FILE... --from CONTEXT [OPTIONS]",
    ),
}


TEXT = "CRDS contexts: show, compare, pin, synchronise, verify, deliver."


def build_app(focus: str | None = None) -> App:
    """Return the group, for the command about to run."""
    return build_group("context", TEXT, COMMANDS, focus)
