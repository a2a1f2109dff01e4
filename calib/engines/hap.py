"""Visits (SVM) and skycells (MVM): drizzlepac's runsinglehap and runmultihap.

Both programs read a poller file and the calibrated images that it names, from their working
folder, and write everything there under names of their own. They have a private folder for
each call, so that nothing of another visit, or of another day, is among the products.

Source of exit codes: drizzlepac 3.11.0, haputils/analyze.py (class Ret_code); of names and
products: CALDP's process.py.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from calib.engines.astrometry import SERVICE_VARIABLE, Astrometry, astrometry_of, unanswered
from calib.engines.hap_products import find_products, manifest_name
from calib.engines.program import (
    RUNMULTIHAP,
    RUNSINGLEHAP,
    Program,
    installation_of,
    version_of,
    why_absent,
)
from calib.engines.protocol import CalibrationRequest, Installation
from calib.engines.version_keywords import version_cards, version_keywords
from calib.engines.workplace import Workplace, clear_way, workplace
from calib.environment import merged
from calib.errors import (
    MVM,
    SVM,
    CorruptFile,
    EngineError,
    MissingMember,
    Unavailable,
    UnsupportedMode,
)
from calib.fitsfile import update_primary_header, writing
from calib.hap_names import POLLER
from calib.ids import DatasetId, parse_dataset
from calib.poller import Poller, read_poller, text_of
from calib.programs.tail import last_lines
from calib.records import Member, Products

logger = logging.getLogger(__name__)

NAME = "hap"
PROGRAMS: dict[str, Program] = {"svm": RUNSINGLEHAP, "mvm": RUNMULTIHAP}
CODES = {"svm": SVM, "mvm": MVM}

# Only SBC and HRC images, or none that are viable; no viable image at all.
NOT_VIABLE = frozenset({55, 65})

# Others that have a meaning.
MEANINGS = {15: "headers of drizzled images could not be updated: often a disk without room"}

_LAST = 3  # lines that tell why nothing is viable
_ASTRODRIZZLE_LOG = "astrodrizzle.log"


class HapEngine:
    """Runs the programs of drizzlepac that combine calibrated images of a visit or skycell.

    Parameters
    ----------
    kind
        ``svm`` or ``mvm``: the engine of that program alone; None: of both.
    """

    name = NAME
    kinds = frozenset(PROGRAMS)
    instruments = frozenset({"acs", "wfc3", "mvm"})

    def __init__(self, kind: str | None = None) -> None:
        self._programs = tuple(PROGRAMS.values()) if kind is None else (PROGRAMS[kind],)

    def of_kind(self, kind: str) -> HapEngine:
        """Return the engine of one kind of dataset: the other program need not be here."""
        return HapEngine(kind)

    @property
    def numbers_version(self) -> str:
        """The version of drizzlepac; both, where its programs are of different ones.

        Raises
        ------
        UnsupportedMode
            One of its programs is not here.
        """
        if reason := self.covers({}):
            raise UnsupportedMode(f"engine {NAME} does not cover this: {reason}")
        return " and ".join(dict.fromkeys(map(version_of, self._programs)))

    def installations(self) -> tuple[Installation, ...]:
        """Return both programs, whether they are here or not."""
        return tuple(map(installation_of, PROGRAMS.values()))

    def covers(self, header: Mapping[str, Any]) -> str | None:  # noqa: ARG002 - of the protocol
        """Say which programs are not here; None where all are.

        Parameters
        ----------
        header
            Of no meaning: visits and skycells have no raw exposures.
        """
        return "; ".join(filter(None, map(why_absent, self._programs))) or None

    def required_references(
        self,
        header: Mapping[str, Any],  # noqa: ARG002 - of the protocol
        members: Sequence[Member] = (),  # noqa: ARG002
    ) -> tuple[str, ...]:
        """Return nothing: the rules of CRDS are not asked for calibrated images."""
        return ()

    def calibrate(self, request: CalibrationRequest) -> Products:
        """Combine the images of a visit or skycell.

        Returns
        -------
        calib.records.Products
            Without files and with the ending ``no viable data`` where the program says so
            (exit codes 55 and 65). Pixels are the program's; of headers, those of FITS
            products have the version keywords.

        Raises
        ------
        UnsupportedMode
            The dataset is neither visit nor skycell, or the program is not here.
        CorruptFile, MissingMember
            There is no poller file among the inputs, or it does not fit them.
        EngineError
            The program failed (code 40 for a visit, 41 for a skycell), its products are not
            what it says, or one exists already. No product is left then.
        OutOfMemory, TimedOut
            As :func:`calib.programs.run.run_program`.
        Unavailable
            The astrometry that was asked for by name is not to be had now (code 40 or 41).
        """
        dataset = parse_dataset(request.dataset)
        program = _program_for(dataset)
        version = version_of(program)
        clear_way(request, program.name, [manifest_name(dataset)])
        with workplace(request, program.name) as place:
            try:
                return _calibrated(place, dataset, program, version)
            except EngineError as error:
                if error.exit_code in NOT_VIABLE:
                    return _not_viable(place, version)
                _name(error, dataset)
                raise


def _program_for(dataset: DatasetId) -> Program:
    program = PROGRAMS.get(dataset.kind)
    if program is None:
        raise UnsupportedMode(
            f"engine {NAME} combines visits and skycells",
            dataset=dataset.name,
            expected="acs_PPP_VV, wfc3_PPP_VV or skycell-pNNNNxNNyNN",
            found=dataset.kind,
        )
    if reason := why_absent(program):
        raise UnsupportedMode(f"engine {NAME}: {reason}", dataset=dataset.name)
    return program


def _calibrated(place: Workplace, dataset: DatasetId, program: Program, version: str) -> Products:
    request = place.request
    poller = _bring(place, dataset)
    environ = {**os.environ, **request.environment}
    settings, off = astrometry_of(request.astrometry, environ)
    place.run(program.name, poller, environment=_environment(request, settings))
    alone = _unanswered(place, dataset, settings)
    found, note = find_products(place, dataset, program.name)
    cards = version_cards(version_keywords(merged(os.environ, request.environment)))
    for path in found:
        if path.suffix == ".fits":
            update_primary_header(path, cards)
    return Products(
        files=place.publish(found),
        engine=NAME,
        engine_version=version,
        parameters={"astrometry": settings.name, **_service(environ)},
        log=str(place.log),
        logs=_logs(place),
        notes=(*filter(None, (note, off, alone)), *_ignored(request)),
    )


def _bring(place: Workplace, dataset: DatasetId) -> str:
    """Put images and poller into the folder; their headers name their references already."""
    inputs = place.request.inputs
    pollers = inputs.of(POLLER)
    if len(pollers) != 1:
        raise CorruptFile(
            "a visit or skycell is made by a poller file",
            dataset=dataset.name,
            expected=f"one {dataset.name}_input.out",
            found=", ".join(file.name for file in pollers) or "none",
        )
    images = inputs.images
    with writing(place.folder):
        for file in images:
            shutil.copyfile(file.path, place.folder / file.name)
    place.brought |= {file.name for file in inputs.files}
    poller = read_poller(Path(pollers[0].path), dataset)
    _check_there(dataset, poller, {file.name for file in images})
    target = place.folder / pollers[0].name
    with writing(target):
        target.write_text(text_of(dataset, poller), encoding="ascii")
    return target.name


def _check_there(dataset: DatasetId, poller: Poller, there: Collection[str]) -> None:
    """Refuse a poller that names other images than those at hand: nothing else is combined."""
    if absent := [name for name in poller.names if name not in there]:
        raise MissingMember(
            "the poller names images that are not among the inputs",
            dataset=dataset.name,
            expected=", ".join(poller.names),
            found=f"all but {', '.join(absent)}",
        )


def _environment(request: CalibrationRequest, settings: Astrometry) -> dict[str, str]:
    """Return the variables of the program, which stand above those of the dataset.

    Drizzlepac starts a process per CPU of the machine, or one: there is nothing between.
    """
    alone = {} if request.threads >= (os.cpu_count() or 1) else {"ASTRODRIZ_NO_PARALLEL": "1"}
    return {**settings.environment(), **alone}


def _unanswered(place: Workplace, dataset: DatasetId, settings: Astrometry) -> str:
    """Say that solutions of the archive were not to be had.

    Raises
    ------
    Unavailable
        They were asked for by name.
    """
    said = place.log.read_text(errors="replace")
    try:
        return unanswered(place.request.astrometry, settings, said)
    except Unavailable as error:
        error.code, error.dataset = CODES[dataset.kind], dataset.name
        raise


def _service(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the service that was asked instead of the archive's own, to be recorded."""
    address = environ.get(SERVICE_VARIABLE)
    return {SERVICE_VARIABLE: address} if address else {}


def _logs(place: Workplace) -> tuple[str, ...]:
    """Keep AstroDrizzle's own log, where it wrote one, in place of that of an earlier run."""
    log_file = place.folder / _ASTRODRIZZLE_LOG
    if not log_file.is_file():
        return ()
    with writing(place.request.output):
        return (str(log_file.replace(place.request.output / log_file.name)),)


def _ignored(request: CalibrationRequest) -> tuple[str, ...]:
    """Say that switches and parameters, which are those of exposures, do nothing here."""
    names = sorted({*request.overrides.switches, *request.overrides.parameters})
    if not names:
        return ()
    return (f"{', '.join(names)} set for exposures: of no effect on visits and skycells",)


def _not_viable(place: Workplace, version: str) -> Products:
    lines = last_lines(place.log, _LAST).splitlines() if place.log.exists() else []
    reason = " / ".join(line.strip() for line in lines if line.strip())
    logger.warning("no viable data: %s", reason)
    return Products(
        files=(),
        engine=NAME,
        engine_version=version,
        log=str(place.log),
        logs=_logs(place),
        ending="no viable data",
        reason=reason,
    )


def _name(error: EngineError, dataset: DatasetId) -> None:
    """Give an error the exit code of its kind of dataset, and what the program's code means."""
    error.code = CODES[dataset.kind]
    error.dataset = dataset.name
    if meaning := MEANINGS.get(error.exit_code or 0):
        error.message = f"{error.message} ({meaning})"
