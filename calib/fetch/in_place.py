"""Exposures and associations calibrated where they lie, as `calacs.e FILE` does: no copies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from calib.association import Association
from calib.caldp import suffix_of
from calib.errors import ConfigError, MissingMember, NotFound
from calib.fetch.local import read_association
from calib.fetch.selection import association_files, is_exposure, root_of
from calib.ids import parse_dataset
from calib.records import InputFile, Member, RawInputs
from calib.stores.store import hash_file

RAW, TABLE = "_raw.fits", "_asn.fits"
EXPECTED = "ROOT_raw.fits or ASSOCIATION_asn.fits"


@dataclass(frozen=True)
class FoundFiles:
    """What a named file stands for.

    Attributes
    ----------
    path
        The file: a raw exposure, or the table of an association.
    dataset
        What its name begins with, lower case.
    exposures
        Raw exposures: the file itself, or those that the table marks as present.
    members
        All rows of the table; none for an exposure.
    """

    path: Path
    dataset: str
    exposures: tuple[Path, ...]
    members: tuple[Member, ...] = ()

    @property
    def is_association(self) -> bool:
        """Whether the file is a table."""
        return bool(self.members)

    @property
    def rootnames(self) -> tuple[str, ...]:
        """Names of the exposures."""
        if not self.is_association:
            return (self.dataset,)
        return tuple(root_of(path.name) for path in self.exposures)

    def describe(self) -> RawInputs:
        """Return the record of the files, with their checksums."""
        if not self.is_association:
            files = [_describe(self.path, self.dataset, "raw")]
        else:
            files = [_describe(p, root_of(p.name), suffix_of(p.name)) for p in self.exposures]
            files.append(_describe(self.path, self.dataset, "asn"))
        return RawInputs(self.dataset, str(self.path), tuple(files), self.members)


def find_files(path: Path) -> FoundFiles:
    """Find what belongs to a raw exposure or an association.

    Parameters
    ----------
    path
        ``ROOT_raw.fits``, which is taken alone whatever its ASN_ID says, or
        ``ASSOCIATION_asn.fits``, whose exposures lie beside it. Case of the exposures'
        names does not matter.

    Raises
    ------
    NotFound
        There is no such file.
    ConfigError
        Its name is neither of these.
    MissingMember
        Exposures of the association are missing; all of them are listed.
    CorruptFile
        The table is none.
    """
    if not path.is_file():
        raise NotFound("no such file", path=path)
    if path.name.endswith(RAW):
        return FoundFiles(path, path.name.removesuffix(RAW).lower(), (path,))
    if not path.name.endswith(TABLE):
        raise ConfigError("neither a raw exposure nor an association", path=path, expected=EXPECTED)
    association = read_association(path)
    dataset = path.name.removesuffix(TABLE).lower()
    return FoundFiles(path, dataset, _exposures(path, association), association.members)


def _exposures(table: Path, association: Association) -> tuple[Path, ...]:
    instrument = parse_dataset(association.required[0]).instrument
    beside = {path.name.lower(): path for path in sorted(table.parent.iterdir())}
    try:
        names = association_files(association, instrument, beside)
    except MissingMember as error:
        error.path = str(table)
        raise
    return tuple(beside[name] for name in names if is_exposure(name, instrument))


def _describe(path: Path, rootname: str, suffix: str) -> InputFile:
    return InputFile(
        name=path.name,
        path=str(path),
        sha256=hash_file(path),
        size=path.stat().st_size,
        suffix=suffix,
        rootname=rootname,
    )
