"""The one form of time in the ledger: that of all records."""

from __future__ import annotations

from calib.records import utc_now

__all__ = ["utc_now"]
