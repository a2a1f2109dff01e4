"""Tables as astropy's Table, with units, masks and headers: what people compute with."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from astropy.io import fits

from calib.errors import CorruptFile, NotFound
from calib.fitsfile.joined_header import join_headers, part_header
from calib.fitsfile.opening import opened
from calib.fitsfile.units import unit_of
from calib.fitsfile.writing import write_atomically


def read_tables(path: str | Path, version: int | None = None) -> list[Any]:
    """Return the tables of a file as `astropy.table.Table`, in order of EXTVER.

    The first table's EXTNAME decides: tables of another name (the good time intervals beside
    events) are left out. ``meta`` is the header, of the file and of the extension
    (:mod:`calib.fitsfile.joined_header`); numbers keep their types; units are astropy's; what is
    TNULL is masked.

    Parameters
    ----------
    version
        EXTVER of the only table wanted.

    Raises
    ------
    NotFound
        There is no such file, or no table of this EXTVER in it.
    CorruptFile
        As :func:`calib.fitsfile.opened`; also where the file holds no table.
    """
    with opened(path) as hdus:
        tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
        mine = [hdu for hdu in tables if hdu.name == tables[0].name]
        wanted = [hdu for hdu in mine if version in {None, hdu.ver}]
        if not tables:
            names = [hdu.name for hdu in hdus]
            raise CorruptFile("the file holds no table", path=path, found=names)
        if not wanted:
            versions = [hdu.ver for hdu in mine]
            raise NotFound("no such table", path=path, expected=version, found=versions)
        return [_read(hdu, hdus[0].header) for hdu in sorted(wanted, key=lambda hdu: hdu.ver)]


def write_tables(path: Path, tables: Sequence[Any]) -> None:
    """Write `astropy.table.Table`s as binary tables, atomically.

    The primary header comes from the first table's ``meta``. Without EXTNAME in it a table is
    called SCI, as the tables of spectra are.

    Raises
    ------
    ArchiveError
        The file cannot be written; nothing of it is left.
    """
    primary, _ = part_header(tables[0].meta)
    hdus = fits.HDUList([fits.PrimaryHDU(header=primary)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # units that FITS does not know are written as they are
        for number, table in enumerate(tables, start=1):
            hdus.append(_hdu_of(table, number))
        hdus[0].header["NEXTEND"] = (len(hdus) - 1, "number of extensions")
        write_atomically(hdus, path)


def _read(hdu: Any, primary: fits.Header) -> Any:
    from astropy.table import Table

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # units are read below
        table = Table.read(
            hdu, unit_parse_strict="silent", character_as_bytes=False, mask_invalid=False
        )
    for name in table.colnames:
        column = table[name]
        native = column.dtype.newbyteorder("=")
        if column.dtype != native:
            table.replace_column(name, column.astype(native))
        table[name].unit = unit_of(column.unit) if column.unit is not None else None
    table.meta = join_headers(primary, hdu.header, hdu.name)
    return table


def _hdu_of(table: Any, number: int) -> Any:
    _, header = part_header(table.meta)
    plain = table.copy(copy_data=False)
    plain.meta = {}
    hdu = fits.table_to_hdu(plain, character_as_bytes=False)
    hdu.header.extend(header.cards, unique=True, end=True)
    hdu.name = str(table.meta.get("EXTNAME", "SCI"))
    hdu.ver = number
    return hdu
