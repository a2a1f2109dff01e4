"""Numbers and times as people read them, for the templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from calib.campaigns.charts import memory_text, span_text

_DAY = 86_400


def number(value: float | None) -> str:
    """Return 1234567 as 1,234,567; None as nothing."""
    return "" if value is None else f"{value:,.0f}"


def seconds(value: float | None) -> str:
    """Return a span in seconds as `12 ms`, `1.2 s`, `3.3 min`, `2.1 h`; None as nothing."""
    return "" if value is None else span_text(value)


def size(value: float | None) -> str:
    """Return bytes as `1.2 GB`; None as nothing."""
    return "" if value is None else memory_text(value)


def share(part: float, whole: float) -> str:
    """Return a part of a whole as per cent; 100 % only when it is all, 0 % when it is nothing."""
    if not whole:
        return ""
    percent = 100 * part / whole
    if 0 < percent < 1:
        return "< 1 %"
    return "> 99 %" if 99 < percent < 100 else f"{percent:.0f} %"  # noqa: PLR2004 - per cent


def moment(text: str | None) -> str:
    """Return a time of the ledger as `2026-11-23 20:14:49`; None as nothing."""
    return "" if text is None else text[:19].replace("T", " ")


def ago(text: str | None, now: datetime | None = None) -> str:
    """Return how long ago a time of the ledger was, such as `3.3 min ago`."""
    if text is None:
        return ""
    then = datetime.fromisoformat(text)
    gone = ((now or datetime.now(UTC)) - then).total_seconds()
    return moment(text)[:10] if gone > _DAY else f"{span_text(max(0.0, gone))} ago"


FILTERS: Mapping[str, Callable[..., str]] = {
    "number": number,
    "seconds": seconds,
    "size": size,
    "share": share,
    "moment": moment,
    "ago": ago,
}
