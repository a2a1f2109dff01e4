"""The engine calcos: COS, by the program of the same name.

One call for each exposure, with both FUV segments, and one for an association, which comes
first. Events are spread over pixels by random numbers from a fixed seed: the same input gives
the same products.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calib.engines.calcos_calls import Call, find_calls, missing_pulse_heights
from calib.engines.calcos_modes import refusal, text_of
from calib.engines.calcos_products import expected_products, why_nothing
from calib.engines.calcos_references import required_references
from calib.engines.lookup import OTHER
from calib.engines.product import provenance_cards, switches_of
from calib.engines.program import CALCOS, installation_of, version_of, why_absent
from calib.engines.protocol import CalibrationRequest, Installation
from calib.engines.user_switches import refuse_unknown_switches
from calib.engines.workplace import Workplace, clear_way, refuse_parameters, workplace
from calib.errors import EngineError, MissingReference, NotFound, UnsupportedMode
from calib.fitsfile import primary_header
from calib.instruments.reference_set import reference_set
from calib.records import Member, Products

NAME = "calcos"

# Events are recorded in whole pixels; calcos adds a random part (RANDCORR). Without a seed of
# its own it takes the clock; CALDP sets the same seed.
SEED = {"RANDSEED": 1}

# Exit codes (calcos.py). It joins those of several inputs bit by bit, so that 5 may hide among
# others: we give it one input at a time.
NO_DATA = 5
_NO_ROW = 16
_NO_ROW_MEANS = "APERTURE is none that it knows, or a reference table has no row for the exposure"

# Without lamp light in the exposure or beside it, calcos cannot tell where a wavelength falls.
_NO_LAMP = "{name}: no wavelength calibration was taken with it, so its wavelengths are not shifted"

_INSTRUMENT = "COS"


class CalcosEngine:
    """Calibrates COS exposures and associations with calcos, which is looked for on PATH."""

    name = NAME
    kinds = frozenset({"ipst"})

    @property
    def instruments(self) -> frozenset[str]:
        """COS, where calcos is on PATH."""
        return frozenset() if why_absent(CALCOS) else frozenset({"cos"})

    @property
    def numbers_version(self) -> str:
        """Version of calcos.

        Raises
        ------
        ConfigError
            It is not on PATH.
        """
        return version_of(CALCOS)

    def installations(self) -> tuple[Installation, ...]:
        """Return where calcos is, or how to get it."""
        return (installation_of(CALCOS),)

    def covers(self, header: Mapping[str, Any]) -> str | None:
        """Say why an exposure is not covered; None where it is.

        Acquisitions are: what there is to calibrate in them, calcos says itself.
        """
        instrument = text_of(header, "INSTRUME")
        if instrument != _INSTRUMENT:
            return f"{OTHER}{_INSTRUMENT}, not {instrument or 'an unnamed instrument'}"
        return refusal(header) or why_absent(CALCOS)

    def required_references(
        self,
        header: Mapping[str, Any],
        members: Sequence[Member] = (),  # noqa: ARG002 - an association opens nothing more
    ) -> tuple[str, ...]:
        """Return the reference keywords of the files that calcos opens for an exposure.

        Raises
        ------
        DataError
            A switch has no known value.
        """
        return required_references(header)

    def product_names(self, request: CalibrationRequest) -> tuple[str, ...]:
        """Return the names of the products that :meth:`calibrate` would make.

        Raises
        ------
        ConfigError, UnsupportedMode, DataError
            What :meth:`calibrate` would find wrong before it starts calcos.
        """
        calls = self._foresee(request)
        return tuple(name for call in calls for name in expected_products(call))

    def calibrate(self, request: CalibrationRequest) -> Products:
        """Make the products of an exposure or an association.

        Products are published when all calls have ended well and every product that the
        headers promise is there, whole and new; the table of the association is among them,
        with its product marked as present. Trailers (``ROOT.tra``) lie beside them, and
        ``DATASET_calcos.log`` with all that calcos said.

        Returns
        -------
        Products
            Where there is nothing in any exposure that calcos calibrates, the ending says so;
            where it is so in some, a note.

        Raises
        ------
        ConfigError
            calcos is not on PATH; parameters of steps, or a switch that no exposure has, are
            set; two references have one name.
        UnsupportedMode, NotFound, MissingMember, CorruptFile
            The inputs are not what calcos takes.
        MissingReference, ReferenceUnavailable
            A file that calcos would open is not named, or is not there.
        EngineError
            calcos failed, did not make a product, or a product exists already. No product is
            left then.
        OutOfMemory, TimedOut, Cancelled
            As :func:`calib.programs.run.run_program`.
        """
        calls = self._foresee(request)
        expected = {call.name: expected_products(call) for call in calls}
        clear_way(request, NAME, [name for names in expected.values() for name in names])
        with workplace(request, NAME) as place:
            _bring_all(place)
            for call in calls:
                _carry_out(place, call, expected[call.name])
            return self._publish(place, calls)

    def _foresee(self, request: CalibrationRequest) -> tuple[Call, ...]:
        """Return the calls; whatever can be known to be wrong is found here."""
        refuse_parameters(request, NAME)
        refuse_unknown_switches(request)
        calls = find_calls(request)
        names = frozenset(file.name for file in request.inputs.files)
        for call in calls:
            self._check_modes(call)
            if absent := missing_pulse_heights(call, names):
                raise NotFound(
                    "PHACORR of an accumulated FUV exposure opens its pulse heights",
                    dataset=request.dataset,
                    expected=", ".join(absent),
                    found="no such file among the inputs",
                )
            if expected_products(call):
                _check_references(request, call)
        return calls

    def _check_modes(self, call: Call) -> None:
        for raw in call.raws:
            if reason := self.covers(raw.header):
                raise UnsupportedMode(
                    f"engine {NAME} does not cover an exposure: {reason}",
                    dataset=raw.file.rootname,
                    path=raw.file.path,
                )

    def _publish(self, place: Workplace, calls: Sequence[Call]) -> Products:
        """Look at everything that was made, move it to the products, and tell of it."""
        made = [path for path in place.made() if path.suffix == ".fits"]
        tables = [place.folder / call.argument for call in calls if made and call.product]
        place.check([path.name for path in (*made, *tables)], NAME)
        switches = switches_of(primary_header(_furthest(made))) if made else {}
        files = place.publish([*made, *tables])
        trailers = place.keep_trailers()
        idle = [why_nothing(call) for call in calls if not expected_products(call)]
        return Products(
            files=files,
            engine=self.name,
            engine_version=self.numbers_version,
            switches=switches,
            parameters={key: str(value) for key, value in SEED.items()} if files else {},
            log=str(place.log),
            logs=tuple(map(str, trailers)),
            notes=(*idle, *_cautions(calls)) if files else (),
            ending=None if files else "nothing to do",
            reason="" if files else "; ".join(idle),
        )


def _check_references(request: CalibrationRequest, call: Call) -> None:
    """Look for every file that is opened: calcos itself may find out after minutes.

    Raises
    ------
    MissingReference, ReferenceUnavailable
        One is not named; is not there.
    """
    for raw in call.raws:
        needed = required_references(raw.header)
        exposure = request.references.of(raw.file.name)
        if exposure is None and needed:
            raise MissingReference(
                "no references were chosen for this exposure",
                dataset=request.dataset,
                path=raw.file.path,
                expected=", ".join(needed),
            )
        if exposure is not None:
            chosen = reference_set(exposure, raw.file.name[:1])
            for keyword in needed:
                chosen.path(keyword)


def _bring_all(place: Workplace) -> None:
    """Put all inputs into the folder: calcos looks for support and pulse-height files there."""
    cards = {**provenance_cards(place.request), **SEED}
    for file in place.request.inputs.files:
        place.bring(file, cards if file in place.request.inputs.exposures else None)


def _carry_out(place: Workplace, call: Call, expected: Sequence[str]) -> None:
    """Call calcos once, and look at what it must have made.

    Raises
    ------
    EngineError
        It failed; it found nothing to calibrate where there is something; a product is not
        there. It ends with 0 even where its input does not exist.
    """
    try:
        place.run(CALCOS.name, call.argument)
    except EngineError as error:
        if error.exit_code != NO_DATA or expected:
            raise _explained(error, place, call, expected) from error
    place.check(expected, NAME)


def _explained(
    error: EngineError, place: Workplace, call: Call, expected: Sequence[str]
) -> EngineError:
    """Return an error of calcos with what its exit code means, and for which input."""
    message = error.message
    if error.exit_code == NO_DATA:
        message = f"calcos found nothing to calibrate in {call.argument}"
    elif error.exit_code == _NO_ROW:
        message = f"calcos stopped at {call.argument}: {_NO_ROW_MEANS}"
    return EngineError(
        message,
        program=NAME,
        exit_code=error.exit_code,
        log_tail=error.log_tail,
        dataset=place.request.dataset,
        path=place.log,
        expected=", ".join(expected) or None,
    )


def _furthest(made: Sequence[Path]) -> Path:
    """Return the product that has come furthest: its switches say all that was done."""
    order = ("x1dsum", "fltsum", "x1d", "flt")
    found = (path for kind in order for path in made if path.stem.endswith(f"_{kind}"))
    return next(found, made[0])


def _cautions(calls: Sequence[Call]) -> list[str]:
    """Return what people should know of the spectra that calcos could not calibrate fully."""
    return [
        _NO_LAMP.format(name=call.name)
        for call in calls
        if not call.is_association
        and any("WAVECORR" in raw.performed and raw.is_spectrum for raw in call.raws)
        and not any(raw.is_flashed or raw.role in {"wavecal", "none"} for raw in call.raws)
    ]
