"""Which format a file has, by the suffix of its name: installed packages first, then ours."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from importlib.metadata import entry_points
from itertools import pairwise
from pathlib import Path
from typing import Any

from calib.caldp import product_suffix, suffix_of
from calib.errors import ConfigError
from calib.formats.files import find_path, read_text, write_text
from calib.formats.format import Format, Reading, refuse_object
from calib.formats.images import read_images, write_images
from calib.formats.ramps import read_ramp, write_ramp
from calib.formats.tables import read_table, write_table

FORMATS = "hstflow.formats"  # entry-point group

# Suffixes of the data handbooks of the four instruments, section 2 (file suffixes).
BUILT_IN = (
    Format(
        "ramp",
        "Ramp, or CCDData for one read; as images where there is one read only",
        ("ima", "raw"),
        read_ramp,
        write_ramp,
    ),
    Format(
        "image",
        "CCDData, a list of them for several image sets",
        (
            *("flt", "flc", "crj", "crc", "sfl", "drz", "drc", "blv_tmp", "blc_tmp"),
            *("sx2", "x2d", "s2d", "wav", "wsp"),
            *("flt_[ab]", "counts", "counts_[ab]", "rawaccum", "rawaccum_[ab]", "rawacq", "csum*"),
        ),
        read_images,
        write_images,
    ),
    Format(
        "table",
        "Table, a list of them for several tables",
        (
            *("x1d", "x1d_[ab]", "x1dsum*", "sx1", "s1d", "asn", "trl"),
            *("rawtag", "rawtag_[ab]", "corrtag", "corrtag_[ab]", "tag", "epc", "lampflash", "jit"),
            *("spec", "sfd", "point-cat", "segment-cat", "pha_[ab]"),
        ),
        read_table,
        write_table,
    ),
    Format("text", "str", ("trl", "tra", "txt", "log", "env"), read_text, write_text),
)
FILE = Format("file", "Path", ("*",), find_path)


def find_format(name: str, type: str = "") -> Format:  # noqa: A002 - the word of the registry
    """Return the format of a file.

    Parameters
    ----------
    name
        File name, or a path. What follows its first underscore counts (``rawtag_a``,
        ``blv_tmp``), else what follows its last one (``..._drz``), else the extension.
    type
        Dataset type as registered, where there is one.

    Returns
    -------
    Format
        :data:`FILE`, which gives the path, for what nobody knows, and for files whose name
        does not end in ``.fits`` although their format is for FITS.

    Raises
    ------
    ConfigError
        Two installed packages claim the same type, or what one of them names is no format.
    """
    file = name.rpartition("/")[2]
    mine = tuple(each for each in BUILT_IN if _fits_name(each, file))
    for word in dict.fromkeys(_words(file, type)):
        if found := _match(word, _installed()) or _match(word, mine):
            return found
    return FILE


def read_file(path: Path, reading: Reading | None = None, *, type: str = "") -> Any:  # noqa: A002 - as above
    """Read a file by its name; see :mod:`calib.formats` for what that gives.

    Raises
    ------
    NotFound, CorruptFile
        There is no such file or image set, or it is damaged.
    ConfigError
        As :func:`find_format`.

    Examples
    --------
    >>> image = read_file(Path("j8bt05njq_flt.fits"))  # doctest: +SKIP
    >>> image.data, image.uncertainty.array, image.flags, image.wcs  # doctest: +SKIP
    """
    return find_format(path.name, type).read(path, reading or Reading())


def write_file(path: Path, thing: Any) -> None:
    """Write an object in the format that the name of the file asks for; it appears whole.

    Raises
    ------
    ConfigError
        The format of this name does not take such an object.
    ArchiveError
        The file cannot be written; nothing of it is left.
    """
    chosen = find_format(path.name)
    if chosen.write is None:
        raise refuse_object(thing, f"a path: files like {path.name} are taken as they are")
    chosen.write(path, thing)


def _words(file: str, type: str) -> Iterator[str]:  # noqa: A002 - as above
    if suffix := suffix_of(file):
        yield suffix
    if type:
        yield type
    if "_" in file:
        yield product_suffix(file)
    yield file.lower().rpartition(".")[2]


def _fits_name(found: Format, file: str) -> bool:
    """Tell whether a file may have this format: trailers are text here, tables there."""
    return file.lower().endswith(".fits") != (found.name == "text")


def _match(word: str, formats: tuple[Format, ...]) -> Format | None:
    """Return the format with the type itself, else with the longest pattern that fits."""
    fitting = [
        (pattern == word, len(pattern), each)
        for each in formats
        for pattern in each.types
        if fnmatchcase(word, pattern)
    ]
    return max(fitting, key=lambda found: found[:2])[2] if fitting else None


@functools.cache
def _installed() -> tuple[Format, ...]:
    """Return the formats of installed packages."""
    points = sorted(entry_points(group=FORMATS), key=lambda point: (point.name, point.value))
    if twice := [p.name for p, q in pairwise(points) if p.name == q.name]:
        owners = [f"{p.name} = {p.value}" for p in points if p.name in twice]
        raise ConfigError("two packages claim one dataset type", expected=FORMATS, found=owners)
    return tuple(replace(_loaded(point), types=(point.name.lower(),)) for point in points)


def _loaded(point: Any) -> Format:
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        message = f"the format of an installed package cannot be loaded: {error}"
        raise ConfigError(message, expected=FORMATS, found=point.value) from error
    if not isinstance(found, Format):
        raise ConfigError(
            "an installed package names something that is no format",
            expected="calib.formats.Format",
            found=f"{point.name} = {point.value}",
        )
    return found
