"""`hstflow campaign train`: learn from the ledger what datasets need, and say how well."""

from __future__ import annotations

import math
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.markup import escape

from calib.ledger.location import hide_credentials, ledger_url
from deployments.cli.console import Flag, count_text, err, out, print_json
from deployments.cli.tables import plain_table

if TYPE_CHECKING:
    from calib.campaigns.training import Training
    from calib.cost_model import Law

# Shares below this are shown with a decimal: of rungs that are too low every one counts.
TENTH = 0.1

Instrument = Literal["acs", "wfc3", "cos", "stis", "mvm"]


def train(
    *,
    instrument: Instrument | None = None,
    rungs: str | None = None,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative=())] = False,
    json: Flag = False,
) -> int:
    """Learn from the ledger what datasets need, and report the error.

    Memory, disk and the wall clock of each stage are learned from the attempts that ended well;
    those that ran out of memory say what was not enough. The next campaigns use it. At least ten
    datasets are needed; until then a formula of sizes holds, and it stays the base of what is
    learned.

    Parameters
    ----------
    instrument
        Learn from this instrument alone; what is saved then knows no other.
    rungs
        Sizes of memory by which predictions are judged, in GB or with units, such as
        2,8,16,64.
    dry_run
        Report, and save nothing.
    json
        Write JSON to stdout.
    """
    from calib.campaigns.rungs import parse_rungs
    from calib.stages.campaign_plan import RUNGS

    sizes = RUNGS if rungs is None else parse_rungs(rungs)
    url = ledger_url(os.environ)
    with err.status("learning"):
        found = _learn(url, instrument, sizes)
    is_saved = bool(found.model.laws) and not dry_run
    if is_saved:
        _save(url, found)
    if json:
        print_json(_as_json(found, url, is_saved=is_saved))
    else:
        _print(found, is_saved=is_saved)
    return 0


def _learn(url: str, instrument: str | None, rungs: tuple[int, ...]) -> Training:
    from calib.campaigns.training import train as learn
    from calib.ledger.predictions import examples
    from calib.ledger.reading import open_reader

    with open_reader(url) as rows:
        return learn([] if rows is None else examples(rows, instrument), rungs)


def _save(url: str, found: Training) -> None:
    from calib.ledger.ledger import open_ledger
    from calib.ledger.predictions import save_model

    with open_ledger(url) as ledger:
        ledger.write(lambda connection: save_model(connection, found.model))


def _as_json(found: Training, url: str, *, is_saved: bool) -> dict[str, object]:
    return {
        "ledger": hide_credentials(url),
        "examples": found.examples,
        "datasets": found.datasets,
        "laws": [asdict(law) for law in found.model.laws.values()],
        "notes": list(found.notes),
        "saved": is_saved,
    }


def _print(found: Training, *, is_saved: bool) -> None:
    out.print(f"{count_text(found.examples, 'example')} of {count_text(found.datasets, 'dataset')}")
    laws = list(found.model.laws.values())
    if laws:
        _print_errors(laws)
        _print_terms(laws)
    for note in found.notes:
        out.print(escape(note), soft_wrap=True)
    if is_saved:
        out.print("saved: the next campaigns use it")
    else:
        out.print("nothing was saved" if laws else "nothing was learned")


def _print_errors(laws: list[Law]) -> None:
    """Show errors on datasets that were not seen: of the formula, then of the model."""
    out.print("errors on datasets that were not learned from, formula -> model:")
    columns = ("target", "examples", "median", "95 % below", "right rung", "too low")
    table = plain_table(*columns, "safety", right=(*columns[1:], "safety"))
    for law in laws:
        before, after = law.before, law.after
        shares = (
            (before.median, after.median),
            (before.high, after.high),
            (before.right_rung, after.right_rung),
            (before.too_low, after.too_low),
        )
        cells = (_change(*pair) for pair in shares)
        table.add_row(law.target, f"{law.examples:,}", *cells, f"x{math.exp(law.margin):.2f}")
    out.print(table)


def _print_terms(laws: list[Law]) -> None:
    learned = [law for law in laws if law.terms]
    if not learned:
        return
    names = tuple(law.target for law in learned)
    table = plain_table("factor on the formula", *names, right=names)
    for term in dict.fromkeys(term for law in learned for term in law.terms):
        cells = (_factor(law.terms.get(term), term) for law in learned)
        table.add_row(escape(term), *cells)
    out.print()
    out.print(table)
    out.print()


def _change(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return ""
    return f"{_percent(before)} -> {_percent(after)} %"


def _factor(value: float | None, term: str) -> str:
    """Show a coefficient as what it does: a factor; for logarithms it is a power."""
    if value is None:
        return ""
    return f"^{value:+.2f}" if term in {"size", "ln n_files"} else f"x{math.exp(value):.2f}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}" if share >= TENTH else f"{100 * share:.1f}"
