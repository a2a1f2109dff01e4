"""`hstflow archive`: what is published, where it came from, and what to do with it."""

from __future__ import annotations

from cyclopts import App
from cyclopts.group import Group

from deployments.cli.commands import Command, build_group

LOOK = Group("Look", sort_key=1)
WORK = Group("Work", sort_key=2)
KEEP = Group("Keep", sort_key=3)

COMMANDS = {
    "products": Command(
        "deployments.cli.archive.products:products",
        LOOK,
        "List products by type, instrument, filter, program, date, run, collection...",
        "[DATASET...] [OPTIONS]",
    ),
    "runs": Command(
        "deployments.cli.archive.runs:runs",
        LOOK,
        "List runs and collections.",
        "[NAME...] [OPTIONS]",
    ),
    "show": Command(
        "deployments.cli.archive.show:show",
        LOOK,
        "Show all about a dataset, file or reference: versions, origin, what was made of it.",
    ),
    "get": Command(
        "deployments.cli.archive.get:get",
        LOOK,
        "Copy products out of the archive, verified.",
        "PRODUCT|DATASET... [DEST] [OPTIONS]",
    ),
    "calibrations": Command(
        "deployments.cli.archive.calibrations:calibrations",
        LOOK,
        "List references of your own, with the dates for which they are valid.",
    ),
    "plan": Command(
        "deployments.cli.archive.plan:plan",
        LOOK,
        "Say what processing datasets would do, and what is missing, before anything runs.",
        "DATASET... [INPUT_URI] [OUTPUT_URI] [PROFILE] [OPTIONS]",
    ),
    "ingest": Command(
        "deployments.cli.archive.ingest:ingest",
        WORK,
        "Make files of CALDP, MAST or your own a run: copied, linked or in place.",
    ),
    "reproduce": Command(
        "deployments.cli.archive.reproduce:reproduce",
        WORK,
        "Make published products again from their provenance, and compare bit for bit.",
        "PRODUCT|DATASET... [OUTPUT_URI] [INPUT_URI] [PROFILE] [OPTIONS]",
    ),
    "replace": Command(
        "deployments.cli.archive.replace:replace",
        WORK,
        "Process datasets into a new run that takes a run's place in a chain.",
        "CHAIN DATASET... [INPUT_URI] [OUTPUT_URI] [PROFILE] [OPTIONS]",
    ),
    "tar": Command(
        "deployments.cli.archive.tar:tar",
        WORK,
        "Write published datasets as CALDP's tar files.",
        "DATASET... FOLDER [OPTIONS]",
    ),
    "certify": Command(
        "deployments.cli.archive.certify:certify",
        WORK,
        "Enter a reference of your own in a calibration collection, with dates.",
    ),
    "decertify": Command(
        "deployments.cli.archive.certify:decertify",
        WORK,
        "Make references of a collection invalid for a range of dates.",
    ),
    "chain": Command(
        "deployments.cli.archive.chain:chain",
        WORK,
        "Show or define a chain: an ordered list of runs.",
        "NAME [RUN|CHAIN...] [OPTIONS]",
    ),
    "tag": Command(
        "deployments.cli.archive.tag:tag",
        WORK,
        "Show a tag, or put products into it.",
        "NAME [PRODUCT...] [OPTIONS]",
    ),
    "verify": Command(
        "deployments.cli.archive.verify:verify",
        KEEP,
        "Compare files, manifests and the ledger; say what is missing or changed.",
        "[DATASET...] [OUTPUT_URI] [OPTIONS]",
    ),
    "prune": Command(
        "deployments.cli.archive.prune:prune",
        KEEP,
        "Remove old versions, never the only copy; a dry run unless --yes.",
        "[RUN...] [OPTIONS]",
    ),
    "ack": Command(
        "deployments.cli.archive.ack:ack",
        KEEP,
        "Write down that an archive has taken datasets, or could not.",
        "synced|archived|failed DATASET... [OPTIONS]",
    ),
}


TEXT = "Find, trace, ingest, verify, remake and prune products."


def build_app(focus: str | None = None) -> App:
    """Return the group, for the command about to run."""
    return build_group("archive", TEXT, COMMANDS, focus)
