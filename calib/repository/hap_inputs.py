"""Calibrated exposures that the registry knows: the inputs of visits and skycells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from calib.errors import MissingMember
from calib.fetch.registered import RegisteredFile
from calib.hap_names import (
    SHORT_LENGTH,
    ImageName,
    is_listed,
    read_image_name,
    visit_of,
)
from calib.ids import DatasetId, parse_dataset
from calib.ledger.matching import any_of
from calib.ledger.reports import Rows
from calib.repository.precedence import Rank, Row, rank_of, registered

_COLUMNS = """
SELECT id, run, dataset, name, rootname, sha256, size, uri, published_at, is_current
FROM products
"""
_OF_VISIT = _COLUMNS + "WHERE LOWER(name) LIKE '%.fits' AND rootname LIKE :visit"
_OF_MOSAICS = _COLUMNS + "WHERE LOWER(name) LIKE '%.fits' AND {names}"

# What a skycell was made of: the exposures of all its publications, the newest first.
_LAST_INPUTS = """
SELECT inputs.input AS name, publications.id AS publication
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

    Of a skycell those are returned that its last publication was made of, as the visits have
    them now, and nothing where it was never published.

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
        The visits have not all exposures that the skycell was made of before.
    ConfigError
        As :func:`calib.repository.precedence.rank_of`.
    """
    rank = rank_of(rows, source)
    if dataset.kind == "mvm":
        return _of_skycell(rows, dataset, rank)
    found = rows(_OF_VISIT, {"visit": f"{dataset.visit_root}%"})
    return _chosen((row for row in found if is_listed(dataset, _file_name(row))), rank)


def _of_skycell(rows: Rows, dataset: DatasetId, rank: Rank) -> dict[str, RegisteredFile]:
    before = _exposures_before(rows, dataset)
    visits = sorted({visit_of(each.exposure) for each in before})
    if not visits:
        return {}
    parameters: dict[str, object] = {}
    names = any_of("dataset", visits, parameters, label="visit")
    wanted = {each.short for each in before}
    found = [
        row
        for row in rows(_OF_MOSAICS.format(names=names), parameters)
        if (image := read_image_name(_file_name(row))) and image.of_mosaic and image.short in wanted
    ]
    files = _chosen(found, rank)
    there = {image.short for name in files if (image := read_image_name(name))}
    if missing := sorted(wanted - there):
        raise MissingMember(
            f"{len(missing)} of {len(wanted)} exposures of the skycell are in no visit that is "
            "published: " + " ".join(missing),
            dataset=dataset.name,
            expected="products of " + " ".join(visits),
            found=f"{len(there)} exposures",
        )
    return files


def _exposures_before(rows: Rows, dataset: DatasetId) -> list[ImageName]:
    """Return the exposures of the publication of a skycell that is current, or the newest."""
    found = list(rows(_LAST_INPUTS, {"dataset": dataset.name}))
    last = [row["name"] for row in found if row["publication"] == found[0]["publication"]]
    return [image for name in last if (image := read_image_name(str(name).lower()))]


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
