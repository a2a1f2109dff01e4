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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from calib.association import Association
from calib.engines.astrometry import address_of, astrometry_of, is_silent, note_silence, silence
from calib.engines.product import new_target
from calib.engines.program import RUNASTRODRIZ
from calib.engines.protocol import CalibrationRequest
from calib.engines.stage2 import ASTROMETRY, SWITCH, Stage2Plan
from calib.engines.workplace import Workplace, workplace
from calib.errors import STAGE2, CorruptFile, EngineError, Unavailable
from calib.fitsfile import opened, update_primary_header, writing
from calib.records import ProductFile, Products
from calib.stores.store import product_file
from calib.switches import Switch

TRAILER = ".tra"

# Of the calibrated exposures that are drizzled, and of what is made of each kind.
DRIZZLED = {"flt": "drz", "flc": "drc"}

# drizzlepac.haputils.analyze.Ret_code: no exposure is fit for it.
_NOT_VIABLE_CODES = frozenset({55, 65})

# How it says so where it ends with 0 (runastrodriz, astrodrizzle).
_NOT_VIABLE = re.compile(r"No valid (?:data found|input files|images found)")

# It starts no processes of its own (drizzlepac.util).
_ALONE = {"ASTRODRIZ_NO_PARALLEL": "1"}

# Where products say which world coordinates that came to.
SOLUTIONS = "stage2.wcs"


@dataclass(frozen=True)
class _Call:
    """One exposure or association: the argument, and the calibrated exposures that it changes."""

    argument: str
    calibrated: tuple[str, ...]


def check_names(request: CalibrationRequest) -> None:
    """Look, before anything is calibrated, that no drizzled image is there.

    Raises
    ------
    EngineError
        One is: products are never replaced.
    """
    inputs = request.inputs
    roots = [request.dataset, *(file.rootname for file in inputs.calibrated)]
    roots += [member.name for member in Association(request.dataset, inputs.members).products]
    with _coded():
        for root in dict.fromkeys(roots):
            for kind in DRIZZLED.values():
                new_target(request, f"{root}_{kind}.fits", RUNASTRODRIZ.name)


def drizzle(request: CalibrationRequest, products: Products, plan: Stage2Plan) -> Products:
    """Drizzle the calibrated exposures of a dataset.

    Parameters
    ----------
    request
        As it was calibrated.
    products
        Of the calibration. Its ``_flt`` and ``_flc`` are replaced by what the program leaves of
        them, all at the end; where the program fails they stay.
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
        The program failed, or ended well without a product; a product exists already; nothing
        can be drizzled, and must be (exit code 24).
    Unavailable
        The astrometry that was asked for by name is not to be had now (exit code 24).
    OutOfMemory, TimedOut, HstflowError
        As :func:`calib.programs.run.run_program`.
    """
    if not any(_kind(file.name) in DRIZZLED for file in products.files):
        return _undone(products, plan, "there is no calibrated image (flt, flc) to drizzle")
    if (done := _drizzled(request, products, plan)) is not None:
        return done
    address = address_of({**os.environ, **request.environment})
    note_silence(address)
    off = dataclasses.replace(plan, astrometry="off", note=silence(address))
    if plan.gives_way and (done := _drizzled(request, products, off)) is not None:
        return done
    raise Unavailable(
        "astrometry: the service of the archive did not answer",
        dataset=request.dataset,
        expected=f"an answer, or --astrometry off instead of {plan.astrometry}",
        code=STAGE2,
    )


def _drizzled(request: CalibrationRequest, products: Products, plan: Stage2Plan) -> Products | None:
    """Drizzle; None where solutions of the archive were not to be had."""
    settings, _ = astrometry_of(plan.astrometry, {**os.environ, **request.environment})
    # What is recorded is what was done: the settings win over the variables of the dataset.
    environment = {**settings.environment(), **_ALONE}
    with workplace(request, "drizzle") as place, ExitStack() as undoing:
        with writing(place.log):
            place.log.unlink(missing_ok=True)
        made = [_run(place, call, environment) for call in _bring_all(place, products)]
        if settings.apriori and is_silent(_said(place.log)):
            return None
        names = [name for each in made for name in each]
        found = {ASTROMETRY: settings.name, **_solutions(place, names)}
        done = dataclasses.replace(products, parameters={**products.parameters, **found})
        done = _done(done, plan, made) if names else _undone(done, plan, "no viable data")
        done = _joined(done, _move(place, names, products, undoing), _trailers(place, undoing))
        undoing.pop_all()
        return done


def _kind(name: str) -> str:
    return name.rpartition(".")[0].rpartition("_")[2]


def _done(products: Products, plan: Stage2Plan, made: Sequence[Sequence[str]]) -> Products:
    """Return products that say how they were drizzled, and which exposures were not."""
    some = () if all(made) else ("stage 2: no viable data in some exposures",)
    notes = (*products.notes, *filter(None, (plan.note,)), *some)
    said = f"{plan.program}, astrometry {products.parameters[ASTROMETRY]}"
    return dataclasses.replace(products, notes=notes, stage2=said)


def _undone(products: Products, plan: Stage2Plan, why: str) -> Products:
    """Return products that stay without drizzled ones, and say so.

    Raises
    ------
    EngineError
        They must not.
    """
    if plan.is_must:
        raise EngineError(
            f"stage 2 must be done (--stage2 always), and cannot: {why}",
            program=RUNASTRODRIZ.name,
            code=STAGE2,
        )
    notes = (*products.notes, f"stage 2: {why}")
    return dataclasses.replace(products, notes=notes, stage2=f"{plan.program}: {why}")


def _bring_all(place: Workplace, products: Products) -> list[_Call]:
    """Put everything into the folder; return the calls."""
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
    names = [file.name for file in calibrated]
    # Calibration leaves the table with its products marked as present.
    left = {file.name: file.path for file in products.files}
    if tables := inputs.of("asn"):
        paths = [Path(left.get(table.name, table.path)) for table in tables]
        return [_Call(_copy(place, path), tuple(names)) for path in paths]
    own = {raw: [name for name in names if name.startswith(f"{raw.rootname}_")] for raw in raws}
    return [_Call(raw.name, tuple(found)) for raw, found in own.items()]


def _copy(place: Workplace, path: Path) -> str:
    with writing(place.folder):
        shutil.copyfile(path, place.folder / path.name)
    place.brought.add(path.name)
    return path.name


def _run(place: Workplace, call: _Call, environment: Mapping[str, str]) -> list[str]:
    """Drizzle one exposure or association.

    Returns
    -------
    list of str
        What it made and changed; empty where it had no data that are fit for it.
    """
    before, start = set(place.made()), _size(place.log)
    try:
        with _coded():
            place.run(RUNASTRODRIZ.name, "-n", "1", call.argument, environment=environment)
    except EngineError as error:
        if error.exit_code in _NOT_VIABLE_CODES:
            return []
        raise
    new = [path.name for path in place.made() if path not in before and path.suffix == ".fits"]
    drizzled = [name for name in new if _kind(name) in DRIZZLED.values()]
    if not drizzled and _NOT_VIABLE.search(_said(place.log, start)):
        return []
    if drizzled and all(_is_empty(place.folder / name) for name in drizzled):
        return []
    _check(place, call, new)
    return [*call.calibrated, *new]


def _check(place: Workplace, call: _Call, new: Sequence[str]) -> None:
    """Look at what is there: an exit code of 0 says nothing.

    Of an association the table, and not its name, says what the product is called.
    """
    root = call.argument.rpartition("_")[0]
    wanted = {DRIZZLED[_kind(name)] for name in call.calibrated} - {_kind(name) for name in new}
    missing = [f"{root}_{kind}.fits" for kind in sorted(wanted)]
    with _coded():
        place.check([*new, *missing, *call.calibrated], RUNASTRODRIZ.name)


@contextmanager
def _coded() -> Iterator[None]:
    """Give errors of engines the code of stage 2."""
    try:
        yield
    except EngineError as error:
        error.code = STAGE2
        raise


def _solutions(place: Workplace, names: Sequence[str]) -> dict[str, str]:
    """Return which world coordinates the calibrated exposures have in the end.

    What was asked for says little: where an alignment fails the program takes the next best.
    """
    found = set()
    for name in names:
        if _kind(name) in DRIZZLED:
            with opened(place.folder / name) as hdus:
                found |= {str(hdu.header.get("WCSNAME") or "") for hdu in hdus if hdu.name == "SCI"}
    found.discard("")
    return {SOLUTIONS: ", ".join(sorted(found))} if found else {}


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


def _move(
    place: Workplace, names: Sequence[str], products: Products, undoing: ExitStack
) -> list[ProductFile]:
    """Move files to the products; only those of this run are replaced.

    Raises
    ------
    EngineError
        Another of such a name is there.
    """
    output, own = place.request.output, {file.name for file in products.files}
    with _coded():
        for name in names:
            if name not in own:
                new_target(place.request, name, RUNASTRODRIZ.name)
    return [product_file(_moved(place.folder / name, output, undoing)) for name in names]


def _trailers(place: Workplace, undoing: ExitStack) -> list[str]:
    """Move trailers to the products; return them, and the log of all that was said."""
    trailers = sorted(place.folder.glob(f"*{TRAILER}"))
    moved = [_moved(path, place.request.output, undoing) for path in trailers]
    return [str(path) for path in (*moved, place.log)]


def _moved(path: Path, folder: Path, undoing: ExitStack) -> Path:
    target = folder / path.name
    with writing(folder):
        path.replace(target)
    undoing.callback(target.unlink, missing_ok=True)
    return target


def _joined(products: Products, taken: Sequence[ProductFile], logs: Sequence[str]) -> Products:
    files = {file.name: file for file in (*products.files, *taken)}
    logs = [path for path in logs if path != products.log]
    return dataclasses.replace(
        products,
        files=tuple(files.values()),
        logs=tuple(dict.fromkeys((*products.logs, *logs))),
    )
