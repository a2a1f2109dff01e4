"""Reads of an infrared exposure as one record: WFC3/IR ``ima``, and ``raw`` of the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from calib.errors import CorruptFile
from calib.fitsfile.image_data import ImageSet, image_versions, read_image_sets, write_image_sets
from calib.fitsfile.joined_header import join_headers, part_header
from calib.fitsfile.opening import opened
from calib.fitsfile.units import unit_of
from calib.formats.format import Reading, refuse_object
from calib.formats.images import read_images, storable, write_images

Array = npt.NDArray[Any]

# Extension -> field of Ramp (WFC3 Data Handbook, section 2.2.2).
PLANES = {"SCI": "data", "ERR": "err", "DQ": "dq", "SAMP": "samp", "TIME": "exposure"}


@dataclass(frozen=True, eq=False)
class Ramp:
    """Reads in order of time: the file has them in the opposite order.

    Attributes
    ----------
    data, err, dq
        Signal, error and flags, shape (reads, ny, nx). What the file stores as one number is
        read-only.
    samp, exposure
        Number of samples, and exposure time in seconds, of every pixel.
    times
        Seconds from the first read to each (SAMPTIME).
    header
        Cards of the file, then of SCI of the last read (:mod:`calib.fitsfile.joined_header`).
    headers
        Header of SCI of each read.
    """

    data: Array
    err: Array | None
    dq: Array | None
    samp: Array | None
    exposure: Array | None
    times: npt.NDArray[np.float64]
    header: Any
    headers: tuple[Any, ...]

    def __len__(self) -> int:
        return len(self.times)

    @property
    def unit(self) -> Any:
        """Unit of data and errors, as astropy knows it."""
        return unit_of(self.header.get("BUNIT"))


def is_ramp(path: Path) -> bool:
    """Tell whether a file holds several reads with their times.

    Raises
    ------
    NotFound, CorruptFile
        As :func:`calib.fitsfile.opened`.
    """
    with opened(path) as hdus:
        return ("SCI", 2) in hdus and ("TIME", 2) in hdus


def read_ramp(path: Path, reading: Reading) -> Any:
    """Read all reads, or one image set as CCDData; images where the file holds no reads.

    Raises
    ------
    NotFound, CorruptFile
        As :func:`calib.fitsfile.image_data.read_image_sets`; also where reads differ in their
        extensions or shape, or one has no SAMPTIME.
    """
    if reading.imset is not None or not is_ramp(path):
        return read_images(path, reading)
    versions = sorted(image_versions(path), reverse=True)
    names = [name for name in PLANES if name != "SCI"]
    primary, reads = None, []
    for primary, each in read_image_sets(path, names, versions, wcs=False):  # noqa: B007 - the last
        reads.append(_Read(each.version, each.header, dict(each.planes)))
    reads.sort(key=lambda each: each.header.get("SAMPNUM", 0))
    stacks: dict[str, Any] = {field: _stack(path, reads, name) for name, field in PLANES.items()}
    return Ramp(
        **stacks,
        times=np.array([_time(path, each) for each in reads]),
        header=join_headers(primary, reads[-1].header, "SCI"),
        headers=tuple(each.header for each in reads),
    )


def write_ramp(path: Path, ramp: Any) -> None:
    """Write reads as image sets, the last one first; images as :func:`write_images` does.

    Raises
    ------
    ConfigError
        Neither reads nor images, arrays of different length, or numbers that FITS does not
        hold.
    ArchiveError
        The file cannot be written; nothing of it is left.
    """
    if not isinstance(ramp, Ramp):
        write_images(path, ramp)
        return
    arrays = {
        name: storable(array)
        for name, field in PLANES.items()
        if (array := getattr(ramp, field)) is not None
    }
    lengths = {len(ramp.times), len(ramp.headers), *map(len, arrays.values())}
    if len(lengths) != 1:
        raise refuse_object(ramp, "a ramp whose arrays, times and headers are of one length")
    primary, _ = part_header(ramp.header)
    count = len(ramp)
    sets = [_set_of(ramp, arrays, count - version, version) for version in range(1, count + 1)]
    write_image_sets(path, primary, sets)


def _set_of(ramp: Ramp, arrays: dict[str, Array], number: int, version: int) -> ImageSet:
    header = ramp.headers[number].copy(strip=True)
    header["SAMPTIME"] = float(ramp.times[number])
    return ImageSet({name: each[number] for name, each in arrays.items()}, header, version)


class _Read(NamedTuple):
    """One read; its arrays go as they are stacked, so that they are not in memory twice."""

    version: int
    header: Any
    planes: dict[str, Array]


def _time(path: Path, each: _Read) -> float:
    found = each.header.get("SAMPTIME")
    if isinstance(found, bool) or not isinstance(found, int | float):
        message = f"SCI,{each.version} does not say when it was read"
        raise CorruptFile(message, path=path, expected="SAMPTIME", found=found)
    return float(found)


def _stack(path: Path, reads: list[_Read], name: str) -> Array | None:
    """Put the reads of one extension together; what all store as one number takes no memory."""
    found = [each.planes.pop(name) for each in reads if name in each.planes]
    if not found:
        return None
    shapes = {array.shape for array in found}
    if len(shapes) > 1 or len(found) != len(reads):
        message = f"reads differ in their extension {name}"
        raise CorruptFile(message, path=path, expected=f"{len(reads)} of one shape", found=shapes)
    if all(array.strides == (0, 0) for array in found):
        values = np.array([array[0, 0] for array in found])
        return np.broadcast_to(values[:, None, None], (len(found), *found[0].shape))
    return np.stack(found)
