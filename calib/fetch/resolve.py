"""URIs of inputs: read by :mod:`calib.stores.uri`, which outputs share."""

from __future__ import annotations

from calib.stores.uri import EXPECTED, Scheme, Source, parse_uri

__all__ = ["EXPECTED", "Scheme", "Source", "parse_uri"]
