"""`hstflow context deliver`: from reference files to a context of our own, step by step."""

from __future__ import annotations

import getpass
import os
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from calib.errors import BESTREFS, DONE, ConfigError
from deployments.cli.console import Flag, Several, count_text, err, out, print_json, size_text
from deployments.cli.reference.places import context_of, find_files, profile_of
from deployments.cli.tables import cell, plain_table, time_text

if TYPE_CHECKING:
    from calib.references.delivery.delivery import Made
    from calib.references.delivery.steps import Delivery
    from calib.references.profile import CrdsProfile

# Datasets that are named in the answer for people; the record of the delivery has all.
_SHOWN = 10

_NO_SUBMISSION = (
    "hstflow does not submit to the CRDS server: that takes a login on its web page, the right "
    "to deliver, and its ingest directory, which no program from outside has"
)
_INSTEAD = (
    "upload the files of references/ on the page 'Batch Submit References' of the server, with "
    "difference.txt for the reviewers; the server makes rules and a context of its own"
)


@dataclass(frozen=True)
class Making:
    """How a delivery is made.

    Attributes
    ----------
    from_context
        The context to start from; by default the operational one.
    output
        Folder for the delivery, which must not be there; by default delivery-DATE-TIME here.
    serial
        Number of the new context and of all new rules; by default one more than the last that
        is taken, from 9000 on: numbers that the CRDS server does not reach.
    name
        The same as the name of the context: hst_9010.pmap.
    rename
        Give the references unique names (copies; the originals stay); --no-rename: they keep
        theirs.
    headers
        Exposures to tell the changes for, instead of those that the ledger knows: FITS files,
        headers in JSON as `hstflow affected` takes them, or @FILE; may be repeated.
    dry_run
        Do all of it and show it, but keep nothing.
    """

    from_context: Annotated[str | None, Parameter(name="--from")] = None
    output: Path | None = None
    serial: int | None = None
    name: str | None = None
    rename: bool = True
    headers: Several = None
    dry_run: Annotated[Flag, Parameter(alias="-n")] = False


@dataclass(frozen=True)
class Steps:
    """What happens to a delivery that was made; one of these at a time, without FILE.

    Attributes
    ----------
    show
        Show this delivery and its steps.
    confirm
        Say that this delivery is as it should be.
    archive
        Copy this delivery into the CRDS cache: its context can be used from then on.
    operational
        With --archive: make its context the one that is used where none is named (only in a
        cache without a server).
    cancel
        Give up this delivery; its folder stays.
    submit
        Refused, with the reason and what to do instead.
    """

    show: Path | None = None
    confirm: Path | None = None
    archive: Path | None = None
    operational: Flag = False
    cancel: Path | None = None
    submit: Flag = False

    @property
    def chosen(self) -> list[str]:
        """The names of those that were asked for."""
        names = ("show", "confirm", "archive", "cancel")
        return [name for name in names if getattr(self, name) is not None]


@dataclass(frozen=True)
class DeliverFlags:
    """What else `hstflow context deliver` takes.

    Attributes
    ----------
    profile
        onsite, offsite, cloud, or a TOML file, as in `hstflow bestrefs`.
    json
        Write JSON to stdout.
    """

    profile: str | None = None
    json: Flag = False


def deliver(
    *files: str,
    making: Annotated[Making | None, Parameter(name="*")] = None,
    steps: Annotated[Steps | None, Parameter(name="*")] = None,
    flags: Annotated[DeliverFlags | None, Parameter(name="*")] = None,
) -> int:
    """Make a context from reference files, look at it, and put it into the CRDS cache.

    First `hstflow context deliver FILE... --from CONTEXT` certifies the files, copies them
    under unique names, puts them into the rules of their types, certifies those, makes a
    context, and shows what differs and which datasets would change. All of it goes to a folder
    (mappings/, references/, catalogue.json, delivery.json, difference.txt), and the cache stays
    as it is. Then --confirm FOLDER, --archive FOLDER, or --cancel FOLDER: ready -> confirmed ->
    archived or cancelled. Campaigns cannot use the context before it is archived.

    Exit code 27 where crds refuses a file.

    Parameters
    ----------
    files
        Reference files, or @FILE with one a line.
    """
    making, steps, flags = making or Making(), steps or Steps(), flags or DeliverFlags()
    if steps.submit:
        raise ConfigError(f"{_NO_SUBMISSION}; instead, {_INSTEAD}")
    chosen = steps.chosen
    if len(chosen) > 1 or (chosen and (files or making != Making())):
        given = [*files, *(f"--{name}" for name in chosen)]
        expected = "FILE..., or one of --show, --confirm, --archive, --cancel FOLDER"
        raise ConfigError("one thing at a time", expected=expected, found=" ".join(given))
    if steps.operational and chosen != ["archive"]:
        raise ConfigError("--operational goes with --archive FOLDER")
    if chosen:
        return _step(chosen[0], steps, flags)
    return _make(files, making, flags)


def _step(name: str, steps: Steps, flags: DeliverFlags) -> int:
    from calib.references.delivery.archiving import archive, cancel, confirm
    from calib.references.delivery.steps import read_delivery

    folder = Path(getattr(steps, name))
    if name == "archive":
        place = profile_of(flags.profile)
        with err.status("archiving"):
            delivery = archive(place, folder, _who(), operational=steps.operational)
    elif name == "show":
        delivery = read_delivery(folder)
    else:
        delivery = {"confirm": confirm, "cancel": cancel}[name](folder, _who())
    if flags.json:
        print_json(delivery.as_json())
    else:
        _show_delivery(delivery)
    return DONE


def _make(files: Sequence[str], making: Making, flags: DeliverFlags) -> int:
    from calib.references.delivery.certify import certify_files
    from calib.references.delivery.delivery import deliver as chain
    from deployments.cli.reference.certify import show_certification

    place = profile_of(flags.profile)
    asked = _asked(making, place)
    paths = find_files(files, place)
    with err.status("certifying") as status:
        found = certify_files(place, paths, asked.old)
        if not found.errors:
            status.update("making rules and a context")
            made = chain(place, found, asked, _look(making.headers or ()))
    if found.errors:
        answer = {"errors": found.errors, **asdict(found)}
        if flags.json:
            print_json({"certification": answer, "delivery": None})
        else:
            show_certification(found)
        return BESTREFS
    if flags.json:
        print_json(
            {
                "written": not making.dry_run,
                "delivery": made.delivery.as_json(),
                "differences": [asdict(each) for each in made.differences],
                "warnings": [*_noticed(found), *made.warnings],
            }
        )
    else:
        _show_made(made, _noticed(found), kept=not making.dry_run)
    return DONE


def _asked(making: Making, place: CrdsProfile) -> Any:
    from calib.references.delivery.delivery import Asked
    from calib.references.delivery.names import context_number

    if making.serial is not None and making.name is not None:
        raise ConfigError("one number for all new rules", expected="--serial or --name")
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return Asked(
        old=context_of(making.from_context, place),
        folder=(making.output or Path(f"delivery-{now}")).absolute(),
        who=_who(),
        number=making.serial if making.name is None else context_number(making.name),
        rename=making.rename,
        dry_run=making.dry_run,
    )


def _noticed(found: Any) -> list[str]:
    """Return what crds noticed in the references."""
    texts = [f"{each.path.name}: {text}" for each in found.files for text in each.warnings]
    return [*texts, *(each.text for each in found.together)]


def _who() -> str:
    from calib.ledger.owners import this_host

    return f"{getpass.getuser()}@{this_host()}"


@dataclass
class _Counted:
    """Counts what passes."""

    number: int = field(default=0)

    def all(self, each: Any) -> Any:
        """Return the same, counted."""
        for one in each:
            self.number += 1
            yield one


def _look(words: Sequence[str]) -> Any:
    """Return what tells the datasets that a new context changes."""
    from calib.ledger.location import ledger_url
    from calib.ledger.reading import open_reader
    from calib.references.comparison import compare_contexts
    from calib.references.delivery.steps import Touched
    from calib.reprocessing.selection import mark

    def look(stage: CrdsProfile, old: str, new: str) -> Touched | None:
        counted = _Counted()
        with open_reader(ledger_url(os.environ)) as rows:
            if rows is None and not words:
                return None
            headers = counted.all(_headers(words, rows, stage))
            marks = mark(compare_contexts(stage, old, new, headers), rows)
        return Touched(counted.number, {m.dataset.name: tuple(m.changes) for m in marks})

    return look


def _headers(words: Sequence[str], rows: Any, place: CrdsProfile) -> Any:
    """Yield the exposures to look at: of files, else of the ledger."""
    from calib.references.header_sources import headers_of_files, headers_of_json
    from calib.reprocessing.ledger_headers import headers_of_ledger

    if not words:
        yield from headers_of_ledger(rows)
        return
    for path in find_files(words, place):
        yield from headers_of_json(path) if path.suffix == ".json" else headers_of_files([path])


def _show_made(made: Made, noticed: Sequence[str], *, kept: bool) -> None:
    from deployments.cli.reference.diff import show_differences

    delivery = made.delivery
    show_differences(made.differences)
    for text in (*noticed, *made.warnings):
        out.print(f"[yellow]warning[/yellow] {escape(text)}", soft_wrap=True)
    _show_touched(delivery)
    if not kept:
        out.print(f"would make {delivery.context} from {delivery.old}; nothing was written")
        return
    out.print(f"{delivery.context} from {delivery.old} is ready", soft_wrap=True)
    folder = escape(shlex.quote(str(delivery.folder)))
    out.print(f"next: hstflow context deliver --confirm {folder}", soft_wrap=True)


def _show_touched(delivery: Delivery) -> None:
    if delivery.affected is None:
        out.print("which datasets change is not known: there is no ledger (or give --headers)")
        return
    names = sorted(delivery.affected.datasets)
    shown = " ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
    seen = count_text(delivery.affected.looked_at, "exposure")
    number = count_text(len(names), "dataset")
    named = f": {escape(shown)}" if shown else ""
    out.print(f"{number} would change, of {seen} looked at{named}", soft_wrap=True)


def _show_delivery(delivery: Delivery) -> None:
    table = plain_table("file", "size", "sha1", right=("size",))
    for each in delivery.files:
        table.add_row(cell(each.name), size_text(each.size), each.sha1sum)
    out.print(table)
    for step in delivery.steps:
        out.print(f"{time_text(step.time)}  {step.state}  {escape(step.who)}", soft_wrap=True)
    out.print(f"{delivery.context} from {delivery.old} is {delivery.state}", soft_wrap=True)
