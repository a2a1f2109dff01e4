"""`hstflow archive`: what is published, where it came from, and what to do with it."""

from __future__ import annotations

from cyclopts import App
from cyclopts.group import Group

LOOK = Group("Look", sort_key=1)
WORK = Group("Work", sort_key=2)
KEEP = Group("Keep", sort_key=3)

# Command -> (where it is, group, one line of help). The modules are imported on use.
COMMANDS: dict[str, tuple[str, Group, str]] = {
    "calibrations": (
        "deployments.cli.archive.calibrations:calibrations",
        LOOK,
        "List references of your own, with the dates for which they are valid.",
    ),
    "certify": (
        "deployments.cli.archive.certify:certify",
        WORK,
        "Enter a reference of your own in a calibration collection, with dates.",
    ),
    "decertify": (
        "deployments.cli.archive.certify:decertify",
        WORK,
        "Make references of a collection invalid for a range of dates.",
    ),
    "products": (
        "deployments.cli.archive.products:products",
        LOOK,
        "List products by type, instrument, filter, program, date, run, collection...",
    ),
    "runs": ("deployments.cli.archive.runs:runs", LOOK, "List runs and collections."),
    "show": (
        "deployments.cli.archive.show:show",
        LOOK,
        "Show all about a dataset, file or reference: versions, origin, what was made of it.",
    ),
    "get": (
        "deployments.cli.archive.get:get",
        LOOK,
        "Copy products out of the archive, verified.",
    ),
    "chain": (
        "deployments.cli.archive.chain:chain",
        KEEP,
        "Show or define a chain: an ordered list of runs.",
    ),
    "tag": ("deployments.cli.archive.tag:tag", KEEP, "Show a tag, or put products into it."),
    "reproduce": (
        "deployments.cli.archive.reproduce:reproduce",
        WORK,
        "Make published products again from their provenance, and compare bit for bit.",
    ),
    "replace": (
        "deployments.cli.archive.replace:replace",
        WORK,
        "Process datasets into a new run that takes a run's place in a chain.",
    ),
    "ingest": (
        "deployments.cli.archive.ingest:ingest",
        WORK,
        "Make files of CALDP, MAST or your own a run: copied, linked or in place.",
    ),
    "verify": (
        "deployments.cli.archive.verify:verify",
        KEEP,
        "Compare files, manifests and the ledger; say what is missing or changed.",
    ),
    "prune": (
        "deployments.cli.archive.prune:prune",
        KEEP,
        "Remove old versions, never the only copy; a dry run unless --yes.",
    ),
    "ack": (
        "deployments.cli.archive.ack:ack",
        KEEP,
        "Write down that an archive has taken datasets, or could not.",
    ),
    "tar": (
        "deployments.cli.archive.tar:tar",
        WORK,
        "Write published datasets as CALDP's tar files.",
    ),
    "plan": (
        "deployments.cli.archive.plan:plan",
        WORK,
        "Say what processing datasets would do, and what is missing, before anything runs.",
    ),
}

app = App(name="archive", help="Find, trace, ingest, verify, remake and prune products.")
for _name, (_where, _group, _text) in COMMANDS.items():
    app.command(_where, name=_name, group=_group, help=_text)
