"""The small frozen records that stages hand to each other, and their JSON.

Pixels never leave a stage: a record holds paths, ids, sizes and checksums. Every record
round-trips through JSON (`to_json`, `from_json`), which is what work folders, the manifest
and the ledger store; pickles are never stored.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from calib.grants import Retry

if TYPE_CHECKING:
    from pydantic import ValidationError

T = TypeVar("T")

# Of STIS: exposures of calibration lamps, and photon events (STIS Data Handbook, section 2.2).
_STIS_RAWS = frozenset({"wav", "tag"})

# The file that is no FITS file (calib.caldp.ENVIRONMENT).
_ENVIRONMENT = "cal_env"

# Calibrated exposures that mosaics of visits and skycells are made of (drizzlepac, poller_utils).
_CALIBRATED_IMAGES = frozenset({"flc", "flt"})

# How calibration may end without products, where that is no failure.
Ending = Literal["nothing to do", "no viable data"]


def utc_now() -> str:
    """Return the time as ``2026-01-31T23:59:59.000001+00:00``: such texts sort as times."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


@dataclass(frozen=True)
class InputFile:
    """One raw input file.

    Attributes
    ----------
    name, path
        File name, and where it lies now.
    sha256, size
        Checksum of its bytes (hexadecimal) and its size in bytes.
    suffix
        ``raw``, ``asn``, ``spt``, ``rawtag_a``...; of visits and skycells ``flc``, ``flt``, and
        ``poller`` for the list of exposures that the mosaic programs read.
    rootname
        Dataset the file belongs to, lower case: the exposure that it shows; of a poller the
        visit or skycell.
    """

    name: str
    path: str
    sha256: str
    size: int
    suffix: str
    rootname: str


@dataclass(frozen=True)
class Member:
    """One row of an association table."""

    name: str
    type: str
    present: bool


@dataclass(frozen=True)
class RawInputs:
    """What fetch found: the complete, verified input files of a dataset.

    Attributes
    ----------
    dataset, source
        Whose, and where they came from.
    files
        In name order.
    members
        Rows of the association table; of a visit or skycell one row for each exposure, with
        the type ``FLC`` or ``FLT``.
    notes
        What a person should know of what is not among them.
    """

    dataset: str
    source: str
    files: tuple[InputFile, ...]
    members: tuple[Member, ...] = ()
    notes: tuple[str, ...] = ()

    def of(self, suffix: str) -> tuple[InputFile, ...]:
        """Return the files with this suffix, in name order."""
        return tuple(f for f in self.files if f.suffix == suffix)

    @property
    def environment(self) -> InputFile | None:
        """The file of variables for the programs that calibrate this dataset, if there is one."""
        return next(iter(self.of(_ENVIRONMENT)), None)

    @property
    def exposures(self) -> tuple[InputFile, ...]:
        """The files that references are chosen for: raws, and what STIS has beside them."""
        return tuple(f for f in self.files if f.suffix.startswith("raw") or f.suffix in _STIS_RAWS)

    @property
    def images(self) -> tuple[InputFile, ...]:
        """The calibrated exposures that the mosaics of a visit or skycell are made of."""
        return tuple(f for f in self.files if f.suffix in _CALIBRATED_IMAGES)

    @property
    def calibrated(self) -> tuple[InputFile, ...]:
        """The exposures that are calibrated in their own right.

        A wavelength calibration (wav) or a list of events (tag) is one only where there is no
        raw image of the same name: otherwise the image is, and it names the wavecal.
        """
        raws = {f.rootname for f in self.exposures if f.suffix not in _STIS_RAWS}
        return tuple(
            f for f in self.exposures if f.suffix not in _STIS_RAWS or f.rootname not in raws
        )


@dataclass(frozen=True)
class DataId:
    """What an exposure or association shows: the words that products are asked for by.

    Attributes
    ----------
    rootname
        Exposure or association (ipppssoot), or visit or skycell, lower case.
    instrument
        ``acs``, ``wfc3``, ``cos``, ``stis``, or ``mvm`` for a skycell.
    program, visit
        Three and two characters of the name; empty for a skycell.
    detector
        ``HRC``, ``WFC``... as in the header.
    filter
        Filters, gratings and prisms that are in the beam, joined by ``;``; ``CLEAR`` for none.
    proposal
        Number of the observing proposal.
    target
        Name of the target, as the proposer wrote it.
    observed_at
        Start of the exposure, ISO 8601, UTC.
    exptime
        Exposure time, seconds.

    What a header does not say, or what the members of an association do not share, is None.
    """

    rootname: str
    instrument: str
    program: str
    visit: str
    detector: str | None = None
    filter: str | None = None
    proposal: int | None = None
    target: str | None = None
    observed_at: str | None = None
    exptime: float | None = None


@dataclass(frozen=True)
class ReferenceUse:
    """One reference keyword of one exposure.

    Attributes
    ----------
    keyword
        ``BIASFILE``...
    name
        File name, or ``N/A`` where the rules require none.
    path
        Where the file lies; None for N/A and for a file that is not in the cache.
    sha1
        Checksum as in the CRDS catalogue; None where there is no file, and where nobody asked.
    required
        Whether a PERFORM switch of the engine opens it.
    """

    keyword: str
    name: str
    path: str | None = None
    sha1: str | None = None
    required: bool = False

    @property
    def present(self) -> bool:
        """Whether the file was found."""
        return self.path is not None


@dataclass(frozen=True)
class ExposureReferences:
    """The references of one exposure and the header values that selected them."""

    file: str
    references: tuple[ReferenceUse, ...]
    matching_header: dict[str, str] = field(default_factory=dict)

    def path(self, keyword: str) -> str | None:
        """Return the path of a reference, None for N/A or an unknown keyword."""
        return next((r.path for r in self.references if r.keyword == keyword), None)


@dataclass(frozen=True)
class References:
    """What bestrefs decided, on one context, for every exposure of a dataset.

    Attributes
    ----------
    context
        The CRDS context, such as ``hst_0729.pmap``.
    crds_version
        Version of the crds library.
    exposures
        References by exposure file.
    differences
        Keywords for which members of one association got different references.
    """

    context: str
    crds_version: str
    exposures: tuple[ExposureReferences, ...]
    differences: tuple[str, ...] = ()

    def of(self, file: str) -> ExposureReferences | None:
        """Return the references of an exposure file by name."""
        return next((e for e in self.exposures if e.file == file), None)


@dataclass(frozen=True)
class ProductFile:
    """A file that a stage made."""

    name: str
    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Products:
    """What calibration made of a dataset, and with what.

    Attributes
    ----------
    files
        Everything that is published as a product.
    engine, engine_version
        Name of the engine, and its numbers-version.
    switches
        Calibration switches as the products have them.
    parameters
        Parameters of the steps.
    log, logs
        The trailer of the dataset, and further files of that kind.
    notes
        What a person should know.
    ending
        Why there are no products, where that is no failure: the dataset is skipped.
    reason
        More about the ending, such as the program's last words.
    stage2
        What became of drizzling: the program and its version, or why there was none; empty
        where nobody asked for it.
    """

    files: tuple[ProductFile, ...]
    engine: str
    engine_version: str
    switches: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    log: str | None = None
    notes: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    ending: Ending | None = None
    reason: str = ""
    stage2: str = ""


@dataclass(frozen=True)
class Previews:
    """Preview pictures.

    `warnings` has a line for each that could not be made; `remarks` are on those that were.
    """

    files: tuple[ProductFile, ...] = ()
    warnings: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Archived:
    """Where a dataset was published.

    Attributes
    ----------
    run, uri
        The run, and the folder of the dataset in it.
    manifest_sha256
        Checksum of the manifest's bytes.
    already_there
        Whether the same result was published before.
    notes
        What a person should know: products that are not made any more.
    stays
        The run that readers go on to see, as a later CRDS context made it; None: nothing of a
        later context was in the way.
    """

    run: str
    uri: str
    manifest_sha256: str
    already_there: bool = False
    notes: tuple[str, ...] = ()
    stays: str | None = None


@dataclass(frozen=True)
class Outcome:
    """How a dataset ended.

    Attributes
    ----------
    state
        ``processed``, ``skipped``, ``error``, ``blocked`` or ``cancelled``.
    reason
        One line for people.
    error_class, code
        Class of the error and exit code; ``None`` and 0 without one.
    stage
        The stage that ended it.
    retry
        The attempt that follows; None: this is how the job ends.
    """

    dataset: str
    state: str
    reason: str
    code: int = 0
    error_class: str | None = None
    stage: str | None = None
    run: str | None = None
    uri: str | None = None
    context: str | None = None
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    retry: Retry | None = None


@cache
def _adapter(kind: Any) -> Any:
    """Build the validator of a record class; pydantic is imported only where JSON is read."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def to_json(record: Any, *, indent: int | None = 2) -> str:
    """Write a record as JSON with sorted keys, so that equal records give equal bytes."""
    return json.dumps(dataclasses.asdict(record), indent=indent, sort_keys=True, default=_plain)


def from_json(kind: type[T], text: str | bytes) -> T:
    """Read a record back.

    Raises
    ------
    pydantic.ValidationError
        The text is not JSON, or a field is missing or of another type.
    """
    record: T = _adapter(cast("Any", kind)).validate_json(text)
    return record


def first_fault(error: ValidationError) -> str:
    """Say which field of a record is wrong, and how; the first one where there are several."""
    fault = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    return f"{where} {fault['msg']}".strip()


def _plain(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    message = f"{type(value).__name__} has no place in a record"
    raise TypeError(message)
