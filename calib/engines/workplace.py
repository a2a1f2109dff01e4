"""A private folder for one call of a program: inputs, references, environment, what it made.

Programs read and write in their working folder, under names of their own. Nothing of it is
seen outside before it is checked: an exit code of 0 is not believed.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calib.engines.astrometry import SERVICE_VARIABLE
from calib.engines.product import new_target
from calib.engines.protocol import CalibrationRequest
from calib.errors import ConfigError, CorruptFile, EngineError
from calib.fitsfile import opened, update_primary_header, writing
from calib.instruments.reference_set import reference_set
from calib.programs.run import ProgramRun, run_program
from calib.programs.tail import last_lines
from calib.records import InputFile, ProductFile
from calib.stores.store import product_file

# Logical folders of reference names in headers (`jref$name`), which programs look up in
# the environment; all of them mean the one folder here.
LOGICAL_FOLDERS = ("iref", "jref", "oref", "lref", "nref", "uref")

_REFERENCES = "ref"

_TRAILER = ".tra"

# What drizzlepac reads of the environment (3.11: runastrodriz, hapsequencer, hapmultisequencer)
# and stwcs: what decides a result is said for each dataset, and in its record.
_SETTINGS = re.compile(r"(ASTROMETRY|PIPELINE|SVM|MVM)_")

# Files are dated by the clock of the file system, which may be this much behind ours, seconds.
_CLOCKS = 2.0


@dataclass
class Workplace:
    """A private folder, and what is done in it.

    Attributes
    ----------
    folder
        Working folder of the program.
    log
        Everything that programs said here.
    request
        What is calibrated.
    name
        Of the program, or of the engine that starts several.
    brought
        Names of the files that were put here.
    started
        When the first program was, seconds since 1970.
    undo
        Takes what was published away again where anything fails before the folder is given back.
    """

    folder: Path
    log: Path
    request: CalibrationRequest
    name: str
    brought: set[str] = field(default_factory=set)
    started: float = 0.0
    undo: ExitStack = field(default_factory=ExitStack)

    def bring(self, file: InputFile, cards: Mapping[str, Any] | None = None) -> Path:
        """Put a copy of an input here: with its references and the user's switches, if it has any.

        Parameters
        ----------
        file
            Any input.
        cards
            Further cards of the primary header.
        """
        with writing(self.folder):
            target = Path(shutil.copyfile(file.path, self.folder / file.name))
        changes = {**self._named_references(file), **(cards or {})}
        if file in self.request.inputs.exposures:
            changes |= self.request.overrides.switches
        if changes:
            update_primary_header(target, changes)
        self.brought.add(file.name)
        return target

    def _named_references(self, file: InputFile) -> dict[str, str]:
        exposure = self.request.references.of(file.name)
        if exposure is None:
            return {}
        named = reference_set(exposure, file.name[:1])
        return {use.keyword: named.shown(use.keyword) for use in exposure.references if use.path}

    def run(self, *arguments: str, environment: Mapping[str, str] | None = None) -> ProgramRun:
        """Run a program here, with the references and threads of the request.

        Raises
        ------
        ConfigError, OutOfMemory, TimedOut, EngineError
            As :func:`calib.programs.run.run_program`.
        """
        self.started = self.started or time.time()
        return run_program(
            arguments,
            folder=self.folder,
            log_file=self.log,
            environment={
                **_unset(os.environ),
                **self.request.environment,
                **(environment or {}),
                **self._granted(),
            },
        )

    def _granted(self) -> dict[str, str]:
        """Return the variables of what is chosen and granted: they stand above all others."""
        folder = f"{self.folder / _REFERENCES}{os.sep}"
        return {
            **dict.fromkeys(LOGICAL_FOLDERS, folder),
            "OMP_NUM_THREADS": str(self.request.threads),
        }

    def check(self, names: Collection[str], program: str) -> None:
        """Look at products: each one is there, is whole, and was written by this run.

        Whole means: it opens as FITS, its last extension ends before the file does, and it has
        as many extensions as NEXTEND says, where it says so. A file that is cut within a later
        header looks like one with fewer extensions. More are no fault: headerlets come in.

        Raises
        ------
        EngineError
            One is not; with the last lines of the log.
        """
        for name in names:
            if trouble := self._trouble(self.folder / name):
                raise self.distrust(program, f"{name} {trouble}")

    def distrust(self, program: str, trouble: str) -> EngineError:
        """Return the error of a program that ended with 0 although something is wrong."""
        return EngineError(
            f"{program} ended as if all were well, but {trouble}",
            program=program,
            exit_code=0,
            log_tail=last_lines(self.log) if self.log.exists() else "",
            dataset=self.request.dataset,
            path=self.log,
        )

    def _trouble(self, path: Path) -> str | None:
        if not path.is_file():
            return "is not there"
        if path.stat().st_mtime < self.started - _CLOCKS:
            return "was not written by it"
        try:
            with opened(path) as hdus:
                for hdu in hdus:
                    hdu.verify("silentfix")
                last = hdus[-1].fileinfo()
                has, says = len(hdus) - 1, hdus[0].header.get("NEXTEND")
        except CorruptFile as error:
            return f"cannot be read: {error.message}"
        if last["datLoc"] + last["datSpan"] > path.stat().st_size:
            return "is cut short"
        if isinstance(says, int) and has < says:
            return f"is cut short: {has} of {says} extensions"
        return None

    def made(self) -> list[Path]:
        """Return the files that were not brought, in name order."""
        return sorted(
            path
            for path in self.folder.iterdir()
            if path.is_file() and path.name not in self.brought
        )

    def publish(
        self, files: Collection[Path], undo: ExitStack | None = None
    ) -> tuple[ProductFile, ...]:
        """Move files to the folder of the products, all or none.

        Parameters
        ----------
        files
            Each one once.
        undo
            Gets what takes them away again where a dataset has several folders; None: they go
            where anything else fails in this one.

        Returns
        -------
        tuple of ProductFile
            In name order.

        Raises
        ------
        EngineError
            A product of this name exists already: they are never replaced.
        """
        targets = {path: new_target(self.request, path.name, self.name) for path in sorted(files)}
        with ExitStack() as moved:
            for path, target in targets.items():
                moved.callback(target.unlink, missing_ok=True)
                with writing(target.parent):
                    path.rename(target)
            records = tuple(map(product_file, targets.values()))
            kept = moved.pop_all()
        (self.undo if undo is None else undo).enter_context(kept)
        return records

    def keep_trailers(self) -> tuple[Path, ...]:
        """Move the trailers made here to the products, in place of those of an earlier run."""
        with writing(self.request.output):
            return tuple(
                path.replace(self.request.output / path.name)
                for path in self.made()
                if path.suffix == _TRAILER
            )


def _unset(environ: Iterable[str]) -> dict[str, None]:
    """Return the settings of programs that this process has inherited: they do not count.

    Where the archive is asked is none: it is the same for all datasets, and recorded.
    """
    return {name: None for name in environ if _SETTINGS.match(name) and name != SERVICE_VARIABLE}


def log_of(request: CalibrationRequest, name: str) -> Path:
    """Return where everything is kept that programs said."""
    return request.output / f"{request.dataset}_{name}.log"


def clear_way(request: CalibrationRequest, name: str, products: Collection[str]) -> None:
    """Look, before anything is started, that no product exists; begin the log anew.

    Raises
    ------
    EngineError
        One does: they are never replaced.
    """
    for product in products:
        new_target(request, product, name)
    log = log_of(request, name)
    with writing(log):
        log.unlink(missing_ok=True)


@contextmanager
def workplace(request: CalibrationRequest, name: str) -> Iterator[Workplace]:
    """Lend a private folder in the folder of the products; it is removed in any case.

    Parameters
    ----------
    request
        Its references lie in the folder ``ref`` under their own names, as links, wherever
        they are in truth: references of the user's own are found like any other.
    name
        Of the program: the folder is ``.NAME-`` and eight characters (short: some programs cut
        long paths), the log ``DATASET_NAME.log``. Each call has a folder that nobody else has:
        other processes may work on other datasets, or on this one, into the same folder.
    """
    # Programs are told of it, and run in it: a relative path would not do.
    output = request.output.absolute()
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=output))
    try:
        with writing(folder):
            (folder / _REFERENCES).mkdir()
            _link_references(request, folder / _REFERENCES)
        with ExitStack() as undo:
            yield Workplace(folder, log_of(request, name), request, name, undo=undo)
            undo.pop_all()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def refuse_parameters(request: CalibrationRequest, name: str) -> None:
    """Refuse parameters of steps: a program has none that we know.

    Raises
    ------
    ConfigError
        There are some.
    """
    if request.overrides.parameters:
        raise ConfigError(
            f"engine {name} has no steps whose parameters could be set",
            expected="switches, such as DARKCORR=OMIT",
            found=", ".join(sorted(request.overrides.parameters)),
        )


def _link_references(request: CalibrationRequest, folder: Path) -> None:
    places: dict[str, Path] = {}
    for exposure in request.references.exposures:
        for use in exposure.references:
            if use.path is None:
                continue
            path = Path(use.path).absolute()
            if places.setdefault(use.name, path) != path:
                raise ConfigError(
                    "two reference files of one name: a program cannot tell them apart",
                    path=path,
                    found=places[use.name],
                )
    for name, path in places.items():
        (folder / name).symlink_to(path)
