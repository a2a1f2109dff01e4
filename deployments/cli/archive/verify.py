"""`hstflow archive verify`: whether everything that was published is still what it was."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, validators
from rich.markup import escape

from calib.archive.layout import check_run_name
from calib.errors import ARCHIVE, DONE, ConfigError, HstflowError
from calib.ids import parse_dataset
from calib.ledger.location import ledger_url
from calib.ledger.reading import open_reader
from deployments.cli.console import (
    Flag,
    Several,
    count_text,
    expand_names,
    out,
    print_json,
    size_text,
    split_arguments,
)
from deployments.cli.progress import counted
from deployments.cli.tables import cell, plain_table

if TYPE_CHECKING:
    from calib.ledger.reports import Rows
    from calib.repository.verification import Checked

# Publications at the same time: enough to hide the round trips of a bucket, and for deep
# verification as many cores as a workstation spares.
THREADS = 4
ALL_WELL = "[green]all is well[/green]"


def verify(
    *arguments: str,
    run: Several = None,
    deep: Flag = False,
    threads: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=64))] = THREADS,
    json: Flag = False,
) -> int:
    """Compare published files with their manifests, manifests and pointers with the ledger.

    Nothing is changed. Problems are *missing* (known, not there), *changed* (other size or
    bytes, another manifest than the ledger knows, a pointer that leads elsewhere), *orphaned*
    (there, and named by nobody), *unreadable*, and *unregistered* (the ledger does not know
    it). Exit code 0 where all is well, 25 where it is not.

    Parameters
    ----------
    arguments
        DATASET... [OUTPUT_URI]: names, commas or @FILE with one name a line; without names
        everything. Without OUTPUT_URI every output that the ledger knows.
    run
        Only this run: names, commas or @FILE; may be repeated.
    deep
        Read all files and compare their checksums. Without it presence and size are compared.
    threads
        Publications checked at the same time.
    json
        Write JSON to stdout.
    """
    tokens, uris = split_arguments(arguments)
    names = [parse_dataset(name).name for name in expand_names(tokens)]
    if len(uris) > 1:
        raise ConfigError("one output at a time", expected="[OUTPUT_URI]", found=" ".join(uris))
    runs = expand_names(run or ())
    for name in runs:
        check_run_name(name)
    report = _Report()
    with open_reader(ledger_url(os.environ)) as rows:
        for uri in uris or _all_outputs(rows):
            options = {"datasets": names, "runs": runs, "deep": deep, "at_once": threads}
            report.take(uri, _checked(uri, rows, options, is_named=bool(uris)))
    report.add_missing(names, runs)
    if json:
        print_json(report.as_json())
    else:
        report.show()
    return ARCHIVE if report.problems else DONE


def _all_outputs(rows: Rows | None) -> list[str]:
    from calib.repository.verification import known_outputs

    if rows is None:
        raise ConfigError("there is no ledger that names outputs", expected="an OUTPUT_URI")
    return known_outputs(rows)


def _checked(
    uri: str, rows: Rows | None, options: dict[str, Any], *, is_named: bool
) -> Iterator[Checked]:
    """Yield what is found in an output, with a progress bar."""
    from calib.archive.outputs import open_output
    from calib.archive.verification import Problem
    from calib.repository.verification import Checked, expected_number, verify_repository

    try:
        output = open_output(uri)
        is_all = not options["datasets"] and not options["runs"]
        total = expected_number(rows, output) if rows and is_all else None
        yield from counted(verify_repository(output, rows, **options), "publications", total)
    except HstflowError as error:
        if is_named:
            raise
        yield Checked(None, None, uri, 0, (Problem("unreadable", uri, str(error)),))


class _Report:
    """What was found, added up; only problems are kept."""

    def __init__(self) -> None:
        self.outputs: list[str] = []
        self.datasets: set[str] = set()
        self.runs: set[str] = set()
        self.publications = 0
        self.size = 0
        self.problems: list[dict[str, Any]] = []

    def take(self, uri: str, found: Iterator[Checked]) -> None:
        """Add what is found in an output."""
        self.outputs.append(uri)
        for each in found:
            if each.dataset is not None:
                self.publications += 1
                self.size += each.size
                self.datasets.add(each.dataset)
            if each.run is not None:
                self.runs.add(each.run)
            about = {"output": uri, "run": each.run, "dataset": each.dataset}
            self.problems += [{**asdict(problem), **about} for problem in each.problems]

    def add_missing(self, names: Sequence[str], runs: Sequence[str]) -> None:
        """Add what was named and is not there: a typing mistake is not "all is well".

        Raises
        ------
        ConfigError
            Nothing at all was there to verify, and no dataset was named.
        """
        if not self.publications and not self.problems and not names and (runs or self.outputs):
            places = ", ".join(self.outputs) or "any output"
            what = f"runs {', '.join(runs)}" if runs else "a publication"
            raise ConfigError("nothing is published there", path=places, expected=what)
        for name in sorted({*names} - self.datasets):
            self._add_absent(name, "published nowhere", dataset=name)
        what = "none of these datasets is in it" if names else "nothing is published in this run"
        for name in sorted({*runs} - self.runs):
            self._add_absent(name, what, run=name)

    def _add_absent(self, name: str, message: str, **about: str) -> None:
        missing = {"kind": "missing", "path": name, "message": message}
        self.problems.append({**missing, "output": None, "run": None, "dataset": None, **about})

    def as_json(self) -> dict[str, Any]:
        """Return all of it, problems sorted."""
        kinds = [problem["kind"] for problem in self.problems]
        return {
            "outputs": self.outputs,
            "publications": self.publications,
            "bytes": self.size,
            "counts": {kind: kinds.count(kind) for kind in sorted({*kinds})},
            "problems": self._sorted(),
        }

    def show(self) -> None:
        """Print the problems, if any, and one line that says how much was looked at."""
        if self.problems:
            table = plain_table("problem", "dataset", "run", "what")
            for each in self._sorted():
                what = cell(f"{each['path']}: {each['message']}")
                place = (cell(each["dataset"]), cell(each["run"]))
                table.add_row(f"[red]{each['kind']}[/red]", *place, what)
            out.print(table)
        number = len(self.problems)
        verdict = f"[red]{count_text(number, 'problem')}[/red]" if number else ALL_WELL
        places = f"{len(self.outputs)} outputs" if len(self.outputs) > 1 else "".join(self.outputs)
        held = f"{count_text(self.publications, 'publication')}, {size_text(self.size)}"
        said = f"{held} in {escape(places)}"
        out.print(f"{said}: {verdict}", soft_wrap=True)

    def _sorted(self) -> list[dict[str, Any]]:
        return sorted(
            self.problems, key=lambda p: (p["output"] or "", p["run"] or "", p["path"], p["kind"])
        )
