"""The references that a reprocessing waits for: what the plan foretells and the guard asks for."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from calib.ledger.descent import required_keywords
from calib.ledger.reports import Rows
from calib.ledger.reprocessing_reports import Mark
from calib.ledger.reprocessings import NewMark
from calib.reprocessing.selection import STAGE_2, keyword_of, new_references


def awaited_references(
    marks: Iterable[NewMark | Mark], rows: Rows | None, own: Collection[str] = ()
) -> set[str]:
    """Return the references that the datasets of a reprocessing need and did not use before.

    A changed file counts unless stage 2 alone opens it, or the ledger knows that calibrating the
    dataset did not open any of its type: nobody has to wait for what is not opened.

    Parameters
    ----------
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
    given = dict.fromkeys((keyword.upper() for keyword in own), False)
    needed: set[str] = set()
    for each in wanted:
        uses = opened.get(str(each.dataset), {}) | given
        changes = {
            key: pair
            for key, pair in each.changes.items()
            if not key.endswith(STAGE_2) and uses.get(keyword_of(key), True)
        }
        needed |= new_references(changes)
    return needed
