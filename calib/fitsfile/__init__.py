"""The only package that opens and writes FITS files.

Reading turns every way a file can be broken into :class:`~calib.errors.CorruptFile`; writing
goes to a temporary name beside the target, is flushed to disk and renamed, so a reader sees
a whole file or none.
"""

from calib.fitsfile.exposure import Exposure, read_exposure, write_exposure
from calib.fitsfile.opening import BLOCK, opened, pixels, primary_header
from calib.fitsfile.plane import ConstantPlane, HeldPlane, StoredPlane
from calib.fitsfile.reference import ReferenceImage, open_reference
from calib.fitsfile.table import Table, read_table
from calib.fitsfile.writing import (
    Written,
    mark_present,
    update_primary_header,
    write_atomically,
    writing,
)

__all__ = [
    "BLOCK",
    "ConstantPlane",
    "Exposure",
    "HeldPlane",
    "ReferenceImage",
    "StoredPlane",
    "Table",
    "Written",
    "mark_present",
    "open_reference",
    "opened",
    "pixels",
    "primary_header",
    "read_exposure",
    "read_table",
    "update_primary_header",
    "write_atomically",
    "write_exposure",
    "writing",
]
