"""Products: names, provenance in their headers, their records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calib.engines.groups import Group
from calib.engines.protocol import CalibrationRequest
from calib.errors import EngineError
from calib.fitsfile import Exposure, mark_present, write_exposure
from calib.instruments.state import ExposureState
from calib.records import ExposureReferences, InputFile, ProductFile, Products
from calib.stores.store import product_file
from calib.switches import Overrides, Switch, is_switch, read_switch

EACH = "EXPSCORR"  # asks for a product of each exposure that is combined as well


def product_names(
    request: CalibrationRequest,
    groups: Sequence[Group],
    kept: Sequence[InputFile],
    single: Sequence[str],
) -> list[str]:
    """Return the names of all files that will be made, trailers apart.

    Parameters
    ----------
    kept
        Combined exposures that become products too.
    single
        Names of what the other exposures become.
    """
    tables = [table.name for table in request.inputs.of("asn")] if groups else []
    combined = [group.file_name for group in groups]
    return [*combined, *single, *(f"{file.rootname}_flt.fits" for file in kept), *tables]


def split_names(root: str, header: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the products of a file that holds the exposures of a split.

    Parameters
    ----------
    header
        Primary header: EXPSCORR PERFORM asks for the exposures beside what they become.
    """
    both = read_switch(header, EACH) is Switch.PERFORM
    return (f"{root}_crj.fits", f"{root}_flt.fits") if both else (f"{root}_crj.fits",)


def new_target(request: CalibrationRequest, name: str, program: str) -> Path:
    """Return where a product goes.

    Raises
    ------
    EngineError
        It exists already: products are never replaced.
    """
    target = request.output / name
    if target.exists():
        raise EngineError(
            "the product exists already", program=program, dataset=request.dataset, path=target
        )
    return target


def write_product(
    state: ExposureState,
    exposure: ExposureReferences,
    request: CalibrationRequest,
    target: Path,
    software: str,
) -> tuple[ExposureState, ProductFile]:
    """Write a finished exposure and return it with its provenance, and the record of the file.

    Provenance is: software, references, context, and what the user changed.
    """
    values: dict[str, Any] = {"FILENAME": target.name, "CAL_VER": software}
    for use in exposure.references:
        if use.keyword in state.primary or state.references.is_named(use.keyword):
            values[use.keyword] = state.references.shown(use.keyword)
    cards = provenance_cards(request)
    values |= {keyword: value for keyword, (value, _) in cards.items()}
    comments = {keyword: comment for keyword, (_, comment) in cards.items()}
    comments["CAL_VER"] = "calibration software"
    state = state.with_primary(values, comments).with_history(*_custom(request.overrides))
    written = write_exposure(target, Exposure(state.primary, state.imsets), request.threads)
    return state, ProductFile(target.name, str(target), written.sha256, written.size)


def provenance_cards(request: CalibrationRequest) -> dict[str, tuple[Any, str]]:
    """Return value and comment of the cards that say who chose references and settings."""
    cards: dict[str, tuple[Any, str]] = {}
    if request.references.context.endswith(".pmap"):
        cards["CRDS_CTX"] = (request.references.context, "CRDS context of the references")
        cards["CRDS_VER"] = (request.references.crds_version, "version of the crds library")
    if request.overrides:
        cards["CUSTOM"] = (True, "switches or parameters were set by hand")
    return cards


def name_combination(state: ExposureState, name: str, member_type: str) -> ExposureState:
    """Return a combined exposure under its own name: ROOTNAME in capitals, EXPNAME not."""
    state = state.with_primary(
        {"ROOTNAME": name.upper(), "ASN_MTYP": member_type},
        {"ROOTNAME": "rootname of the combined exposures", "ASN_MTYP": "role in the association"},
    )
    return state.renamed(name).with_headers(
        ("sci", "err", "dq"), [{"EXPNAME": name}] * len(state.imsets)
    )


def write_association(table: InputFile, produced: Sequence[Group], target: Path) -> ProductFile:
    """Write a copy of the association table in which the products are marked as present."""
    mark_present(Path(table.path), target, [group.product for group in produced])
    return product_file(target)


def read_switches(state: ExposureState) -> dict[str, str]:
    """Return all switches of the primary header."""
    return switches_of(state.primary)


def switches_of(header: Mapping[str, Any]) -> dict[str, str]:
    """Return all switches of a primary header, in name order."""
    names = sorted({keyword for keyword in header if is_switch(keyword)})
    return {name: str(header[name]).strip() for name in names}


def merge(made: Sequence[Products]) -> Products:
    """Return one record for all; switches and parameters are those of the first."""
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


def _custom(overrides: Overrides) -> list[str]:
    settings = {**overrides.switches, **overrides.parameters}
    return [f"custom: {name}={value}" for name, value in sorted(settings.items())]
