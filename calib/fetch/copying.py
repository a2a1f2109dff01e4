"""Copy bytes and hash them on the way."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Copied:
    """A file of ours: where it lies, its sha256 (hexadecimal) and its size in bytes."""

    path: Path
    sha256: str
    size: int


def copy_stream(stream: BinaryIO, target: Path) -> Copied:
    """Write a stream to a new file and hash it in the same pass.

    Never a link: later header edits on the copy must not reach the original.

    Raises
    ------
    FileExistsError
        The target is there already.
    """
    digest = hashlib.sha256()
    size = 0
    with target.open("xb") as out:
        while block := stream.read(_BLOCK):
            digest.update(block)
            size += out.write(block)
    return Copied(target, digest.hexdigest(), size)
