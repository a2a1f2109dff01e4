"""Make the preview pictures of a dataset's products."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from calib.caldp import IMAGE_SUFFIXES, SPECTRUM_SUFFIXES, THUMBNAIL, product_suffix
from calib.errors import ConfigError, HstflowError
from calib.preview.chips import Chip, read_chips
from calib.preview.limits import (
    HIGH_PERCENTILE,
    LEAST_HEIGHT,
    SERIOUS_BITS,
    Limits,
    find_limits,
    sample_votes,
)
from calib.preview.render import block_mean, fit_within, shrink_factor, stack_chips
from calib.preview.stretch import ASINH_FACTOR, Grey, stretch_asinh
from calib.records import Previews, ProductFile
from calib.stores.store import hash_file

_JPEG_QUALITY = 90  # star images show no blocks at this quality; 95 is half as large again


def make_previews(
    products: Sequence[Path], destination: Path, *, instrument: str, thumb: int = THUMBNAIL
) -> Previews:
    """Make pictures of the products whose suffix is in the instrument's table.

    For each ``ROOT_SUFFIX.fits``: ``ROOT_SUFFIX.jpg`` at full size, ``ROOT_SUFFIX_thumb.jpg``
    and ``ROOT_SUFFIX_preview.json``, which says how the pixel values were mapped. North is
    not up: row 0 is at the bottom, as the detector is read; the two chips of ACS/WFC and
    WFC3/UVIS stand above each other. Limits are taken from good pixels only; NaN is black.

    Parameters
    ----------
    products
        Files; those with other suffixes are passed over.
    destination
        Folder for the pictures; made where absent. Pictures of the same names are replaced.
    instrument
        ``acs``, ``wfc3``, ``stis``, ``cos`` or ``mvm``.
    thumb
        Longest side of the small picture, in pixels. Smaller images are not enlarged.

    Returns
    -------
    Previews
        The files made, and one line for each product whose preview failed or says little.

    Raises
    ------
    ConfigError
        Unknown instrument, or `thumb` below 1.
    """
    if instrument not in IMAGE_SUFFIXES:
        raise ConfigError(
            "unknown instrument", expected=" ".join(IMAGE_SUFFIXES), found=repr(instrument)
        )
    images = [p for p in products if product_suffix(p.name) in IMAGE_SUFFIXES[instrument]]
    spectra = [p for p in products if product_suffix(p.name) in SPECTRUM_SUFFIXES[instrument]]
    previews = draw_files(images, destination, thumb=thumb)
    later = [f"{p.name}: previews of spectra come with a later version" for p in spectra]
    return Previews(previews.files, (*previews.warnings, *later))


def draw_files(paths: Sequence[Path], destination: Path, *, thumb: int = THUMBNAIL) -> Previews:
    """Make pictures of files whatever their suffix, as :func:`make_previews` does.

    Raises
    ------
    ConfigError
        `thumb` is below 1.
    """
    if thumb < 1:
        raise ConfigError("a thumbnail needs a size", expected="1 pixel or more", found=thumb)
    files: list[ProductFile] = []
    warnings: list[str] = []
    for path in paths:
        try:
            made, remarks = _draw(path, destination, thumb)
        except (HstflowError, OSError) as error:
            warnings.append(f"{path.name}: no preview: {error}")
        else:
            files += made
            warnings += [f"{path.name}: {remark}" for remark in remarks]
    return Previews(tuple(files), tuple(warnings))


def _draw(product: Path, destination: Path, thumb: int) -> tuple[list[ProductFile], list[str]]:
    """Make picture, thumbnail and sidecar; return them and what a viewer should know."""
    chips = read_chips(product)
    limits = find_limits(np.concatenate([sample_votes(c.data, c.mask) for c in chips]))
    picture = stack_chips([stretch_asinh(chip.data, limits) for chip in chips])
    small, small_limits, factor = _thumbnail(chips, limits, picture.shape, thumb)
    sidecar = _describe(product, chips, limits)
    sidecar["thumbnail"] = {"block": factor, "limits": list(small_limits), "shape": small.shape}
    destination.mkdir(parents=True, exist_ok=True)
    stem = product.name.rpartition(".")[0]
    files = [
        _write(destination / f"{stem}.jpg", _jpeg(picture)),
        _write(destination / f"{stem}_thumb.jpg", _jpeg(small)),
        _write(destination / f"{stem}_preview.json", _json(sidecar)),
    ]
    nothing_seen = not any(chip.mask.any() for chip in chips)
    return files, ["no finite pixel: the picture is black"] if nothing_seen else []


def _thumbnail(
    chips: Sequence[Chip], limits: Limits, shape: tuple[int, ...], thumb: int
) -> tuple[Grey, Limits, int]:
    """Average before stretching, so that stars do not vanish between the sampled pixels.

    Averaging narrows the spread of the sky, so the small picture has limits of its own.
    """
    factor = shrink_factor((shape[0], shape[1]), thumb)
    if factor > 1:
        binned = [block_mean(chip.data, chip.mask, factor) for chip in chips]
        values = np.concatenate([b[np.isfinite(b)] for b in binned])
        limits = find_limits(values) if values.size else limits
    else:
        binned = [chip.data for chip in chips]
    grey = stack_chips([stretch_asinh(b, limits) for b in binned])
    size = fit_within((grey.shape[0], grey.shape[1]), thumb)
    resized = Image.fromarray(grey).resize(size, Image.Resampling.LANCZOS)
    return np.asarray(resized, np.uint8), limits, factor


def _describe(product: Path, chips: Sequence[Chip], limits: Limits) -> dict[str, object]:
    return {
        "source": product.name,
        "source_sha256": hash_file(product),
        "stretch": "asinh",
        "asinh_factor": ASINH_FACTOR,
        "limits": list(limits),
        "low": "zscale",
        "high": f"percentile {HIGH_PERCENTILE}, at least {LEAST_HEIGHT} sigma above the median",
        "excluded_dq_bits": SERIOUS_BITS,
        "chips": [
            {"shape": chip.data.shape, "voting_pixels": int(chip.mask.sum())} for chip in chips
        ],
    }


def _jpeg(picture: Grey) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=_JPEG_QUALITY)
    return stream.getvalue()


def _json(sidecar: dict[str, object]) -> bytes:
    return (json.dumps(sidecar, indent=2, sort_keys=True) + "\n").encode()


def _write(path: Path, content: bytes) -> ProductFile:
    """Write under a temporary name and rename: a reader sees a whole picture or none."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return ProductFile(path.name, str(path), hashlib.sha256(content).hexdigest(), len(content))
