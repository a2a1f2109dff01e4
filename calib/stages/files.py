"""Stage 3 alone, on files whose headers name their references, as `calacs.e FILE` does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from calib.engines.astrometry import AstrometryMode
from calib.engines.lookup import choose_engine, required_by
from calib.engines.protocol import CalibrationRequest
from calib.engines.stage2 import Stage2Policy, calibrate_and_drizzle, plan_stage2
from calib.errors import ArchiveError, ConfigError
from calib.fetch.in_place import EXPECTED, FoundFiles, find_files
from calib.fitsfile import primary_header
from calib.records import Products
from calib.references.headers import references_from_headers
from calib.stages.environment import dataset_environment
from calib.stages.stage2 import with_stage2_references
from calib.switches import Overrides


@dataclass(frozen=True)
class FileOptions:
    """How to calibrate files.

    Attributes
    ----------
    engine
        ``auto``, ``native`` or another engine's name.
    overrides
        Switches and step parameters.
    folders
        Folders to look for references in first.
    custom
        Reference files by keyword.
    threads
        Threads that the engine may use. The products do not depend on it.
    stage2, astrometry
        As in :class:`calib.stages.job.Options`.
    """

    engine: str = "auto"
    overrides: Overrides = field(default_factory=Overrides)
    folders: tuple[Path, ...] = ()
    custom: Mapping[str, Path] = field(default_factory=dict)
    threads: int = 1
    stage2: Stage2Policy = "auto"
    astrometry: AstrometryMode = "auto"


def calibrate_file(
    path: Path, output: Path, options: FileOptions, environ: Mapping[str, str]
) -> Products:
    """Calibrate one raw exposure, or one association, into a folder.

    Parameters
    ----------
    path
        ``ROOT_raw.fits``: that exposure alone, whatever association it belongs to (of COS
        and STIS any file of the exposure). Or
        ``ASSOCIATION_asn.fits``: the exposures that it marks as present, which lie beside it.
    output
        Folder of the products; made if needed. A product that exists already is an error:
        nothing is overwritten.
    options
        Engine, switches, references.
    environ
        Where ``jref`` and CRDS_PATH are looked up.

    Raises
    ------
    HstflowError
        As :func:`calib.fetch.in_place.find_files`, the engine and the reference look-up
        say; nothing half-made is left.
    """
    found = find_files(path)
    inputs = found.describe()
    headers = [primary_header(each.path) for each in inputs.calibrated]
    engine = choose_engine(options.engine, headers, options.overrides)
    variables = dataset_environment(inputs)
    plan = plan_stage2(
        options.stage2, options.astrometry, headers, options.overrides, {**environ, **variables}
    )
    plan.check()
    required = required_by(engine, inputs, headers, options.overrides)
    references = references_from_headers(
        found.exposures,
        options.folders,
        environ,
        required=with_stage2_references(required, plan),
        custom=options.custom,
        checksums=False,
    )
    _make_folder(output)
    request = CalibrationRequest(
        dataset=found.dataset,
        inputs=inputs,
        references=references,
        output=output,
        overrides=options.overrides,
        threads=options.threads,
        environment=variables,
    )
    return calibrate_and_drizzle(engine, request, plan)


def check_files(files: Sequence[Path]) -> None:
    """Refuse what cannot be calibrated before anything starts.

    Raises
    ------
    NotFound, CorruptFile, MissingMember
        As :func:`calib.fetch.in_place.find_files`.
    ConfigError
        A name is neither of an exposure nor of an association, none was given, or an
        exposure would be calibrated twice.
    """
    if not files:
        raise ConfigError("no file was named", expected=EXPECTED)
    _check_each_once([find_files(path) for path in files])


def _check_each_once(found: Sequence[FoundFiles]) -> None:
    """Refuse an exposure alone and as a member: two products would have one name.

    They differ, too: cosmic rays are flagged only in that of the association.
    """
    asked = defaultdict(list)
    for each in found:
        for rootname in each.rootnames:
            asked[rootname].append(str(each.path))
    twice = {rootname: how for rootname, how in asked.items() if len(how) > 1}
    if twice:
        raise ConfigError(
            "exposures are named more than once, and both results would have one name",
            expected="each exposure alone or in one association; the others in another call, "
            "into another folder",
            found=", ".join(f"{name} ({' and '.join(how)})" for name, how in twice.items()),
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArchiveError(f"the output cannot be made: {error.strerror}", path=folder) from error
