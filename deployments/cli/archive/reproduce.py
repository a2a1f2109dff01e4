"""`hstflow archive reproduce`: published products made again, and compared bit for bit."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from calib.errors import ARCHIVE, ConfigError, HstflowError
from deployments.cli.console import (
    Flag,
    err,
    expand_names,
    out,
    print_json,
    show_logs,
    showing_steps,
)
from deployments.cli.threads import Threads, threads_or_all

if TYPE_CHECKING:
    from calib.stages.published import Found
    from calib.stages.reproduction import Reproduction, Rerun

EXPECTED = "PRODUCT|DATASET... [OUTPUT_URI] [INPUT_URI] [PROFILE]"

# Versions of the machine that say nothing about numbers by themselves: shown with --json.
_QUIET = ("platform",)


@dataclass(frozen=True)
class ReproduceFlags:
    """Options of `hstflow archive reproduce`.

    Attributes
    ----------
    run
        The run to make again; the current version without it.
    input
        Where the raw files are (INPUT_URI); else where they came from, else the archive.
    from_archive
        Take the raw files published beside the products, and ask nobody else.
    references
        Folder with reference files, looked in first; may be repeated. Then the places recorded
        for references of your own, then the CRDS cache.
    engine
        Make them with another engine: its numbers are compared with a tolerance.
    keep
        Folder to keep what is made in; it gets one folder per dataset.
    threads
        Threads; without it one per CPU that this process may use. The products do not depend on it.
    json
        Write JSON to stdout.
    verbose
        Show every log line on stderr.
    quiet
        Show errors only.
    """

    run: str | None = None
    input: str | None = None
    from_archive: Flag = False
    references: Annotated[list[Path] | None, Parameter(negative=())] = None
    engine: str | None = None
    keep: Path | None = None
    threads: Threads = None
    json: Flag = False
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative=())] = False
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())] = False


@dataclass(frozen=True)
class _Places:
    """The words after the names."""

    output: str | None = None
    source: str | None = None
    profile: str | None = None


def reproduce(
    *arguments: str, flags: Annotated[ReproduceFlags | None, Parameter(name="*")] = None
) -> int:
    """Make published products again from their provenance, and compare bit for bit.

    Inputs, references (by checksum), engine, switches and parameters are those of the
    manifest. Dates are left aside; logs are not compared. Nothing is written to the archive
    or the ledger. Products that cannot be the same bits (another engine or version of its
    numbers, a program on another CPU, fitted alignments, random numbers without a seed) say
    so and are compared with a tolerance.

    Exit codes: 0 all reproduced; 25 something differs; 21 the inputs are missing or have
    changed; 23 not made by hstflow; 27 a reference is missing or has changed.

    Parameters
    ----------
    arguments
        PRODUCT or DATASET: names, paths or URIs of products, or @FILE with one a line.
        OUTPUT_URI: look in this archive (file:FOLDER, s3://BUCKET/PREFIX), with no ledger.
        INPUT_URI: where the raw files are. PROFILE: how to reach CRDS.
    """
    flags = flags or ReproduceFlags()
    names, places = _read_arguments(arguments, flags)
    show_logs(verbose=flags.verbose, quiet=flags.quiet)
    found = _find_all(names, places, flags)
    results, code = [], 0
    with err.status("", spinner="dots") as status, showing_steps(status) as show:
        for number, publication in enumerate(found, start=1):
            show(f"{publication.manifest.dataset}  ({number} of {len(found)})")
            result, own = _reproduce_one(publication, places, flags)
            if result.get("unanswered") and not _is_local(publication):
                flags = dataclasses.replace(flags, from_archive=True)  # waiting once is enough
            results.append(result)
            code = code or own
    if flags.json:
        print_json(results)
    return code


def _read_arguments(arguments: Sequence[str], flags: ReproduceFlags) -> tuple[list[str], _Places]:
    from calib.stages.published import is_publication

    words = list(arguments)
    ends = (n for n, word in enumerate(words) if ":" in word and not is_publication(word))
    end = next(ends, len(words))
    names, rest = expand_names(words[:end]), words[end:]
    if not names or len(rest) > len(dataclasses.fields(_Places)):
        message = "too many arguments" if names else "no product or dataset was named"
        raise ConfigError(message, expected=EXPECTED, found=" ".join(words) or "nothing")
    places = _Places(*rest)
    sources = [each for each in (places.source, flags.input) if each is not None]
    if len(sources) + flags.from_archive > 1:
        raise ConfigError(
            "inputs are named twice", expected="one of INPUT_URI, --input and --from-archive"
        )
    return names, dataclasses.replace(places, source=next(iter(sources), None))


def _is_local(found: Found) -> bool:
    """Tell whether the recorded source answers at once, each dataset for itself."""
    return str(found.manifest.provenance.get("source", "")).startswith(("file:", "archive:"))


def _find_all(names: Sequence[str], places: _Places, flags: ReproduceFlags) -> list[Found]:
    """Find every publication before anything is made; two products of one count once."""
    from calib.stages.published import find_publication, is_publication

    with _ledger(unused=places.output is not None or all(map(is_publication, names))) as rows:
        found = [
            find_publication(name, run=flags.run, output=places.output, rows=rows) for name in names
        ]
    return list({each.uri: each for each in found}.values())


@contextmanager
def _ledger(*, unused: bool) -> Iterator[Any]:
    from calib.ledger.location import ledger_url
    from calib.ledger.reading import open_reader

    if unused:
        yield None
    else:
        with open_reader(ledger_url(os.environ)) as rows:
            yield rows


def _reproduce_one(
    found: Found, places: _Places, flags: ReproduceFlags
) -> tuple[dict[str, Any], int]:
    """Make one dataset again; one that cannot be made does not stop the others."""
    from calib.stages.reproduction import reproduce

    manifest = found.manifest
    try:
        with _work(manifest.dataset, flags.keep) as folder:
            result = reproduce(found, _rerun(folder, places, flags))
    except HstflowError as error:
        if not flags.json:
            text = f"{type(error).__name__}: {error}"
            out.print(f"{manifest.dataset}  [red]failed[/red]  {escape(text)}", soft_wrap=True)
        said = {"error_class": type(error).__name__, "reason": str(error), "code": error.code}
        names = {"dataset": manifest.dataset, "run": manifest.run, "uri": found.uri}
        return {**names, "reproduced": False, **said}, error.code
    if not flags.json:
        _show(result, flags)
    code = 0 if result.reproduced else ARCHIVE
    return {**dataclasses.asdict(result), "reproduced": result.reproduced, "code": code}, code


@contextmanager
def _work(dataset: str, keep: Path | None) -> Iterator[Path]:
    """Give a folder of its own for one dataset, on the disk of the work folder."""
    from tasks.settings import load_settings

    if keep is not None:
        yield keep / dataset
        return
    work = load_settings().work
    try:
        work.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix="reproduce-", dir=work)
    except OSError as error:
        message = f"the work folder cannot be written: {error.strerror}"
        raise ConfigError(message, path=work) from error
    with folder as path:
        yield Path(path)


def _rerun(folder: Path, places: _Places, flags: ReproduceFlags) -> Rerun:
    from calib.references.profile import load_profile
    from calib.stages.reproduction import Rerun
    from tasks.settings import limit_reference_memory, load_settings

    settings = load_settings()
    limit_reference_memory(settings)
    return Rerun(
        profile=load_profile(places.profile or settings.profile, os.environ),
        work=folder,
        ledger=settings.ledger,
        source=places.source,
        from_archive=flags.from_archive,
        folders=tuple(flags.references or ()),
        engine=flags.engine,
        threads=threads_or_all(flags.threads),
    )


def _show(result: Reproduction, flags: ReproduceFlags) -> None:
    word = "[green]reproduced[/green]" if result.reproduced else "[red]differs[/red]"
    counts = Counter(file.state for file in result.files)
    text = ", ".join(f"{number} {_WORDS[state]}" for state, number in counts.items())
    line = f"{result.kind}: {text}  run {result.run}  ({result.seconds:.1f} s)"
    out.print(f"{result.dataset}  {word}  {escape(line)}", soft_wrap=True)
    if flags.quiet:
        return
    for line in _notes(result):
        out.print(f"  [dim]{escape(line)}[/dim]", soft_wrap=True)
    for file in result.files:
        if file.state not in {"identical", "dates", "equal"}:
            style = "yellow" if file.reproduced else "red"
            out.print(f"  [{style}]{_WORDS[file.state]}[/{style}]  {escape(file.name)}")
            for detail in file.details:
                out.print(f"    {escape(detail)}", soft_wrap=True)
    if flags.keep is not None:
        out.print(f"  kept in {escape(str(flags.keep / result.dataset))}", soft_wrap=True)


_WORDS = {
    "identical": "identical",
    "dates": "identical but dates",
    "versions": "identical but versions in the header",
    "equal": "equal in value",
    "tolerated": "within the tolerance",
    "differs": "differs",
    "missing": "missing now",
    "extra": "extra now",
    "damaged": "damaged in the archive",
}


def _notes(result: Reproduction) -> Iterator[str]:
    """Say why not every bit is expected, where inputs came from, and what is another now."""
    from calib.stages.reproduction import ARCHIVE_ORIGIN

    yield from (f"not bit for bit: {reason}" for reason in result.reasons)
    if result.inputs == ARCHIVE_ORIGIN:
        why = f", as their source gives none: {result.unanswered}" if result.unanswered else ""
        yield f"inputs: from the archive{why}"
    for name, then, now in result.changes:
        if name not in _QUIET:
            yield f"made with {name} {then}, now {now}"
