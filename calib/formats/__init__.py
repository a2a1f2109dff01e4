"""Readers and writers of products: what a file becomes in Python, by its dataset type.

=========================  ==============================================================
image (raw, flt, drz...)   `astropy.nddata.CCDData`; a list of them for several image sets
ramp (ima, raw of IR)      :class:`~calib.formats.ramps.Ramp`: the reads in order of time
table (x1d, asn, rawtag)   `astropy.table.Table`; a list of them for several tables
text (trl, tra, log)       str
anything else              `pathlib.Path`
=========================  ==============================================================

A package adds its own with an entry point of the group ``hstflow.formats``, whose name is a
dataset type or a pattern (``x1d*``) and whose value a :class:`~calib.formats.format.Format`.
"""

from __future__ import annotations

from calib.formats.format import Format, Reading
from calib.formats.lookup import find_format, read_file, write_file
from calib.formats.ramps import Ramp

__all__ = ["Format", "Ramp", "Reading", "find_format", "read_file", "write_file"]
