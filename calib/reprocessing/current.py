"""What a new context changes for what is current, each dataset from the context it was made on.

The context before is not the same for all: what failed in, was left out of, or was published
after a reprocessing is still of an older one, and what is on the new one already needs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from calib.errors import ContextError
from calib.ledger.descent import current_without_headers
from calib.ledger.published_contexts import base_contexts
from calib.ledger.reports import Rows
from calib.references.changes import AffectedExposure, ExposureHeader
from calib.references.comparison import compare_contexts, context_changes
from calib.references.profile import CrdsProfile
from calib.reprocessing.ledger_headers import headers_of_ledger
from calib.reprocessing.selection import Selection, select_datasets

Headers = Iterator[ExposureHeader]

_RULES = ".pmap"  # how the name of a context ends


def compare_current(
    profile: CrdsProfile,
    new: str,
    rows: Rows,
    *,
    otherwise: str | None = None,
    processes: int = 1,
    undefined_matters: bool = False,
    passed: Callable[[Headers], Headers] = iter,
) -> Iterator[AffectedExposure]:
    """Yield the exposures of current products whose references differ on a new context.

    One comparison for each context that something current was made on. Where the rules of that
    one cannot be read any more, its exposures count as affected, with the problem. Datasets that
    have no current product are not looked at.

    Parameters
    ----------
    profile, processes, undefined_matters
        As for :func:`calib.references.comparison.compare_contexts`.
    new
        Name of the context.
    rows
        Runs a SELECT on the ledger; each page of headers is one.
    otherwise
        What to compare with where the run of products from elsewhere names no context; None:
        those are left out.
    passed
        The headers of each comparison go through it: a person sees how far it is.

    Raises
    ------
    ContextError
        The rules of the new context cannot be read.
    Unavailable
        Rules cannot be downloaded now.
    """
    context_changes(profile, new, new)  # its own trouble is not that of an older one
    for base in base_contexts(rows):
        old = base if base.endswith(_RULES) else otherwise
        if old is None or old == new:
            continue
        if (why := _unreadable(profile, old)) is not None:
            yield from _not_comparable(rows, base, why)
            continue
        yield from compare_contexts(
            profile,
            old,
            new,
            passed(headers_of_ledger(rows, base=base)),
            processes=processes,
            undefined_matters=undefined_matters,
        )


def select_current(affected: Iterable[AffectedExposure], new: str, rows: Rows) -> Selection:
    """Return the datasets that are to be made again so that what is current is on a new context.

    Of exposures and associations those whose own exposures are affected: an exposure does not
    mark an association that is on the new context, or was never published. Associations that
    were made elsewhere, whose exposures nobody recorded, are marked by those.

    Parameters
    ----------
    affected
        The answers of :func:`compare_current`.
    new, rows
        As there.
    """
    found = list(affected)
    selected = select_datasets(found, rows)
    own = {each.dataset.lower() for each in found}
    others = [m.dataset.name for m in selected.marks if m.wave == 1 and m.dataset.name not in own]
    foreign = current_without_headers(rows, others)
    dropped = {name for name in others if foreign.get(name, new) == new}
    marks = tuple(each for each in selected.marks if each.dataset.name not in dropped)
    return replace(selected, marks=marks)


def _unreadable(profile: CrdsProfile, context: str) -> str | None:
    try:
        context_changes(profile, context, context)
    except ContextError as error:
        return error.message
    return None


def _not_comparable(rows: Rows, base: str, why: str) -> Iterator[AffectedExposure]:
    for each in headers_of_ledger(rows, base=base):
        instrument = each.header.get("INSTRUME", "").lower()
        yield AffectedExposure(each.dataset, each.exposure, instrument, problem=f"{base}: {why}")
