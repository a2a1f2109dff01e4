"""What campaigns cost as files: Parquet, CSV, JSON lines, and CALCLOUD's blackboard.

Written as they are read, some thousand rows at a time, and named when they are whole.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TextIO

from calib.campaigns.blackboard import blackboard
from calib.errors import ConfigError
from calib.ledger.costs import CostTable, Kind, read_costs, read_submissions
from calib.ledger.reports import Rows
from calib.stores.new_file import new_file, newer_file

Format = Literal["parquet", "csv", "jsonl", "blackboard"]

# Format by the end of a file's name; `.snapshot` is CALCLOUD's for the blackboard.
SUFFIXES: dict[str, Format] = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".snapshot": "blackboard",
}

INSTALL = "pip install 'hstflow[parquet]'"

Batches = Iterable[list[dict[str, Any]]]


@dataclass(frozen=True)
class Export:
    """What is exported.

    Attributes
    ----------
    table
        One of :data:`calib.ledger.costs.TABLES`; the blackboard has its own.
    campaign
        Only this one; None: all.
    work
        Work folder, for the blackboard's links to logs.
    """

    table: CostTable
    campaign: str | None
    work: str


def format_of(target: str) -> Format:
    """Return the format that a file's name tells.

    Raises
    ------
    ConfigError
        It tells none.
    """
    if Path(target).stem == "blackboard":
        return "blackboard"
    found = SUFFIXES.get(Path(target).suffix)
    if found is None:
        message = "the name tells no format: end it so, or say --format"
        raise ConfigError(message, expected=", ".join(SUFFIXES), found=target)
    return found


def export_costs(
    rows: Rows, wanted: Export, kind: Format, target: Path | None, *, replace: bool = False
) -> int:
    """Write a table down, and return how many rows it has.

    Parameters
    ----------
    rows
        Asks the ledger.
    wanted
        What to write.
    kind
        Format of the file.
    target
        The file; None for stdout.
    replace
        Take the place of a file that is there, at once, when the new one is whole.

    Raises
    ------
    ConfigError
        The file exists or cannot be written, Parquet was asked for on stdout, or pyarrow is
        not installed.
    """
    if kind == "parquet":
        if target is None:
            raise ConfigError("Parquet needs a file: it is written from its end", found="-")
        write_parquet = _parquet_writer(wanted.table)
        with _named(target, replace=replace) as part:
            return write_parquet(read_costs(rows, wanted.table, campaign=wanted.campaign), part)
    if target is None:
        return _write_text(rows, wanted, kind, sys.stdout)
    with (
        _named(target, replace=replace) as part,
        part.open("x", encoding="utf-8", newline="") as stream,
    ):
        return _write_text(rows, wanted, kind, stream)


@contextmanager
def _named(target: Path, *, replace: bool) -> Iterator[Path]:
    try:
        with newer_file(target) if replace else new_file(target) as part:
            yield part
    except FileExistsError as error:
        message = "the file exists: name another one, or say --replace"
        raise ConfigError(message, path=target) from error
    except OSError as error:
        raise ConfigError(f"the export cannot be written: {error}", path=target) from error


def _write_text(rows: Rows, wanted: Export, kind: Format, stream: TextIO) -> int:
    if kind == "blackboard":
        lines = blackboard(read_submissions(rows, campaign=wanted.campaign), wanted.work)
        return sum(stream.write(line) > 0 for line in lines) - 1  # without the header
    batches = read_costs(rows, wanted.table, campaign=wanted.campaign)
    if kind == "jsonl":
        return _write_jsonl(batches, stream)
    return _write_csv(batches, wanted.table, stream)


def _write_jsonl(batches: Batches, stream: TextIO) -> int:
    count = 0
    for some in batches:
        count += len(some)
        stream.writelines(json.dumps(row, separators=(",", ":")) + "\n" for row in some)
    return count


def _write_csv(batches: Batches, table: CostTable, stream: TextIO) -> int:
    count = 0
    writer = csv.DictWriter(stream, list(table.columns), lineterminator="\n")
    writer.writeheader()
    for some in batches:
        count += len(some)
        writer.writerows(some)
    return count


def _parquet_writer(table: CostTable) -> Callable[[Batches, Path], int]:
    """Return a function that writes batches of rows into a file, or say what is missing."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError(f"Parquet needs pyarrow: {INSTALL}, or write .csv or .jsonl") from error
    kinds = {
        "text": pa.string(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "time": pa.timestamp("us", tz="UTC"),
    }
    schema = pa.schema(
        [pa.field(n, kinds[k], nullable=n != "id") for n, k in table.columns.items()]
    )

    def write(batches: Batches, target: Path) -> int:
        count = 0
        with parquet.ParquetWriter(target, schema, compression="zstd") as writer:
            for some in batches:
                columns = {name: _values(some, name, kind) for name, kind in table.columns.items()}
                writer.write_table(pa.table(columns, schema=schema))
                count += len(some)
        return count

    return write


def _values(some: list[dict[str, Any]], name: str, kind: Kind) -> list[Any]:
    values = [row[name] for row in some]
    if kind != "time":
        return values
    return [None if value is None else datetime.fromisoformat(value) for value in values]
