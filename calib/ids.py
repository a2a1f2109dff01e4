"""Names of datasets: exposures and associations (ipppssoot), SVM visits, MVM skycells.

Parsing is the only way to make a :class:`DatasetId`, so a value of that type is safe in
paths, keys and argument lists. Runs and collections share one rule for their names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from calib.errors import ConfigError

Kind = Literal["ipst", "svm", "mvm"]

# First letter of an ipppssoot (HST file naming, HST Data Handbook, section 2.2.1).
INSTRUMENT_BY_LETTER = {"j": "acs", "i": "wfc3", "l": "cos", "o": "stis"}

_LETTERS = {instrument: letter for letter, instrument in INSTRUMENT_BY_LETTER.items()}

# A visit is the first six characters of an exposure: letter, programme, visit (ipppss).
VISIT_LENGTH = 6

# Letters that name an instrument without a calibration here: they deserve a better message.
RETIRED_BY_LETTER = {
    "u": "WFPC2",
    "n": "NICMOS",
    "w": "WF/PC-1",
    "x": "FOC",
    "y": "FOS",
    "z": "GHRS",
    "v": "HSP",
    "f": "FGS",
    "e": "engineering",
}

_IPST = re.compile(r"[ijlo][a-z0-9]{8}", re.IGNORECASE | re.ASCII)
_SVM = re.compile(r"(acs|wfc3)_([a-z0-9]{3})_([a-z0-9]{2})", re.IGNORECASE | re.ASCII)
_MVM = re.compile(r"skycell-p[0-9]{4}x[0-9]{2}y[0-9]{2}", re.IGNORECASE | re.ASCII)

# A run is a folder. POSIX allows 255 bytes for one name; staging names put some 60 beside it.
LONGEST_RUN = 100
RUN_NAMES = f"[a-z0-9][a-z0-9._-]*, up to {LONGEST_RUN} characters"
_RUN = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII)

# Implicit campaigns, which take any context: `process`, `archive reproduce`, a rebuilt ledger.
IMPLICIT = ("adhoc", "reproduce", "rebuilt")
_CAMPAIGN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
CAMPAIGN_NAMES = f"letters, digits, and . _ - within, up to 100, not {' or '.join(IMPLICIT)}"


# A version of the rules of CRDS; later ones have larger numbers.
_CONTEXT = re.compile(r"hst_([0-9]{4,5})\.pmap", re.ASCII)


@dataclass(frozen=True, order=True)
class DatasetId:
    """The name of something that can be calibrated, lower case.

    Attributes
    ----------
    name
        ``j8bt05njq``, ``acs_8ph_01`` or ``skycell-p2381x06y09``.
    kind
        ``ipst`` (exposure or association), ``svm`` (visit) or ``mvm`` (skycell).
    instrument
        ``acs``, ``wfc3``, ``cos``, ``stis``; ``mvm`` datasets mix ``acs`` and ``wfc3`` and
        are filed under ``mvm``.
    """

    name: str
    kind: Kind
    instrument: str

    @property
    def is_association(self) -> bool:
        """An ipppssoot that ends in a digit names an association (handbook, table 2.1)."""
        return self.kind == "ipst" and self.name[-1].isdigit()

    @property
    def program(self) -> str:
        """Three characters of the observing programme; empty for a skycell."""
        if self.kind == "ipst":
            return self.name[1:4]
        return self.name.split("_")[1] if self.kind == "svm" else ""

    @property
    def visit(self) -> str:
        """Two characters of the visit; empty for a skycell."""
        if self.kind == "ipst":
            return self.name[4:6]
        return self.name.split("_")[2] if self.kind == "svm" else ""

    @property
    def visit_root(self) -> str:
        """How the exposures of the visit begin: ``j8ph01`` of ``acs_8ph_01``; none of a skycell."""
        return (
            "" if self.kind == "mvm" else f"{_LETTERS[self.instrument]}{self.program}{self.visit}"
        )

    def __str__(self) -> str:
        return self.name


def parse_dataset(text: str) -> DatasetId:
    """Read a dataset name, in any case.

    Parameters
    ----------
    text
        The name as a person wrote it. Blanks around it are an error: they hide typing
        mistakes in lists.

    Returns
    -------
    DatasetId
        The name in lower case with its kind and instrument.

    Raises
    ------
    ConfigError
        The name fits no kind; the message says what the kinds look like. All three
        patterns match the whole name.
    """
    name = text.lower()
    if _IPST.fullmatch(text):
        return DatasetId(name, "ipst", INSTRUMENT_BY_LETTER[name[0]])
    if visit := _SVM.fullmatch(text):
        return DatasetId(name, "svm", visit.group(1).lower())
    if _MVM.fullmatch(text):
        return DatasetId(name, "mvm", "mvm")
    raise ConfigError(
        _why_not(name),
        expected="ipppssoot such as j8bt05njq, visit such as acs_8ph_01, or skycell-p2381x06y09",
        found=repr(text),
    )


def rootname_of(name: str, dataset: str) -> str:
    """Return the exposure or association that a file shows: its first nine characters.

    Parameters
    ----------
    name
        Name of the file; folders before it do not matter.
    dataset
        What the file was published with. Names that do not begin with an ipppssoot (logs,
        products of visits) belong to it.
    """
    stem = name.rpartition("/")[2].lower()
    root, after = stem[:9], stem[9:10]
    return root if after in {"_", "."} and _IPST.fullmatch(root) else dataset


def is_campaign_name(name: str) -> bool:
    """Tell whether a new campaign may have this name: a part of names of flow runs and files."""
    return bool(_CAMPAIGN.fullmatch(name)) and name not in IMPLICIT


def is_run_name(name: str) -> bool:
    """Tell whether a run, or a collection of runs or products, may have this name."""
    return bool(_RUN.fullmatch(name)) and len(name) <= LONGEST_RUN


def _why_not(name: str) -> str:
    if re.fullmatch(r"[a-z][a-z0-9]{8}", name) and name[0] in RETIRED_BY_LETTER:
        return f"{RETIRED_BY_LETTER[name[0]]} data cannot be calibrated here"
    return "not the name of a dataset"


def is_later_context(context: object, other: object) -> bool:
    """Tell whether a CRDS context came after another one, by the numbers in their names.

    Names without a number (``mixed``, none at all) are neither before nor after anything.
    """
    numbers = [_CONTEXT.fullmatch(each) for each in (context, other) if isinstance(each, str)]
    found = [int(match[1]) for match in numbers if match is not None]
    return len(found) == len((context, other)) and found[0] > found[1]
