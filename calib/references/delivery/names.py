"""Names that no other file has: for references as crds makes them, for rules by number."""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from calib.errors import ConfigError, ContextError, Unavailable
from calib.references import library, server_config
from calib.references.delivery.findings import listening
from calib.references.delivery.placing import new_file
from calib.references.delivery.staging import offline
from calib.references.profile import CrdsProfile

# Rules of ours are numbered from here: the numbers that the CRDS server gives out are far
# below, so that a context of our own is never taken for one of the server's.
FIRST_NUMBER = 9000

# More than a CRDS name can have (hst_NNNNN.pmap).
_END = 100_000

# The time in a name has steps of two seconds (crds/hst/locate.py, generate_timestamp).
_STEP = timedelta(seconds=2)

_CONTEXT = re.compile(r"hst_([0-9]{4,5})\.pmap", re.ASCII)
_RULES = re.compile(r"hst_[a-z0-9]+_[a-z0-9]+_[0-9]{4,5}\.rmap", re.ASCII)


def taken_names(profile: CrdsProfile) -> frozenset[str]:
    """Return the names of all files in the cache, and of those that its server once told of."""
    names = {path.name for path in profile.mappings.glob("hst_*.?map")}
    names.update(path.name for path in profile.references.glob("**/*.fits"))
    info = _server_info(profile)
    names.update(info.get("mappings") or ())
    names.update(server_config.catalogue(info))
    return frozenset(names)


def _server_info(profile: CrdsProfile) -> dict[str, Any]:
    """Return what the server says of itself; else what it last said, else nothing."""
    if not profile.offline:
        with library.session(profile), suppress(Unavailable):
            return library.server_info(profile)
    if not profile.server_config.is_file():
        return {}
    with library.session(offline(profile)):
        return library.server_info(offline(profile))


def free_number(taken: Collection[str], kinds: Iterable[str]) -> int:
    """Return a number for new rules: one more than the last of ours, so that it sorts as newer.

    Parameters
    ----------
    kinds
        Names of rules without number and ending: ``hst_acs_darkfile``, ``hst_acs``, ``hst``.

    Raises
    ------
    ConfigError
        There is none left.
    """
    number = max((FIRST_NUMBER - 1, *_numbers(taken, kinds))) + 1
    if number < _END:
        return number
    raise ConfigError("no number is left for new rules", expected=f"less than {_END}")


def check_number(number: int, taken: Collection[str], kinds: Collection[str]) -> None:
    """Refuse a number that rules of ours cannot have.

    Raises
    ------
    ConfigError
        It has not four or five digits, or one of the rules would have a name that is taken.
    """
    if not 0 < number < _END:
        raise ConfigError("not a number of rules", expected="1 to 99999", found=number)
    if number in _numbers(taken, kinds):
        there = ", ".join(sorted(n for n in taken if _parts(n) in {(k, number) for k in kinds}))
        raise ConfigError(
            "there are such rules already",
            expected=f"a number that is free, such as {free_number(taken, kinds)}",
            found=there,
        )


def context_number(name: str) -> int:
    """Return the number of a context's name.

    Raises
    ------
    ConfigError
        It is not such a name.
    """
    match = _CONTEXT.fullmatch(name)
    if match is None:
        message = "not the name of a CRDS context"
        raise ConfigError(message, expected="a name such as hst_9001.pmap", found=repr(name))
    return int(match.group(1))


def check_rules_name(path: Path) -> None:
    """Refuse a file that has not the name of rules.

    Raises
    ------
    ConfigError
        crds takes instrument and type from the name, and cannot from this one.
    """
    if not _RULES.fullmatch(path.name):
        raise ConfigError(
            "not the name of rules",
            path=path,
            expected="a name such as hst_acs_darkfile_9001.rmap",
        )


def rules_kind(name: str) -> str:
    """Return the name of rules without number and ending: ``hst_acs_darkfile``."""
    return _parts(name)[0]


def unique_names(
    profile: CrdsProfile,
    paths: Sequence[Path],
    *,
    taken: Collection[str] | None = None,
    now: datetime | None = None,
) -> dict[Path, str]:
    """Return a name for each new reference, as CRDS gives them: time, instrument, type.

    Parameters
    ----------
    taken
        Names that are not free; None: all that the cache and its server know.
    now
        The time in the first name. A name that is taken leads to the next, two seconds later.

    Raises
    ------
    ContextError
        The headers do not say what sort of reference a file is.
    """
    used = set(taken_names(profile) if taken is None else taken)
    moment = now or datetime.now(UTC)
    names: dict[Path, str] = {}
    with library.session(profile):
        for path in paths:
            while (name := _unique_name(path, moment)) in used:
                moment += _STEP
            used.add(name)
            names[path] = name
    return names


@contextmanager
def _named_in_ascii(path: Path) -> Iterator[Path]:
    """Give a path whose last part a header can hold: crds writes the old name into HISTORY."""
    path = path.resolve()
    if path.name.isascii():
        yield path
        return
    with TemporaryDirectory() as folder:
        link = Path(folder) / path.name.encode("ascii", "replace").decode().replace("?", "_")
        link.symlink_to(path)
        yield link


def write_renamed(profile: CrdsProfile, path: Path, folder: Path, name: str) -> Path:
    """Write a copy of a reference under its new name, which goes into its header too.

    The original stays. FILENAME and ROOTNAME are set and a HISTORY line is added by crds'
    own tool; a file with checksums keeps checksums, renewed.

    Raises
    ------
    ConfigError
        There is a file of that name.
    ContextError
        The file is not FITS, or breaks its rules.
    """
    from calib.references.delivery.checksums import has_checksums

    words = ["crds.uniqname", "--add-keywords", "--verify-file", "--files", str(path)]
    words += ["--add-checksum"] if has_checksums(path) else []
    with ExitStack() as stack:
        stack.enter_context(library.session(profile))
        part = stack.enter_context(new_file(folder / name))
        stack.enter_context(listening())
        source = stack.enter_context(_named_in_ascii(path))
        from crds.core import exceptions
        from crds.misc.uniqname import UniqnameScript

        words += ["--output-path", str(part.parent)]
        try:
            UniqnameScript(words).rewrite(str(source), name)
        except (exceptions.CrdsError, OSError, ValueError) as error:
            raise ContextError(f"the reference cannot be renamed: {error}", path=path) from error
    return folder / name


def copy_as_is(path: Path, folder: Path) -> Path:
    """Copy a reference under its own name.

    Raises
    ------
    ConfigError
        There is a file of that name.
    """
    with new_file(folder / path.name) as part:
        shutil.copyfile(path, part)
    return folder / path.name


def _unique_name(path: Path, moment: datetime) -> str:
    """Return crds' name for a reference at a moment; without one it would sleep two seconds."""
    from crds.core import exceptions, naming

    with listening():
        try:
            name = naming.generate_unique_name(str(path.resolve()), library.OBSERVATORY, moment)
        except (exceptions.CrdsError, AssertionError, KeyError, OSError) as error:
            raise ContextError(
                f"crds cannot tell what sort of reference this is: {error}", path=path
            ) from error
    return Path(name).name


def _numbers(taken: Collection[str], kinds: Iterable[str]) -> set[int]:
    wanted = set(kinds)
    return {number for kind, number in map(_parts, taken) if kind in wanted}


def _parts(name: str) -> tuple[str, int]:
    """Split the name of rules into kind and number; -1 where it has none."""
    stem = name.rpartition(".")[0]
    kind, _, number = stem.rpartition("_")
    return (kind, int(number)) if number.isascii() and number.isdigit() else (stem, -1)
