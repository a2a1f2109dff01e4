"""The run of runastrodriz: calibrated exposures in, the same with new coordinates and a sum out.

What the program does (drizzlepac 3.11, runastrodriz.py), and what follows from it:

- it reads DRIZCORR of the first member's ``_raw``, and does nothing where that is not PERFORM;
- it writes coordinates into every ``_flt`` and ``_flc`` in place, and DRIZCORR=COMPLETE into the
  ``_flt`` of a lone exposure;
- a further argument is taken for a folder: one exposure or one association at a call;
- it swallows its own SystemExit, "no viable data" (65) among them, and ends with 0; where no
  exposure is fit (no exposure time, no good pixel) it may leave a drizzled file without pixels;
- it appends to ``ROOT.tra``, the trailer of the calibration before it.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from calib.engines.astrometry import Astrometry, astrometry_of, unanswered
from calib.engines.product import product_file
from calib.engines.program import RUNASTRODRIZ
from calib.engines.protocol import CalibrationRequest
from calib.engines.stage2 import ASTROMETRY_DONE, SWITCH, Stage2Plan
from calib.engines.workplace import Workplace, workplace
from calib.errors import STAGE2, CorruptFile, EngineError, Unavailable
from calib.fitsfile import opened, update_primary_header, writing
from calib.records import ProductFile, Products
from calib.switches import Switch

TRAILER = ".tra"

# Of the calibrated exposures that are drizzled, and of what is made of each kind.
DRIZZLED = {"flt": "drz", "flc": "drc"}

# drizzlepac.haputils.analyze.Ret_code: no exposure is fit for it.
_NOT_VIABLE_CODES = frozenset({55, 65})

# How it says so where it ends with 0 (runastrodriz, astrodrizzle).
_NOT_VIABLE = re.compile(
    r"No valid (?:data found|input files|images found)|astrodrizzle processing not requested"
)

# It starts no processes of its own (drizzlepac.util).
_ALONE = {"ASTRODRIZ_NO_PARALLEL": "1"}


def drizzle(request: CalibrationRequest, products: Products, plan: Stage2Plan) -> Products:
    """Drizzle the calibrated exposures of a dataset.

    Parameters
    ----------
    request
        As it was calibrated.
    products
        Of the calibration. Its ``_flt`` and ``_flc`` are replaced by what the program leaves of
        them, all at the end; where it fails they stay.
    plan
        Says which program, and how images are aligned.

    Returns
    -------
    Products
        With the drizzled images, headerlets and trailers, and new checksums of what changed.
        Where no exposure is fit for it: as they were, with trailers and a note.

    Raises
    ------
    EngineError
        The program failed, or ended well without a product (exit code 24).
    Unavailable
        The astrometry that was asked for by name is not to be had now (exit code 24).
    OutOfMemory, TimedOut, HstflowError
        As :func:`calib.programs.run.run_program`.
    """
    calibrated = [file.name for file in products.files if _kind(file.name) in DRIZZLED]
    if not calibrated:
        return _undone(products, plan, "there is no calibrated image (flt, flc) to drizzle")
    settings, note = astrometry_of(plan.astrometry, {**os.environ, **request.environment})
    environment = {**settings.environment(), **_ALONE, **request.environment}
    notes = [note] if note else []
    with workplace(request, "drizzle") as place:
        viable = [_run(place, unit, environment) for unit in _bring_all(place, products)]
        notes += _unaligned(place, plan, settings)
        new = [path for path in place.made() if path.suffix == ".fits"] if any(viable) else []
        changed = [place.folder / name for name in calibrated] if any(viable) else []
        _look(place, [path.name for path in changed])
        done = _joined(products, _take(place, [*changed, *new]), _trailers(place))
    if not all(viable):
        notes.append(f"stage 2: no viable data{'' if not any(viable) else ' in some exposures'}")
    if not any(viable):
        return _undone(done, plan, "no viable data", notes)
    parameters = {**done.parameters, ASTROMETRY_DONE: settings.name}
    said = f"{plan.program}, astrometry {settings.name}"
    done = dataclasses.replace(done, stage2=said, parameters=parameters)
    return dataclasses.replace(done, notes=(*done.notes, *notes))


def _kind(name: str) -> str:
    return name.rpartition(".")[0].rpartition("_")[2]


def _undone(
    products: Products, plan: Stage2Plan, why: str, notes: Sequence[str] | None = None
) -> Products:
    """Return products that stay without drizzled ones, and say so."""
    notes = [f"stage 2: {why}"] if notes is None else notes
    return dataclasses.replace(
        products, notes=(*products.notes, *notes), stage2=f"{plan.program}: {why}"
    )


def _bring_all(place: Workplace, products: Products) -> list[str]:
    """Put everything into the folder; return the argument of each call."""
    inputs = place.request.inputs
    calibrated = [file for file in products.files if _kind(file.name) in DRIZZLED]
    roots = {file.name.rpartition("_")[0] for file in calibrated}
    raws = [file for file in inputs.calibrated if file.rootname in roots]
    for raw in raws:
        # What was decided counts, whatever the header of the exposure says.
        place.bring(raw)
        update_primary_header(place.folder / raw.name, {SWITCH: Switch.PERFORM.value})
    trailers = [Path(p) for p in (products.log, *products.logs) if p and p.endswith(TRAILER)]
    for path in dict.fromkeys((*(Path(file.path) for file in calibrated), *trailers)):
        _copy(place, path)
    tables = inputs.of("asn")
    if not tables:
        return [raw.name for raw in raws]
    # Calibration leaves the table with its products marked as present.
    left = {file.name: file.path for file in products.files}
    return [_copy(place, Path(left.get(table.name, table.path))) for table in tables]


def _copy(place: Workplace, path: Path) -> str:
    with writing(place.folder):
        shutil.copyfile(path, place.folder / path.name)
    place.brought.add(path.name)
    return path.name


def _run(place: Workplace, unit: str, environment: dict[str, str]) -> bool:
    """Drizzle one exposure or association; tell whether it had data that are fit for it."""
    before, start = set(place.made()), _size(place.log)
    try:
        place.run(RUNASTRODRIZ.name, "-n", "1", unit, environment=environment)
    except EngineError as error:
        if error.exit_code in _NOT_VIABLE_CODES:
            return False
        error.code = STAGE2
        raise
    new = [path.name for path in place.made() if path not in before]
    drizzled = [name for name in new if _kind(name) in DRIZZLED.values()]
    if not drizzled and _NOT_VIABLE.search(_said(place.log, start)):
        return False
    if drizzled and all(_is_empty(place.folder / name) for name in drizzled):
        return False
    _check(place, unit, new)
    return True


def _check(place: Workplace, unit: str, new: Sequence[str]) -> None:
    """Look at what is there: an exit code of 0 says nothing.

    Of an association the table, and not its name, says what the product is called.
    """
    root = unit.rpartition("_")[0]
    kinds = {_kind(name) for name in place.brought if _kind(name) in DRIZZLED}
    if not unit.endswith("_asn.fits"):
        kinds = {kind for kind in kinds if f"{root}_{kind}.fits" in place.brought}
    wanted = {DRIZZLED[kind] for kind in kinds} - {_kind(name) for name in new}
    names = [name for name in new if name.endswith(".fits")]
    names += [f"{root}_{kind}.fits" for kind in sorted(wanted)]
    _look(place, names)


def _look(place: Workplace, names: Sequence[str]) -> None:
    try:
        place.check(names, RUNASTRODRIZ.name)
    except EngineError as error:
        error.code = STAGE2
        raise


def _is_empty(path: Path) -> bool:
    """Tell whether a drizzled file has no pixels: AstroDrizzle's word for no viable data."""
    try:
        with opened(path) as hdus:
            return not any(hdu.header.get("NAXIS") for hdu in hdus)
    except CorruptFile:
        return False


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _said(path: Path, start: int = 0) -> str:
    return path.read_bytes()[start:].decode(errors="replace") if path.exists() else ""


def _unaligned(place: Workplace, plan: Stage2Plan, settings: Astrometry) -> list[str]:
    """Say that solutions of the archive were not to be had.

    Raises
    ------
    Unavailable
        They were asked for by name.
    """
    try:
        note = unanswered(plan.astrometry, settings, _said(place.log))
    except Unavailable as error:
        error.code, error.dataset = STAGE2, place.request.dataset
        raise
    return [note] if note else []


def _take(place: Workplace, paths: Iterable[Path]) -> list[ProductFile]:
    """Move files to the products, in place of those of the same names."""
    with writing(place.request.output):
        return [product_file(path.replace(place.request.output / path.name)) for path in paths]


def _trailers(place: Workplace) -> list[str]:
    """Move trailers to the products; return them, and the log of all that was said."""
    trailers = sorted(place.folder.glob(f"*{TRAILER}"))
    with writing(place.request.output):
        moved = [path.replace(place.request.output / path.name) for path in trailers]
    return [str(path) for path in (*moved, place.log)]


def _joined(products: Products, taken: Iterable[ProductFile], logs: Iterable[str]) -> Products:
    files = {file.name: file for file in (*products.files, *taken)}
    logs = [path for path in logs if path != products.log]
    return dataclasses.replace(
        products,
        files=tuple(files.values()),
        logs=tuple(dict.fromkeys((*products.logs, *logs))),
    )
