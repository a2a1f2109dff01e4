"""Where each page is: as addresses of the dashboard, or as files of a static report.

Pages never write an address themselves, so that one template serves both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import quote, urlencode


class Links(Protocol):
    """Addresses of pages; a page that a static report does not have has the address None.

    ``filters`` are words of a page's query, such as ``state=error``; empty ones are left out.
    """

    @property
    def is_static(self) -> bool:
        """Whether the pages are files: no forms, nothing live."""
        ...

    def to(self, page: str, /, *names: str, **filters: object) -> str | None:
        """Return the address of a page, by its name in :data:`PATHS` and the names in its path."""
        ...

    def asset(self, name: str) -> str:
        """Return the address of a file of the dashboard's own: style or script."""
        ...


# Page -> its path; {} is a name. Helpers of a page (files, fragments) are pages too.
PATHS: Mapping[str, str] = {
    "campaigns": "/",
    "campaign": "/campaigns/{}",
    "matrix": "/campaigns/{}/datasets",
    "errors": "/campaigns/{}/errors",
    "gallery": "/campaigns/{}/gallery",
    "workers": "/campaigns/{}/workers",
    "rescue": "/campaigns/{}/rescue",
    "control": "/campaigns/{}/control",
    "dataset": "/datasets/{}",
    "log": "/datasets/{}/log",
    "difference": "/datasets/{}/difference",
    "picture": "/differences/{}/{}/{}/{}",
    "product": "/products/{}",
    "references": "/references",
    "reference": "/references/{}",
    "contexts": "/contexts",
    "all_errors": "/errors",
    "rescue_all": "/rescue",
    "rescued": "/rescued",
    "reprocessings": "/reprocessings",
    "reprocessing": "/reprocessings/{}",
    "canary": "/reprocessings/{}/canary/{}",
    "canary_picture": "/reprocessings/{}/canary/{}/pictures/{}",
    "approve": "/reprocessings/{}/approve",
    "metrics": "/metrics",
    "health": "/health",
    "ready": "/ready",
}


class LiveLinks:
    """Addresses of the dashboard itself.

    Parameters
    ----------
    root
        Path below which a proxy serves it, such as ``/hst``.
    """

    is_static = False

    def __init__(self, root: str = "") -> None:
        self._root = root.rstrip("/")

    def to(self, page: str, /, *names: str, **filters: object) -> str | None:
        """Return the address of a page."""
        path = PATHS[page].format(*(quote(name, safe="") for name in names))
        given = {key: value for key, value in filters.items() if value not in (None, "", [], ())}
        query = f"?{urlencode(given, doseq=True)}" if given else ""
        return f"{self._root}{path}{query}"

    def asset(self, name: str) -> str:
        """Return the address of a file of the dashboard's own."""
        return f"{self._root}/static/{quote(name)}"
