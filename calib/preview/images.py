"""Make the preview pictures of one image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from calib.preview.chips import Chip, read_chips
from calib.preview.limits import (
    HIGH_PERCENTILE,
    LEAST_HEIGHT,
    SERIOUS_BITS,
    Limits,
    find_limits,
    sample_votes,
)
from calib.preview.output import jpeg, sidecar, stem_of, write_file
from calib.preview.render import block_mean, fit_within, shrink_factor, stack_chips
from calib.preview.stretch import ASINH_FACTOR, Grey, stretch_asinh
from calib.records import ProductFile
from calib.stores.store import hash_file


def draw_image(product: Path, destination: Path, thumb: int) -> tuple[list[ProductFile], list[str]]:
    """Make picture, thumbnail and sidecar; return them and what a viewer should know.

    Parameters
    ----------
    product
        A file with an image in SCI.
    destination
        Folder of the pictures; made where absent.
    thumb
        Longest side of the thumbnail, in pixels.

    Raises
    ------
    NotFound, CorruptFile
        As :func:`calib.preview.chips.read_chips`.
    OSError
        The folder cannot be written.
    """
    chips = read_chips(product)
    limits = find_limits(np.concatenate([sample_votes(c.data, c.mask) for c in chips]))
    picture = stack_chips([stretch_asinh(chip.data, limits) for chip in chips])
    small, small_limits, factor = _thumbnail(chips, limits, picture.shape, thumb)
    told = _describe(product, chips, limits)
    told["thumbnail"] = {"block": factor, "limits": list(small_limits), "shape": small.shape}
    destination.mkdir(parents=True, exist_ok=True)
    stem = stem_of(product)
    files = [
        write_file(destination / f"{stem}.jpg", jpeg(Image.fromarray(picture))),
        write_file(destination / f"{stem}_thumb.jpg", jpeg(Image.fromarray(small))),
        write_file(destination / f"{stem}_preview.json", sidecar(told)),
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
