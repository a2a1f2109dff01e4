"""The references that a reprocessing waits for: what the plan foretells and the guard asks for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from calib.ledger.descent import required_keywords
from calib.ledger.exposure_headers import headers_of_datasets
from calib.ledger.reports import Rows
from calib.ledger.reprocessing_reports import Mark
from calib.ledger.reprocessings import NewMark
from calib.references.changes import ExposureHeader
from calib.references.profile import CrdsProfile
from calib.references.readiness import references_needed
from calib.references.rules import rules_of
from calib.references.stage2_types import is_stage2_only
from calib.reprocessing.selection import STAGE_2, keyword_of, new_references

# By dataset: whether calibrating it opens files of a type, by keyword, as far as is known.
_Opened = Mapping[str, Mapping[str, bool]]


def awaited_references(
    profile: CrdsProfile,
    context: str,
    marks: Iterable[NewMark | Mark],
    rows: Rows | None,
    own: Collection[str] = (),
) -> set[str]:
    """Return the references that have to be there before a reprocessing may begin.

    A changed file counts unless stage 2 alone opens it, or the ledger knows that calibrating the
    dataset did not open any of its type: nobody has to wait for what is not opened. What did not
    change was there when the dataset was calibrated, and comes back by itself where the cache
    can be filled; where it cannot, it is awaited, too.

    Parameters
    ----------
    profile, context
        The cache and the new context.
    marks
        What is marked, planned or entered; visits and skycells name no reference of their own.
    rows
        The ledger; None: there is none.
    own
        Keywords for which the plan names a file of the user's own: the rules' is not opened.

    Returns
    -------
    set of str
        Names, lower case.
    """
    wanted = [each for each in marks if each.wave == 1 and each.left_out is None]
    opened = required_keywords(rows, (str(each.dataset) for each in wanted)) if rows else {}
    given = {keyword.upper() for keyword in own}
    needed: set[str] = set()
    for each in wanted:
        uses = opened.get(str(each.dataset), {}) | dict.fromkeys(given, False)
        changes = {
            key: pair
            for key, pair in each.changes.items()
            if not key.endswith(STAGE_2) and uses.get(keyword_of(key), True)
        }
        needed |= new_references(changes)
    if rows is None or profile.can_fill:
        return needed
    return needed | _all_opened(profile, context, rows, opened, given)


def _all_opened(
    profile: CrdsProfile, context: str, rows: Rows, opened: _Opened, given: Collection[str]
) -> set[str]:
    """Return what the rules choose of the types that were opened when datasets were calibrated.

    Datasets of which that is not known are left out, and so is everything while rules are
    missing: nobody knows then what they would choose.
    """
    if not opened or not rules_of(profile, context).complete:
        return set()

    def keywords(header: ExposureHeader) -> list[str]:
        instrument = header.header.get("INSTRUME", "")
        return [
            keyword
            for keyword, is_opened in opened[header.dataset].items()
            if is_opened and keyword not in given and not is_stage2_only(instrument, keyword)
        ]

    return references_needed(profile, context, _headers(rows, [*opened]), keywords=keywords)


def _headers(rows: Rows, datasets: Sequence[str]) -> Iterator[ExposureHeader]:
    for each in headers_of_datasets(rows, datasets):
        yield ExposureHeader(each.dataset, each.exposure, each.header, each.context)
