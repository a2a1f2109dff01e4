"""Exposures and associations calibrated where they lie, as `calacs.e FILE` does: no copies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from calib.association import Association
from calib.caldp import ENVIRONMENT, ENVIRONMENT_FILE, EXPOSURE_SUFFIXES, suffix_of
from calib.errors import ConfigError, MissingMember, NotFound
from calib.fetch.holdings import list_folder, only_one
from calib.fetch.local import read_association
from calib.fetch.selection import association_files, inputs_of, is_exposure, root_of
from calib.ids import INSTRUMENT_BY_LETTER, parse_dataset
from calib.records import InputFile, Member, RawInputs
from calib.stores.store import hash_file

RAW, TABLE = "_raw.fits", "_asn.fits"
EXPECTED = (
    "ROOT_raw.fits or ASSOCIATION_asn.fits; of COS ROOT_rawtag_a.fits and the like; of STIS also "
    "ROOT_wav.fits or ROOT_tag.fits"
)

# Of these one exposure is several files: two segments of a detector, a wavelength calibration.
_SEVERAL_FILES = frozenset({"cos", "stis"})


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
        Raw exposures: the file itself with what belongs to it, or those that the table marks
        as present.
    members
        All rows of the table; none for an exposure.
    others
        What lies beside an exposure for its calibration: pulse heights, support files.
    environment
        The dataset's own file of variables.
    """

    path: Path
    dataset: str
    exposures: tuple[Path, ...]
    members: tuple[Member, ...] = ()
    others: tuple[Path, ...] = ()
    environment: Path | None = None

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
        files = [self._describe(path) for path in (*self.exposures, *self.others)]
        if self.is_association:
            files.append(_describe(self.path, self.dataset, "asn"))
        if self.environment is not None:
            files.append(_describe(self.environment, self.dataset, ENVIRONMENT))
        return RawInputs(self.dataset, str(self.path), tuple(files), self.members)

    def _describe(self, path: Path) -> InputFile:
        if path == self.path and path.name.endswith(RAW):  # of any root, also one with `_` in it
            return _describe(path, self.dataset, "raw")
        return _describe(path, root_of(path.name), suffix_of(path.name))


def find_files(path: Path) -> FoundFiles:
    """Find what belongs to a raw exposure or an association.

    Parameters
    ----------
    path
        ``ROOT_raw.fits``, which is taken alone whatever its ASN_ID says, or
        ``ASSOCIATION_asn.fits``, whose exposures lie beside it. Case of the exposures'
        names does not matter. Any exposure file of COS or STIS stands for all files of its
        exposure that lie beside it: both segments, the wavelength calibration. The file of
        variables ``ROOT_cal_env.txt`` or ``ASSOCIATION_cal_env.txt`` comes with it.

    Raises
    ------
    NotFound
        There is no such file.
    ConfigError
        Its name is neither of these.
    MissingMember
        Exposures of the association are missing; all of them are listed.
    CorruptFile
        The table is none, or two files have names that differ in case only.
    """
    if not path.is_file():
        raise NotFound("no such file", path=path)
    if instrument := _of_several_files(path.name):
        return _whole_exposure(path, instrument)
    if path.name.endswith(RAW):
        root = path.name.removesuffix(RAW)
        return FoundFiles(path, root.lower(), (path,), environment=_environment(path, root))
    if not path.name.endswith(TABLE):
        raise ConfigError("neither a raw exposure nor an association", path=path, expected=EXPECTED)
    association, root = read_association(path), path.name.removesuffix(TABLE)
    exposures, variables = _exposures(path, association), _environment(path, root)
    return FoundFiles(path, root.lower(), exposures, association.members, environment=variables)


def _environment(path: Path, root: str) -> Path | None:
    """Return the file of variables beside a file, its name in the same case or in lower case."""
    names = [ENVIRONMENT_FILE.format(dataset=each) for each in (root, root.lower())]
    return next((p for name in names if (p := path.with_name(name)).is_file()), None)


def _of_several_files(name: str) -> str | None:
    """Return the instrument of a file of COS or STIS that carries an exposure; else None."""
    instrument = INSTRUMENT_BY_LETTER.get(name[:1].lower())
    root = root_of(name)
    if instrument not in _SEVERAL_FILES or suffix_of(name) not in EXPOSURE_SUFFIXES[instrument]:
        return None
    return instrument if len(root) == len("ipppssoot") and root.isalnum() else None


def _whole_exposure(path: Path, instrument: str) -> FoundFiles:
    beside, root = list_folder(path.parent), root_of(path.name)
    alone = {"asn", ENVIRONMENT}
    names = [n for n in inputs_of(root, instrument, beside) if suffix_of(n) not in alone]
    paths = {name: only_one(beside[name]) for name in names}
    exposures = tuple(paths[name] for name in names if is_exposure(name, instrument))
    others = tuple(paths[name] for name in names if not is_exposure(name, instrument))
    variables = _environment(path, path.name[: len(root)])
    return FoundFiles(path, root, exposures, others=others, environment=variables)


def _exposures(table: Path, association: Association) -> tuple[Path, ...]:
    instrument = parse_dataset(association.required[0]).instrument
    beside = list_folder(table.parent)
    try:
        names = association_files(association, instrument, beside)
    except MissingMember as error:
        error.path = str(table)
        raise
    return tuple(only_one(beside[name]) for name in names if is_exposure(name, instrument))


def _describe(path: Path, rootname: str, suffix: str) -> InputFile:
    return InputFile(
        name=path.name,
        path=str(path),
        sha256=hash_file(path),
        size=path.stat().st_size,
        suffix=suffix,
        rootname=rootname,
    )
