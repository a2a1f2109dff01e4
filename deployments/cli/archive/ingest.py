"""`hstflow archive ingest`: files that others made become a run of the registry."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter, validators
from rich.markup import escape

from calib.errors import DONE
from deployments.cli.console import Flag, err, out, print_json, show_logs, size_text
from deployments.cli.progress import following
from deployments.cli.tables import cell, plain_table

if TYPE_CHECKING:
    from calib.repository.candidates import IngestRequest, Survey
    from calib.repository.ingest import Ingested

# Datasets of a dry run, refusals and unmatched files that people are shown; --json has all.
_DATASETS, _NAMED = 20, 10


@dataclass(frozen=True)
class IngestFlags:
    """Options of `hstflow archive ingest`.

    Attributes
    ----------
    run
        Name of the run that takes the files; not needed where the template has {run}.
    template
        auto (any depth, by file names), flat, caldp, mast, hstflow; or a path with fields, such as
        {instrument}/{visit}/{root}_{suffix}.fits. Fields: {dataset} {root} {suffix} {name}
        {instrument} {program} {visit} {proposal} {detector} {filter} {run} {any}; **/ is any
        folders.
    transfer
        copy; link: hard links, and the source becomes read-only; in-place: nothing is written or
        moved, only the registry learns of the files.
    dry_run
        Show what would be ingested, grouped; nothing is read or written.
    current
        Make these versions current also where others are. Without it only where none is.
    headers
        --no-headers: do not read headers; names alone say what files show.
    checksums
        --no-checksums: do not read the files; in-place only.
    trust_size
        Take a known file of the same size as unchanged, without reading it.
    threads
        Datasets read at the same time.
    json
        Write JSON to stdout.
    """

    run: str | None = None
    template: str = "auto"
    transfer: Literal["copy", "link", "in-place"] = "copy"
    dry_run: Annotated[Flag, Parameter(name=["--dry-run", "-n"])] = False
    current: Flag = False
    headers: bool = True
    checksums: bool = True
    trust_size: Flag = False
    threads: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=64))] = 4
    json: Flag = False


def ingest(
    uri: str,
    output_uri: str | None = None,
    /,
    *,
    flags: Annotated[IngestFlags | None, Parameter(name="*")] = None,
) -> int:
    """Make files of CALDP, MAST or a notebook a run, to be queried, compared and verified.

    A dataset is ingested whole or refused with the reason, and the others go on. Copied and
    linked files are published in OUTPUT_URI with a manifest that says where they came from.
    Running the same again compares, and changes nothing; a file that has changed is refused,
    since a run is write-once. Exit code 21 where files are damaged or hostile, 25 where they
    have changed or cannot be published.

    Parameters
    ----------
    uri
        Where the files are: file:FOLDER or s3://BUCKET/PREFIX.
    output_uri
        The archive that takes them: file:FOLDER or s3://BUCKET/PREFIX; none for in-place.
    """
    from calib.repository.candidates import survey

    flags = flags or IngestFlags()
    show_logs(verbose=False, quiet=True)
    request = _request(uri, output_uri, flags)
    found = survey(request)
    if flags.dry_run:
        _show_plan(request, found, as_json=flags.json)
        return DONE
    done = _ingest(request, found)
    if flags.json:
        print_json({"run": flags.run, "source": uri, **asdict(done)})
    else:
        _show(done, found)
    return done.code


def _request(uri: str, output_uri: str | None, flags: IngestFlags) -> IngestRequest:
    from flows.parameters import IngestOptions, build_ingest

    options = IngestOptions(
        template=flags.template,
        transfer=flags.transfer,
        current=flags.current,
        headers=flags.headers,
        checksums=flags.checksums,
        trust_size=flags.trust_size,
        threads=flags.threads,
    )
    return build_ingest(uri, output_uri, flags.run, options)


def _ingest(request: IngestRequest, found: Survey) -> Ingested:
    from calib.ledger.ledger import open_ledger
    from calib.repository.ingest import ingest as ingest_files
    from tasks.settings import load_settings

    with open_ledger(load_settings().ledger) as ledger, following("datasets") as progress:
        return ingest_files(request, ledger, found=found, progress=progress)


def _show_plan(request: IngestRequest, found: Survey, *, as_json: bool) -> None:
    groups = [_described(group.run, group.dataset, group.files) for group in found.groups]
    if as_json:
        print_json({"source": request.uri, "datasets": groups, "unmatched": found.unmatched})
        return
    numbers = ("files", "size")
    table = plain_table("run", "dataset", *numbers, "types", right=numbers)
    for each in groups[:_DATASETS]:
        types = ", ".join(f"{number} {name}" for name, number in each["types"].items())
        size = size_text(each["bytes"])
        table.add_row(cell(each["run"]), cell(each["dataset"]), str(each["files"]), size, types)
    out.print(table)
    if len(groups) > _DATASETS:
        out.print(f"and {len(groups) - _DATASETS} more")
    files, size = (sum(each[name] for each in groups) for name in ("files", "bytes"))
    where = f"to {request.output}" if request.output else "where they are"
    verb = "register" if request.transfer == "in-place" else request.transfer
    line = f"would {verb} {files} files ({size_text(size)}) of {len(groups)} datasets"
    out.print(f"{line} {escape(where)}", soft_wrap=True)
    _show_unmatched(found)


def _described(run: str, dataset: str, files: Any) -> dict[str, Any]:
    from calib.ledger.publications import dataset_type

    types = Counter(dataset_type(each.placed.name, each.placed.role) for each in files)
    size = sum(each.found.size for each in files)
    return {
        "run": run,
        "dataset": dataset,
        "files": len(files),
        "bytes": size,
        "types": dict(sorted(types.items())),
    }


def _show(done: Ingested, found: Survey) -> None:
    size = size_text(done.new_bytes)
    out.print(f"new: {done.new} datasets, {done.new_files} files, {size}", soft_wrap=True)
    out.print(f"known: {done.known} datasets, {done.known_files} files", soft_wrap=True)
    if done.refused:
        out.print(f"refused: {len(done.refused)} datasets", soft_wrap=True)
    for each in done.refused[:_NAMED]:
        err.print(f"[red]refused[/red] {each.dataset}: {escape(each.reason)}", soft_wrap=True)
    if len(done.refused) > _NAMED:
        err.print(f"[red]refused[/red] {len(done.refused) - _NAMED} more: see --json")
    _show_unmatched(found)


def _show_unmatched(found: Survey) -> None:
    if not found.unmatched:
        return
    err.print(f"files not taken: {len(found.unmatched)}", soft_wrap=True)
    for key, reason in found.unmatched[:_NAMED]:
        name = key if key.isprintable() else ascii(key)
        err.print(f"  {escape(name)}: {escape(reason)}", soft_wrap=True)
    if len(found.unmatched) > _NAMED:
        err.print(f"  and {len(found.unmatched) - _NAMED} more")
