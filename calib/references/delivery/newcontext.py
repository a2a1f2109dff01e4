"""A context made of an older one and new rules."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calib.errors import ConfigError
from calib.references import library
from calib.references.delivery.findings import said_by
from calib.references.delivery.names import (
    check_number,
    check_rules_name,
    context_number,
    free_number,
    rules_kind,
    taken_names,
)
from calib.references.delivery.placing import new_file, refuse_existing
from calib.references.delivery.staging import staged
from calib.references.profile import CrdsProfile


@dataclass(frozen=True)
class NewContext:
    """A context and what was written for it.

    Attributes
    ----------
    name
        ``hst_9001.pmap``.
    old
        The context it was made from.
    files
        The new pmap and imaps.
    """

    name: str
    old: str
    files: tuple[Path, ...]


def make_context(folder: Path, old: str, new: str, rules: Sequence[str]) -> list[Path]:
    """Write a context into a cache's folder of rules; call it inside :func:`library.session`.

    Absolute paths throughout: with bare names crds writes into the current folder. It
    remembers rules by name, hence the clearing before and after.

    Parameters
    ----------
    folder
        The folder of rules of the session's cache; the new rules are in it already.

    Returns
    -------
    list of Path
        The pmap, then the imaps, which have its number.
    """
    from crds.core import utils
    from crds.refactoring import newcontext

    utils.clear_function_caches()
    updates: Mapping[str, Any] = newcontext.get_update_map(old, list(rules))
    number = new.removeprefix("hst_").removesuffix(".pmap")
    names = {str(folder / old): str(folder / new)}
    names |= {imap: str(folder / f"{rules_kind(imap)}_{number}.imap") for imap in updates}
    newcontext.generate_new_contexts(str(folder / old), updates, names)
    newcontext.update_header_names(names)
    utils.clear_function_caches()
    return [Path(path) for path in names.values()]


def new_context(
    profile: CrdsProfile,
    old: str,
    rules: Sequence[Path],
    folder: Path,
    *,
    name: str | None = None,
    dry_run: bool = False,
) -> NewContext:
    """Make a context from an older one and new rules, in a folder outside the cache.

    Parameters
    ----------
    old
        A context of the cache.
    rules
        Files of rules (``hst_acs_darkfile_9001.rmap``), one for a type.
    folder
        Where the pmap and the imaps are written; the rules stay where they are.
    name
        Of the context; by default one more than the last of ours (``hst_9000.pmap`` and up). Its
        number is that of the imaps too.
    dry_run
        Write nothing.

    Raises
    ------
    ConfigError
        A name is not that of rules or of a context, or is taken; two rules of one type.
    ContextError
        There is no such context, or crds refuses the rules.
    """
    _check_rules(rules)
    kinds = ["hst", *sorted({rules_kind(path.name).rpartition("_")[0] for path in rules})]
    taken = taken_names(profile)
    number = free_number(taken, kinds) if name is None else context_number(name)
    check_number(number, taken, kinds)
    new = f"hst_{number:04d}.pmap"
    with staged(profile, old, rules) as stage:
        made = staged_context(stage, old, new, rules)
        targets = tuple(folder / path.name for path in made)
        for target in targets:
            refuse_existing(target)
        if not dry_run:
            for part in reversed(made):  # the pmap last: it is the one that is looked for
                with new_file(folder / part.name) as target:
                    shutil.copyfile(part, target)
    return NewContext(new, old, targets)


def staged_context(stage: CrdsProfile, old: str, new: str, rules: Sequence[Path]) -> list[Path]:
    """Make a context in a temporary cache that has the older one and new rules.

    Raises
    ------
    ContextError
        crds refuses the rules.
    """
    made: list[Path] = []
    names = [path.name for path in rules]
    with library.session(stage):
        said_by(
            lambda: made.extend(make_context(stage.mappings, old, new, names)),
            f"no context can be made from {old}",
            Path(new),
        )
    return made


def _check_rules(rules: Sequence[Path]) -> None:
    for path in rules:
        check_rules_name(path)
        if not path.is_file():
            raise ConfigError("no such rules", path=path)
    twice = [
        kind for kind, times in Counter(rules_kind(p.name) for p in rules).items() if times > 1
    ]
    if twice:
        raise ConfigError("two rules of one type", expected="one", found=", ".join(twice))
