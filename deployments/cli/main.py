"""The console script `hstflow`: commands are imported only when they run.

Nothing heavy is imported here: `hstflow --help` and `hstflow status` answer at once.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points, version
from types import FrameType
from typing import NoReturn

from cyclopts import App, CycloptsError
from cyclopts.group import Group

from calib.errors import COMMAND, INTERRUPTED, TERMINATED, HstflowError

CALIBRATION = Group("Calibration", sort_key=1)
OPERATION = Group("Operation", sort_key=2)
MORE = Group("Added by installed packages", sort_key=3)

# Command -> (where it is, group, one line of help). The modules are imported on use.
COMMANDS = {
    "process": (
        "deployments.cli.process:process",
        CALIBRATION,
        "Take datasets through all six stages: fetch to state-message.",
    ),
    "fetch": (
        "deployments.cli.fetch:fetch",
        CALIBRATION,
        "Copy and verify the raw inputs of a dataset.",
    ),
    "bestrefs": (
        "deployments.cli.bestrefs:bestrefs",
        CALIBRATION,
        "Show, check or write the best reference files of exposures.",
    ),
    "calibrate": (
        "deployments.cli.calibrate:calibrate",
        CALIBRATION,
        "Calibrate raw files and associations whose headers name their references.",
    ),
    "preview": (
        "deployments.cli.preview:preview",
        CALIBRATION,
        "Draw preview pictures of files.",
    ),
    "demo": (
        "deployments.cli.demo:demo",
        CALIBRATION,
        "Simulate an exposure with its references, and process it. No network needed.",
    ),
    "status": (
        "deployments.cli.status:status",
        OPERATION,
        "Show what happened to datasets.",
    ),
    "doctor": (
        "deployments.cli.doctor:doctor",
        OPERATION,
        "Check this installation, and say what to do about what is missing.",
    ),
}

GROUPS = {
    "ledger": ("deployments.cli.ledger:app", OPERATION, "Upgrade and back up the ledger."),
    "archive": (
        "deployments.cli.archive:app",
        OPERATION,
        "Find, trace, ingest, verify, remake and prune products.",
    ),
}

# What cyclopts cannot say of a command whose words are sorted out by their form.
USAGE = {
    "process": "DATASET... [INPUT_URI] [OUTPUT_URI] [PROFILE] [OPTIONS]",
    "calibrate": "FILE... [OPTIONS]",
    "bestrefs": "FILE... [OPTIONS]",
    "preview": "FILE... [OPTIONS]",
    "status": "[DATASET...] [OPTIONS]",
}

EPILOGUE = """\
Start with `hstflow demo`. A command explains itself: `hstflow process --help`.

Exit codes: 0 done or nothing to do; 1 other; 2 bad command or setting; 21 input missing or
corrupt; 23 calibration; 25 archive; 27 references; 28 previews; 130/143 stopped."""


def build_app(focus: str | None = None) -> App:
    """Return the application with all commands registered, none of them imported.

    Parameters
    ----------
    focus
        The command about to run: its own text is its help, not the line of the list.
    """
    app = App(
        name="hstflow",
        help="Calibrate Hubble data: one dataset on a laptop, or a campaign of a hundred thousand.",
        help_epilogue="" if focus in COMMANDS else EPILOGUE,
        help_format="markdown",
        version=lambda: version("hstflow"),
        group_commands=CALIBRATION,
        suppress_keyboard_interrupt=False,  # said in one line by `run`
    )
    for name, (where, group, text) in {**COMMANDS, **GROUPS}.items():
        own_text = name == focus and name in COMMANDS
        words: dict[str, str] = {} if own_text else {"help": text}
        if name in USAGE:
            words["usage"] = f"Usage: hstflow {name} {USAGE[name]}"
        app.command(where, name=name, group=group, **words)
    for point in entry_points(group="hstflow.commands"):
        app.command(point.value, name=point.name, group=MORE)
    return app


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    An expected failure is one line on stderr, never a traceback.
    """
    tokens = sys.argv[1:] if arguments is None else list(arguments)
    app = build_app(focus=tokens[0] if tokens else None)
    try:
        result = app(tokens, exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        return COMMAND
    except HstflowError as error:
        sys.stderr.write(f"hstflow: {type(error).__name__}: {error}\n")
        return error.code
    except KeyboardInterrupt:
        sys.stderr.write("\nhstflow: interrupted; the same command goes on where this stopped\n")
        return INTERRUPTED
    return result if isinstance(result, int) else 0


def main() -> NoReturn:
    """Entry point of the console script."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run())


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    """Leave through every `finally`, so that the ledger learns that we were stopped."""
    raise SystemExit(TERMINATED)
