"""Pollers: the lists of exposures that runsinglehap and runmultihap are called with.

::

    j8ph01abq_flc.fits,9453,8PH,01,500.0,F606W;CLEAR2L,WFC,j8ph01abq_flc.fits
    hst_9453_01_acs_wfc_f606w_j8ph01ab_flc.fits,9453,8PH,01,500.0,F606W;CLEAR2L,WFC,
        skycell-p2381x06y09,NEW,hst_9453_01_acs_wfc_f606w_j8ph01ab_flc.fits       (one line)

Eight columns for a visit, ten for a skycell, without a heading; a list of file names alone is
taken, too, and completed from the headers (drizzlepac 3.11.0, haputils/poller_utils.py,
POLLER_COLNAMES and MVM_POLLER_COLNAMES). The last column is a path that drizzlepac copies from
where the file is not beside the poller. Here every file is beside it, and the path of a poller
from elsewhere is never followed.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from calib.errors import CorruptFile
from calib.hap_names import ImageName, is_image_of, read_image_name
from calib.ids import DatasetId

# The deepest skycells hold a few thousand exposures; a visit some hundred. A poller of more
# rows or bytes is something else.
MOST_ROWS = 20_000
MOST_BYTES = 8 << 20

DETECTORS = {"acs": ("WFC", "HRC", "SBC"), "wfc3": ("UVIS", "IR")}

_COLUMNS = "filename,proposal,program,visit,exptime,filters,detector,path"
_SKYCELL_COLUMNS = "filename,proposal,program,visit,exptime,filters,detector,skycell,NEW|OLD,path"

# `F606W`, `F140LP;N/A`, `CLEAR1L;F850LP`: names of the elements of the filter wheels.
_FILTERS = re.compile(r"[A-Z0-9/._-]{1,20}(?:;[A-Z0-9/._-]{1,20}){0,2}", re.ASCII)
_PROPOSAL = re.compile(r"[0-9]{1,6}", re.ASCII)
_NUMBER = re.compile(r"[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]{1,3})?|[0-9]+\.", re.ASCII)

Flag = Literal["NEW", "OLD"]


@dataclass(frozen=True)
class PollerRow:
    """One exposure of a poller.

    Attributes
    ----------
    name
        File name, lower case, without a folder.
    proposal
        Number of the observing proposal.
    exptime
        Exposure time, seconds.
    filters
        The elements in the beam, joined by ``;``, upper case.
    detector
        ``WFC``, ``HRC``, ``SBC``, ``UVIS`` or ``IR``.
    flag
        Of a skycell: ``OLD`` where the skycell has the exposure already.
    """

    name: str
    proposal: int
    exptime: float
    filters: str
    detector: str
    flag: Flag = "NEW"


@dataclass(frozen=True)
class Poller:
    """A poller, read.

    Attributes
    ----------
    names
        The files that it lists, in its order, lower case.
    rows
        What it says of each; none where it is a list of names.
    """

    names: tuple[str, ...]
    rows: tuple[PollerRow, ...] = ()


def read_poller(path: Path, dataset: DatasetId) -> Poller:
    """Read a poller.

    Parameters
    ----------
    path
        The file. Lines that are empty or begin with ``#`` are passed over.
    dataset
        The visit or skycell whose poller it is.

    Raises
    ------
    CorruptFile
        It is no such list: too long, not of ASCII text, of other columns, with a value that
        has no meaning, a file that is no calibrated exposure of this visit, an exposure
        twice (its FLC and FLT count as one), another skycell, a path of another file. The
        message has the number of the line.
    """
    lines = _lines(path, dataset)
    if not lines:
        raise CorruptFile("the poller names no exposure", dataset=dataset.name, path=path)
    widths = {len(fields) for _, fields in lines}
    if widths not in ({1}, {len(_columns(dataset))}):
        odd = next((n, f) for n, f in lines if len(f) != len(_columns(dataset)))
        raise _refusal(path, dataset, odd[0], "columns", _heading(dataset), ",".join(odd[1])[:200])
    reader = _Reader(path, dataset)
    names = tuple(reader.name(number, fields[0]) for number, fields in lines)
    _refuse_twice(path, dataset, names)
    if widths == {1}:
        return Poller(names)
    return Poller(names, tuple(reader.row(number, fields) for number, fields in lines))


def text_of(dataset: DatasetId, poller: Poller) -> str:
    """Return the text of a poller whose files lie beside it; a list of names stays one."""
    if poller.rows:
        return poller_text(dataset, poller.rows)
    return "".join(f"{name}\n" for name in poller.names)


def check_poller(path: Path) -> None:
    """Refuse a file that is too long for a poller before it is read.

    Raises
    ------
    CorruptFile
        As said, or it is empty.
    """
    size = path.stat().st_size
    if not 0 < size <= MOST_BYTES:
        raise CorruptFile(
            "not a poller", path=path, expected=f"1 to {MOST_BYTES} bytes", found=size
        )


def row_of(name: str, header: Mapping[str, Any]) -> PollerRow:
    """Return the row of an exposure from its primary header.

    Parameters
    ----------
    name
        File name, lower case.
    header
        With PROPOSID, EXPTIME, DETECTOR, and FILTER (WFC3) or FILTER1 and FILTER2 (ACS).

    Raises
    ------
    CorruptFile
        One of them is absent, or has a value that no poller can hold.
    """
    reader = _Reader(Path(name), None)
    instrument = "acs" if _read(name).exposure.startswith("j") else "wfc3"
    words = ("FILTER1", "FILTER2") if instrument == "acs" else ("FILTER",)
    filters = ";".join(str(header[word]).strip() for word in words if word in header)
    proposal, exptime = header.get("PROPOSID"), header.get("EXPTIME")
    return PollerRow(
        name,
        reader.proposal(0, str(proposal)),
        reader.exptime(0, str(exptime)),
        reader.filters(0, filters),
        reader.detector(0, str(header.get("DETECTOR")), instrument),
    )


def poller_text(dataset: DatasetId, rows: Iterable[PollerRow]) -> str:
    """Return the text of a poller whose files lie beside it, in name order.

    The same exposures give the same text, wherever they came from.
    """
    return "".join(f"{_line(dataset, row)}\n" for row in sorted(rows, key=lambda row: row.name))


def _line(dataset: DatasetId, row: PollerRow) -> str:
    exposure = _read(row.name).exposure
    fields = [row.name, str(row.proposal), exposure[1:4].upper(), exposure[4:6].upper()]
    fields += [repr(row.exptime), row.filters, row.detector]
    if dataset.kind == "mvm":
        fields += [dataset.name, row.flag]
    return ",".join([*fields, row.name])


def _columns(dataset: DatasetId) -> list[str]:
    return _heading(dataset).split(",")


def _heading(dataset: DatasetId) -> str:
    return _SKYCELL_COLUMNS if dataset.kind == "mvm" else _COLUMNS


def _lines(path: Path, dataset: DatasetId) -> list[tuple[int, list[str]]]:
    """Return the fields of each line with its number."""
    check_poller(path)
    try:
        text = path.read_bytes().decode("ascii")
    except UnicodeDecodeError as error:
        raise CorruptFile("the poller is no ASCII text", dataset=dataset.name, path=path) from error
    lines = [(n, line.strip(" \t\r")) for n, line in enumerate(text.split("\n"), start=1)]
    kept = [(n, line) for n, line in lines if line and not line.startswith("#")]
    if len(kept) > MOST_ROWS:
        raise CorruptFile(
            "the poller has too many rows",
            dataset=dataset.name,
            path=path,
            expected=f"up to {MOST_ROWS}",
            found=len(kept),
        )
    for number, line in kept:
        if not line.isprintable() or '"' in line:
            raise _refusal(path, dataset, number, "characters", "plain text", repr(line[:200]))
    return [(n, [field.strip() for field in line.split(",")]) for n, line in kept]


def _refuse_twice(path: Path, dataset: DatasetId, names: Sequence[str]) -> None:
    counts = Counter(_read(name).short for name in names)
    if twice := [name for name in names if counts[_read(name).short] > 1]:
        raise CorruptFile(
            "the poller lists an exposure twice",
            dataset=dataset.name,
            path=path,
            expected="one file of each exposure",
            found=" ".join(twice[:6]),
        )


@dataclass(frozen=True)
class _Reader:
    """Reads the fields of a line, or says what is wrong with which line."""

    path: Path
    dataset: DatasetId | None

    def row(self, number: int, fields: Sequence[str]) -> PollerRow:
        name = self.name(number, fields[0])
        proposal, program, visit, exptime, filters, detector = fields[1:7]
        self._check_visit(number, name, (program, visit))
        self._check_path(number, name, fields[-1])
        instrument = "acs" if _read(name).exposure.startswith("j") else "wfc3"
        return PollerRow(
            name,
            self.proposal(number, proposal),
            self.exptime(number, exptime),
            self.filters(number, filters),
            self.detector(number, detector, instrument),
            self._flag(number, fields[7:-1]),
        )

    def name(self, number: int, text: str) -> str:
        name = text.lower()
        if self.dataset is None or not is_image_of(self.dataset, name):
            raise self._wrong(number, "file", self._expected_name(), repr(text[:200]))
        return name

    def proposal(self, number: int, text: str) -> int:
        if not _PROPOSAL.fullmatch(text):
            raise self._wrong(number, "proposal", "a number such as 9453", repr(text))
        return int(text)

    def exptime(self, number: int, text: str) -> float:
        if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
            raise self._wrong(number, "exposure time", "seconds such as 500.0", repr(text))
        return float(text)

    def filters(self, number: int, text: str) -> str:
        if not _FILTERS.fullmatch(text.upper()):
            raise self._wrong(number, "filters", "names such as F606W;CLEAR2L", repr(text))
        return text.upper()

    def detector(self, number: int, text: str, instrument: str) -> str:
        detector = text.strip().upper()
        if detector not in DETECTORS[instrument]:
            raise self._wrong(number, "detector", " or ".join(DETECTORS[instrument]), repr(text))
        return detector

    def _check_visit(self, number: int, name: str, said: tuple[str, str]) -> None:
        visit = _read(name).visit
        expected = (visit[1:4].upper(), visit[4:6].upper())
        if tuple(word.upper() for word in said) != expected:
            raise self._wrong(number, "programme and visit", ",".join(expected), ",".join(said))

    def _check_path(self, number: int, name: str, path: str) -> None:
        if PurePosixPath(path).name.lower() != name:
            raise self._wrong(number, "path", f"a path of {name}", repr(path[:200]))

    def _flag(self, number: int, fields: Sequence[str]) -> Flag:
        if not fields or self.dataset is None:
            return "NEW"
        if fields[0].lower() != self.dataset.name:
            raise self._wrong(number, "skycell", self.dataset.name, repr(fields[0]))
        if fields[1].upper() == "OLD":
            return "OLD"
        if fields[1].upper() != "NEW":
            raise self._wrong(number, "flag", "NEW or OLD", repr(fields[1]))
        return "NEW"

    def _expected_name(self) -> str:
        if self.dataset is None or self.dataset.kind == "mvm":
            return "hst_9453_01_acs_wfc_f606w_j8ph01ab_flc.fits"
        return f"{self.dataset.visit_root}..._flc.fits or _flt.fits, without a folder"

    def _wrong(self, number: int, what: str, expected: str, found: str) -> CorruptFile:
        return _refusal(self.path, self.dataset, number, what, expected, found)


def _read(name: str) -> ImageName:
    """Read a name that was looked at before."""
    image = read_image_name(name)
    if image is None:
        raise CorruptFile("not the name of a calibrated exposure", path=name)
    return image


def _refusal(
    path: Path, dataset: DatasetId | None, number: int, what: str, expected: str, found: str
) -> CorruptFile:
    where = f"line {number} of the poller has" if number else "the header has"
    return CorruptFile(
        f"{where} other {what} than a poller may have",
        dataset=dataset.name if dataset else None,
        path=path,
        expected=expected,
        found=found,
    )
