"""`hstflow calibrate`: stage 3 alone, on raw files and associations."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.markup import escape

from calib.errors import Interrupted
from deployments.cli.console import Flag, Several, err, out, print_json, show_logs, showing_steps
from deployments.cli.drizzling import DrizzleFlags
from deployments.cli.threads import Threads, threads_or_all

if TYPE_CHECKING:
    from calib.records import Products
    from calib.stages.files import FileOptions
    from tasks.settings import Settings


@dataclass(frozen=True)
class CalibrateFlags(DrizzleFlags):
    """Options of `hstflow calibrate`.

    Attributes
    ----------
    output
        Folder of the products.
    engine
        auto, native, or the name of another installed engine; else HSTFLOW_ENGINE, else auto.
    references
        Folder with reference files, looked in first; may be repeated. Then the folders that
        iref, jref, lref and oref name, then the CRDS cache.
    set
        KEYWORD=VALUE (DARKCORR=OMIT) or step.parameter=VALUE; may be repeated.
    reference
        KEYWORD=PATH, a reference file of your own; may be repeated.
    threads
        Threads; without it one per CPU that this process may use. The products do not depend on it.
    json
        Write JSON to stdout.
    verbose
        Show every step on stderr.
    quiet
        Show errors only.
    """

    output: Path = Path()
    engine: str | None = None
    references: Annotated[list[Path] | None, Parameter(negative=())] = None
    set: Several = None
    reference: Several = None
    threads: Threads = None
    json: Flag = False
    verbose: Annotated[Flag, Parameter(name=["--verbose", "-v"])] = False
    quiet: Annotated[Flag, Parameter(name=["--quiet", "-q"])] = False


def calibrate(
    *files: Path, flags: Annotated[CalibrateFlags | None, Parameter(name="*")] = None
) -> int:
    """Calibrate exposures and associations whose headers name their references.

    An association becomes what `hstflow process` makes of it: combined products, those of its
    exposures, its table with the products marked as present, and trailers.

    Parameters
    ----------
    files
        Raw exposures, ROOT_raw.fits, each calibrated alone; association tables,
        ASSOCIATION_asn.fits, whose raw exposures lie beside them. An exposure is named alone
        or through one table, not both. An existing product is never overwritten.
    """
    from calib.stages.files import check_files
    from tasks.settings import load_settings

    flags = flags or CalibrateFlags()
    show_logs(verbose=flags.verbose, quiet=flags.quiet)
    paths = list(dict.fromkeys(files))
    check_files(paths)
    made = _calibrate_all(paths, flags, load_settings())
    if flags.json:
        print_json([dataclasses.asdict(products) for products in made])
    return 0


def _calibrate_all(
    paths: Sequence[Path], flags: CalibrateFlags, settings: Settings
) -> list[Products]:
    from calib.stages.files import calibrate_file
    from tasks.settings import limit_reference_memory

    limit_reference_memory(settings)
    options = _options(flags, settings)
    made: list[Products] = []
    with err.status("", spinner="dots") as status, showing_steps(status) as show:
        for number, path in enumerate(paths, start=1):
            show(f"{path.name}  ({number} of {len(paths)})")
            try:
                made.append(calibrate_file(path, flags.output, options, os.environ))
            except KeyboardInterrupt as stop:
                raise _stopped(paths, len(made)) from stop
            _show(made[-1], flags)
    return made


def _show(products: Products, flags: CalibrateFlags) -> None:
    """Write the paths of the files to stdout, and warnings to stderr: stdout is for programs."""
    if not flags.json:
        for file in products.files:
            out.print(escape(file.path), soft_wrap=True)
    if not flags.quiet:
        if products.ending:
            err.print(escape(f"{products.ending}: {products.reason}"), soft_wrap=True)
        for note in products.notes:
            err.print(f"[yellow]warning[/yellow]  {escape(note)}", soft_wrap=True)


def _stopped(paths: Sequence[Path], done: int) -> Interrupted:
    left = " ".join(path.name for path in paths[done:])
    return Interrupted(
        f"{done} of {len(paths)} files are calibrated, nothing is half-made; "
        f"name what is left: {left}"
    )


def _options(flags: CalibrateFlags, settings: Settings) -> FileOptions:
    from calib.stages.files import FileOptions
    from calib.switches import parse_overrides
    from flows.parameters import parse_references

    custom = parse_references(flags.reference or [])
    return FileOptions(
        engine=flags.engine or settings.engine,
        overrides=parse_overrides(flags.set or []),
        folders=tuple(flags.references or ()),
        custom={keyword: Path(path) for keyword, path in custom.items()},
        threads=threads_or_all(flags.threads),
        stage2=flags.stage2 or settings.stage2,
        astrometry=flags.astrometry or settings.astrometry,
    )
