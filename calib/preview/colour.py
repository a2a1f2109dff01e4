"""Pictures in colour of a visit or skycell that was seen through several filters.

Red is the longest wavelength, blue the shortest, green the lower median (CALDP 0.2.28 gives
fitscut these); of two filters green is the mean of both. Mosaics of one detector share a grid of
pixels. Nothing is read as a whole: rows are read, averaged for the thumbnail, and read again for
the large picture.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from calib import fitsfile
from calib.errors import CorruptFile, HstflowError
from calib.preview.filters import is_colourless, wavelength_of
from calib.preview.limits import (
    HIGH_PERCENTILE,
    LEAST_HEIGHT,
    Limits,
    Mask,
    Pixels,
    find_limits,
)
from calib.preview.mosaics import Mosaic, parse_mosaic
from calib.preview.output import jpeg, sidecar, write_file
from calib.preview.render import block_mean, fit_within, shrink_factor
from calib.preview.stretch import ASINH_FACTOR, Grey, stretch_asinh
from calib.records import ProductFile

_LEAST_FILTERS = 2

# Pixels of each channel that are in memory at a time.
_AT_ONCE = 1_000_000

# Pixels of each channel that limits are found from.
_SAMPLE = 400_000

# Limits of a single picture follow the sky: in a channel that is full of extended light they rise,
# and its colour would be lost (visual check on a synthetic galaxy). Here black is a low percentile
# and white at least so many times the noise above the median, which differences of neighbours
# tell from light.
_LOW_PERCENTILE = 1.0
_MAD_TO_SIGMA = 1.4826 / np.sqrt(2.0)  # of differences of two normal values

_PLACE = ("CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2")
_STEPS = ("CD1_1", "CD1_2", "CD2_1", "CD2_2")
# Rounding of what was computed once for all filters: in pixels and degrees; of the steps from
# pixel to pixel, in parts of the largest.
_SAME_GRID = 1e-6
_ANGSTROM = 0.1  # nm
_IMAGE_AXES = 2


@dataclass(frozen=True)
class Layer:
    """The mosaic of one filter.

    Attributes
    ----------
    path, filter
        The file, and the filter's name in it.
    wavelength
        In nm.
    """

    path: Path
    filter: str
    wavelength: float


@dataclass(frozen=True)
class Composite:
    """A picture in colour that can be made.

    Attributes
    ----------
    name
        Of the large picture, without ``.jpg``.
    layers
        By wavelength, then by name; two or more.
    """

    name: str
    layers: tuple[Layer, ...]

    @property
    def channels(self) -> tuple[Layer, ...]:
        """Red, green and blue; red and blue where there are two filters."""
        middle = statistics.median_low(range(len(self.layers)))
        green = self.layers[middle : middle + 1] if len(self.layers) > _LEAST_FILTERS else ()
        return (self.layers[-1], *green, self.layers[0])


def plan_composites(paths: Sequence[Path]) -> tuple[tuple[Composite, ...], tuple[str, ...]]:
    """Group mosaics of single filters by field, detector and layer.

    Returns
    -------
    composites
        Of every group with two filters or more whose wavelengths are known.
    remarks
        Filters that nobody knows. Clear, grisms and polarisers alone have no colour, which is no
        remark; files that cannot be read are left to their own previews.
    """
    groups: dict[str, list[Layer]] = {}
    remarks: list[str] = []
    for path in paths:
        mosaic = parse_mosaic(path.name)
        if mosaic is None or mosaic.level != "filter" or is_colourless(mosaic.filter):
            continue
        try:
            wavelength = _wavelength(path, mosaic)
        except HstflowError:
            continue
        if wavelength is None:
            remarks.append(f"{path.name}: not in the colour picture: unknown filter")
        else:
            layer = Layer(path, mosaic.filter, wavelength)
            groups.setdefault(mosaic.colour_stem, []).append(layer)
    found = [
        Composite(stem, tuple(sorted(layers, key=lambda each: (each.wavelength, each.filter))))
        for stem, layers in groups.items()
        if len(layers) >= _LEAST_FILTERS
    ]
    return tuple(found), tuple(remarks)


def draw_composite(
    composite: Composite, destination: Path, thumb: int
) -> tuple[list[ProductFile], list[str]]:
    """Make ``NAME.jpg``, ``NAME_thumb.jpg`` and ``NAME_preview.json``.

    Each channel has limits of its own and the same stretch. A pixel that a filter did not observe
    is black in its channel.

    Parameters
    ----------
    destination
        Folder of the pictures; made where absent.
    thumb
        Longest side of the thumbnail, in pixels.

    Returns
    -------
    files, remarks
        What was made; no remarks.

    Raises
    ------
    NotFound, CorruptFile
        A mosaic cannot be read, or they are not on one grid of pixels.
    OSError
        The folder cannot be written.
    """
    paths = [layer.path for layer in composite.channels]
    shape = _shared_shape(paths)
    factor = shrink_factor(shape, thumb)
    seen = [_survey(path, shape, factor) for path in paths]
    small = _merge([stretch_asinh(each.binned, each.small_limits) for each in seen])
    size = fit_within((small.shape[0], small.shape[1]), thumb)
    little = Image.fromarray(small[::-1]).resize(size, Image.Resampling.LANCZOS)
    destination.mkdir(parents=True, exist_ok=True)
    base = str(destination / composite.name)
    files = [
        write_file(Path(f"{base}.jpg"), jpeg(_paint(paths, seen, shape))),
        write_file(Path(f"{base}_thumb.jpg"), jpeg(little)),
        write_file(Path(f"{base}_preview.json"), sidecar(_describe(composite, seen, factor))),
    ]
    return files, []


@dataclass(frozen=True)
class _Seen:
    """What the first reading of a channel gave.

    Attributes
    ----------
    limits
        For the large picture.
    binned, small_limits
        Means of blocks, NaN where nothing was observed, and the limits for these.
    """

    limits: Limits
    binned: Pixels
    small_limits: Limits


def _wavelength(path: Path, mosaic: Mosaic) -> float | None:
    """Return the pivot wavelength in nm: that of the header, else that of the name."""
    with fitsfile.opened(path) as hdus:
        told = [hdu.header.get("PHOTPLAM") for hdu in reversed(hdus[:2])]
    for each in told:
        if isinstance(each, int | float) and 0 < each < math.inf:
            return float(each) * _ANGSTROM
    return wavelength_of(mosaic.filter, mosaic.instrument, mosaic.detector)


def _shared_shape(paths: Sequence[Path]) -> tuple[int, int]:
    """Return the shape of all images.

    Raises
    ------
    CorruptFile
        An image is none, or differs from the first in shape or in its place on the sky.
    """
    first, *others = (_grid(path) for path in paths)
    for path, grid in zip(paths[1:], others, strict=True):
        if not _is_same(first, grid):
            raise CorruptFile(
                "the filters are not on one grid of pixels",
                path=path,
                expected=tuple(first),
                found=tuple(grid),
            )
    return first.shape


class _Grid(NamedTuple):
    """Shape, the place of one pixel on the sky, and the steps to its neighbours, degrees."""

    shape: tuple[int, int]
    place: tuple[float, ...]
    steps: tuple[float, ...]


def _grid(path: Path) -> _Grid:
    with fitsfile.opened(path) as hdus:
        header = _science(hdus, path).header
        place, steps = (
            tuple(float(header.get(key, 0.0)) for key in keys) for keys in (_PLACE, _STEPS)
        )
        return _Grid((int(header["NAXIS2"]), int(header["NAXIS1"])), place, steps)


def _is_same(first: _Grid, other: _Grid) -> bool:
    largest = float(np.max(np.abs(first.steps)))
    return (
        first.shape == other.shape
        and np.allclose(first.place, other.place, rtol=0, atol=_SAME_GRID)
        and np.allclose(first.steps, other.steps, rtol=0, atol=_SAME_GRID * largest)
    )


def _science(hdus: Any, path: Path) -> Any:
    found = _image(hdus, "SCI")
    if found is None or len(found.shape) != _IMAGE_AXES:
        raise CorruptFile("no image to show", path=path, expected="two-dimensional image in SCI,1")
    return found


def _weight(hdus: Any, shape: tuple[int, int]) -> Any:
    """Return the image of weights; None where there is none of this shape."""
    found = _image(hdus, "WHT")
    return found if found is not None and found.shape == shape else None


def _image(hdus: Any, name: str) -> Any:
    """Return the first image of a name; not a table, nor what astropy takes no part in."""
    found = hdus[name, 1] if (name, 1) in hdus else None  # noqa: SIM401 - no dictionary
    return found if hasattr(found, "section") else None


def _rows(path: Path, shape: tuple[int, int], step: int) -> Iterator[tuple[int, Pixels, Mask]]:
    """Yield first row, pixels and which of them were observed, `step` rows at a time."""
    with fitsfile.opened(path) as hdus:
        science = _science(hdus, path)
        weight = _weight(hdus, shape)
        for first in range(0, shape[0], step):
            part = slice(first, min(first + step, shape[0]))
            data: Pixels = np.asarray(science.section[part], np.float32)
            mask = np.isfinite(data)
            if weight is not None:
                mask &= weight.section[part] > 0
            yield first, data, mask


def _survey(path: Path, shape: tuple[int, int], factor: int) -> _Seen:
    """Read a channel once: take a sample of it for the limits, and its means in blocks."""
    thin = max(1, shape[0] * shape[1] // _SAMPLE)
    samples, blocks = [], []
    for _, data, mask in _rows(path, shape, _step(shape, factor)):
        samples.append(_sample(data, mask, thin))
        blocks.append(block_mean(data, mask, factor))
    limits = _find_limits(np.concatenate(samples, axis=1))
    binned = np.concatenate(blocks)
    small = _find_limits(_sample(binned, np.isfinite(binned), 1)) if factor > 1 else limits
    return _Seen(limits, binned, small)


def _sample(data: Pixels, mask: Mask, thin: int) -> Pixels:
    """Return observed pixels whose right neighbour was observed, and those; shape (2, n)."""
    pair = np.stack([data[:, :-1].ravel()[::thin], data[:, 1:].ravel()[::thin]])
    both = (mask[:, :-1] & mask[:, 1:]).ravel()[::thin]
    chosen: Pixels = pair[:, both]
    return chosen


def _find_limits(pairs: Pixels) -> Limits:
    """Find the limits of a channel; those of :func:`find_limits` for hardly any pixels."""
    values = pairs[0].astype(np.float64)
    if not values.size:
        return find_limits(pairs[0])
    noise = _MAD_TO_SIGMA * np.median(np.abs(pairs[1] - values))
    low, middle, high = np.percentile(values, (_LOW_PERCENTILE, 50.0, HIGH_PERCENTILE))
    white = float(max(high, min(middle + LEAST_HEIGHT * noise, values.max())))
    return Limits(float(low), white) if low < white else find_limits(pairs[0])


def _step(shape: tuple[int, int], factor: int) -> int:
    """Return how many rows are read at a time: whole blocks of the thumbnail."""
    return max(1, _AT_ONCE // (shape[1] * factor)) * factor


def _paint(paths: Sequence[Path], seen: Sequence[_Seen], shape: tuple[int, int]) -> Image.Image:
    """Paint the large picture from rows of all channels, row 0 at the bottom."""
    ny, nx = shape
    picture = Image.new("RGB", (nx, ny))
    readers = [_rows(path, shape, _step(shape, 1)) for path in paths]
    for parts in zip(*readers, strict=True):
        first = parts[0][0]
        rows = _merge([_grey(part, each) for part, each in zip(parts, seen, strict=True)])
        picture.paste(Image.fromarray(rows[::-1]), (0, ny - first - rows.shape[0]))
    return picture


def _grey(part: tuple[int, Pixels, Mask], seen: _Seen) -> Grey:
    _, data, mask = part
    return stretch_asinh(np.where(mask, data, np.float32(np.nan)), seen.limits)


def _merge(channels: Sequence[Grey]) -> Grey:
    """Put red, green and blue together; green is the mean where there are only the others."""
    red, blue = channels[0], channels[-1]
    mean = ((red.astype(np.uint16) + blue) // 2).astype(np.uint8)
    green = channels[1] if len(channels) > _LEAST_FILTERS else mean
    return np.dstack([red, green, blue])


def _describe(composite: Composite, seen: Sequence[_Seen], factor: int) -> dict[str, object]:
    channels = composite.channels
    names = ("red", "green", "blue") if len(channels) > _LEAST_FILTERS else ("red", "blue")
    told: dict[str, object] = {"green": "mean of red and blue"}
    for name, layer, each in zip(names, channels, seen, strict=True):
        told[name] = {
            "source": layer.path.name,
            "filter": layer.filter,
            "wavelength_nm": layer.wavelength,
            "limits": list(each.limits),
            "thumbnail_limits": list(each.small_limits),
        }
    return {
        "channels": told,
        "filters": [layer.filter for layer in composite.layers],
        "stretch": "asinh",
        "asinh_factor": ASINH_FACTOR,
        "thumbnail": {"block": factor},
    }
