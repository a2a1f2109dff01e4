"""Raw files that the registry knows: the inputs of a dataset that is made again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from calib.caldp import EXPOSURE_SUFFIXES, INPUT_SUFFIXES, suffix_of
from calib.errors import NotFound
from calib.fetch.registered import RegisteredFile
from calib.ids import DatasetId
from calib.ledger.reading import open_reader
from calib.ledger.reports import Rows
from calib.repository.hap_inputs import registered_images
from calib.repository.precedence import Row, rank_of, registered

# The exposures of an association share program and visit with it, the first six characters
# (HST file naming, HST Data Handbook, section 2.2.1). The table says which of them it takes.
_OF_ASSOCIATION = """
SELECT id, run, dataset, name, rootname, sha256, size, uri, published_at, is_current
FROM products
WHERE (LOWER(name) LIKE '%.fits' OR LOWER(name) LIKE '%_cal_env.txt') AND (rootname LIKE :visit
  OR rootname IN (SELECT rootname FROM member WHERE association = :root))
"""
_OF_EXPOSURE = """
SELECT id, run, dataset, name, rootname, sha256, size, uri, published_at, is_current
FROM products
WHERE (LOWER(name) LIKE '%.fits' OR LOWER(name) LIKE '%_cal_env.txt') AND rootname = :root
"""
_VISIT = 6


def look_up(dataset: DatasetId, source: str, ledger: str) -> dict[str, RegisteredFile] | None:
    """Return what the registry has for a dataset; None where the inputs lie elsewhere.

    Parameters
    ----------
    dataset
        Exposure, association, visit or skycell.
    source
        INPUT_URI of any kind.
    ledger
        URL of the ledger; read, never written.

    Raises
    ------
    NotFound
        There is no ledger yet.
    MissingMember
        As :func:`calib.repository.hap_inputs.registered_images`.
    ConfigError
        There is no such collection, or the ledger cannot be read.
    """
    if not source.startswith("archive:"):
        return None
    with open_reader(ledger) as rows:
        if rows is None:
            raise NotFound("there is no ledger yet", dataset=dataset.name, path=source)
        if dataset.kind != "ipst":
            return registered_images(rows, dataset, source)
        return registered_inputs(rows, dataset, source)


def registered_inputs(rows: Rows, dataset: DatasetId, source: str) -> dict[str, RegisteredFile]:
    """Return the input files that the registry has for a dataset, by name in lower case.

    All files of an exposure come from one publication: of the first collection that has the
    exposure itself. Without names the current version is first, then the newest; collections
    that hold nothing have nothing. Files published with this dataset come before those
    published with another (an exposure is also in the publications of its associations).

    Parameters
    ----------
    rows
        Runs a SELECT on the ledger.
    dataset
        Exposure or association. Of an association all that was observed in its visit is
        returned; its table says what is taken.
    source
        ``archive:`` or ``archive:NAME,NAME...``: runs, chains and tags in order.

    Raises
    ------
    ConfigError
        A name is neither a run's nor a chain's nor a tag's, or the URI is another one.
    """
    rank = rank_of(rows, source)
    text = _OF_ASSOCIATION if dataset.is_association else _OF_EXPOSURE
    parameters = {"root": dataset.name, "visit": f"{dataset.name[:_VISIT]}%"}
    found = rows(text, parameters if dataset.is_association else {"root": dataset.name})
    by_root: dict[str, list[Row]] = defaultdict(list)
    for row in found:
        if suffix_of(row["name"]) in INPUT_SUFFIXES[dataset.instrument]:
            by_root[row["rootname"]].append(row)
    chosen = [row for each in by_root.values() for row in _best(each, dataset, rank)]
    return {_file_name(row): registered(row) for row in chosen}


def _best(found: Sequence[Row], dataset: DatasetId, rank: Callable[[Row], int | None]) -> list[Row]:
    """Return the files of one exposure in the publication that is looked at first."""
    publications: dict[tuple[int, str, str], list[Row]] = defaultdict(list)
    for row in sorted(found, key=lambda row: str(row["published_at"]), reverse=True):
        place = rank(row)
        if place is not None:
            publications[place, row["run"], row["dataset"]].append(row)

    def order(key: tuple[int, str, str]) -> tuple[bool, int, bool]:
        place, _, published_with = key
        return (not _is_whole(publications[key], dataset), place, published_with != dataset.name)

    first = min(publications, key=order, default=None)  # the newest of equals: it came first
    return [] if first is None else publications[first]


def _is_whole(found: Iterable[Row], dataset: DatasetId) -> bool:
    """Tell whether there is an exposure or a table, and not its support file alone."""
    wanted = {"asn", *EXPOSURE_SUFFIXES[dataset.instrument]}
    return any(suffix_of(row["name"]) in wanted for row in found)


def _file_name(row: Row) -> str:
    return str(row["name"]).rpartition("/")[2].lower()
