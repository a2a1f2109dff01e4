"""`hstflow archive replace`: datasets into a new run that takes a run's place in a chain."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from calib.errors import ARCHIVE, ConfigError
from calib.records import Outcome
from deployments.cli.console import (
    err,
    expand_names,
    out,
    print_json,
    show_logs,
    split_arguments,
)
from deployments.cli.process import ReplaceFlags, first_code, is_good, plan_for, process_all

if TYPE_CHECKING:
    from calib.stages.replacement import Front, Move

EXPECTED = "CHAIN DATASET... [INPUT_URI] [OUTPUT_URI] [PROFILE], or CHAIN --all ..."

# Names of datasets in one line of the report.
_SHOWN = 5


def replace(
    *arguments: str, flags: Annotated[ReplaceFlags | None, Parameter(name="*")] = None
) -> int:
    """Process datasets into a new run that takes the place of a chain's first run.

    The chain moves in one step, after every dataset has succeeded. If one fails the chain
    stays as it is and the new run is kept: the same command goes on there. A first run that
    holds more datasets than the new one stays behind it, so the chain loses nothing. Without
    --prune no product is removed.

    Parameters
    ----------
    arguments
        CHAIN, then DATASET: names, or @FILE with one name a line (none with --all).
        INPUT_URI: as for `process` (default file:.). OUTPUT_URI: without it that of the run
        that is replaced; needed where this run has none, as its files were ingested in place.
        PROFILE: how to reach CRDS.
    """
    flags = flags or ReplaceFlags()
    chain, names, places = _read_arguments(arguments, flags)
    show_logs(verbose=flags.verbose, quiet=flags.quiet)
    front = _front(chain)
    names = list(front.datasets) if flags.all else names
    if not names:
        raise ConfigError("the chain holds no dataset", found=chain)
    places = _complete(chain, places, front)
    planned = plan_for(names, places, flags)
    run = planned[0].run
    jobs = [dataclasses.replace(job, run_is_named=True) for job in planned]
    outcomes = process_all(jobs, places, dataclasses.replace(flags, run=run))
    move = _move(chain, run, outcomes)
    if move is not None and not flags.json:
        out.print(escape(describe(move)), soft_wrap=True)
    pruned = _prune(move, quiet=flags.json) if flags.prune and move is not None else None
    if flags.json:
        print_json({**_as_json(move, outcomes, chain, run), "pruned": pruned})
    failed = pruned is not None and bool(pruned["failed"])
    return first_code(outcomes) or (ARCHIVE if failed else 0)


def _read_arguments(
    arguments: Sequence[str], flags: ReplaceFlags
) -> tuple[str, list[str], list[str]]:
    words, places = split_arguments(arguments)
    names = expand_names(words[1:])
    if not words or bool(names) is flags.all or len(places) > len(("input", "output", "profile")):
        found = " ".join(arguments) or "nothing"
        raise ConfigError(
            "not what can be replaced",
            expected=EXPECTED,
            found=f"{found} --all" if flags.all else found,
        )
    return words[0], names, places


def _front(chain: str) -> Front:
    from calib.ledger.reading import open_reader
    from calib.stages.replacement import look_at_front
    from tasks.settings import load_settings

    url = load_settings().ledger
    with open_reader(url) as rows:
        if rows is None:
            raise ConfigError("there is no ledger yet, so there is no chain", found=chain)
        return look_at_front(rows, chain)


def _complete(chain: str, places: list[str], front: Front) -> list[str]:
    """Put the output of the replaced run where the user named none."""
    known = places or ["file:."]
    if len(known) > 1:
        if known[1] == "none":
            raise ConfigError("a chain needs an archive", expected="OUTPUT_URI", found="none")
        return known
    if front.output is None:
        raise ConfigError(
            "the chain does not say where the new run goes",
            expected="OUTPUT_URI",
            found=f"{chain} begins with {front.run or 'no run'}, which is in no archive",
        )
    return [*known, front.output]


def _move(chain: str, run: str, outcomes: Sequence[Outcome]) -> Move | None:
    """Move the chain if every dataset has succeeded, and say what became of it."""
    from calib.ledger.ledger import open_ledger
    from calib.stages.replacement import replace_front
    from tasks.settings import load_settings

    bad = sum(not is_good(outcome) for outcome in outcomes)
    if bad:
        text = f"{bad} of {len(outcomes)} datasets failed; run {run} is kept for another try"
        err.print(f"chain {escape(chain)} stays as it is: {escape(text)}", soft_wrap=True)
        return None
    with open_ledger(load_settings().ledger) as ledger:
        return ledger.write(lambda connection: replace_front(connection, chain, run))


def _prune(move: Move, *, quiet: bool) -> dict[str, list[str]]:
    """Remove what the replaced run holds, if the new run or another covers it."""
    from calib.ledger.ledger import open_ledger
    from calib.repository.pruning import Selection, plan_prune, prune
    from tasks.settings import load_settings

    if move.left is None:
        found: dict[str, list[str]] = {"removed": [], "stays": [], "failed": []}
        why = "nothing is pruned: no run has left the chain"
    else:
        selection = Selection(runs=(move.left,))
        with open_ledger(load_settings().ledger) as ledger:
            plan = ledger.ask(lambda rows: plan_prune(rows, selection))
            done = list(prune(plan, ledger))
        found = {
            "removed": [each.version.dataset for each in done if each.is_gone],
            "stays": [f"{each.version.dataset}: {each.why}" for each in plan.staying],
            "failed": [f"{each.version.dataset}: {each.why}" for each in done if not each.is_gone],
        }
        count = len(found["removed"])
        why = f"{count} of {count + len(found['stays'] + found['failed'])} datasets pruned from"
        why = f"{why} {move.left}"
    if not quiet:
        for line in (why, *found["stays"], *found["failed"]):
            out.print(escape(line), soft_wrap=True)
    return found


def describe(move: Move) -> str:
    """Say in one line what became of a chain."""
    if not move.changed:
        return f"chain {move.chain} begins with {', '.join(move.front)} already"
    text = f"chain {move.chain} begins with {', '.join(move.front)}"
    if move.left is not None:
        return f"{text}; {move.left} has left it"
    if move.behind is not None:
        more = len(move.missing) - _SHOWN
        names = ", ".join(move.missing[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        return f"{text}; {move.behind} stays behind it, as it alone holds {names}"
    return text


def _as_json(
    move: Move | None, outcomes: Sequence[Outcome], chain: str, run: str
) -> dict[str, Any]:
    return {
        "chain": chain,
        "run": run,
        "moved": move is not None,
        "left": move.left if move else None,
        "behind": move.behind if move else None,
        "missing": list(move.missing) if move else [],
        "outcomes": [dataclasses.asdict(outcome) for outcome in outcomes],
    }
