"""Two previews of one name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from calib.errors import CorruptFile
from calib.preview.comparison import PictureDifference, compare_descriptions, compare_pictures


def picture(path: Path, *, spoiled: int = 0, size: int = 8, quality: int | None = None) -> Path:
    """Write a grey picture; the first pixel is brighter by `spoiled`."""
    pixels = np.full((size, size), 100, np.uint8)
    pixels[0, 0] += spoiled
    options = {} if quality is None else {"compress_level": quality}
    Image.fromarray(pixels).save(path, "PNG", **options)
    return path


def test_pictures(tmp_path: Path) -> None:
    """Equal pixels coded otherwise, one other pixel, another size."""
    old = picture(tmp_path / "a.png")

    coded = compare_pictures(old, picture(tmp_path / "c.png", quality=0))
    assert coded == PictureDifference(0, 64, 0)
    spoiled = compare_pictures(old, picture(tmp_path / "d.png", spoiled=3))
    assert spoiled == PictureDifference(1, 64, 3)
    small = compare_pictures(old, picture(tmp_path / "e.png", size=4))
    assert small is not None
    assert "(4, 4)" in small.form


def test_descriptions(tmp_path: Path) -> None:
    """The checksum of what was drawn follows from the file; nothing else does."""
    old, new = tmp_path / "a.json", tmp_path / "b.json"
    old.write_text(json.dumps({"source_sha256": "a", "limits": [0, 1]}))
    new.write_text(json.dumps({"source_sha256": "b", "limits": [0, 1]}))
    assert compare_descriptions(old, new) == ()
    new.write_text(json.dumps({"source_sha256": "b", "limits": [0, 2]}))
    assert compare_descriptions(old, new) == ("limits",)


@pytest.mark.parametrize("content", ["no JSON", "[1]"])
def test_what_is_no_preview(tmp_path: Path, content: str) -> None:
    """Bytes that are neither a picture nor an object are refused by name."""
    old = tmp_path / "a.json"
    old.write_text("{}")
    bad = tmp_path / "bad.json"
    bad.write_text(content)

    with pytest.raises(CorruptFile, match=r"bad\.json"):
        compare_descriptions(old, bad)
    with pytest.raises(CorruptFile, match="not a readable picture"):
        compare_pictures(picture(tmp_path / "p.png"), bad)
