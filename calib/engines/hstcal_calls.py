"""What calacs.e, calwf3.e and cs0.e are started for: one input for each call.

A second name after the first one is no second input to them: calacs.e and calwf3.e refuse it,
and cs0.e takes it for the name of the products (calstis ``cs0``: ``input [outroot]``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from calib.association import Association
from calib.engines.hstcal_products import (
    association_products,
    exposure_products,
    stis_products,
)
from calib.engines.idle import is_idle
from calib.engines.program import CALWF3, CS0, Program
from calib.engines.protocol import CalibrationRequest, available_cpus
from calib.engines.switch_references import wavecal_of
from calib.errors import MissingMember
from calib.records import InputFile

Header = Mapping[str, Any]


@dataclass(frozen=True)
class Call:
    """One start of a program.

    Attributes
    ----------
    name
        Of the input file.
    options
        What comes before it.
    files
        The input, and what the program reads beside it.
    products
        Names of what it must make, one at least.
    table
        Whether the input is an association table, which the program updates.
    """

    name: str
    options: tuple[str, ...]
    files: tuple[InputFile, ...]
    products: tuple[str, ...]
    table: bool = False


def plan_calls(
    request: CalibrationRequest, program: Program, headers: Mapping[str, Header]
) -> tuple[Call, ...]:
    """Return the calls for a dataset; none for exposures whose switches ask for nothing.

    Parameters
    ----------
    headers
        Primary headers with the switches of the user, by name of the exposure file.

    Raises
    ------
    MissingMember
        An exposure of the association, or a wavelength calibration that an exposure names,
        is not among the inputs.
    """
    if program == CS0:
        return tuple(_stis_calls(request, headers))
    # calwf3 takes all CPUs, or one (-1).
    is_alone = program == CALWF3 and request.threads < available_cpus()
    options = ("-1",) if is_alone else ()
    return tuple(_image_calls(request, options, headers))


def _image_calls(
    request: CalibrationRequest, options: tuple[str, ...], headers: Mapping[str, Header]
) -> Iterator[Call]:
    """Yield the call of the association, then those of exposures that are in none."""
    inputs = request.inputs
    tables = inputs.of("asn") if inputs.members else ()
    association = Association(request.dataset, inputs.members if tables else ())
    listed = set(association.required)
    together = [file for file in inputs.calibrated if file.rootname.lower() in listed]
    if absent := listed - {file.rootname.lower() for file in together}:
        raise MissingMember(
            "exposures of the association are not among the inputs",
            dataset=request.dataset,
            expected=", ".join(association.required),
            found=f"all but {', '.join(sorted(absent))}",
        )
    if together and not all(is_idle(headers[file.name]) for file in together):
        by_root = {file.rootname.lower(): headers[file.name] for file in together}
        yield Call(
            tables[0].name,
            options,
            (tables[0], *together, *_support(request, [file.rootname for file in together])),
            tuple(association_products(association, by_root)),
            table=True,
        )
    for file in inputs.calibrated:
        if file not in together and not is_idle(headers[file.name]):
            support = _support(request, [file.rootname])
            products = exposure_products(file.rootname, headers[file.name])
            yield Call(file.name, options, (file, *support), products)


def _support(request: CalibrationRequest, roots: list[str]) -> Iterator[InputFile]:
    """Yield the support files of exposures: that of a product is assembled from them."""
    return (file for file in request.inputs.of("spt") if file.rootname in roots)


def _stis_calls(request: CalibrationRequest, headers: Mapping[str, Header]) -> Iterator[Call]:
    """Yield a call for each file: the exposures of an association are image sets of one file."""
    for file in request.inputs.calibrated:
        header = headers[file.name]
        if is_idle(header):
            continue
        stem = file.name.removesuffix(".fits").removesuffix("_raw")
        beside = _wavecal(request, file, header)
        yield Call(file.name, ("-tv",), (file, *beside), stis_products(stem, header))


def _wavecal(request: CalibrationRequest, file: InputFile, header: Header) -> tuple[InputFile, ...]:
    """Return the wavelength calibration that an exposure names, where it is to be used."""
    name = wavecal_of(header)
    if not name:
        return ()
    for each in request.inputs.files:
        if each.name.lower() == name:
            return (each,)
    raise MissingMember(
        "the wavelength calibration of an exposure is not among the inputs",
        dataset=request.dataset,
        path=file.path,
        expected=f"{name} (WAVECAL), or --set WAVECORR=OMIT",
        found=", ".join(each.name for each in request.inputs.files),
    )
