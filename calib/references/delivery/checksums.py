"""Checksums inside references and rules: written, verified, removed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from calib.errors import ConfigError, ContextError
from calib.fitsfile.checksums import add_checksums, remove_checksums, verify_checksums
from calib.references import library
from calib.references.delivery.findings import said_by
from calib.references.delivery.placing import replaced
from calib.references.profile import CrdsProfile

Action = Literal["write", "verify", "remove"]
State = Literal["right", "wrong", "none", "written", "removed"]

RULES = (".pmap", ".imap", ".rmap")


@dataclass(frozen=True)
class Checksummed:
    """A file and the state of its checksum.

    Attributes
    ----------
    text
        What is wrong, or which parts of a FITS file have none.
    """

    path: Path
    state: State
    text: str = ""


def has_checksums(path: Path) -> bool:
    """Tell whether any unit of a FITS file has a checksum."""
    return any(unit.state != "none" for unit in verify_checksums(path))


def checksum(profile: CrdsProfile, path: Path, action: Action = "write") -> Checksummed:
    """Write, verify or remove the checksum in a reference or in rules.

    `crds checksum --verify` only warns of a FITS file whose checksum is wrong, and its
    --add and --remove write beside the process, in the current folder; so FITS files are
    done here, in place and in one step.

    Raises
    ------
    ConfigError
        The checksum of rules cannot be removed: crds refuses rules without one.
    NotFound, CorruptFile
        The file is not there, or not FITS.
    ContextError
        The rules cannot be read, or name one thing twice.
    """
    if path.suffix in RULES:
        return _of_rules(profile, path, action)
    if action == "verify":
        return _verified(path)
    (add_checksums if action == "write" else remove_checksums)(path)
    return Checksummed(path, "written" if action == "write" else "removed")


def _verified(path: Path) -> Checksummed:
    units = verify_checksums(path)
    for state in ("wrong", "none"):
        if named := [unit.name for unit in units if unit.state == state]:
            all_or_some = state == "wrong" or len(named) == len(units)
            text = f"{state}: {'; '.join(named)}"
            return Checksummed(path, state if all_or_some else "right", text)
    return Checksummed(path, "right")


def _of_rules(profile: CrdsProfile, path: Path, action: Action) -> Checksummed:
    from crds.core import exceptions, rmap
    from crds.refactoring import checksum as tool

    if action == "remove":
        raise ConfigError("the checksum of rules cannot be removed", path=path)
    with library.session(profile):
        if action == "write":
            with replaced(path) as part:
                said_by(lambda: tool.update_checksum(str(part)), "the rules are not written", path)
            return Checksummed(path, "written")
        try:
            rmap.load_mapping(str(path.resolve()))
        except exceptions.ChecksumError as error:
            return Checksummed(path, "wrong", str(error))
        except (exceptions.CrdsError, OSError) as error:
            raise ContextError(f"the rules cannot be read: {error}", path=path) from error
    return Checksummed(path, "right")
