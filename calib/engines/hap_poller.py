"""The poller file of a visit or skycell: which images its program combines.

One line per image, columns separated by commas (drizzlepac.haputils.poller_utils): file name,
proposal, program, visit, exposure time, filters, detector, path for a visit (8 columns); with
the skycell and NEW or OLD before the path for a skycell (10 columns). A visit may also have
the file names alone.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from calib.errors import CorruptFile, MissingMember
from calib.fitsfile import writing

# Numbers of columns by kind of dataset; the last one of the full form is the path.
COLUMNS = {"svm": frozenset({1, 8}), "mvm": frozenset({10})}
_WITH_PATH = frozenset({8, 10})


def bring_poller(source: Path, target: Path, kind: str, there: Iterable[str]) -> tuple[str, ...]:
    """Write a poller file whose paths lead to images beside it.

    Parameters
    ----------
    source, target
        The file, which stays as it is, and its copy.
    kind
        ``svm`` or ``mvm``.
    there
        Names of the files beside the copy.

    Returns
    -------
    tuple of str
        The images that it names.

    Raises
    ------
    CorruptFile
        It names none, one twice, or a line has another number of columns.
    MissingMember
        It names images that are not there.
    """
    rows = _rows(source, kind)
    names = tuple(row[0] for row in rows)
    if absent := sorted({*names} - {*there}):
        raise MissingMember(
            "the poller file names images that are not among the inputs",
            path=source,
            expected=", ".join(names),
            found=f"all but {', '.join(absent)}",
        )
    lines = [[*row[:-1], row[0]] if len(row) in _WITH_PATH else row for row in rows]
    with writing(target):
        target.write_text("".join(f"{','.join(line)}\n" for line in lines), encoding="utf-8")
    return names


def _rows(source: Path, kind: str) -> list[list[str]]:
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorruptFile(f"the poller file cannot be read: {error}", path=source) from error
    rows = [[field.strip() for field in row] for row in csv.reader(lines) if any(row)]
    names = [row[0] for row in rows]
    wrong = next((row for row in rows if len(row) not in COLUMNS[kind] or not row[0]), None)
    if not rows or wrong is not None or len({*names}) < len(names):
        raise CorruptFile(
            "not a poller file",
            path=source,
            expected=f"{' or '.join(map(str, sorted(COLUMNS[kind])))} columns in each line, "
            "each image once",
            found="no line" if not rows else ",".join(wrong or names),
        )
    return rows
