"""The native engine: HSTCAL's numbers without HSTCAL."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from calib.engines.groups import Group, alone, check_headers, combines, find_groups
from calib.engines.lookup import OTHER, detectors_of
from calib.engines.product import (
    EACH,
    merge,
    name_combination,
    new_target,
    product_names,
    read_switches,
    split_names,
    write_association,
    write_product,
)
from calib.engines.protocol import CalibrationRequest, Installation
from calib.engines.runner import Plan, check_all_references, combine, run_recipe
from calib.engines.trailer import Trailer
from calib.errors import (
    ArchiveError,
    DataError,
    HstflowError,
    MissingReference,
    NotFound,
    UnsupportedMode,
)
from calib.fitsfile import primary_header, writing
from calib.instruments.recipe import SPLIT_KEYWORDS, Recipe, Step, shown_parameters
from calib.instruments.reference_set import reference_set
from calib.instruments.state import ExposureState, load_state
from calib.records import ExposureReferences, InputFile, Member, Products, References
from calib.switches import Switch, read_switch

logger = logging.getLogger(__name__)

NAME = "native"
NUMBERS_VERSION = "2"  # another whenever an equal input gives other numbers
CAL_VER = f"hstflow {NAME} {NUMBERS_VERSION}"
RECIPES = "hstflow.recipes"  # entry-point group


@dataclass(frozen=True)
class _Ready:
    """An exposure on its way: what it is now, how to go on, where to say so."""

    state: ExposureState
    references: ExposureReferences
    plan: Plan
    trailer: Trailer

    def run(self, phase: str | None = None) -> _Ready:
        """Carry out one phase, or all that an exposure alone goes through."""
        plan = replace(self.plan, phase=phase)
        return replace(self, state=run_recipe(self.state, plan, self.trailer))


class NativeEngine:
    """Calibrates with the recipes of :mod:`calib.instruments` and of installed packages.

    Parameters
    ----------
    recipes
        Recipes to use; None: those of the entry-point group ``hstflow.recipes``.
    """

    name = NAME
    numbers_version = NUMBERS_VERSION
    kinds = frozenset({"ipst"})

    def __init__(self, recipes: Sequence[Recipe] | None = None) -> None:
        self.recipes = installed_recipes() if recipes is None else tuple(recipes)

    @property
    def instruments(self) -> frozenset[str]:
        """The instruments that there are recipes for, lower case."""
        return frozenset(recipe.instrument.lower() for recipe in self.recipes)

    def installations(self) -> tuple[Installation, ...]:
        """Return what it is: it needs nothing else."""
        purpose = "; ".join(detectors_of(self.recipes))
        return (Installation(self.name, purpose, found="built in", version=self.numbers_version),)

    def unproven(self, header: Mapping[str, Any]) -> str | None:
        """Say why ``auto`` passes over an exposure that is covered; None where it does not."""
        recipe = self.recipe_for(header)
        if recipe.is_proven:
            return None
        return (
            f"it covers {recipe.instrument}/{recipe.detector}, but was not compared with "
            f"{recipe.program} yet: --engine {NAME} asks for it"
        )

    def covers(self, header: Mapping[str, Any]) -> str | None:
        """Say why an exposure is not covered; None where it is."""
        for recipe in self.recipes:
            if recipe.applies_to(header):
                return recipe.refuses(header)
        words = [str(header.get(key) or "?").strip() for key in ("INSTRUME", "DETECTOR")]
        return (
            f"{OTHER}{' and '.join(detectors_of(self.recipes)) or 'nothing'}, not {' '.join(words)}"
        )

    def required_references(
        self, header: Mapping[str, Any], members: Sequence[Member] = ()
    ) -> tuple[str, ...]:
        """Return the reference keywords that the PERFORM switches of a header open.

        That of a combination (CRREJTAB) is among them where the association combines.

        Raises
        ------
        UnsupportedMode
            The exposure is not covered.
        """
        recipe = self.recipe_for(header)
        combined = combines(members) or recipe.splits(header)
        return recipe.required_references(header, combined=combined)

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
        """Make the products of an exposure or an association.

        An exposure by itself, and each one of a dither pattern, becomes ``ROOT_flt.fits``.
        The exposures of a position that is combined become ``PRODUCT_crj.fits`` (cosmic-ray
        split) or ``PRODUCT_sfl.fits`` (repeated), and ``ROOT_flt.fits`` each where the first
        one's EXPSCORR is PERFORM. The association table is copied with these products marked
        as present. A file whose image sets are the exposures of a split (STIS CCD) becomes
        ``ROOT_crj.fits``, and ``ROOT_flt.fits`` where EXPSCORR is PERFORM. Trailers lie
        beside them: ``ROOT.tra``, ``PRODUCT.tra``, and for a combination ``ASSOCIATION.tra``
        with all lines.

        Raises
        ------
        UnsupportedMode
            A mode is not covered, the exposures to combine differ in mode, or their switches
            contradict the association table.
        NotFound, MissingMember
            There is no raw exposure among the inputs, or one of the table is not.
        EngineError
            A product exists already.
        ArchiveError
            Something cannot be written.
        MissingReference, ReferenceUnavailable, DataError
            As :func:`calib.engines.runner.run_recipe`. No product is left then.
        """
        groups, names = self._foresee(request)
        targets = [new_target(request, name, NAME) for name in names]
        with writing(request.output):
            request.output.mkdir(parents=True, exist_ok=True)
        with ExitStack() as undo:
            for target in targets:
                undo.callback(target.unlink, missing_ok=True)
            log = request.output / f"{request.dataset.lower()}.tra"
            with _whole_log(request.dataset, log if groups else None) as trailer:
                made = list(self._calibrate_all(request, groups, trailer))
            undo.pop_all()
        products = merge(made)
        return replace(products, log=str(log)) if groups else products

    def product_names(self, request: CalibrationRequest) -> tuple[str, ...]:
        """Return the names of the files that :meth:`calibrate` would make, trailers apart.

        Raises
        ------
        UnsupportedMode, NotFound, MissingMember
            As :meth:`calibrate`.
        ConfigError
            A step or parameter that the user sets is unknown, or its value of another type.
        """
        _, names = self._foresee(request)
        for file in request.inputs.calibrated:
            header = request.overrides.apply(primary_header(file.path))
            self.recipe_for(header).resolve_parameters(request.overrides)
        return tuple(names)

    def _foresee(self, request: CalibrationRequest) -> tuple[Sequence[Group], list[str]]:
        groups = find_groups(request.inputs)
        if not request.inputs.calibrated:
            raise NotFound("no raw exposure among the inputs", dataset=request.dataset)
        kept = [file for group in groups for file in self._check_group(request, group)]
        single = [
            name
            for file in alone(request.inputs, groups)
            for name in self._names_alone(request, file)
        ]
        return groups, product_names(request, groups, kept, single)

    def _names_alone(self, request: CalibrationRequest, file: InputFile) -> Sequence[str]:
        """Return the names of what an exposure alone becomes.

        What is wrong with its file is told when it is calibrated, in its trailer too.
        """
        single = (f"{file.rootname}_flt.fits",)
        with suppress(DataError):
            found = primary_header(file.path)
            for recipe in self.recipes:
                if recipe.splits_files and recipe.applies_to(found):
                    cards = {key: found.get(key) for key in (*SPLIT_KEYWORDS, EACH)}
                    header = request.overrides.apply(cards)
                    return split_names(file.rootname, header) if recipe.splits(header) else single
        return single

    def _check_group(self, request: CalibrationRequest, group: Group) -> Sequence[InputFile]:
        """Look at the headers before anything is computed; return what becomes a product too."""
        headers = [request.overrides.apply(primary_header(file.path)) for file in group.files]
        for file, header in zip(group.files, headers, strict=True):
            if reason := self.covers(header):
                raise UnsupportedMode(
                    f"the native engine does not cover an exposure of the association: {reason}",
                    dataset=file.rootname,
                    path=file.path,
                )
        recipe = self.recipe_for(headers[0])
        check_headers(group, headers, recipe.alike)
        return group.files if _keeps_each(recipe, headers[0]) else ()

    def _calibrate_all(
        self, request: CalibrationRequest, groups: Sequence[Group], log: Trailer
    ) -> Iterator[Products]:
        """Yield the products of each group and each other exposure; the table comes last."""
        for group in groups:
            yield from self._calibrate_group(request, group, log)
        for file in alone(request.inputs, groups):
            with _trailer(request, file.rootname, log, file.path) as trailer:
                yield from self._calibrate_alone(request, file, trailer)
        for table in request.inputs.of("asn") if groups else ():
            copy = write_association(table, groups, request.output / table.name)
            log.say(f"wrote {table.name}", logging.INFO)
            yield Products((copy,), self.name, self.numbers_version)

    def _calibrate_alone(
        self, request: CalibrationRequest, file: InputFile, trailer: Trailer
    ) -> Iterator[Products]:
        """Yield the product of one file; of a split the combination, then the exposures."""
        ready = self._load(request, file, trailer)
        if not ready.plan.recipe.splits(ready.state.primary):
            yield self._write(request, ready.run(), f"{file.rootname}_flt.fits")
            return
        names = split_names(file.rootname, ready.state.primary)
        ready = ready.run("exposure")
        made = combine([ready.state], ready.plan, trailer)
        steps = ready.plan.recipe.all_steps
        for name, state in zip(names, (made.product, *made.members), strict=False):
            yield self._write(request, replace(ready, state=state).run("product"), name, steps)

    def _calibrate_group(
        self, request: CalibrationRequest, group: Group, log: Trailer
    ) -> Iterator[Products]:
        """Yield the combined product, then those of its exposures."""
        with ExitStack() as open_trailers:
            members: list[_Ready] = []
            for file in group.files:
                trailer = open_trailers.enter_context(
                    _trailer(request, file.rootname, log, file.path)
                )
                ready = self._load(request, file, trailer, combined=not members)
                members.append(ready.run("exposure"))
            with _trailer(request, group.product, log, group.files[0].path) as trailer:
                for member in members:
                    trailer.lines.extend(member.trailer.lines)
                made = combine([m.state for m in members], members[0].plan, trailer)
                recipe = members[0].plan.recipe
                state = name_combination(made.product, group.product, group.member_type)
                product = replace(members[0], state=state, trailer=trailer).run("product")
                yield self._write(request, product, group.file_name, recipe.all_steps)
            if _keeps_each(recipe, members[0].state.primary):
                for member, marked in zip(members, made.members, strict=True):
                    done = replace(member, state=marked).run("product")
                    yield self._write(request, done, f"{marked.dataset}_flt.fits")

    def _load(
        self,
        request: CalibrationRequest,
        file: InputFile,
        trailer: Trailer,
        *,
        combined: bool = False,
    ) -> _Ready:
        """Read an exposure, with everything that calibrating it needs.

        Where it is the first of several that are combined, with what that needs too.
        """
        trailer.say(f"{CAL_VER} calibrates {file.name}", logging.INFO)
        references = _references_of(request.references, file)
        state = load_state(file.path, file.rootname, reference_set(references, file.name[:1]))
        state = replace(state, threads=request.threads)
        state = state.with_primary(request.overrides.switches)
        recipe = self.recipe_for(state.primary)
        parameters = recipe.resolve_parameters(request.overrides)
        plan = Plan(recipe, parameters, in_place=True)
        check_all_references(state, recipe, combined=combined or recipe.splits(state.primary))
        return _Ready(state, references, plan, trailer)

    def _write(
        self,
        request: CalibrationRequest,
        ready: _Ready,
        name: str,
        steps: tuple[Step, ...] | None = None,
    ) -> Products:
        """Write a product; its record shows the parameters of the steps, of one alone if None."""
        target = request.output / name
        state, file = write_product(ready.state, ready.references, request, target, CAL_VER)
        ready.trailer.say(f"wrote {name}", logging.INFO)
        return Products(
            files=(file,),
            engine=self.name,
            engine_version=self.numbers_version,
            switches=read_switches(state),
            parameters=shown_parameters(steps or ready.plan.recipe.steps, ready.plan.parameters),
            log=str(request.output / f"{state.dataset}.tra"),
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


def _keeps_each(recipe: Recipe, header: Mapping[str, Any]) -> bool:
    """Whether exposures that are combined become products too; the first one's header decides."""
    return recipe.keeps_exposures or read_switch(header, EACH) is Switch.PERFORM


@contextmanager
def _whole_log(dataset: str, path: Path | None) -> Iterator[Trailer]:
    """Collect the lines of all trailers, and write them where a path is given."""
    trailer = Trailer(dataset)
    with _written(trailer, path) if path else nullcontext():
        yield trailer


@contextmanager
def _trailer(request: CalibrationRequest, name: str, log: Trailer, path: str) -> Iterator[Trailer]:
    """Open the trailer of an exposure or product; errors learn what they are about."""
    trailer = Trailer(name, parent=log)
    with _written(trailer, request.output / f"{name}.tra"):
        try:
            yield trailer
        except HstflowError as error:
            trailer.say(f"stopped: {error}", logging.ERROR)
            error.dataset = error.dataset or name
            error.path = error.path or path
            raise


@contextmanager
def _written(trailer: Trailer, path: Path) -> Iterator[None]:
    """Write a trailer in any case; of two failures the first one is told."""
    done = False
    try:
        yield
        done = True
    finally:
        with nullcontext() if done else suppress(ArchiveError):
            trailer.write(path)
