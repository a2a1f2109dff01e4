"""Stage 3 alone, on raw files whose headers name their references, as `calacs.e FILE` does."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calib.engines.lookup import choose_engine
from calib.engines.protocol import CalibrationRequest
from calib.errors import ArchiveError, ConfigError, NotFound
from calib.fitsfile import primary_header
from calib.records import InputFile, Products, RawInputs
from calib.references.headers import references_from_headers
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
    """

    engine: str = "auto"
    overrides: Overrides = field(default_factory=Overrides)
    folders: tuple[Path, ...] = ()
    custom: Mapping[str, Path] = field(default_factory=dict)


def calibrate_file(
    raw: Path, output: Path, options: FileOptions, environ: Mapping[str, str]
) -> Products:
    """Calibrate one raw exposure into a folder.

    Parameters
    ----------
    raw
        A file named ``ROOT_raw.fits``.
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
        As the engine and the reference look-up say; nothing half-made is left.
    """
    header = primary_header(raw)
    engine = choose_engine(options.engine, [header], options.overrides)

    def required(each: Mapping[str, Any]) -> tuple[str, ...]:
        return engine.required_references(options.overrides.apply(each))

    references = references_from_headers(
        [raw],
        options.folders,
        environ,
        required=required,
        custom=options.custom,
    )
    _make_folder(output)
    request = CalibrationRequest(
        dataset=_rootname(raw),
        inputs=_inputs(raw),
        references=references,
        output=output,
        overrides=options.overrides,
    )
    return engine.calibrate(request)


def check_raw_names(files: Sequence[Path]) -> None:
    """Refuse what is not a raw exposure before anything starts.

    Raises
    ------
    NotFound
        A file does not exist.
    ConfigError
        A name is not ``ROOT_raw.fits``, or none was given.
    """
    if not files:
        raise ConfigError("no file was named", expected="one or more ROOT_raw.fits")
    for path in files:
        if not path.is_file():
            raise NotFound("no such file", path=path)
        if not path.name.endswith("_raw.fits"):
            raise ConfigError("not a raw exposure", path=path, expected="ROOT_raw.fits")


def _rootname(raw: Path) -> str:
    return raw.name.removesuffix("_raw.fits").lower()


def _inputs(raw: Path) -> RawInputs:
    with raw.open("rb") as stream:
        checksum = hashlib.file_digest(stream, "sha256").hexdigest()
    file = InputFile(
        name=raw.name,
        path=str(raw),
        sha256=checksum,
        size=raw.stat().st_size,
        suffix="raw",
        rootname=_rootname(raw),
    )
    return RawInputs(dataset=_rootname(raw), source=str(raw), files=(file,))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArchiveError(f"the output cannot be made: {error.strerror}", path=folder) from error
