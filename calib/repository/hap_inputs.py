"""Calibrated exposures that the registry knows: the inputs of visits and skycells."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from calib.archive.layout import relative_name
from calib.errors import MissingMember
from calib.fetch.registered import RegisteredFile
from calib.hap_names import (
    SHORT_LENGTH,
    environment_name,
    is_listed,
    read_image_name,
    visit_of,
)
from calib.ids import DatasetId, parse_dataset
from calib.ledger.matching import any_of
from calib.ledger.reports import Rows
from calib.repository.precedence import Rank, Row, rank_of, registered

log = logging.getLogger(__name__)

_COLUMNS = """
SELECT id, run, dataset, name, rootname, sha256, size, uri, published_at, is_current
FROM products
"""
_OF_VISIT = _COLUMNS + "WHERE LOWER(name) LIKE '%.fits' AND rootname LIKE :visit"
_OF_MOSAICS = _COLUMNS + "WHERE LOWER(name) LIKE '%.fits' AND {names}"

_OWN = _COLUMNS + "WHERE dataset = :dataset AND name = :name"

# What a visit or skycell was made of: the files of all its publications, the newest first.
_LAST_INPUTS = """
SELECT inputs.input AS name, publications.id AS publication,
  publications.published_at AS published_at
FROM publications
  JOIN inputs ON inputs.dataset = publications.dataset AND inputs.run = publications.run
WHERE publications.dataset = :dataset AND publications.removed_at IS NULL
ORDER BY publications.is_current DESC, publications.published_at DESC, publications.id DESC
"""


def registered_images(rows: Rows, dataset: DatasetId, source: str) -> dict[str, RegisteredFile]:
    """Return the calibrated exposures that the registry has for a visit or skycell, by name.

    All files of an exposure come from one publication, of the first collection that has it;
    without names what is current is first, then the newest. Of a visit the publication with
    an association comes before that of the exposure alone: there its cosmic rays are flagged.
    Raw files of the visit are among the answer, so that what is not calibrated is seen.

    A visit that was published before is made of the same exposures again, and of those that
    came since: what was there and not taken had been left out by a poller. Of a skycell those
    are returned that its last publication was made of, as the visits have them now, and nothing
    where it was never published. The file of variables that was published with either comes too.

    Parameters
    ----------
    rows
        Runs a SELECT on the ledger.
    dataset
        Visit or skycell.
    source
        ``archive:`` or ``archive:NAME,NAME...``: runs, chains and tags in order.

    Raises
    ------
    MissingMember
        There are not all exposures that the visit or skycell was made of before.
    ConfigError
        As :func:`calib.repository.precedence.rank_of`.
    """
    rank = rank_of(rows, source)
    before = _before(rows, dataset)
    of_kind = _of_skycell if dataset.kind == "mvm" else _of_visit
    files = of_kind(rows, dataset, rank, before)
    return files | _environment(rows, dataset, rank)


@dataclass(frozen=True)
class _Before:
    """What a visit or skycell was last made of: names of images, and when; empty: never."""

    names: frozenset[str]
    at: str = ""

    @property
    def short(self) -> set[str]:
        """Its exposures."""
        return {image.short for name in self.names if (image := read_image_name(name))}


def _of_visit(
    rows: Rows, dataset: DatasetId, rank: Rank, before: _Before
) -> dict[str, RegisteredFile]:
    every = rows(_OF_VISIT, {"visit": f"{dataset.visit_root}%"})
    found = [row for row in every if is_listed(dataset, _file_name(row))]
    files = _chosen(_as_before(found, dataset, before), rank)
    _check_all_there(dataset, before, files, "their products, or another source: astroquery:")
    return files


def _as_before(found: Sequence[Row], dataset: DatasetId, before: _Before) -> list[Row]:
    """Leave out what was there when the visit was last made, and was not taken.

    That is an exposure, the raw file of one that was not calibrated, or the FLC of one of which
    the FLT was taken.
    """
    there = {_file_name(row) for row in found if str(row["published_at"]) < before.at}
    left = there - before.names
    images = (image for name in left if (image := read_image_name(name)))
    gone = {image.short for image in images} - before.short
    if gone:
        log.warning("%s: left out as it was before: %s", dataset, " ".join(sorted(gone)))
    return [
        row
        for row in found
        if (name := _file_name(row))[:SHORT_LENGTH] not in gone
        and (name not in left or name.endswith("_flt.fits"))
    ]


def _check_all_there(
    dataset: DatasetId, before: _Before, files: Collection[str], expected: str
) -> None:
    """Refuse a mosaic of less exposures than before: it would look complete."""
    there = {image.short for name in files if (image := read_image_name(name))}
    if missing := sorted(before.short - there):
        kind = "skycell" if dataset.kind == "mvm" else "visit"
        raise MissingMember(
            f"{len(missing)} of {len(before.short)} exposures that the {kind} was made of before "
            "are not published here: " + " ".join(missing),
            dataset=dataset.name,
            expected=expected,
            found=f"{len(there)} exposures",
        )


def _environment(rows: Rows, dataset: DatasetId, rank: Rank) -> dict[str, RegisteredFile]:
    name = relative_name("env", environment_name(dataset))
    found = _first_of(list(rows(_OWN, {"dataset": dataset.name, "name": name})), rank)
    return {_file_name(row): registered(row) for row in found}


def _of_skycell(
    rows: Rows, dataset: DatasetId, rank: Rank, before: _Before
) -> dict[str, RegisteredFile]:
    visits = sorted({visit_of(each) for each in before.short})
    if not visits:
        return {}
    parameters: dict[str, object] = {}
    names = any_of("dataset", visits, parameters, label="visit")
    wanted = before.short
    found = [
        row
        for row in rows(_OF_MOSAICS.format(names=names), parameters)
        if (image := read_image_name(_file_name(row))) and image.of_mosaic and image.short in wanted
    ]
    files = _chosen(found, rank)
    _check_all_there(dataset, before, files, "products of " + " ".join(visits))
    return files


def _before(rows: Rows, dataset: DatasetId) -> _Before:
    """Return the exposures of the publication that is current, or the newest."""
    found = list(rows(_LAST_INPUTS, {"dataset": dataset.name}))
    last = [row for row in found if row["publication"] == found[0]["publication"]]
    names = {str(row["name"]).lower() for row in last}
    images = frozenset(name for name in names if read_image_name(name))
    return _Before(images, str(last[0]["published_at"])) if images else _Before(images)


def _chosen(found: Iterable[Row], rank: Rank) -> dict[str, RegisteredFile]:
    by_exposure: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(found, key=lambda row: str(row["published_at"]), reverse=True):
        image = read_image_name(_file_name(row))
        by_exposure[image.short if image else str(row["rootname"])[:SHORT_LENGTH]].append(row)
    chosen = (row for each in by_exposure.values() for row in _first_of(each, rank))
    return {_file_name(row): registered(row) for row in chosen}


def _first_of(found: Sequence[Row], rank: Rank) -> list[Row]:
    """Return the files of one exposure in the publication that is looked at first."""
    publications: dict[tuple[int, str, str], list[Row]] = defaultdict(list)
    for row in found:
        place = rank(row)
        if place is not None:
            publications[place, row["run"], row["dataset"]].append(row)

    def order(key: tuple[int, str, str]) -> tuple[bool, int, bool]:
        place, _, published_with = key
        is_calibrated = any(read_image_name(_file_name(row)) for row in publications[key])
        return (not is_calibrated, place, not parse_dataset(published_with).is_association)

    first = min(publications, key=order, default=None)  # the newest of equals: it came first
    return [] if first is None else publications[first]


def _file_name(row: Row) -> str:
    return str(row["name"]).rpartition("/")[2].lower()
