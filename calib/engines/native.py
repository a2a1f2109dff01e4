"""The native engine: HSTCAL's numbers without HSTCAL."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from calib.engines.protocol import CalibrationRequest
from calib.engines.runner import Plan, run_recipe
from calib.engines.trailer import Trailer
from calib.errors import EngineError, HstflowError, MissingReference, NotFound, UnsupportedMode
from calib.fitsfile import Exposure, write_exposure
from calib.instruments.recipe import Recipe, shown_parameters
from calib.instruments.reference_set import reference_set
from calib.instruments.state import ExposureState, load_state
from calib.records import ExposureReferences, InputFile, ProductFile, Products, References
from calib.switches import Overrides, is_switch

logger = logging.getLogger(__name__)

NAME = "native"
NUMBERS_VERSION = "1"  # another whenever an equal input gives other numbers
CAL_VER = f"hstflow {NAME} {NUMBERS_VERSION}"
RECIPES = "hstflow.recipes"  # entry-point group

# Association rows whose product combines exposures: not this engine's yet.
COMBINING = ("PROD-CR", "PROD-RP")


class NativeEngine:
    """Calibrates with the recipes of :mod:`calib.instruments` and of installed packages.

    Parameters
    ----------
    recipes
        Recipes to use; None: those of the entry-point group ``hstflow.recipes``.
    """

    name = NAME
    numbers_version = NUMBERS_VERSION

    def __init__(self, recipes: Sequence[Recipe] | None = None) -> None:
        self.recipes = installed_recipes() if recipes is None else tuple(recipes)

    def covers(self, header: Mapping[str, Any]) -> str | None:
        """Say why an exposure is not covered; None where it is."""
        for recipe in self.recipes:
            if recipe.applies_to(header):
                return recipe.refuses(header)
        found = f"{header.get('INSTRUME', '?')}/{header.get('DETECTOR', '?')}"
        known = ", ".join(f"{recipe.instrument}/{recipe.detector}" for recipe in self.recipes)
        return f"there are recipes for {known or 'nothing'}, not for {found}"

    def required_references(self, header: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the reference keywords that the PERFORM switches of a header open.

        Raises
        ------
        UnsupportedMode
            The exposure is not covered.
        """
        return self.recipe_for(header).required_references(header)

    def recipe_for(self, header: Mapping[str, Any]) -> Recipe:
        """Return the recipe of an exposure.

        Raises
        ------
        UnsupportedMode
            The exposure is not covered.
        """
        if reason := self.covers(header):
            raise UnsupportedMode(f"the native engine does not cover this mode: {reason}")
        return next(recipe for recipe in self.recipes if recipe.applies_to(header))

    def calibrate(self, request: CalibrationRequest) -> Products:
        """Make ``ROOT_flt.fits`` and ``ROOT.tra`` of every raw exposure.

        Raises
        ------
        UnsupportedMode
            A mode is not covered, or the association asks for combined products.
        NotFound
            There is no raw exposure among the inputs.
        EngineError
            A product exists already.
        MissingReference, ReferenceUnavailable, DataError
            As :func:`calib.engines.runner.run_recipe`.
        """
        _check_association(request)
        targets = {file.name: _target(request, file) for file in request.inputs.exposures}
        if not targets:
            raise NotFound("no raw exposure among the inputs", dataset=request.dataset)
        request.output.mkdir(parents=True, exist_ok=True)
        with ExitStack() as undo:
            made = []
            for file in request.inputs.exposures:
                target = targets[file.name]
                made.append(self._calibrate_exposure(request, file, target))
                undo.callback(target.unlink, missing_ok=True)
            undo.pop_all()
        return _merge(made)

    def _calibrate_exposure(
        self, request: CalibrationRequest, file: InputFile, target: Path
    ) -> Products:
        trailer = Trailer(file.rootname)
        trailer.say(f"{CAL_VER} calibrates {file.name}", logging.INFO)
        log = request.output / f"{file.rootname}.tra"
        try:
            products = self._run(request, file, target, trailer)
        except HstflowError as error:
            trailer.say(f"stopped: {error}", logging.ERROR)
            error.dataset = error.dataset or file.rootname
            error.path = error.path or file.path
            raise
        else:
            trailer.say(f"wrote {target.name}", logging.INFO)
            return products
        finally:
            trailer.write(log)

    def _run(
        self, request: CalibrationRequest, file: InputFile, target: Path, trailer: Trailer
    ) -> Products:
        exposure = _references_of(request.references, file)
        state = load_state(file.path, file.rootname, reference_set(exposure))
        state = state.with_primary(request.overrides.switches)
        recipe = self.recipe_for(state.primary)
        parameters = recipe.resolve_parameters(request.overrides)
        state = run_recipe(state, Plan(recipe, parameters), trailer)
        state = _with_provenance(state, exposure, request, target)
        write_exposure(target, Exposure(state.primary, state.imsets))
        return Products(
            files=(_product(target),),
            engine=self.name,
            engine_version=self.numbers_version,
            switches=_switches(state),
            parameters=shown_parameters(recipe.steps, parameters),
            log=str(request.output / f"{file.rootname}.tra"),
            notes=state.warnings,
        )


def installed_recipes() -> tuple[Recipe, ...]:
    """Return the recipes of the entry-point group ``hstflow.recipes``, in name order.

    One that cannot be loaded is left out with a warning: the others still work.
    """
    found = []
    for entry in sorted(entry_points(group=RECIPES), key=lambda entry: entry.name):
        try:
            found.append(entry.load())
        except (ImportError, AttributeError, HstflowError) as error:
            logger.warning("recipe %s cannot be loaded: %s", entry.name, error)
    return tuple(found)


def _check_association(request: CalibrationRequest) -> None:
    wanted = [member.type for member in request.inputs.members]
    if combined := [kind for kind in wanted if kind.upper().startswith(COMBINING)]:
        raise UnsupportedMode(
            "the native engine does not combine exposures yet; calacs.e does",
            dataset=request.dataset,
            found=", ".join(combined),
        )


def _target(request: CalibrationRequest, file: InputFile) -> Path:
    target = request.output / f"{file.rootname}_flt.fits"
    if target.exists():
        raise EngineError(
            "the product exists already", program=NAME, dataset=request.dataset, path=target
        )
    return target


def _references_of(references: References, file: InputFile) -> ExposureReferences:
    exposure = references.of(file.name)
    if exposure is None:
        raise MissingReference(
            "no references were chosen for this exposure",
            path=file.path,
            expected=file.name,
            found=", ".join(exposure.file for exposure in references.exposures),
        )
    return exposure


def _with_provenance(
    state: ExposureState, exposure: ExposureReferences, request: CalibrationRequest, target: Path
) -> ExposureState:
    """Write what made the product: engine, references, context, and what the user changed."""
    values: dict[str, Any] = {"FILENAME": target.name, "CAL_VER": CAL_VER}
    for use in exposure.references:
        if use.keyword in state.primary or state.references.is_named(use.keyword):
            values[use.keyword] = state.references.shown(use.keyword)
    if request.references.context.endswith(".pmap"):
        values["CRDS_CTX"] = request.references.context
        values["CRDS_VER"] = request.references.crds_version
    if request.overrides:
        values["CUSTOM"] = True
    comments = {
        "CAL_VER": "calibration software",
        "CRDS_CTX": "CRDS context of the references",
        "CRDS_VER": "version of the crds library",
        "CUSTOM": "switches or parameters were set by hand",
    }
    return state.with_primary(values, comments).with_history(*_custom(request.overrides))


def _custom(overrides: Overrides) -> list[str]:
    settings = {**overrides.switches, **overrides.parameters}
    return [f"custom: {name}={value}" for name, value in sorted(settings.items())]


def _switches(state: ExposureState) -> dict[str, str]:
    names = sorted({keyword for keyword in state.primary if is_switch(keyword)})
    return {name: str(state.primary[name]).strip() for name in names}


def _product(path: Path) -> ProductFile:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return ProductFile(path.name, str(path), digest, path.stat().st_size)


def _merge(made: Sequence[Products]) -> Products:
    """Return one record for all exposures; their switches are those of the first."""
    first = made[0]
    return Products(
        files=tuple(file for products in made for file in products.files),
        engine=first.engine,
        engine_version=first.engine_version,
        switches=first.switches,
        parameters=first.parameters,
        log=first.log,
        notes=tuple(dict.fromkeys(note for products in made for note in products.notes)),
    )
