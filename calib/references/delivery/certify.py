"""Whether CRDS would take reference files or rules: crds' own checks, one record for each file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from calib.errors import ConfigError, ContextError, CorruptFile
from calib.fitsfile.checksums import check_whole, verify_checksums
from calib.references import library
from calib.references.delivery.findings import Finding, listening, one_line
from calib.references.delivery.refactoring import insert_into
from calib.references.delivery.staging import context_files
from calib.references.profile import CrdsProfile

RULES = (".pmap", ".imap", ".rmap")


@dataclass(frozen=True)
class Certified:
    """What crds found in a file.

    Attributes
    ----------
    instrument, kind
        ``acs``, ``darkfile``; None where crds cannot tell. Empty for rules of more than one.
    errors
        Why CRDS would not take it.
    warnings
        What else was noticed.
    """

    path: Path
    instrument: str | None
    kind: str | None
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Certification:
    """What crds found in files, and in the rules with all of them put in.

    Attributes
    ----------
    context
        The rules they were checked against.
    files
        In the order in which they were given.
    together
        Why the files cannot be delivered together: two match the same exposures, or one does
        not fit the rules of its type.
    """

    context: str
    files: tuple[Certified, ...]
    together: tuple[Finding, ...] = ()

    @property
    def errors(self) -> int:
        """The number of errors."""
        return sum(len(each.errors) for each in self.files) + sum(
            each.level == "error" for each in self.together
        )


def certify_files(
    profile: CrdsProfile,
    paths: Sequence[Path],
    context: str,
    *,
    compare: bool = True,
    doubled: bool = True,
) -> Certification:
    """Check references and rules as CRDS does before it takes them.

    References: keywords, their values, columns of tables, arrays; where `compare` is set, rows
    against the table that a new one replaces, if that is in the cache. Rules: syntax,
    checksum, doubled or reverted cases. If all are well, the references are put into the rules
    of their types on trial.

    Parameters
    ----------
    context
        A context of the cache.
    doubled
        Look for doubled cases in rules: crds' parser takes 4 s of CPU for the 40 kB of the
        real ACS darks, and rules that crds itself has written cannot have any.

    Raises
    ------
    ConfigError
        A file is not there.
    ContextError, Unavailable
        There is no such context, or its rules are incomplete.
    """
    for path in paths:
        if not path.is_file():
            raise ConfigError("no such file", path=path)
    context_files(profile, context)
    options = {"compare_old_reference": compare, "dont_parse": not doubled}
    with library.session(profile):
        files = tuple(_certify(path, context, options) for path in paths)
        well = not any(each.errors for each in files)
        together = _insert_on_trial(files, context) if well else ()
    return Certification(context, files, together)


def _certify(path: Path, context: str, options: Mapping[str, bool]) -> Certified:
    with listening() as said:
        instrument, kind = _sort_of(path)
        try:
            if path.suffix == ".fits":
                said.findings += _wrong_checksums(path)
                if instrument and kind:
                    rules_of(context, instrument, kind)
            _ask_crds(path, context, options)
        except ContextError as error:
            said.findings.append(Finding("error", error.message))
        except CorruptFile as error:
            details = f" (expected {error.expected}, found {error.found})" if error.expected else ""
            said.findings.append(Finding("error", f"{error.message}{details}"))
        except SystemExit:  # crds ends its scripts so, after it logged why
            said.findings.append(Finding("error", "crds gave up"))
    errors, warnings = said.texts("error"), said.texts("warning")
    return Certified(path, instrument, kind, _about(errors, path), _about(warnings, path))


def _ask_crds(path: Path, context: str, options: Mapping[str, bool]) -> None:
    from crds.certify.certify import certify_file

    certify_file(
        str(path.resolve()),
        context,
        observatory=library.OBSERVATORY,
        original_name=path.name,
        **options,
    )


def _wrong_checksums(path: Path) -> list[Finding]:
    """Return which checksums are wrong: crds only warns of them.

    Raises
    ------
    CorruptFile
        The file is cut short, of which crds only warns too.
    """
    check_whole(path)
    wrong = [unit.name for unit in verify_checksums(path) if unit.state == "wrong"]
    return [Finding("error", f"the checksum of {name} is wrong") for name in wrong]


def _about(texts: Sequence[str], path: Path) -> tuple[str, ...]:
    """Return messages without the path in front, which the record has; each once."""
    names = (f"'{path.resolve()}'", f"'{path.name}'", f"{path.resolve()}")
    short = []
    for text in texts:
        for name in names:
            text = text.removeprefix(f"In {name} : ").removeprefix(f"{name} ")  # noqa: PLW2901
        short.append(one_line(text))
    return tuple(dict.fromkeys(short))


def _sort_of(path: Path) -> tuple[str | None, str | None]:
    from crds.core import exceptions, utils

    try:
        found = utils.get_file_properties(library.OBSERVATORY, str(path.resolve()))
    except (exceptions.CrdsError, AssertionError, KeyError, OSError, ValueError, SyntaxError):
        return None, None
    return found[0], found[1]


def _insert_on_trial(files: Sequence[Certified], context: str) -> tuple[Finding, ...]:
    """Put references into the rules of their types, in a folder of our own.

    `crds certify` does so too, but under one name in /tmp, which two users cannot share.
    """
    by_type: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for each in files:
        if each.path.suffix not in RULES and each.instrument and each.kind:
            by_type[each.instrument, each.kind].append(each.path.resolve())
    findings: list[Finding] = []
    with TemporaryDirectory(prefix="hstflow-crds-") as folder:
        for (instrument, kind), paths in sorted(by_type.items()):
            try:
                findings += _trial(context, instrument, kind, paths, Path(folder))
            except ContextError as error:
                findings.append(Finding("error", error.message))
    return tuple(findings)


def _trial(
    context: str, instrument: str, kind: str, paths: Sequence[Path], folder: Path
) -> list[Finding]:
    from crds.core import exceptions

    old = rules_of(context, instrument, kind)
    with listening() as said:
        try:
            insert_into(old, folder / old.name, paths)
        except (exceptions.CrdsError, OSError, ValueError, LookupError, AssertionError) as error:
            raise ContextError(f"{kind.upper()} does not fit {old.name}: {error}") from error
    return said.findings


def rules_of(context: str, instrument: str, kind: str) -> Path:
    """Return the rules of a type; call it inside :func:`library.session`.

    Raises
    ------
    ContextError
        The context has none for this type.
    """
    from crds.core import config, exceptions, rmap

    try:
        mapping = rmap.get_cached_mapping(context).get_imap(instrument).get_rmap(kind)
    except (exceptions.CrdsError, LookupError) as error:
        raise ContextError(
            f"{context} has no rules for {instrument.upper()} {kind.upper()}: a new type needs "
            "rules made by hand"
        ) from error
    return Path(config.locate_mapping(mapping.basename))
