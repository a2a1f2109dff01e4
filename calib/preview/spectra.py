"""Make the previews of one extracted spectrum: two pictures, its curves, a description."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from calib.preview.output import png, sidecar, stem_of, write_file
from calib.preview.panels import Panel, draw_panels, draw_small, plan_panels
from calib.preview.spectrum import Spectrum, read_spectrum
from calib.preview.spectrum_table import write_curves
from calib.records import ProductFile
from calib.stores.store import hash_file, product_file


def draw_spectrum(
    product: Path, destination: Path, thumb: int
) -> tuple[list[ProductFile], list[str]]:
    """Make ``BASE.png``, ``BASE_thumb.png``, ``BASE_prev.fits`` and ``BASE_preview.json``.

    Parameters
    ----------
    product
        An x1d, sx1 or x1dsum file of STIS or COS, or any file with tables of WAVELENGTH and FLUX.
    destination
        Folder of the previews; made where absent.
    thumb
        Side of the thumbnail, in pixels.

    Returns
    -------
    files
        What was made.
    remarks
        What a viewer should know.

    Raises
    ------
    NotFound, CorruptFile
        As :func:`calib.preview.spectrum.read_spectrum`.
    ArchiveError, OSError
        The folder cannot be written.
    """
    spectrum = read_spectrum(product)
    panels = plan_panels(spectrum)
    page, boxes = draw_panels(spectrum, panels)
    destination.mkdir(parents=True, exist_ok=True)
    stem = stem_of(product)
    table = destination / f"{stem}_prev.fits"
    write_curves(table, spectrum, product.name)
    told = _describe(product, spectrum, panels, boxes)
    files = [
        write_file(destination / f"{stem}.png", png(page)),
        write_file(destination / f"{stem}_thumb.png", png(draw_small(panels, thumb))),
        product_file(table),
        write_file(destination / f"{stem}_preview.json", sidecar(told)),
    ]
    nothing_seen = not any(curve.seen.any() for curve in spectrum.curves)
    return files, ["no finite flux: the picture is empty"] if nothing_seen else []


def _describe(
    product: Path, spectrum: Spectrum, panels: Sequence[Panel], boxes: Sequence[Any]
) -> dict[str, object]:
    """Say how wavelengths and fluxes lie in the picture."""
    return {
        "source": product.name,
        "source_sha256": hash_file(product),
        "quantity": spectrum.quantity,
        "units": list(spectrum.units),
        "curves": len(spectrum.curves),
        "points": sum(curve.flux.size for curve in spectrum.curves),
        "good_points": sum(int(curve.good.sum()) for curve in spectrum.curves),
        "panels": [
            {
                "label": panel.label,
                "box": list(box),
                "wavelengths": list(panel.wavelengths),
                "fluxes": list(panel.fluxes),
            }
            for panel, box in zip(panels, boxes, strict=True)
        ],
    }
