"""Headers of the ledger in the form in which contexts are compared."""

from __future__ import annotations

from collections.abc import Iterator

from calib.ledger.exposure_headers import recorded_headers
from calib.ledger.reports import Rows
from calib.references.changes import ExposureHeader


def headers_of_ledger(
    rows: Rows, *, references: bool = False, base: str | None = None
) -> Iterator[ExposureHeader]:
    """Yield what the rules matched with of every exposure that the ledger knows.

    Parameters
    ----------
    rows
        Runs a SELECT on the ledger.
    references
        Whether the headers name the references of the current products: what
        :func:`calib.references.comparison.compare_source` compares with. Exposures without a
        current product are left out then.
    base
        Only datasets whose current products were made on this context; None: all.
    """
    for each in recorded_headers(rows, references=references, base=base):
        header = {**each.header, **each.references}
        yield ExposureHeader(each.dataset, each.exposure, header, each.context)
