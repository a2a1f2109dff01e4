"""Two previews of one name: the same picture, or the same description of one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from calib.errors import CorruptFile

# It follows from the file that was drawn, which is compared by itself.
_OF_SOURCE = "source_sha256"


@dataclass(frozen=True)
class PictureDifference:
    """How two pictures differ.

    Attributes
    ----------
    pixels, total
        How many pixels differ, of how many.
    largest
        Largest difference of a pixel, of 255.
    form
        Another size or mode; empty where both are the same.
    """

    pixels: int = 0
    total: int = 0
    largest: int = 0
    form: str = ""


def compare_pictures(expected: Path, found: Path) -> PictureDifference:
    """Compare two pictures by their pixels.

    Returns
    -------
    PictureDifference
        No pixel differs where only the coding of the file does.

    Raises
    ------
    CorruptFile
        A file is no picture.
    """
    old, new = _pixels(expected), _pixels(found)
    if old.shape != new.shape:
        return PictureDifference(form=f"{new.shape} pixels in place of {old.shape}")
    apart = np.abs(new.astype(np.int16) - old.astype(np.int16))
    return PictureDifference(int(np.count_nonzero(apart)), apart.size, int(apart.max(initial=0)))


def compare_descriptions(expected: Path, found: Path) -> tuple[str, ...]:
    """Compare the JSON beside two pictures; the checksum of the file drawn does not count.

    Returns
    -------
    tuple of str
        Names of the entries that differ.

    Raises
    ------
    CorruptFile
        A file is no JSON object.
    """
    old, new = _entries(expected), _entries(found)
    names = sorted({*old, *new} - {_OF_SOURCE})
    return tuple(name for name in names if old.get(name) != new.get(name))


def _pixels(path: Path) -> Any:
    try:
        with Image.open(path) as picture:
            return np.asarray(picture)
    except (OSError, UnidentifiedImageError) as error:
        raise CorruptFile(f"not a readable picture: {error}", path=path) from error


def _entries(path: Path) -> dict[str, Any]:
    try:
        entries = json.loads(path.read_bytes())
    except ValueError as error:
        raise CorruptFile(f"not readable JSON: {error}", path=path) from error
    if not isinstance(entries, dict):
        raise CorruptFile("not the description of a preview", path=path, found=type(entries))
    return entries
