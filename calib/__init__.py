"""Calibration of HST data: the domain, importable in a notebook with no server."""
