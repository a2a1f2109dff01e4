"""The chain: certified references, named, put into rules, and a context that has them."""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from calib.errors import ConfigError, ContextError
from calib.fitsfile.writing import writing
from calib.references import library
from calib.references.delivery.catalogue import entry_of
from calib.references.delivery.certify import Certification, Certified, certify_files, rules_of
from calib.references.delivery.differences import (
    RuleDifference,
    difference_text,
    rule_differences,
)
from calib.references.delivery.names import (
    check_number,
    context_number,
    copy_as_is,
    free_number,
    taken_names,
    unique_names,
    write_renamed,
)
from calib.references.delivery.newcontext import staged_context
from calib.references.delivery.refactoring import refactor_rules
from calib.references.delivery.staging import staged
from calib.references.delivery.steps import (
    DIFFERENCE,
    Delivery,
    Entry,
    Touched,
    new_step,
    write_delivery,
)
from calib.references.profile import CrdsProfile

# Looks at what a new context changes, while it is in a cache of its own that goes away after;
# called with the profile of that cache, the old and the new context.
Look = Callable[[CrdsProfile, str, str], Touched | None]

# What crds can tell the instrument from: its own names, and those of the time before.
_NAME = re.compile(r"(?:[a-z0-9]{8}[jilo]_[a-z0-9]{2,8}|hst_[a-z0-9]+_[a-z0-9]+_[0-9]{4,5})\.fits")
_LETTERS = {"acs": "j", "wfc3": "i", "cos": "l", "stis": "o"}


@dataclass(frozen=True)
class Asked:
    """A delivery that is asked for.

    Attributes
    ----------
    old
        The context it starts from.
    folder
        Where it goes; it must not be there.
    who
        Who makes it.
    number
        Of the context and of all new rules; None: one more than the last of ours (9000 and up).
    rename
        Give the references unique names; else they keep theirs.
    dry_run
        Do all of it, and keep nothing.
    """

    old: str
    folder: Path
    who: str
    number: int | None = None
    rename: bool = True
    dry_run: bool = False


@dataclass(frozen=True)
class Made:
    """A delivery that was made, and what is different.

    Attributes
    ----------
    delivery
        Its record.
    differences
        Between the old context and the new one.
    warnings
        What crds noticed in the new rules.
    """

    delivery: Delivery
    differences: tuple[RuleDifference, ...]
    warnings: tuple[str, ...] = ()


def deliver(
    profile: CrdsProfile, certification: Certification, asked: Asked, look: Look | None = None
) -> Made:
    """Make a context from references, in a folder of its own; the cache stays as it is.

    Copies under unique names, rules with them, a context with those, their differences, the
    catalogue and the record of steps come to their place together, or not at all.

    Parameters
    ----------
    certification
        Of the references, against the old context.
    look
        Called while the new context can be used.

    Raises
    ------
    ConfigError
        The folder is there, a name is taken or none that CRDS can have, a file is no
        reference.
    ContextError
        A file was refused, its type has no rules, or crds refuses rules or context.
    ArchiveError
        The folder cannot be written.
    """
    _check(certification, asked)
    taken = taken_names(profile)
    by_type = _by_type(certification.files)
    number = _choose_number(asked, taken, by_type)
    names = _names(profile, certification.files, taken, rename=asked.rename)
    with writing(asked.folder):
        asked.folder.parent.mkdir(parents=True, exist_ok=True)
        place = TemporaryDirectory(dir=asked.folder.parent, prefix=f".{asked.folder.name}.")
    with place as name:
        work = _Work(Path(name).resolve() / "delivery", number, by_type, names)
        for each in certification.files:
            if asked.rename:
                write_renamed(profile, each.path, work.references, names[each.path])
            else:
                copy_as_is(each.path, work.references)
        made = _make_rules(profile, asked, work, look)
        if not asked.dry_run:
            with writing(asked.folder):
                work.folder.rename(asked.folder)
    return made


@dataclass(frozen=True)
class _Work:
    """A delivery at work: where, the number of its rules, its references and their names."""

    folder: Path
    number: int
    by_type: Mapping[tuple[str, str], Sequence[Path]]
    names: Mapping[Path, str]

    @property
    def mappings(self) -> Path:
        """The folder of the rules."""
        return self.folder / "mappings"

    @property
    def references(self) -> Path:
        """The folder of the references."""
        return self.folder / "references"

    def entries(self) -> tuple[Entry, ...]:
        """Return a row of the catalogue for each file."""
        sorts = {path: sort for sort, paths in self.by_type.items() for path in paths}
        references = [
            entry_of(self.references / name, *sorts[path], original=path)
            for path, name in self.names.items()
        ]
        return (*references, *map(entry_of, sorted(self.mappings.iterdir())))


def _check(certification: Certification, asked: Asked) -> None:
    if asked.folder.exists():
        raise ConfigError("nothing is overwritten: there is such a folder", path=asked.folder)
    if not certification.files:
        raise ConfigError("no reference was named", expected="one FITS file or more")
    for each in certification.files:
        if each.path.suffix != ".fits":
            raise ConfigError("not a reference", path=each.path, expected="a FITS file")
    if certification.errors:
        found = f"{certification.errors} errors, see hstflow reference certify"
        raise ContextError("crds refuses the references", expected="none", found=found)


def _by_type(files: Sequence[Certified]) -> dict[tuple[str, str], list[Path]]:
    by_type: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for each in files:
        by_type[each.instrument or "", each.kind or ""].append(each.path)
    return dict(sorted(by_type.items()))


def _choose_number(
    asked: Asked, taken: Collection[str], by_type: Mapping[tuple[str, str], Sequence[Path]]
) -> int:
    kinds = {"hst", *(f"hst_{i}" for i, _ in by_type), *(f"hst_{i}_{k}" for i, k in by_type)}
    number = free_number(taken, kinds) if asked.number is None else asked.number
    check_number(number, taken, kinds)
    if number <= context_number(asked.old):
        expected = f"a number above that of {asked.old}"
        raise ConfigError("a new context is not older", expected=expected, found=number)
    return number


def _names(
    profile: CrdsProfile, files: Sequence[Certified], taken: Collection[str], *, rename: bool
) -> dict[Path, str]:
    """Return the names of the references, checked where they are the files' own."""
    if rename:
        return unique_names(profile, [each.path for each in files], taken=taken)
    names: dict[Path, str] = {}
    for each in files:
        name = each.path.name
        letter = _LETTERS.get(each.instrument or "")
        is_crds = name.startswith(f"hst_{each.instrument}_{each.kind}_") or name[8:9] == letter
        if not _NAME.fullmatch(name) or not is_crds:
            raise ConfigError(
                "not a name that CRDS can have for this reference",
                path=each.path,
                expected=f"a name such as 9a112345{letter}_drk.fits, or to be given one",
            )
        if name in taken or name in names.values():
            raise ConfigError("there is such a reference already", path=each.path, found=name)
        names[each.path] = name
    return names


def _make_rules(profile: CrdsProfile, asked: Asked, work: _Work, look: Look | None) -> Made:
    """Write rules, context, differences, catalogue and record into a folder at work."""
    context = f"hst_{work.number:04d}.pmap"
    rules = _insert(profile, asked.old, work)
    with staged(profile, asked.old, rules) as stage:
        for path in staged_context(stage, asked.old, context, rules):
            shutil.copyfile(path, work.mappings / path.name)
        new = sorted(stage.mappings / path.name for path in work.mappings.iterdir())
        noticed = tuple(_certify_rules(stage, new, asked.old))
        differences = tuple(rule_differences(stage, asked.old, context))
        affected = None if look is None else look(stage, asked.old, context)
    text = difference_text(asked.old, context, differences)
    (work.folder / DIFFERENCE).write_text(text, encoding="utf-8")
    step = new_step("ready", asked.who)
    delivery = Delivery(asked.folder, context, asked.old, work.entries(), (step,), affected)
    write_delivery(delivery, work.folder)
    given = work.names.values() if asked.rename else ()
    warnings = tuple(text for text in noticed if not _is_older_by_name(text, given))
    return Made(delivery, differences, warnings)


def _insert(profile: CrdsProfile, old: str, work: _Work) -> list[Path]:
    """Put the references into the rules of their types."""
    rules = []
    for (instrument, kind), paths in work.by_type.items():
        with library.session(profile):
            before = rules_of(old, instrument, kind)
        new = work.mappings / f"hst_{instrument}_{kind}_{work.number:04d}.rmap"
        insert = [work.references / work.names[path] for path in paths]
        rules.append(refactor_rules(profile, before, new, insert=insert).path)
    return rules


def _certify_rules(stage: CrdsProfile, paths: Sequence[Path], old: str) -> Iterator[str]:
    """Yield what crds notices in new rules.

    Rules above those of a type say the same again.

    Raises
    ------
    ContextError
        It refuses them.
    """
    for each in certify_files(stage, paths, old, compare=False, doubled=False).files:
        if each.errors:
            message = f"crds refuses the new rules: {'; '.join(each.errors)}"
            raise ContextError(message, path=each.path.name)
        if each.path.suffix == ".rmap":
            yield from (f"{each.path.name}: {text}" for text in each.warnings)


def _is_older_by_name(text: str, names: Collection[str]) -> bool:
    """Tell whether crds takes a name that was given now for an older one.

    It sorts names to tell which is newer, but their first character, the year, begins again
    with "a" in 2026 (crds/hst/locate.py, generate_timestamp).
    """
    return text.partition(": ")[2].startswith("Reversion at") and any(
        text.endswith(f"with '{name}'") for name in names
    )
