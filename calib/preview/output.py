"""Writing previews: a whole file or none, with its checksum."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from calib.records import ProductFile

_JPEG_QUALITY = 90  # star images show no blocks at this quality; 95 is half as large again


def stem_of(product: Path) -> str:
    """Return the name of a product without ``.fits``: the names of its previews begin so."""
    return product.name.rpartition(".")[0]


def jpeg(picture: Image.Image) -> bytes:
    """Code a picture of something seen."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=_JPEG_QUALITY)
    return stream.getvalue()


def png(picture: Image.Image) -> bytes:
    """Code a picture of lines and letters, without loss."""
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def sidecar(entries: Mapping[str, object]) -> bytes:
    """Code the description of a picture; equal entries give equal bytes."""
    return (json.dumps(entries, indent=2, sort_keys=True) + "\n").encode()


def write_file(path: Path, content: bytes) -> ProductFile:
    """Write under a temporary name and rename: a reader sees a whole file or none."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return ProductFile(path.name, str(path), hashlib.sha256(content).hexdigest(), len(content))
