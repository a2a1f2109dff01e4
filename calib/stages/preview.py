"""Stage 4: preview pictures of the raw exposures and the products."""

from __future__ import annotations

import logging
from pathlib import Path

from calib.caldp import product_suffix
from calib.errors import HstflowError, PreviewError
from calib.preview.light_drizzle import PACKAGE, drizzle_lightly, package_version
from calib.preview.previews import draw_files, joined, make_previews
from calib.records import Previews, Products, RawInputs
from calib.stages.job import Job, key_of
from calib.stages.workfolder import Finished, StageFolder
from calib.stores.store import product_file

log = logging.getLogger(__name__)


def preview(job: Job, inputs: RawInputs, products: Products) -> Finished[Previews]:
    """Make the pictures that MAST users expect beside every file.

    Raises
    ------
    PreviewError
        Previews are required and one could not be made; otherwise that is a warning.
    """
    if job.options.previews == "none":
        return Finished(Previews(), reused=False)
    place = _place(job, products)
    finished = place.run(
        lambda folder: _draw(job, inputs, products, folder), still_valid=_is_complete
    )
    _judge(job, finished.record)
    return finished


def finished_preview(job: Job, products: Products) -> Previews | None:
    """Return the pictures that an earlier attempt drew and that would be used again."""
    found = None if job.options.previews == "none" else _place(job, products).load()
    return found if found is not None and _is_complete(found) else None


def _is_complete(previews: Previews) -> bool:
    """Tell whether every picture was drawn: what failed before is tried again."""
    return not previews.warnings


def _place(job: Job, products: Products) -> StageFolder[Previews]:
    quick = [PACKAGE, package_version()] if package_version() and _quick_exposures(products) else []
    key = key_of("preview", job.options.thumb, [file.sha256 for file in products.files], *quick)
    return StageFolder(job.folder / "preview", Previews, key)


def _draw(job: Job, inputs: RawInputs, products: Products, folder: Path) -> Previews:
    files = [Path(file.path) for file in inputs.exposures]
    files += [Path(file.path) for file in products.files]
    made = make_previews(
        files,
        folder,
        instrument=job.id.instrument,
        kind=job.id.kind,
        thumb=job.options.thumb,
    )
    return joined([made, _quick_look(job, products, folder)])


def _quick_exposures(products: Products) -> list[Path]:
    """Return what could have been drizzled and was not: flc, or flt where there is none."""
    by_kind: dict[str, list[Path]] = {"flc": [], "flt": [], "drz": [], "drc": []}
    for file in products.files:
        by_kind.get(product_suffix(file.name), []).append(Path(file.path))
    if by_kind["drz"] or by_kind["drc"] or products.switches.get("DRIZCORR") != "PERFORM":
        return []
    return by_kind["flc"] or by_kind["flt"]


def _quick_look(job: Job, products: Products, folder: Path) -> Previews:
    """Combine exposures for looking, where the package for it is installed."""
    exposures = _quick_exposures(products)
    if not exposures:
        return Previews()
    if not package_version():
        log.info("no quick look: package %s is not installed (hstflow[quicklook])", PACKAGE)
        return Previews()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        path = drizzle_lightly(exposures, job.dataset, folder)
    except HstflowError as error:
        return Previews((), (f"no quick look: {error}",))
    drawn = draw_files([path], folder, thumb=job.options.thumb)
    image = product_file(path)
    return joined([Previews((image,)), drawn])


def _judge(job: Job, previews: Previews) -> None:
    for line in (*previews.warnings, *previews.remarks):
        log.warning("%s", line)
    if previews.warnings and job.options.previews == "required":
        raise PreviewError(
            "; ".join(previews.warnings), dataset=job.dataset, expected="a preview of every file"
        )
