"""Binary tables, read as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calib.errors import CorruptFile, MissingReference
from calib.fitsfile.opening import opened


@dataclass(frozen=True)
class Table:
    """A binary table: columns by name in upper case, text stripped of blanks."""

    columns: Mapping[str, npt.NDArray[Any]]
    header: Mapping[str, Any]
    primary: Mapping[str, Any]
    path: str

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return a column.

        Raises
        ------
        MissingReference
            The table has no such column.
        """
        try:
            return self.columns[name]
        except KeyError as error:
            raise MissingReference(
                "a reference table lacks a column",
                path=self.path,
                expected=name,
                found=" ".join(self.columns),
            ) from error


def read_table(path: str | Path, extension: int | str = 1) -> Table:
    """Read a binary table.

    Raises
    ------
    NotFound, CorruptFile
        As :func:`opened`; also where the extension is absent or no table.
    """
    from astropy.io import fits

    with opened(path) as hdus:
        there = extension < len(hdus) if isinstance(extension, int) else extension in hdus
        if not there or not isinstance(hdus[extension], fits.BinTableHDU):
            raise CorruptFile("no such table extension", path=path, expected=extension)
        hdu = hdus[extension]
        columns = {name.upper(): _native(hdu.data[name]) for name in hdu.columns.names}
        return Table(columns, hdu.header.copy(), hdus[0].header.copy(), str(path))


def _native(column: Any) -> npt.NDArray[Any]:
    data = np.asarray(column)
    if data.dtype.kind in "SU":
        return np.char.strip(data)
    return data.astype(data.dtype.newbyteorder("="))
