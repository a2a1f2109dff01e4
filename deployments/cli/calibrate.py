"""`hstflow calibrate`: stage 1 alone, on raw files."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from deployments.cli.console import err, out, print_json, show_logs

if TYPE_CHECKING:
    from calib.stages.files import FileOptions


@dataclass(frozen=True)
class CalibrateFlags:
    """Options of `hstflow calibrate`.

    Attributes
    ----------
    output
        Folder of the products.
    engine
        auto, native, or the name of another installed engine.
    references
        Folder with reference files, looked in first; may be repeated. Then the folders that
        iref, jref, lref and oref name, then the CRDS cache.
    set
        KEYWORD=VALUE (DARKCORR=OMIT) or step.parameter=VALUE; may be repeated.
    reference
        KEYWORD=PATH, a reference file of your own; may be repeated.
    json
        Write the products as JSON to stdout.
    verbose
        Show every step on stderr.
    quiet
        Show errors only.
    """

    output: Path = Path()
    engine: str = "auto"
    references: Annotated[list[Path] | None, Parameter(negative=())] = None
    set: Annotated[list[str] | None, Parameter(negative=())] = None
    reference: Annotated[list[str] | None, Parameter(negative=())] = None
    json: Annotated[bool, Parameter(negative=())] = False
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative=())] = False
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())] = False


def calibrate(
    *files: Path, flags: Annotated[CalibrateFlags | None, Parameter(name="*")] = None
) -> int:
    """Calibrate raw exposures whose headers name their references.

    Parameters
    ----------
    files
        Raw exposures, ROOT_raw.fits. An existing product is never overwritten.
    """
    from calib.stages.files import calibrate_file, check_raw_names

    flags = flags or CalibrateFlags()
    show_logs(verbose=flags.verbose, quiet=flags.quiet)
    check_raw_names(files)
    options = _options(flags)
    made = []
    with err.status("", spinner="dots") as status:
        for number, path in enumerate(files, start=1):
            status.update(f"{path.name}  ({number} of {len(files)})")
            products = calibrate_file(path, flags.output, options, os.environ)
            made.append(products)
            if not flags.json:
                for file in products.files:
                    out.print(file.path, soft_wrap=True)
    if flags.json:
        print_json([dataclasses.asdict(products) for products in made])
    return 0


def _options(flags: CalibrateFlags) -> FileOptions:
    from calib.stages.files import FileOptions
    from calib.switches import parse_overrides
    from flows.parameters import parse_references

    custom = parse_references(flags.reference or [])
    return FileOptions(
        engine=flags.engine,
        overrides=parse_overrides(flags.set or []),
        folders=tuple(flags.references or ()),
        custom={keyword: Path(path) for keyword, path in custom.items()},
    )
