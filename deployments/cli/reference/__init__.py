"""`hstflow reference`: reference files and the rules that name them, with crds' own tools."""

from __future__ import annotations

from cyclopts import App
from cyclopts.group import Group

from deployments.cli.commands import Command, build_group

LOOK = Group("Look", sort_key=1)
MAKE = Group("Make", sort_key=2)

COMMANDS = {
    "list": Command(
        "deployments.cli.reference.listing:list_references",
        LOOK,
        "List the references that a context names.",
        "[CONTEXT] [OPTIONS]",
    ),
    "matches": Command(
        "deployments.cli.reference.matches:matches",
        LOOK,
        "Show for which exposures the rules choose a reference.",
        "NAME... [OPTIONS]",
    ),
    "uses": Command(
        "deployments.cli.reference.uses:uses",
        LOOK,
        "Show which rules and contexts name a reference.",
        "NAME... [OPTIONS]",
    ),
    "usage": Command(
        "deployments.cli.reference.usage:usage",
        LOOK,
        "Show which products were made with a reference.",
        "NAME... [OPTIONS]",
    ),
    "diff": Command(
        "deployments.cli.reference.diff:diff",
        LOOK,
        "Compare two references, or two files of rules.",
        "OLD NEW [OPTIONS]",
    ),
    "certify": Command(
        "deployments.cli.reference.certify:certify",
        MAKE,
        "Check reference files, or rules, as CRDS does before it takes them.",
        "FILE... [OPTIONS]",
    ),
    "uniqname": Command(
        "deployments.cli.reference.uniqname:uniqname",
        MAKE,
        "Rename new references to names that no other file has.",
        "FILE... [OPTIONS]",
    ),
    "checksum": Command(
        "deployments.cli.reference.checksum:checksum",
        MAKE,
        "Write, verify or remove the checksums of references and rules.",
        "FILE... [OPTIONS]",
    ),
    "refactor": Command(
        "deployments.cli.reference.refactor:refactor",
        MAKE,
        "Insert references into rules, or delete them, and write new rules.",
        "OLD_RULES NEW_RULES FILE... [OPTIONS]",
    ),
    "newcontext": Command(
        "deployments.cli.reference.newcontext:newcontext",
        MAKE,
        "Make a context from an older one and new rules.",
        "CONTEXT RULES... [OPTIONS]",
    ),
}


TEXT = "Reference files: certify, name, insert into rules; who names and who used them."


def build_app(focus: str | None = None) -> App:
    """Return the group, for the command about to run."""
    return build_group("reference", TEXT, COMMANDS, focus)
