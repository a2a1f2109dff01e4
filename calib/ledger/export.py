"""The whole ledger as text: one JSON object a line, to keep, to read, or to move databases.

The first line names the schema, then come the rows of every table in an order in which each
row follows those that it refers to, and the last line counts them, so that a file that was
cut short is noticed. Equal ledgers give equal text.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TextIO, cast

from sqlalchemy import Boolean, Connection, Table, func, insert, select, text
from sqlalchemy.exc import DataError, IntegrityError

from calib.errors import ConfigError
from calib.ledger.ledger import Ledger
from calib.ledger.location import hide_credentials
from calib.ledger.reading import open_reader
from calib.ledger.reports import Rows
from calib.ledger.revision import REVISION
from calib.ledger.schema import metadata
from calib.stores.new_file import new_file

FORMAT = "hstflow-ledger"

# Rows that are read or inserted at once.
_AT_ONCE = 2_000

# Bytes of one line: an exposure header is some 20 kB; more than this is no row of ours.
_LONGEST = 16 << 20

# Numbers that both databases can hold (BIGINT).
_BIGGEST = 2**63


def export_ledger(url: str, target: Path | None) -> dict[str, int]:
    """Write the ledger down, as it is at one moment, also while others write to it.

    Parameters
    ----------
    url
        URL of the ledger.
    target
        A new file, gzipped if its name ends in ``.gz``; None for stdout.

    Returns
    -------
    dict
        Number of rows by table.

    Raises
    ------
    ConfigError
        There is no ledger, it cannot be read, or the file exists or cannot be written.
    """
    with open_reader(url) as rows:
        if rows is None:
            raise ConfigError("there is no ledger to export", path=hide_credentials(url))
        if target is None:
            return _write(rows, sys.stdout)
        with _opened_anew(target) as stream:
            return _write(rows, stream)


def import_ledger(source: Path, ledger: Ledger) -> dict[str, int]:
    """Fill an empty ledger, on any kind of database, with what was exported.

    Parameters
    ----------
    source
        A file of :func:`export_ledger`.
    ledger
        Without any row.

    Returns
    -------
    dict
        Number of rows by table.

    Raises
    ------
    ConfigError
        The file cannot be read, is of another schema, has a table, column or value that is
        not ours or a row that refers to nothing, or is cut short; or the ledger is not
        empty. Nothing is written then.
    """

    def fill(connection: Connection) -> dict[str, int]:
        _refuse_filled(connection, ledger.url)
        with _opened(source) as stream:
            return _insert_all(connection, _Lines(stream, source))

    return ledger.write(fill)


def _write(rows: Rows, stream: TextIO) -> dict[str, int]:
    counts = {}
    stream.write(_line({"format": FORMAT, "schema": REVISION}))
    for table in _tables():
        counts[table.name] = 0
        for row in _read(rows, table):
            stream.write(_line({"table": table.name, "row": row}))
            counts[table.name] += 1
    stream.write(_line({"rows": counts}))
    return counts


def _read(rows: Rows, table: Table) -> Iterator[dict[str, Any]]:
    truths = [column.name for column in table.columns if isinstance(column.type, Boolean)]
    names = ", ".join(column.name for column in table.columns)
    query = f"SELECT {names} FROM {table.name} WHERE id > :after ORDER BY id LIMIT :number"  # noqa: S608 - our own names
    after = -1
    while found := rows(query, {"after": after, "number": _AT_ONCE}):
        for row in found:
            # SQLite has numbers for truth values.
            yield {**row, **{name: bool(row[name]) for name in truths}}
        after = found[-1]["id"]


def _line(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False) + "\n"


def _tables() -> list[Table]:
    return [*metadata.sorted_tables]


@contextmanager
def _opened_anew(target: Path) -> Iterator[TextIO]:
    """Give a file to write, which bears its name when it is whole, and replaces no other."""
    try:
        with new_file(target) as part, part.open("xb") as raw, _packed(raw, target) as stream:
            yield stream
    except FileExistsError as error:
        raise ConfigError("the file exists: name another one", path=target) from error
    except OSError as error:
        raise ConfigError(f"the ledger cannot be exported: {error}", path=target) from error


@contextmanager
def _packed(raw: IO[bytes], target: Path) -> Iterator[TextIO]:
    if target.suffix != ".gz":
        with io.TextIOWrapper(raw, encoding="utf-8", newline="\n") as plain:
            yield plain
        return
    # Without name and time, so that equal ledgers give equal files.
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(cast("IO[bytes]", packed), encoding="utf-8", newline="\n") as stream,
    ):
        yield stream


@contextmanager
def _opened(source: Path) -> Iterator[IO[bytes]]:
    try:
        with source.open("rb") as raw:
            if source.suffix != ".gz":
                yield raw
                return
            with gzip.GzipFile(fileobj=raw) as packed:
                yield cast("IO[bytes]", packed)
    except (OSError, EOFError) as error:
        raise ConfigError(f"the export cannot be read: {error}", path=source) from error


class _Lines:
    """The lines of an export, each read into a mapping, and their number for messages."""

    def __init__(self, stream: IO[bytes], source: Path) -> None:
        self._stream = stream
        self._source = source
        self._number = 0

    def read(self) -> dict[str, Any] | None:
        """Return the next line, None after the last."""
        line = self._stream.readline(_LONGEST)
        if not line:
            return None
        self._number += 1
        try:
            content = json.loads(line)
        except ValueError as error:
            raise self.fault("not a line of JSON", found=repr(line[:40])) from error
        if not isinstance(content, dict):
            raise self.fault("not a JSON object", found=repr(line[:40]))
        return content

    def fault(self, message: str, *, expected: object = None, found: object = None) -> ConfigError:
        """Return an error that names the line."""
        message = f"line {self._number} of the export: {message}; nothing was imported"
        return ConfigError(message, path=self._source, expected=expected, found=found)


def _refuse_filled(connection: Connection, url: str) -> None:
    for table in _tables():
        if connection.execute(select(table.c.id).limit(1)).first() is not None:
            message = "an export goes into an empty ledger only"
            raise ConfigError(message, path=url, found=f"rows in {table.name}")


def _insert_all(connection: Connection, lines: _Lines) -> dict[str, int]:
    head = {"format": FORMAT, "schema": REVISION}
    if (found := lines.read()) != head:
        raise lines.fault("another format or schema", expected=head, found=found)
    counts: Counter[str] = Counter({table.name: 0 for table in _tables()})
    for table, rows in _batches(lines, counts):
        _insert(connection, table, rows, lines)
    _renumber(connection)
    return dict(counts)


def _batches(
    lines: _Lines, counts: Counter[str]
) -> Iterator[tuple[Table, Sequence[Mapping[str, Any]]]]:
    """Yield rows of one table at a time, checked, until the line that counts them."""
    tables = {table.name: table for table in _tables()}
    batch: list[dict[str, Any]] = []
    last: Table | None = None
    while content := lines.read():
        if content.keys() == {"rows"}:
            break
        table = _table_of(content, tables, lines)
        if last is not None and (table is not last or len(batch) == _AT_ONCE):
            yield last, batch
            batch = []
        last = table
        batch.append(_checked(content["row"], table, lines))
        counts[table.name] += 1
    if last is not None:
        yield last, batch
    if content is None or content != {"rows": dict(counts)} or lines.read() is not None:
        raise lines.fault("the end is missing, or counts other rows", expected=dict(counts))


def _table_of(content: Mapping[str, Any], tables: Mapping[str, Table], lines: _Lines) -> Table:
    name = content.get("table")
    if content.keys() != {"table", "row"} or not isinstance(content["row"], dict):
        raise lines.fault("not a row", expected="table and row", found=" ".join(content)[:80])
    if not isinstance(name, str) or name not in tables:
        raise lines.fault("unknown table", expected=", ".join(tables), found=repr(name)[:80])
    return tables[name]


def _checked(row: dict[str, Any], table: Table, lines: _Lines) -> dict[str, Any]:
    """Return a row whose values are of the kinds that its columns have: SQLite takes any."""
    names = {column.name for column in table.columns}
    if row.keys() != names:
        odd = sorted(names ^ row.keys())
        message = f"other columns than those of {table.name}"
        raise lines.fault(message, expected=", ".join(sorted(names)), found=odd[:5])
    for column in table.columns:
        value, kind = row[column.name], column.type.python_type
        fits = column.nullable if value is None else _is_of(value, kind)
        if not fits:
            message = f"not a value for {table.name}.{column.name}"
            raise lines.fault(message, expected=kind.__name__, found=repr(value)[:80])
    return row


def _is_of(value: object, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return type(value) is int and -_BIGGEST <= value < _BIGGEST
    if kind is str:
        return isinstance(value, str) and "\x00" not in value
    return type(value) is kind


def _insert(
    connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]], lines: _Lines
) -> None:
    try:
        connection.execute(insert(table), list(rows))
    except (IntegrityError, DataError) as error:
        why = " ".join(str(error.orig).split())
        raise lines.fault(f"the rows of {table.name} cannot be", found=why[:200]) from error


def _renumber(connection: Connection) -> None:
    """Let PostgreSQL number new rows after the imported ones; SQLite does so by itself."""
    if connection.dialect.name != "postgresql":
        return
    for table in _tables():
        last = connection.scalar(select(func.max(table.c.id)))
        if last is not None:
            query = text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :last)")
            connection.execute(query, {"name": table.name, "last": last})
