"""What calcos makes: names of products by header.

Source: COS Data Handbook, section 2.4 (tables 2.1 and 2.2), and where the program decides by
more than the handbook says, calcos 3.6.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from calib.engines.calcos_calls import Call, RawFile
from calib.engines.calcos_modes import Role, has_work, text_of

# Of each raw file, by what the exposure is; an FUV segment has its own, with `_a` or `_b`.
# Accumulated images become events first: they have a corrtag too, acquisition images have not
# (accum.accumBasicCalibration).
_BY_ROLE: dict[Role, tuple[str, ...]] = {
    "science": ("corrtag", "flt", "counts"),
    "calibration": ("corrtag", "flt", "counts"),
    "wavecal": ("corrtag", "flt", "counts"),
    "image": ("flt", "counts"),
    "none": (),
}


def expected_products(call: Call) -> tuple[str, ...]:
    """Return the names of the products that a call must make; none: there is nothing to do.

    Beside them calcos makes ``PRODUCT_jnk.fits``, a copy of a support file, where there is one.

    Raises
    ------
    DataError
        A switch has no known value.
    """
    raws = [raw for raw in call.raws if raw.role != "none"]
    if not raws or not _starts(raws):
        return ()
    names = [name for raw in raws for name in _of_exposure(raw)]
    return tuple(dict.fromkeys((*names, *_of_association(call, raws))))


def why_nothing(call: Call) -> str:
    """Say why nothing is made of a call's exposures."""
    kinds = sorted({text_of(raw.header, "EXPTYPE") or "no EXPTYPE" for raw in call.raws})
    if all(raw.role == "none" for raw in call.raws):
        return f"{call.name} is {' and '.join(kinds)}, which calcos does not calibrate"
    return f"no switch of {call.name} asks calcos for anything"


def _starts(raws: Sequence[RawFile]) -> bool:
    """Whether calcos goes to work: the first science exposure decides, or there is a wavecal."""
    return any(raw.role == "wavecal" for raw in raws) or has_work(_first(raws).header)


def _first(raws: Sequence[RawFile]) -> RawFile:
    """Return the exposure whose switches count for all (Association.findFirstScience)."""
    science = [raw for raw in raws if raw.role == "science"]
    for mode in ("TIME-TAG", "ACCUM"):
        for raw in science:
            if text_of(raw.header, "OBSMODE") == mode:
                return raw
    lamps = (raw for raw in raws if raw.role in {"wavecal", "calibration"})
    return next(lamps, raws[0])


def _of_exposure(raw: RawFile) -> Iterator[str]:
    root = raw.file.rootname
    for suffix in _BY_ROLE[raw.role]:
        yield f"{root}_{suffix}{raw.segment}.fits"
    if raw.role == "image" or not raw.is_spectrum:
        return
    if "X1DCORR" in raw.performed:
        yield f"{root}_x1d.fits"
    # A segment without an event has no spectrum of the lamp (timetag.writeNull).
    if raw.is_flashed and raw.rows and "WAVECORR" in raw.performed:
        yield f"{root}_lampflash.fits"


def _of_association(call: Call, raws: Sequence[RawFile]) -> Iterator[str]:
    """Yield the averages: of all spectra, of those of each FP-POS, or of images."""
    if call.product is None:
        return
    science = [raw for raw in raws if raw.role == "science"]
    spectra = [raw for raw in science if raw.is_spectrum]
    if len(spectra) < len(science):
        yield f"{call.product}_fltsum.fits"
    if spectra and "X1DCORR" in _first(raws).performed:
        yield f"{call.product}_x1dsum.fits"
        for position in sorted({raw.position for raw in spectra if raw.position > 0}):
            yield f"{call.product}_x1dsum{position}.fits"
