"""What the query of the matrix says: filters, order, page; and the same as a query again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import QueryParams

from calib.errors import ConfigError
from calib.ledger.matrix_question import ORDERS, Place, Wanted
from calib.ledger.matrix_standing import STAGES
from calib.ledger.states import STATES

FORMATS = ("html", "json", "csv")
SIZES = (50, 100, 200)
SIZE = 100

# A program may ask for more at once than a browser shows.
MOST = 1_000

FAILED, AT_WORK = "failed", "at-work"

_SEPARATOR = "~"  # is in no name of a dataset
_LONGEST = 255  # as the ledger's names


@dataclass(frozen=True)
class View:
    """A page of the matrix.

    Attributes
    ----------
    wanted
        Which datasets, in which order.
    place
        Where the page begins; None: the first.
    size
        Datasets on it.
    """

    wanted: Wanted = field(default_factory=Wanted)
    place: Place | None = None
    size: int = SIZE

    def filters(self) -> dict[str, Any]:
        """Return the words of the query that say the same, without the place."""
        wanted = self.wanted
        stage = (wanted.failed and f"{FAILED}:{wanted.failed}") or (
            wanted.at_work and f"{AT_WORK}:{wanted.at_work}"
        )
        return {
            "state": ",".join(wanted.states),
            "stage": stage,
            "class": wanted.error_class,
            "code": wanted.code,
            "instrument": ",".join(wanted.instruments),
            "name": wanted.name,
            "again": "1" if wanted.again else None,
            "sort": None if wanted.sort == "name" else wanted.sort,
            "rows": None if self.size == SIZE else self.size,
        }

    @property
    def is_filtered(self) -> bool:
        """Whether it leaves any out."""
        rest = {key: self.filters()[key] for key in self.filters() if key not in {"sort", "rows"}}
        return any(value not in {None, ""} for value in rest.values())


def place_text(place: Place) -> dict[str, str]:
    """Return a place as a word of the query."""
    return {"before" if place.is_back else "after": f"{place.value}{_SEPARATOR}{place.id}"}


def read_view(query: Mapping[str, str], *, most: int = max(SIZES)) -> View:
    """Return what a query asks for; words that it does not have are those of the first page.

    Raises
    ------
    ConfigError
        A word is not one that there is.
    """
    sort = _one_of(query, "sort", tuple(ORDERS)) or "name"
    failed, at_work = _stage(query)
    wanted = Wanted(
        states=_several(query, "state", STATES),
        instruments=_several(query, "instrument"),
        failed=failed,
        at_work=at_work,
        error_class=_text(query, "class"),
        code=_integer(query, "code"),
        name=_text(query, "name"),
        again=bool(_text(query, "again")),
        sort=sort,
    )
    size = _integer(query, "rows")
    size = SIZE if size is None else size
    if not 1 <= size <= most:
        raise ConfigError("rows: not a number of rows", expected=f"1 to {most}", found=str(size))
    return View(wanted, _place(query, sort), size)


def joined(query: QueryParams) -> dict[str, str]:
    """Return a query in which a word that was given several times has its values with commas."""
    return {key: ",".join(query.getlist(key)) for key in query}


def _text(query: Mapping[str, str], name: str) -> str | None:
    found = query.get(name, "").strip()
    if len(found) > _LONGEST or "\0" in found:
        raise ConfigError(f"{name}: too long, or no text", expected=f"up to {_LONGEST} letters")
    return found or None


def _integer(query: Mapping[str, str], name: str) -> int | None:
    found = _text(query, name)
    if found is None:
        return None
    if not (found.isascii() and found.isdecimal() and len(found) < 7):  # noqa: PLR2004 - any limit below 2**31
        raise ConfigError(f"{name}: not a number", found=found)
    return int(found)


def _several(
    query: Mapping[str, str], name: str, known: tuple[str, ...] | None = None
) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(filter(None, (_text(query, name) or "").split(","))))
    for each in found:
        if known is not None and each not in known:
            raise ConfigError(f"{name}: not one", expected=", ".join(known), found=each)
    return found


def _one_of(query: Mapping[str, str], name: str, known: tuple[str, ...]) -> str | None:
    found = _several(query, name, known)
    return found[0] if found else None


def _stage(query: Mapping[str, str]) -> tuple[str | None, str | None]:
    text = _text(query, "stage")
    if text is None:
        return None, None
    doing, _, stage = text.partition(":")
    if doing not in {FAILED, AT_WORK} or stage not in STAGES:
        expected = f"{FAILED}:STAGE or {AT_WORK}:STAGE, a stage of {', '.join(STAGES)}"
        raise ConfigError("stage: not one", expected=expected, found=text)
    return (stage, None) if doing == FAILED else (None, stage)


def _place(query: Mapping[str, str], sort: str) -> Place | None:
    for name in ("after", "before"):
        text = _text(query, name)
        if text is None:
            continue
        value, _, number = text.rpartition(_SEPARATOR)
        if not (number.isascii() and number.isdecimal() and len(number) < 19):  # noqa: PLR2004 - below 2**63
            raise ConfigError(f"{name}: not a place in the list", found=text)
        return Place(_value(value, sort, name), int(number), is_back=name == "before")
    return None


def _value(text: str, sort: str, name: str) -> str | float:
    if sort != "duration":
        return text
    try:
        value = float(text)
    except ValueError as error:
        raise ConfigError(f"{name}: not a place in this order", found=text) from error
    if not math.isfinite(value):
        raise ConfigError(f"{name}: not a place in this order", found=text)
    return value
