"""Text and other files, which are not taken apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from calib.errors import CorruptFile, NotFound
from calib.fitsfile.writing import replacing
from calib.formats.format import Reading, refuse_object


def read_text(path: Path, _: Reading) -> str:
    """Read a text file; bytes that are no UTF-8 are replaced by a mark.

    Raises
    ------
    NotFound, CorruptFile
        There is no such file, or it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError as error:
        raise NotFound("no such file", path=path) from error
    except OSError as error:
        raise CorruptFile(f"not readable: {error.strerror}", path=path) from error


def write_text(path: Path, text: Any) -> None:
    """Write text, atomically.

    Raises
    ------
    ConfigError
        Not text.
    ArchiveError
        The file cannot be written; nothing of it is left.
    """
    if not isinstance(text, str):
        raise refuse_object(text, "str")
    with replacing(path) as stream:
        stream.write(text.encode())


def find_path(path: Path, _: Reading) -> Path:
    """Return the path as it is.

    Raises
    ------
    NotFound
        There is no such file.
    """
    if not path.is_file():
        raise NotFound("no such file", path=path)
    return path
