"""Publications and their files, one or ten thousand in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, insert, select, update

from calib.caldp import suffix_of
from calib.errors import ArchiveError
from calib.ids import rootname_of
from calib.ledger.location import hide_credentials
from calib.ledger.registry import run_row
from calib.ledger.schema import data_id as data_ids
from calib.ledger.schema import member as members
from calib.ledger.schema import product as products
from calib.ledger.schema import publication as publications
from calib.ledger.schema import tagged_product as tagged_products
from calib.ledger.schema import tombstone as tombstones
from calib.ledger.upsert import upsert
from calib.records import DataId, Member

Transfer = Literal["copy", "link", "in-place"]

# Names in one IN (...): SQLite takes 32766 parameters, PostgreSQL 65535.
_AT_ONCE = 10_000


@dataclass(frozen=True)
class PublishedFile:
    """One file of a publication.

    Attributes
    ----------
    name
        Path below the folder of the dataset.
    type
        Dataset type: the suffix of a product (``raw``, ``flt``), or ``preview``, ``log``, ``env``.
    rootname
        The exposure or association that it shows.
    sha256
        Checksum (hexadecimal); None where nobody computed it.
    size
        Bytes.
    uri
        Where it lies, if that is not the folder of the publication.
    """

    name: str
    type: str
    rootname: str
    sha256: str | None
    size: int
    uri: str | None = None


@dataclass(frozen=True)
class Published:
    """A dataset in a run.

    Attributes
    ----------
    run, dataset
        The run, which must exist, and the name of the dataset.
    uri
        The dataset's folder in the run.
    published_at
        ISO 8601, UTC.
    fingerprint, manifest_sha256
        As in the manifest; None for what has none.
    transfer
        ``copy`` or ``link`` where the archive owns the files, ``in-place`` where they are
        somebody else's.
    tombstones
        Name and last run of products that are not made any more.
    """

    run: str
    dataset: str
    uri: str
    files: tuple[PublishedFile, ...]
    published_at: str
    fingerprint: str | None = None
    manifest_sha256: str | None = None
    transfer: Transfer = "copy"
    tombstones: tuple[tuple[str, str], ...] = ()


def record_publications(
    connection: Connection, found: Sequence[Published], *, attempt_id: int | None = None
) -> int:
    """Write publications down with their files; what is known already changes nothing.

    A publication that was pruned and is there again takes its new files.

    Parameters
    ----------
    found
        No two of the same run and dataset.
    attempt_id
        The attempt that published them; None for what was made elsewhere, or is found again.

    Returns
    -------
    int
        How many publications are new.

    Raises
    ------
    ArchiveError
        A run has a file of this name with another checksum: a run is write-once.
    ConfigError
        There is no such run.
    """
    new = 0
    by_run: dict[str, list[Published]] = {}
    for each in found:
        by_run.setdefault(each.run, []).append(each)
    for run, those in by_run.items():
        run_id = run_row(connection, run).id
        for start in range(0, len(those), _AT_ONCE):
            some = those[start : start + _AT_ONCE]
            new += _record_some(connection, run_id, some, attempt_id)
    return new


def record_data_ids(connection: Connection, found: Iterable[DataId]) -> None:
    """Write down what exposures and associations show; the latest word counts."""
    rows = {each.rootname: vars(each) for each in found}
    upsert(connection, data_ids, list(rows.values()), ["rootname"])


def record_members(connection: Connection, association: str, found: Iterable[Member]) -> None:
    """Write down the rows of an association table, in place of those of before."""
    connection.execute(delete(members).where(members.c.association == association))
    rows = {each.name.lower(): each for each in found}
    if rows:
        connection.execute(
            insert(members),
            [
                {"association": association, "rootname": name, **_member(each)}
                for name, each in rows.items()
            ],
        )


def dataset_type(name: str, role: str = "product") -> str:
    """Return the dataset type of a file: ``j8bt05njq_flt.fits`` is a ``flt``.

    Of an exposure all that follows its name counts: ``la8q99030_rawtag_a.fits`` is a
    ``rawtag_a``. A name without an underscore gives its extension: ``j8bt05njq.tra`` is a
    ``tra``. Files that are not products are of the type of their role: ``preview``, ``log``,
    ``env``.
    """
    if role != "product":
        return role
    if rootname_of(name, "") and (suffix := suffix_of(name.rpartition("/")[2])):
        return suffix[:32]
    stem, _, extension = name.rpartition("/")[2].partition(".")
    return (stem.rpartition("_")[2] if "_" in stem else extension).lower()[:32]


def _member(each: Member) -> dict[str, Any]:
    return {"type": each.type, "present": each.present}


def _record_some(
    connection: Connection, run_id: int, found: Sequence[Published], attempt_id: int | None
) -> int:
    known = _known(connection, run_id, [each.dataset for each in found])
    for each in found:
        if each.dataset in known:
            _join(connection, known[each.dataset], each, attempt_id)
    new = [each for each in found if each.dataset not in known]
    if new:
        rows = [{"run_id": run_id, **_row(each, attempt_id)} for each in new]
        statement = insert(publications).returning(publications.c.id, sort_by_parameter_order=True)
        numbers = connection.scalars(statement, rows).all()
        _insert_files(connection, zip(numbers, new, strict=True))
    return len(new)


def _known(connection: Connection, run_id: int, datasets: Sequence[str]) -> dict[str, Row[Any]]:
    query = select(publications).where(
        publications.c.run_id == run_id, publications.c.dataset.in_(datasets)
    )
    return {row.dataset: row for row in connection.execute(query)}


def _row(each: Published, attempt_id: int | None) -> dict[str, Any]:
    return {
        "attempt_id": attempt_id,
        "dataset": each.dataset,
        "fingerprint": each.fingerprint,
        "uri": hide_credentials(each.uri).rstrip("/"),
        "manifest_sha256": each.manifest_sha256,
        "transfer": each.transfer,
        "published_at": each.published_at,
        "removed_at": None,
    }


def _insert_files(connection: Connection, found: Iterable[tuple[int, Published]]) -> None:
    pairs = list(found)
    rows = [row for number, each in pairs for row in _file_rows(number, each.files)]
    if rows:
        connection.execute(insert(products), rows)
    _insert_tombstones(connection, pairs)


def _insert_tombstones(connection: Connection, found: Iterable[tuple[int, Published]]) -> None:
    gone = [
        {"publication_id": number, "name": name, "last_run": run}
        for number, each in found
        for name, run in each.tombstones
    ]
    if gone:
        connection.execute(insert(tombstones), gone)


def _file_rows(number: int, files: Iterable[PublishedFile]) -> Iterator[dict[str, Any]]:
    for file in files:
        uri = None if file.uri is None else hide_credentials(file.uri)
        yield {"publication_id": number, **vars(file), "uri": uri}


def _join(connection: Connection, known: Row[Any], each: Published, attempt_id: int | None) -> None:
    """Add what is new to a publication that is known."""
    mine = publications.c.id == known.id
    if known.removed_at is not None:
        connection.execute(update(publications).where(mine).values(_row(each, attempt_id)))
        _replace_files(connection, known.id, each)
        return
    query = select(products.c.name, products.c.sha256).where(products.c.publication_id == known.id)
    there = {row.name: row.sha256 for row in connection.execute(query)}
    _refuse_changed(there, each)
    rows = list(_file_rows(known.id, [file for file in each.files if file.name not in there]))
    if rows:
        connection.execute(insert(products), rows)


def _replace_files(connection: Connection, number: int, each: Published) -> None:
    """Give a publication that was pruned its new files; tags keep those of the same name."""
    upsert(connection, products, list(_file_rows(number, each.files)), ["publication_id", "name"])
    names = [file.name for file in each.files]
    lost = (products.c.publication_id == number) & products.c.name.not_in(names)
    numbers = select(products.c.id).where(lost)
    connection.execute(delete(tagged_products).where(tagged_products.c.product_id.in_(numbers)))
    connection.execute(delete(products).where(lost))
    connection.execute(delete(tombstones).where(tombstones.c.publication_id == number))
    _insert_tombstones(connection, [(number, each)])


def _refuse_changed(there: Mapping[str, str | None], each: Published) -> None:
    for file in each.files:
        before = there.get(file.name)
        if None not in {before, file.sha256} and before != file.sha256:
            message = f"run {each.run} has this product with other content: a run is write-once"
            raise ArchiveError(
                message,
                dataset=each.dataset,
                path=file.name,
                expected=before,
                found=file.sha256,
            )
