"""How the files of a COS dataset become calls of calcos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from calib.association import Association
from calib.engines.calcos_modes import Role, is_flashed, is_spectrum, performed, role_of, text_of
from calib.engines.protocol import CalibrationRequest
from calib.errors import CorruptFile, MissingMember, NotFound, UnsupportedMode
from calib.fitsfile import opened, primary_header
from calib.records import InputFile
from calib.switches import Overrides, read_number

# Raw files that calcos takes (Association.initialInfo); FUV segments have one each. It looks
# also for `rawimage`, a name from before launch that the archive does not have.
RAW_SUFFIXES = (
    "rawtag", "rawtag_a", "rawtag_b", "rawaccum", "rawaccum_a", "rawaccum_b", "rawacq",
)  # fmt: skip


@dataclass(frozen=True)
class RawFile:
    """A raw file and what its headers say.

    Attributes
    ----------
    file
        The input.
    header
        Primary header, with the user's switches.
    flashes
        How many lamp flashes the first extension tells of (NUMFLASH).
    rows
        Rows of its table or image (NAXIS2); 0: nothing was recorded.
    """

    file: InputFile
    header: Mapping[str, Any]
    flashes: int
    rows: int

    @property
    def segment(self) -> str:
        """``_a`` or ``_b`` for a segment of the FUV detector, else empty."""
        return self.file.suffix[-2:] if self.file.suffix[-2:] in {"_a", "_b"} else ""

    @property
    def role(self) -> Role:
        """What it is to calcos."""
        return role_of(self.header, self.flashes)

    @property
    def is_spectrum(self) -> bool:
        """Whether it is a spectrum."""
        return is_spectrum(self.header)

    @property
    def is_flashed(self) -> bool:
        """Whether a wavelength lamp flashed during the exposure."""
        return is_flashed(self.header, self.flashes)

    @cached_property
    def performed(self) -> frozenset[str]:
        """Switches that calcos performs."""
        return performed(self.header)

    @property
    def position(self) -> int:
        """FP-POS of a spectrum, 1 to 4 (1 where the header does not say, as in calcos)."""
        return int(read_number({"FPPOS": 1, **self.header}, "FPPOS"))


@dataclass(frozen=True)
class Call:
    """One call of calcos.

    Attributes
    ----------
    name
        Exposure or association, lower case.
    argument
        Name of the file that it is called with.
    raws
        What it calibrates, in name order: for FUV both segments of an exposure.
    product
        What the association makes; None for an exposure, or where its table names none.
    is_association
        Whether it is called with a table.
    """

    name: str
    argument: str
    raws: tuple[RawFile, ...]
    product: str | None = None
    is_association: bool = False


def find_calls(request: CalibrationRequest) -> tuple[Call, ...]:
    """Return the calls for a dataset: the association first, then every other exposure.

    Parameters
    ----------
    request
        Headers are read, nothing else.

    Raises
    ------
    NotFound
        There is no raw file among the inputs.
    MissingMember
        The association marks an exposure as present that has no raw file.
    UnsupportedMode
        A raw file of a kind that calcos does not take, or two kinds of one exposure.
    CorruptFile
        A file cannot be read, or the association has several products.
    """
    exposures = _exposures(request)
    tables = request.inputs.of("asn")
    if not tables:
        return tuple(_alone(root, raws) for root, raws in exposures.items())
    call = _together(request, tables[0], exposures)
    done = {raw.file.rootname for raw in call.raws}
    others = [_alone(root, raws) for root, raws in exposures.items() if root not in done]
    return (call, *others)


def _exposures(request: CalibrationRequest) -> dict[str, list[RawFile]]:
    files = request.inputs.calibrated
    if not files:
        raise NotFound("no raw exposure among the inputs", dataset=request.dataset)
    found: dict[str, list[RawFile]] = {}
    for file in sorted(files, key=lambda file: file.name):
        found.setdefault(file.rootname.lower(), []).append(_read(file, request.overrides))
    for root, raws in found.items():
        _check_kinds(root, raws)
    return found


def _read(file: InputFile, overrides: Overrides) -> RawFile:
    if file.suffix not in RAW_SUFFIXES:
        raise UnsupportedMode(
            "calcos takes no raw file of this kind",
            path=file.path,
            expected=", ".join(RAW_SUFFIXES),
            found=file.suffix,
        )
    header = overrides.apply(primary_header(file.path))
    flashes, rows = _first_extension(file)
    return RawFile(file, header, flashes, rows)


def _first_extension(file: InputFile) -> tuple[int, int]:
    with opened(Path(file.path)) as hdus:
        if len(hdus) < 2:  # noqa: PLR2004 - the primary header and one extension
            raise CorruptFile("a raw file of COS has events or an image", path=file.path)
        header = hdus[1].header
        return int(header.get("NUMFLASH", 0)), int(header.get("NAXIS2", 0))


def _check_kinds(root: str, raws: Sequence[RawFile]) -> None:
    """Refuse what cannot be: calcos would call two products by one name."""
    kinds = sorted({raw.file.suffix.removesuffix(raw.segment) for raw in raws})
    if len(kinds) > 1 or (len(raws) > 1 and not all(raw.segment for raw in raws)):
        raise UnsupportedMode(
            "an exposure has raw files of two kinds",
            dataset=root,
            expected="one, or one for each FUV segment",
            found=", ".join(raw.file.name for raw in raws),
        )


def _alone(root: str, raws: Sequence[RawFile]) -> Call:
    """Return the call for an exposure: calcos finds the second FUV segment beside the first."""
    return Call(root, raws[0].file.name, tuple(raws))


def _together(
    request: CalibrationRequest, table: InputFile, exposures: Mapping[str, Sequence[RawFile]]
) -> Call:
    association = Association(request.dataset.lower(), request.inputs.members)
    if absent := [name for name in association.required if name not in exposures]:
        # calcos would say so and go on without them, which makes another product.
        raise MissingMember(
            "exposures of the association are not among the inputs",
            dataset=request.dataset,
            expected=", ".join(association.required),
            found=f"all but {', '.join(absent)}",
        )
    products = [member.name for member in association.products]
    if len(products) > 1:
        raise CorruptFile(
            "the association names several products, at which calcos stops",
            dataset=request.dataset,
            found=", ".join(products),
        )
    raws = tuple(raw for name in association.required for raw in exposures[name])
    product = products[0] if products else None
    return Call(request.dataset.lower(), table.name, raws, product, is_association=True)


def missing_pulse_heights(call: Call, names: frozenset[str]) -> list[str]:
    """Return the pulse-height files that calcos opens for FUV ACCUM, and that are not there.

    Parameters
    ----------
    names
        Of all inputs.
    """
    wanted = [
        f"{raw.file.rootname}_pha{raw.segment}.fits"
        for raw in call.raws
        if "PHACORR" in raw.performed
        and text_of(raw.header, "OBSMODE") == "ACCUM"
        and raw.role != "none"
    ]
    return [name for name in wanted if name not in names]
