"""Tables: spectra, associations, events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from calib.fitsfile.table_data import read_tables, write_tables
from calib.formats.format import Reading, refuse_object

EXPECTED = "astropy Table, or a list of them"


def read_table(path: Path, reading: Reading) -> Any:
    """Read `astropy.table.Table`; a list in order of EXTVER where the file holds several.

    `astropy.table.QTable` of the result gives columns with units.

    Raises
    ------
    NotFound, CorruptFile
        As :func:`calib.fitsfile.table_data.read_tables`.
    """
    tables = read_tables(path, reading.imset)
    return tables[0] if len(tables) == 1 else tables


def write_table(path: Path, tables: Any) -> None:
    """Write one table or several.

    Raises
    ------
    ConfigError
        Not tables.
    ArchiveError
        The file cannot be written; nothing of it is left.
    """
    from astropy.table import Table

    chosen = list(tables) if isinstance(tables, list | tuple) else [tables]
    if not chosen or not all(isinstance(each, Table) for each in chosen):
        raise refuse_object(tables, EXPECTED)
    write_tables(path, chosen)
