"""Make the preview pictures of a dataset's products."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from calib.caldp import (
    IMAGE_SUFFIXES,
    MOSAIC_LEVELS,
    SKYCELL_THUMBNAIL,
    SPECTRUM_SUFFIXES,
    THUMBNAIL,
    preview_row,
    product_suffix,
)
from calib.errors import ConfigError, HstflowError
from calib.ids import Kind
from calib.preview.colour import Composite, draw_composite, plan_composites
from calib.preview.images import draw_image
from calib.preview.mosaics import parse_mosaic
from calib.preview.spectra import draw_spectrum
from calib.preview.spectrum import holds_spectrum
from calib.records import Previews, ProductFile

# What astropy, numpy and Pillow raise of cards and numbers that nobody expects: found by changing
# cards at random. No list of checks is as long as that of strange headers.
_STRANGE = (
    OSError, ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError,
)  # fmt: skip

_Work = Callable[[], tuple[list[ProductFile], list[str]]]


def make_previews(
    products: Sequence[Path],
    destination: Path,
    *,
    instrument: str,
    kind: Kind = "ipst",
    thumb: int | None = None,
) -> Previews:
    """Make pictures of the products that are in the preview tables.

    An image ``ROOT_SUFFIX.fits`` gives ``ROOT_SUFFIX.jpg`` at full size,
    ``ROOT_SUFFIX_thumb.jpg`` and ``ROOT_SUFFIX_preview.json``, which says how the pixel values
    were mapped. North is not up: row 0 is at the bottom, as the detector is read; the two chips
    of ACS/WFC and WFC3/UVIS stand above each other. Limits are taken from good pixels only; NaN
    is black. A spectrum gives ``ROOT_SUFFIX.png``, ``ROOT_SUFFIX_thumb.png``, its curves as a
    table, ``ROOT_SUFFIX_prev.fits``, and the description. A visit or skycell seen through two
    filters or more gives a picture in colour as well, one for each detector.

    Parameters
    ----------
    products
        Files; those with other suffixes are passed over.
    destination
        Folder for the pictures; made where absent. Pictures of the same names are replaced.
    instrument
        ``acs``, ``wfc3``, ``stis``, ``cos`` or, for a skycell, ``mvm``.
    kind
        Of the dataset: the mosaics of a visit (``svm``) and of a skycell (``mvm``) have tables
        of their own.
    thumb
        Longest side of the small picture, in pixels; None: 128, and 512 for a skycell. Smaller
        images are not enlarged. Thumbnails of spectra are square.

    Returns
    -------
    Previews
        The files made, one line for each product whose preview failed, and remarks on those
        that say little.

    Raises
    ------
    ConfigError
        Unknown instrument, or `thumb` below 1.
    """
    row = preview_row(kind, instrument)
    if row not in IMAGE_SUFFIXES:
        raise ConfigError(
            "unknown instrument", expected=" ".join(IMAGE_SUFFIXES), found=repr(instrument)
        )
    chosen = [path for path in products if _is_shown(path.name, row)]
    return draw_files(chosen, destination, thumb=thumb)


def draw_files(paths: Sequence[Path], destination: Path, *, thumb: int | None = None) -> Previews:
    """Make pictures of files whatever their suffix, as :func:`make_previews` does.

    A file with a table of fluxes is a spectrum, any other an image. Mosaics among the files
    that show one field through several filters are shown in colour too.

    Parameters
    ----------
    thumb
        Longest side of the small pictures, in pixels; None: 128, and 512 for skycells.

    Raises
    ------
    ConfigError
        `thumb` is below 1.
    """
    if thumb is not None and thumb < 1:
        raise ConfigError("a thumbnail needs a size", expected="1 pixel or more", found=thumb)
    composites, remarks = plan_composites(paths)
    works = [(p.name, _drawing(p, destination, thumb or _usual(p.name))) for p in paths]
    works += [(c.name, _colouring(c, destination, thumb or _usual(c.name))) for c in composites]
    made = [_try(name, work) for name, work in works]
    return joined([*made, Previews(remarks=remarks)])


def joined(parts: Sequence[Previews]) -> Previews:
    """Return all pictures, warnings and remarks, in their order."""
    return Previews(
        files=tuple(file for part in parts for file in part.files),
        warnings=tuple(line for part in parts for line in part.warnings),
        remarks=tuple(line for part in parts for line in part.remarks),
    )


def _is_shown(name: str, row: str) -> bool:
    """Tell whether a table has the file: by its suffix and, of a mosaic, by its level."""
    if product_suffix(name) not in IMAGE_SUFFIXES[row] | SPECTRUM_SUFFIXES[row]:
        return False
    mosaic = parse_mosaic(name)
    return row not in MOSAIC_LEVELS or (mosaic is not None and mosaic.level in MOSAIC_LEVELS[row])


def _usual(name: str) -> int:
    return SKYCELL_THUMBNAIL if name.lower().startswith("hst_skycell-") else THUMBNAIL


def _drawing(path: Path, destination: Path, thumb: int) -> _Work:
    def work() -> tuple[list[ProductFile], list[str]]:
        draw = draw_spectrum if holds_spectrum(path) else draw_image
        return draw(path, destination, thumb)

    return work


def _colouring(each: Composite, destination: Path, thumb: int) -> _Work:
    return lambda: draw_composite(each, destination, thumb)


def _try(name: str, work: _Work) -> Previews:
    """Turn an expected failure into a warning: a picture never stops a dataset.

    Numbers that no instrument counts, such as 1e308, run over on their way to pixels: they are
    not seen, and where nothing can be drawn of them that is a failure as any other.
    """
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            made, remarks = work()
    except (HstflowError, *_STRANGE) as error:
        return Previews(warnings=(f"{name}: no preview: {error}",))
    return Previews(tuple(made), remarks=tuple(f"{name}: {remark}" for remark in remarks))
