"""Raw inputs: found, unpacked, verified."""

from __future__ import annotations

from calib.fetch.local import fetch_inputs, read_association
from calib.fetch.options import FetchOptions, Patience, options_from
from calib.fetch.tarball import TarLimits
from calib.stores.uri import Source, parse_uri

__all__ = [
    "FetchOptions",
    "Patience",
    "Source",
    "TarLimits",
    "fetch_inputs",
    "options_from",
    "parse_uri",
    "read_association",
]
