"""`hstflow campaign export`: what campaigns cost, as files for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.markup import escape

from calib.errors import ConfigError
from deployments.cli.campaign.lookup import find_campaign, reading
from deployments.cli.console import Flag, out, print_json

if TYPE_CHECKING:
    from calib.campaigns.cost_files import Export

Word = Annotated[str, Parameter(allow_leading_hyphen=True)]


def export(
    *words: Word,
    rows: Literal["stages", "attempts", "jobs"] = "stages",
    format: Literal["parquet", "csv", "jsonl", "blackboard"] | None = None,  # noqa: A002 - the option's name
    replace: Flag = False,
    json: Flag = False,
) -> int:
    """Write what campaigns cost into a file, as the ledger is at one moment.

    A row is a stage of an attempt: state, times, wall and CPU seconds, peak memory, bytes read
    and written, disk, the memory that was granted, the host, and the nine features that needs
    are predicted from. Sizes are bytes, times UTC, what is not known is empty. The blackboard
    is CALCLOUD's: one line a job, twelve columns separated by bars.

    Examples: `hstflow campaign export night costs.parquet`,
    `hstflow campaign export blackboard.snapshot --replace`,
    `hstflow campaign export night - --format csv`.

    Parameters
    ----------
    words
        [NAME] TARGET: the campaign, all of them where there is none, and the file, - for
        stdout. Its name tells the format: .parquet (needs pyarrow), .csv, .jsonl, and
        .snapshot or blackboard for the blackboard.
    rows
        What a row is: a stage of an attempt, an attempt, or a job. Not for the blackboard.
    format
        The format where the name does not tell.
    replace
        Take the place of a file that is there, when the new one is whole.
    json
        Say in JSON on stdout what was written.
    """
    from calib.campaigns.cost_files import Export, export_costs, format_of
    from calib.ledger.costs import TABLES
    from tasks.settings import load_settings

    name, target = _parse(words, json=json)
    kind = format or format_of(target)
    work = str(load_settings().work.absolute())
    wanted = Export(TABLES[rows], name, work)
    with reading() as ask:
        if name is not None:
            find_campaign(ask, name)
        place = None if target == "-" else Path(target)
        count = export_costs(ask, wanted, kind, place, replace=replace)
    if target != "-":
        _tell(wanted, kind, target, count, as_json=json)
    return 0


def _parse(words: tuple[str, ...], *, json: bool) -> tuple[str | None, str]:
    if not 1 <= len(words) <= 2:  # noqa: PLR2004 - [NAME] TARGET
        raise ConfigError("name a file", expected="[NAME] TARGET", found=" ".join(words) or None)
    if json and words[-1] == "-":
        raise ConfigError("--json and the export cannot share stdout", expected="a file")
    return (words[0] if len(words) > 1 else None), words[-1]


def _tell(wanted: Export, kind: str, target: str, count: int, *, as_json: bool) -> None:
    if as_json:
        found = {"campaign": wanted.campaign, "file": target, "format": kind, "rows": count}
        print_json(found)
        return
    out.print(f"{escape(target)}: {count:,} rows", soft_wrap=True)
