"""Rules with references put in or taken out, made by crds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calib.errors import ConfigError
from calib.references import library
from calib.references.delivery.differences import RuleDifference, rule_differences
from calib.references.delivery.findings import said_by
from calib.references.delivery.names import check_rules_name, rules_kind
from calib.references.delivery.placing import new_file, refuse_existing
from calib.references.profile import CrdsProfile


@dataclass(frozen=True)
class Refactored:
    """New rules.

    Attributes
    ----------
    path
        The file.
    differences
        Between the old rules and the new ones.
    warnings
        What crds noticed.
    """

    path: Path
    differences: tuple[RuleDifference, ...]
    warnings: tuple[str, ...] = ()


def insert_into(old: Path, new: Path, references: Sequence[Path]) -> None:
    """Write rules with more references; call it inside :func:`library.session`.

    crds leaves the old name in the header of the new file, so it is set right here.
    """
    from crds.refactoring import refactor

    paths = [str(path) for path in references]
    refactor.rmap_insert_references(str(old), str(new), paths, observatory=library.OBSERVATORY)
    _set_name(new)


def delete_from(old: Path, new: Path, names: Sequence[str]) -> None:
    """Write rules without references; call it inside :func:`library.session`."""
    from crds.refactoring import refactor

    refactor.rmap_delete_references(str(old), str(new), list(names))
    _set_name(new)


def refactor_rules(
    profile: CrdsProfile,
    old: Path,
    new: Path,
    *,
    insert: Sequence[Path] = (),
    delete: Sequence[str] = (),
    dry_run: bool = False,
) -> Refactored:
    """Write new rules: references inserted, or deleted.

    Parameters
    ----------
    old, new
        Rules (``.rmap``); the new file must not be there.
    insert
        Reference files.
    delete
        Names of references that the old rules have.
    dry_run
        Keep nothing.

    Raises
    ------
    ConfigError
        One of the names is not that of rules, they are of two types, or the new file is there
        already.
    ContextError
        crds refuses: two references match the same exposures, a keyword that the rules
        match with is missing or has a value that is not allowed, a reference is not in the
        rules. Nothing is written.
    """
    check_rules_name(old)
    check_rules_name(new)
    if rules_kind(old.name) != rules_kind(new.name):
        expected = f"a name such as {rules_kind(old.name)}_9001.rmap"
        raise ConfigError("new rules are of the type of the old", path=new, expected=expected)
    refuse_existing(new)
    source = old.resolve()

    def work() -> None:
        if insert:
            insert_into(source, part, [path.resolve() for path in insert])
        if delete:
            delete_from(part if insert else source, part, delete)

    with library.session(profile), new_file(new, keep=not dry_run) as part:
        said = said_by(work, f"the rules cannot be made from {old.name}", new)
        differences = tuple(rule_differences(profile, source, part))
    return Refactored(new, differences, said.texts("warning"))


def _set_name(path: Path) -> None:
    from crds.core import rmap

    mapping = rmap.load_mapping(str(path), ignore_checksum=True)
    mapping.header["name"] = path.name
    mapping.write(str(path))
