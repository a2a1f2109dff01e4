"""What is wanted of the datasets of a campaign, as portable SQL that the indexes serve."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from calib.ledger.matching import is_pattern, like
from calib.ledger.matrix_standing import FailedGroup, Group, Standing

# How a list is sorted: word -> column, and whether the largest comes first.
ORDERS: Mapping[str, tuple[str, bool]] = {
    "name": ("dataset", False),
    "changed": ("updated_at", True),
    "duration": ("seconds", True),
}

# The same columns so that no index has them: few rows are found by another one, and sorted.
_FREE = {"updated_at": "(updated_at || '')", "seconds": "(seconds + 0)"}

# So many are counted; of more it is said that they are more. The count reads an index entry
# for each: 10,000 take a few milliseconds.
COUNTED = 10_000

# Behind every name that begins with the same letters, in the order of any language.
_LAST = 64 * "z"


@dataclass(frozen=True)
class Wanted:
    """Which datasets, and in which order; what is empty or None is any.

    Attributes
    ----------
    states, instruments
        Names.
    failed
        The stage at which it ended without a result.
    at_work
        The stage that it is at.
    error_class, code
        What it ended with.
    name
        What its name begins with; a pattern where it holds ``*`` or ``?``.
    again
        Only those with more than one attempt.
    sort
        One of :data:`ORDERS`.
    """

    states: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    failed: str | None = None
    at_work: str | None = None
    error_class: str | None = None
    code: int | None = None
    name: str | None = None
    again: bool = False
    sort: str = "name"


@dataclass(frozen=True)
class Place:
    """Where a page begins: behind (or, backwards, before) a row, by its value and number."""

    value: str | float
    id: int
    is_back: bool = False


class Question:
    """The words of SQL for what is wanted of a campaign.

    Parameters
    ----------
    campaign_id
        Number of the campaign.
    wanted
        Which datasets, in which order.
    standing
        How the campaign stands: which ranges of the indexes hold what is wanted.
    """

    def __init__(self, campaign_id: int, wanted: Wanted, standing: Standing) -> None:
        self._wanted = wanted
        self._standing = standing
        self._parameters: dict[str, Any] = {"campaign_id": campaign_id}

    def known(self) -> int | None:
        """Return the number where the standing tells it; None where it must be counted."""
        wanted = self._wanted
        if wanted.name or wanted.again:
            return None
        if self._by_failure:
            return None if wanted.instruments else sum(each.number for each in self._failures())
        if wanted.at_work:
            return None
        return sum(each.number for each in self._groups())

    @property
    def _by_failure(self) -> bool:
        wanted = self._wanted
        return wanted.code is not None or bool(wanted.failed or wanted.error_class)

    def _groups(self) -> list[Group]:
        wanted = self._wanted
        return [
            each
            for each in self._standing.groups
            if each.state in (wanted.states or (each.state,))
            and each.instrument in (wanted.instruments or (each.instrument,))
        ]

    def _failures(self) -> list[FailedGroup]:
        wanted = self._wanted
        return [
            each
            for each in self._standing.failed
            if each.state in (wanted.states or (each.state,))
            and wanted.error_class in {None, each.error_class}
            and wanted.code in {None, each.code}
            and wanted.failed in {None, each.stage}
        ]

    def count(self) -> tuple[str, dict[str, Any]]:
        """Return the question how many there are, counted a little further than is told."""
        branches = [f"SELECT id FROM job WHERE {each}" for each in self._branches()]  # noqa: S608 - words are ours, values are parameters
        query = " UNION ALL ".join(branches)
        if query:
            query = f"SELECT COUNT(*) AS number FROM ({query} LIMIT {COUNTED + 1}) AS found"  # noqa: S608 - as above
        return query, self._parameters

    def page(self, place: Place | None, number: int, *, walks: bool) -> tuple[str, dict[str, Any]]:
        """Return the question for values and numbers of a page, in the order of paging."""
        column, is_down = ORDERS[self._wanted.sort]
        is_down ^= place is not None and place.is_back
        way = "DESC" if is_down else "ASC"
        order = f"ORDER BY {{}} {way}, id {way} LIMIT {int(number)}"
        if walks or column == "dataset":
            branches = self._branches() if column == "dataset" else [self._walk()]
        else:
            branches, column = self._branches(), _FREE[column]
        limits = self._behind(column, place, is_down=is_down)
        if self._wanted.sort == "duration":
            limits += f" AND {column} IS NOT NULL"
        parts = [
            f"SELECT * FROM (SELECT {column} AS value, id FROM job WHERE {each}{limits}"  # noqa: S608 - as above
            f" {order.format(column)}) AS part{number}"
            for number, each in enumerate(branches)
        ]
        if not parts:
            return "", {}
        return f"{' UNION ALL '.join(parts)} {order.format('value')}", self._parameters

    def _behind(self, column: str, place: Place | None, *, is_down: bool) -> str:
        if place is None:
            return ""
        self._parameters |= {"value": place.value, "last": place.id}
        sign = "<" if is_down else ">"
        # The first test is what the index serves; alone it is not enough where values are equal.
        return f" AND {column} {sign}= :value AND ({column} {sign} :value OR id {sign} :last)"

    def _branches(self) -> list[str]:
        """Return conditions, one for each range of an index that has what is wanted."""
        wanted = self._wanted
        if wanted.at_work:
            numbers = self._standing.at_work.get(wanted.at_work, ())
            # Numbers of our own, from the ledger.
            among = ", ".join(str(int(each)) for each in numbers)
            return [f"{self._walk()} AND id IN ({among})"] if numbers else []
        if self._by_failure:
            return [self._failure(number, each) for number, each in enumerate(self._failures())]
        if wanted.states or wanted.instruments:
            return [self._group(number, each) for number, each in enumerate(self._groups())]
        return [self._rest()]

    def _group(self, number: int, group: Group) -> str:
        self._parameters |= {f"state{number}": group.state, f"kind{number}": group.instrument}
        return f"{self._rest()} AND state = :state{number} AND instrument = :kind{number}"

    def _failure(self, number: int, group: FailedGroup) -> str:
        values = {
            "error_class": group.error_class,
            "code": group.code,
            "failed_stage": group.stage,
            "state": group.state,
        }
        tests = []
        for column, value in values.items():
            if value is None:
                tests.append(f"{column} IS NULL")
            else:
                self._parameters[f"{column}{number}"] = value
                tests.append(f"{column} = :{column}{number}")
        return " AND ".join([self._rest(), *tests, *self._instruments()])

    def _rest(self) -> str:
        """Return what holds beside the columns of a branch: campaign, name, attempts."""
        wanted = self._wanted
        tests = ["campaign_id = :campaign_id"]
        if wanted.again:
            tests.append("attempts > 1")
        if wanted.name and is_pattern(wanted.name):
            self._parameters["name"] = like(wanted.name)
            tests.append("dataset LIKE :name ESCAPE '!'")
        elif wanted.name:
            name = wanted.name.lower()
            self._parameters |= {"name": name, "end": name + _LAST, "length": len(name)}
            tests.append(
                "dataset >= :name AND dataset <= :end AND SUBSTR(dataset, 1, :length) = :name"
            )
        return " AND ".join(tests)

    def _walk(self) -> str:
        """Return one condition for all, which leaves only the index of the order to be used."""
        wanted = self._wanted
        tests = [self._rest(), *self._instruments()]
        if wanted.states:
            tests.append(self._among("state", wanted.states))
        if wanted.error_class:
            tests.append(self._among("error_class", (wanted.error_class,)))
        if wanted.failed:
            tests.append(self._among("failed_stage", (wanted.failed,)))
        if wanted.code is not None:
            self._parameters["code"] = wanted.code
            tests.append("+code = :code")
        return " AND ".join(tests)

    def _instruments(self) -> list[str]:
        wanted = self._wanted.instruments
        return [self._among("instrument", wanted)] if wanted else []

    def _among(self, column: str, values: Iterable[str]) -> str:
        named = {f"{column}_{place}": value for place, value in enumerate(values)}
        self._parameters |= named
        # What is no plain column has no index.
        return f"({column} || '') IN ({', '.join(f':{name}' for name in named)})"
