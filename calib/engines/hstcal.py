"""The engine of HSTCAL's programs: calacs.e (ACS), calwf3.e (WFC3) and cs0.e (STIS)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calib.engines.hstcal_calls import Call, plan_calls
from calib.engines.hstcal_products import SUFFIXES
from calib.engines.idle import REASON, is_idle
from calib.engines.lookup import OTHER
from calib.engines.product import provenance_cards, switches_of
from calib.engines.program import (
    CALACS,
    CALWF3,
    CS0,
    Program,
    find_program,
    installation_of,
    version_of,
    why_absent,
)
from calib.engines.protocol import CalibrationRequest, Engine, Installation
from calib.engines.switch_references import switch_references
from calib.engines.user_switches import refuse_unknown_switches
from calib.engines.workplace import (
    Workplace,
    clear_way,
    log_of,
    refuse_parameters,
    workplace,
)
from calib.errors import NotFound, UnsupportedMode
from calib.fitsfile import primary_header
from calib.records import Member, ProductFile, Products

logger = logging.getLogger(__name__)

NAME = "hstcal"

Header = Mapping[str, Any]

PROGRAMS = {"acs": CALACS, "wfc3": CALWF3, "stis": CS0}
DETECTORS = {
    "acs": ("WFC", "HRC", "SBC"),
    "wfc3": ("UVIS", "IR"),
    "stis": ("CCD", "FUV-MAMA", "NUV-MAMA"),
}

# What the programs say where they end with 0 and have made nothing, which is no failure
# (HSTCAL 3.2: mainacs, mainwf3, WhichError of calstis).
_IDLE = (
    "calacs did not process",
    "calwf3 did not process",
    "no output from current processing step",
)

# calstis goes on without the spectra where the wavelength calibration is empty (checkwav),
# and without a sum where there is nothing to sum (calstis0).
_NO_SPECTRA = "so wavecorr, x1dcorr, x2dcorr will be set to omit"
_SPECTRA = ("_x1d.fits", "_x2d.fits", "_sx1.fits", "_sx2.fits")
_NOT_WRITTEN = "output file {name} was not written"

_EVENTS = (
    "it is a list of events, of which cs0.e can make nothing: it takes the image "
    "(ROOT_raw.fits) that inttag of the package stistools makes of it"
)


@dataclass(frozen=True)
class _Made:
    """What a call has made.

    Attributes
    ----------
    files
        Published products.
    trailers
        Published trailers.
    idle
        What the program said where it had nothing to do.
    switches
        Of the first product.
    """

    files: tuple[ProductFile, ...] = ()
    trailers: tuple[Path, ...] = ()
    idle: str = ""
    switches: Mapping[str, str] | None = None


class HstcalEngine:
    """Calibrates with HSTCAL's programs, which are looked for on PATH.

    Parameters
    ----------
    program
        The one program that this engine is for; None: whichever an exposure needs.
    """

    name = NAME
    kinds = frozenset({"ipst"})

    def __init__(self, program: Program | None = None) -> None:
        self.program = program
        self.numbers_version = "that of the program" if program is None else _version(program)

    @property
    def instruments(self) -> frozenset[str]:
        """Those whose program is on PATH."""
        return frozenset(name for name, program in PROGRAMS.items() if not why_absent(program))

    def installations(self) -> tuple[Installation, ...]:
        """Return the programs, whether here or not."""
        return tuple(installation_of(program) for program in PROGRAMS.values())

    def narrowed(self, header: Header) -> Engine:
        """Return the engine of one program: its version is the program's."""
        return HstcalEngine(PROGRAMS[_instrument(header)])

    def covers(self, header: Header) -> str | None:
        """Say why an exposure is not covered; None where it is.

        One whose switches ask for nothing is covered without the program: it ends as
        "nothing to do".
        """
        instrument = _instrument(header)
        if instrument not in PROGRAMS:
            return f"{OTHER}ACS, WFC3 and STIS, not {instrument.upper() or 'this'}"
        detector = str(header.get("DETECTOR") or "").strip().upper()
        if detector not in DETECTORS[instrument]:
            known = ", ".join(DETECTORS[instrument])
            return f"DETECTOR is {detector or 'absent'}: {instrument.upper()} has {known}"
        if _is_event_list(header):
            return _EVENTS
        if is_idle(header):
            return None
        return why_absent(PROGRAMS[instrument])

    def required_references(
        self, header: Header, members: Sequence[Member] = ()
    ) -> tuple[str, ...]:
        """Return the reference keywords that the PERFORM switches of a header open.

        Raises
        ------
        UnsupportedMode
            The exposure is of another instrument.
        """
        instrument = _instrument(header)
        if instrument not in PROGRAMS:
            raise UnsupportedMode(f"engine {NAME} does not cover this: {self.covers(header)}")
        if is_idle(header):
            return ()
        return switch_references(instrument, header, members)

    def product_names(self, request: CalibrationRequest) -> tuple[str, ...]:
        """Return the names of the products that a request must give; nothing is started.

        Raises
        ------
        NotFound, UnsupportedMode, ConfigError, MissingMember
            As :meth:`calibrate`.
        """
        _, calls = self._foresee(request)
        return tuple(name for call in calls for name in _published(call))

    def calibrate(self, request: CalibrationRequest) -> Products:
        """Make the products of an exposure or an association.

        Each call of a program has a folder of its own: the association with all its
        exposures (ACS, WFC3), or one raw file. Products are published when all calls have
        ended well. Trailers of the programs lie beside them, and ``DATASET_hstcal.log`` with
        all that they said.

        Raises
        ------
        NotFound
            There is no exposure among the inputs.
        UnsupportedMode
            An exposure is not covered.
        ConfigError
            The user sets a parameter, or a switch that no exposure has; two references
            have one name.
        MissingMember
            An exposure of the association, or a wavelength calibration that an exposure
            names, is not among the inputs.
        OutOfMemory, TimedOut, Cancelled
            As :func:`calib.programs.run.run_program`.
        EngineError
            A program failed, did not make what it must, or a product exists already.
            No product is left then.
        """
        headers, calls = self._foresee(request)
        program = self.program or PROGRAMS[_instrument(next(iter(headers.values())))]
        clear_way(request, NAME, [name for call in calls for name in _published(call)])
        with ExitStack() as undo:
            made = [_run(request, program, call, undo) for call in calls]
            undo.pop_all()
        version = self.numbers_version if self.program else _version(program)
        idle = [f"{name}: {REASON}" for name, each in headers.items() if is_idle(each)]
        return _record(made, version, idle, log_of(request, NAME))

    def _foresee(self, request: CalibrationRequest) -> tuple[dict[str, Header], tuple[Call, ...]]:
        """Look at everything before anything is started."""
        refuse_parameters(request, NAME)
        headers: dict[str, Header] = {}
        for file in request.inputs.calibrated:
            headers[file.name] = header = request.overrides.apply(primary_header(file.path))
            if reason := _EVENTS if file.suffix == "tag" else self.covers(header):
                raise UnsupportedMode(
                    f"engine {NAME} does not cover an exposure: {reason}",
                    dataset=file.rootname,
                    path=file.path,
                )
        if not headers:
            raise NotFound("no raw exposure among the inputs", dataset=request.dataset)
        program = self.program or PROGRAMS[_instrument(next(iter(headers.values())))]
        refuse_unknown_switches(request)
        return headers, plan_calls(request, program, headers)


def _run(request: CalibrationRequest, program: Program, call: Call, undo: ExitStack) -> _Made:
    """Start a program for one input, look at what it made, and publish that."""
    with workplace(request, NAME) as place:
        for file in call.files:
            exposure = file in request.inputs.exposures
            place.bring(file, provenance_cards(request) if exposure else None)
        start = place.log.stat().st_size if place.log.exists() else 0
        place.run(program.name, *call.options, call.name)
        said = _said(place.log, start)
        if not _products(place) and (idle := _idle_text(said)):
            return _Made(trailers=place.keep_trailers(), idle=f"{call.name}: {idle}")
        expected = [name for name in call.products if not _is_excused(name, said)]
        made = [path.name for path in _products(place)]
        place.check(dict.fromkeys([*expected, *made]) or call.products, program.name)
        switches = switches_of(primary_header(place.folder / expected[0])) if expected else {}
        wanted = [*_products(place), *([place.folder / call.name] if call.table else [])]
        return _Made(place.publish(wanted, undo), place.keep_trailers(), switches=switches)


def _record(made: Sequence[_Made], version: str, idle: Sequence[str], log: Path) -> Products:
    """Return one record of all calls; an ending where none of them made anything."""
    files = tuple(file for each in made for file in each.files)
    notes = (*idle, *(each.idle for each in made if each.idle))
    trailers = [path for each in made for path in each.trailers]
    logs = [str(path) for path in (*trailers, log) if path.exists()]
    return Products(
        files=files,
        engine=NAME,
        engine_version=version,
        switches=dict(next((each.switches for each in made if each.switches), {})),
        log=logs[-1] if logs else None,
        logs=tuple(logs[:-1]),
        notes=notes if files else (),
        ending=None if files else "nothing to do",
        reason="" if files else "; ".join(notes),
    )


def _published(call: Call) -> tuple[str, ...]:
    return (*call.products, *([call.name] if call.table else []))


def _products(place: Workplace) -> list[Path]:
    """Return what a program made and that is published: neither temporaries nor trailers."""
    return [
        path
        for path in place.made()
        if path.suffix == ".fits" and path.stem.rpartition("_")[2] in SUFFIXES
    ]


def _said(log: Path, start: int) -> str:
    """Return what a program said in one call."""
    with log.open("rb") as file:
        file.seek(start)
        return file.read().decode(errors="replace")


def _idle_text(said: str) -> str:
    """Return the line in which a program says that it had nothing to do; empty: it does not."""
    lines = [line.strip() for line in said.splitlines()]
    return next((line for line in lines if any(text in line.lower() for text in _IDLE)), "")


def _is_excused(name: str, said: str) -> bool:
    """Whether a program said that it leaves a product out, and goes on."""
    text = said.lower()
    if _NOT_WRITTEN.format(name=name.lower()) in text:
        return True
    return name.endswith(_SPECTRA) and _NO_SPECTRA in text


def _version(program: Program) -> str:
    """Return name and version of a program; it need not be here where nothing is to be done."""
    here = find_program(program) is not None
    return f"{program.name} {version_of(program) if here else '(not here)'}"


def _instrument(header: Header) -> str:
    return str(header.get("INSTRUME") or "").strip().lower()


def _is_event_list(header: Header) -> bool:
    return str(header.get("FILENAME") or "").strip().lower().endswith("_tag.fits")
