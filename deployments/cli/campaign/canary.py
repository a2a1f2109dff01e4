"""`hstflow campaign canary`: a few datasets first, and what differs from before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter, validators
from rich.markup import escape

from calib.errors import DONE, ConfigError
from calib.ids import parse_dataset
from calib.ledger.reports import Rows
from calib.ledger.reprocessing_reports import Mark, Reprocessing
from calib.reprocessing.life import WAVES, Canaries, refuse_late_canaries, to_run
from deployments.cli.campaign.lookup import reading
from deployments.cli.campaign.reprocessings import (
    TakeFlags,
    find_reprocessing,
    take_on,
    tell_result,
)
from deployments.cli.console import Flag, Several, expand_names, out, print_json
from deployments.cli.tables import plain_table


@dataclass(frozen=True)
class CanaryFlags:
    """Options of `hstflow campaign canary`.

    Attributes
    ----------
    per_type
        Choose anew: so many datasets of each type of reference that changes; where a list or a
        query asked, and no type tells, so many of each kind.
    only
        These datasets instead of a choice: names, commas or @FILE; may be repeated.
    dry_run
        Say which would run, and run none.
    json
        Write JSON to stdout.
    verbose
        Show every log line on stderr.
    quiet
        Show errors only.
    """

    per_type: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None
    only: Several = None
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative=())] = False
    json: Flag = False
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative=())] = False
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())] = False


def canary(
    name: str, /, *, flags: Annotated[CanaryFlags | None, Parameter(name="*")] = None
) -> int:
    """Run a few datasets of each changed type on the new context, and report what differs.

    Readers are not shown what canaries make: it waits in the run of the reprocessing, which
    finds it there. The report compares it with what is current, header by header and pixel by
    pixel; `hstflow campaign approve NAME` decides after that. With other canaries it may be
    repeated until then; those that ran are not run again.

    Examples: `hstflow campaign canary july`, `hstflow campaign canary july --per-type 5`.

    Parameters
    ----------
    name
        A reprocessing: a name given to `hstflow campaign plan`.
    """
    flags = flags or CanaryFlags()
    if flags.per_type and flags.only:
        raise ConfigError("--only says which datasets", expected="no --per-type beside it")
    with reading() as rows:
        one = find_reprocessing(rows, name)
        chosen = _chosen(rows, one, flags)
    if flags.dry_run:
        return _tell(chosen, json=flags.json)
    is_new = flags.per_type or flags.only or not any(mark.is_canary for mark in chosen)
    canaries = Canaries(tuple(mark.dataset for mark in chosen) if is_new else None)
    take = TakeFlags(json=flags.json, verbose=flags.verbose, quiet=flags.quiet)
    return tell_result(name, take_on(name, take, canaries), take)


def _chosen(rows: Rows, one: Reprocessing, flags: CanaryFlags) -> list[Mark]:
    """Return the canaries: those of the plan, unless others are asked for.

    Raises
    ------
    ConfigError
        It is too late for canaries, or a name is none of the datasets that are to run.
    """
    refuse_late_canaries(rows, one)
    able = to_run(rows, one.id, wave=WAVES[0])
    if flags.only:
        return _named(able, expand_names(flags.only), one.name)
    planned = [mark for mark in able if mark.is_canary]
    if planned and flags.per_type is None:
        return planned
    from calib.reprocessing.canaries import canaries_of

    names = set(canaries_of(able) if flags.per_type is None else canaries_of(able, flags.per_type))
    return [mark for mark in able if mark.dataset in names]


def _named(able: Sequence[Mark], words: Sequence[str], name: str) -> list[Mark]:
    wanted = {parse_dataset(word).name for word in words}
    strangers = sorted(wanted - {mark.dataset for mark in able})
    if strangers:
        expected = f"exposures or associations that {name} marks and does not leave out"
        raise ConfigError("cannot be canaries", expected=expected, found=", ".join(strangers))
    return [mark for mark in able if mark.dataset in wanted]


def _tell(chosen: Sequence[Mark], *, json: bool) -> int:
    if json:
        print_json([{"dataset": each.dataset, "changes": each.changes} for each in chosen])
        return DONE
    table = plain_table("canary", "instrument", "changes", whole=("canary", "instrument"))
    for each in chosen:
        table.add_row(each.dataset, each.instrument, escape(", ".join(sorted(each.changes))))
    out.print(table if chosen else "there is nothing to run")
    return DONE
