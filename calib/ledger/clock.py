"""The one form of time in the ledger."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> str:
    """Return the time as ``2026-01-31T23:59:59.000001+00:00``: such texts sort as times."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
