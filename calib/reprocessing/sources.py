"""What asks for a reprocessing besides a new context: a list, a query of MAST, a reference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from calib.errors import ConfigError
from calib.ids import DatasetId, parse_dataset
from calib.ledger.lineage import used_by
from calib.ledger.reports import Rows
from calib.ledger.reprocessings import NewMark
from calib.references.changes import AffectedExposure, ReferenceChange
from calib.reprocessing.selection import WAVES, Selection, select_datasets, select_with

if TYPE_CHECKING:
    from calib.fetch.observations import ObservationQuery
    from calib.fetch.options import FetchOptions


def select_listed(datasets: Iterable[DatasetId]) -> Selection:
    """Return exactly the datasets of a list."""
    every = sorted(set(datasets), key=lambda each: (WAVES[each.kind], each))
    return Selection(tuple(NewMark(each, WAVES[each.kind]) for each in every))


def select_queried(query: ObservationQuery, options: FetchOptions, rows: Rows | None) -> Selection:
    """Return the datasets of an answer of MAST, and the visits and skycells made from them.

    Raises
    ------
    ConfigError
        MAST has nothing like that.
    Unavailable, Proprietary
        As :func:`calib.fetch.observations.find_datasets`.
    """
    from calib.fetch.observations import find_datasets  # astropy

    names = find_datasets(query, options)
    if not names:
        raise ConfigError("MAST has no observation like that", path=options.mast_url, found=query)
    found = (AffectedExposure(name, name, _instrument(name)) for name in names)
    return select_datasets(found, rows)


def select_users(references: Iterable[str], rows: Rows | None) -> Selection:
    """Return the datasets whose current products were made with references.

    The visits and skycells made from them come with them. What the new context names instead is
    not known before the references are chosen anew: each change has no new name.

    Raises
    ------
    ConfigError
        No current product was made with any of them, or there is no ledger.
    """
    names = list(references)
    uses = [] if rows is None else used_by(rows, *names)
    changes: defaultdict[str, set[ReferenceChange]] = defaultdict(set)
    for use in uses:
        if use.how == "reference" and use.is_current and use.removed_at is None:
            for name in use.names:
                changes[use.dataset] |= {ReferenceChange(word, name, None) for word in use.keywords}
    if not changes:
        message = "the ledger has no current product that was made with this reference"
        raise ConfigError(message, found=", ".join(names))
    return select_with(changes, rows)


def _instrument(name: str) -> str:
    try:
        return parse_dataset(name).instrument
    except ConfigError:
        return ""
