"""The console script `hstflow`: commands are imported only when they run.

Nothing heavy is imported here: `hstflow --help` and `hstflow status` answer at once.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import entry_points, version
from types import FrameType
from typing import NoReturn

from cyclopts import App, CycloptsError
from cyclopts.group import Group

from calib.errors import COMMAND, INTERRUPTED, TERMINATED, HstflowError
from deployments.cli.commands import Command, register

CALIBRATION = Group("Calibration", sort_key=1)
OPERATION = Group("Operation", sort_key=2)
MORE = Group("Added by installed packages", sort_key=3)

COMMANDS = {
    "process": Command(
        "deployments.cli.process:process",
        CALIBRATION,
        "Take datasets through all six stages: fetch to state-message.",
        "DATASET... [INPUT_URI] [OUTPUT_URI] [PROFILE] [OPTIONS]",
    ),
    "fetch": Command(
        "deployments.cli.fetch:fetch",
        CALIBRATION,
        "Copy and verify the raw inputs of a dataset.",
    ),
    "bestrefs": Command(
        "deployments.cli.bestrefs:bestrefs",
        CALIBRATION,
        "Show, check or write the best reference files of exposures.",
        "FILE... [OPTIONS]",
    ),
    "calibrate": Command(
        "deployments.cli.calibrate:calibrate",
        CALIBRATION,
        "Calibrate raw files and associations whose headers name their references.",
        "FILE... [OPTIONS]",
    ),
    "preview": Command(
        "deployments.cli.preview:preview",
        CALIBRATION,
        "Draw preview pictures of files.",
        "FILE... [OPTIONS]",
    ),
    "demo": Command(
        "deployments.cli.demo:demo",
        CALIBRATION,
        "Simulate sixteen datasets with their references, and process them. No network.",
    ),
    "status": Command(
        "deployments.cli.status:status",
        OPERATION,
        "Show what happened to datasets.",
        "[DATASET...] [OPTIONS]",
    ),
    "affected": Command(
        "deployments.cli.affected:affected",
        OPERATION,
        "List the datasets whose references differ between two contexts.",
        "[FILE...] --old CONTEXT --new CONTEXT [OPTIONS]",
    ),
    "up": Command(
        "deployments.cli.up:up",
        OPERATION,
        "Start all that an operator needs: Prefect's server, a worker, Dask, the dashboard.",
    ),
    "deploy": Command(
        "deployments.cli.deploy:deploy",
        OPERATION,
        "Tell Prefect's server of the deployments: campaigns, schedules, triggers, limits.",
        "[NAME...] [OPTIONS]",
    ),
    "dashboard": Command(
        "deployments.cli.dashboard:dashboard",
        OPERATION,
        "Serve pages of campaigns, datasets and errors, read from the ledger.",
    ),
    "doctor": Command(
        "deployments.cli.doctor:doctor",
        OPERATION,
        "Check this installation, and say what to do about what is missing.",
    ),
}

# Groups of commands; a group is built when one of its commands is about to run.
GROUPS = {
    "campaign": Command(
        "deployments.cli.campaign:build_app",
        OPERATION,
        "Calibrate many datasets, or reprocess on a new context: plan, submit, watch, report.",
    ),
    "context": Command(
        "deployments.cli.context:build_app",
        OPERATION,
        "CRDS contexts: show, compare, pin, synchronise, verify, deliver.",
    ),
    "reference": Command(
        "deployments.cli.reference:build_app",
        OPERATION,
        "Reference files: certify, name, insert into rules; who names and who used them.",
    ),
    "engines": Command(
        "deployments.cli.engines:build_app",
        OPERATION,
        "What calibrates which detector here, and how two engines differ on a dataset.",
    ),
    "archive": Command(
        "deployments.cli.archive:build_app",
        OPERATION,
        "Find, trace, ingest, verify, remake and prune products.",
    ),
    "ledger": Command(
        "deployments.cli.ledger:build_app",
        OPERATION,
        "Upgrade, copy, move and rebuild the ledger.",
    ),
}

EPILOGUE = """\
Start with `hstflow demo`. A command explains itself: `hstflow process --help`.

Exit codes: 0 done or nothing to do; 1 other; 2 bad command or setting; 21, 22, 26 input missing
or corrupt; 23 calibration; 25 archive; 27 references; 28 previews; 31 to 34 memory; 137 time;
130, 143 stopped."""


def build_app(focus: Sequence[str] = ()) -> App:
    """Return the application with all commands registered, none of them imported.

    Parameters
    ----------
    focus
        The words of the command line: the command about to run explains itself with its own
        text, not with its line of the list.
    """
    command, word = [*focus[:2], None, None][:2]
    app = App(
        name="hstflow",
        help="Calibrate Hubble data: one dataset on a laptop, or a campaign of a hundred thousand.",
        help_epilogue="" if command in COMMANDS or word else EPILOGUE,
        help_format="markdown",
        version=lambda: version("hstflow"),
        group_commands=CALIBRATION,
        suppress_keyboard_interrupt=False,  # said in one line by `run`
    )
    register(app, COMMANDS, program="hstflow", focus=command)
    others = {name: group for name, group in GROUPS.items() if name != command}
    register(app, others, program="hstflow", focus=None)
    if command in GROUPS:
        module, _, build = GROUPS[command].where.partition(":")
        group = getattr(import_module(module), build)(word)
        app.command(group, name=command)
    for point in entry_points(group="hstflow.commands"):
        app.command(point.value, name=point.name, group=MORE)
    return app


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    An expected failure is one line on stderr, never a traceback.
    """
    tokens = sys.argv[1:] if arguments is None else list(arguments)
    app = build_app(tokens)
    try:
        result = app(tokens, exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        return COMMAND
    except HstflowError as error:
        sys.stderr.write(f"hstflow: {type(error).__name__}: {error}\n")
        return error.code
    except BrokenPipeError:
        return _reader_gone()
    except KeyboardInterrupt:
        sys.stderr.write("\nhstflow: interrupted; the same command goes on where this stopped\n")
        return INTERRUPTED
    return result if isinstance(result, int) else 0


def _reader_gone() -> int:
    """End quietly where whoever read our output (`head`) wants no more of it.

    Python flushes stdout once more at exit, which must not fail again.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def main() -> NoReturn:
    """Entry point of the console script."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run())


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    """Leave through every `finally`, so that the ledger learns that we were stopped."""
    raise SystemExit(TERMINATED)
