"""The best references of exposures on one CRDS context.

The choice is the crds library's; what is kept of it, and what counts as an error, is ours.
CRDS answers "NOT FOUND n/a" where the rules need no file: that is normal. Any other
"NOT FOUND ..." matters only for a type that calibration will open.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from calib.errors import ConfigError, TransientError
from calib.records import ExposureReferences, References, ReferenceUse
from calib.references import library
from calib.references.exposure import ExposureHeaders, read_headers
from calib.references.files import (
    NOT_APPLICABLE,
    NOT_FOUND,
    locate_reference,
    use_of,
)
from calib.references.own import Certified, OwnReference
from calib.references.problems import ABSENT, Problem, describe_differences, raise_problems
from calib.references.profile import CrdsProfile
from calib.references.server_config import catalogue
from calib.references.syncing import sync_references

logger = logging.getLogger(__name__)

Required = Callable[[Mapping[str, Any]], tuple[str, ...]]


@dataclass(frozen=True)
class Choice:
    """What the rules chose, and what is wrong with it.

    Attributes
    ----------
    references
        As :func:`best_references` returns them; required types without a file are absent.
    problems
        Why calibration could not open what it needs.
    catalogue
        What CRDS knows of its files (size and sha1sum as text), by name; empty: nothing.
    bad
        Names of the files that CRDS lists as bad.
    said
        What the crds library logged.
    """

    references: References
    problems: tuple[Problem, ...] = ()
    catalogue: Mapping[str, dict[str, str]] = field(default_factory=dict)
    bad: frozenset[str] = frozenset()
    said: tuple[str, ...] = ()

    def check(self) -> None:
        """Refuse a choice that calibration cannot use.

        Raises
        ------
        MissingReference, ReferenceUnavailable
            As :func:`best_references`.
        """
        raise_problems(self.problems, self.references.context, self.said)


@dataclass(frozen=True)
class _Answer:
    """What the rules say for one exposure: CRDS' text by keyword, and what it matched with."""

    exposure: ExposureHeaders
    required: tuple[str, ...]
    names: Mapping[str, str]
    matching: dict[str, str]
    own: Mapping[str, OwnReference]


@dataclass(frozen=True)
class _Source:
    """Where references come from."""

    context: str
    profile: CrdsProfile
    custom: Mapping[str, Path]
    bad: frozenset[str] = frozenset()
    catalogue: Mapping[str, dict[str, str]] = field(default_factory=dict)


def best_references(
    files: Sequence[Path],
    *,
    context: str,
    profile: CrdsProfile,
    required: Required,
    custom: Mapping[str, Path] | None = None,
    certified: Certified | None = None,
    download: bool = True,
) -> References:
    """Choose the references of exposures.

    Parameters
    ----------
    files
        Exposures (FITS files), old ones included: a keyword that the rules match on and
        the header lacks is UNDEFINED to CRDS, and the rules decide.
    context
        Name of the context.
    profile
        CRDS server and cache.
    required
        Returns, for the headers of an exposure, the reference keywords that its PERFORM
        switches open.
    custom
        Paths of files to use whatever the rules say, by keyword.
    certified
        Returns the files that one exposure gets instead of those of the rules; `custom` wins
        over them. Types that neither the rules, calibration nor the header know are left out.
    download
        Whether to fetch chosen files that are not in the cache, where the profile has a
        server and may write. False is for asking what the answer is.

    Returns
    -------
    calib.records.References
        In the order of `files`. A type that the rules omit for an exposure is not listed;
        one that they need no file for is ``N/A``; a file not in the cache has no path; a
        type without a match that nothing opens is ``NOT FOUND``.

    Raises
    ------
    MissingReference
        A required type has no match, its file is listed as bad, or a certified file is gone
        or changed. The message has every problem of every file.
    ReferenceUnavailable
        The only problem is that required files are not in the cache.
    ConfigError
        A custom file does not exist or its keyword is no reference keyword.
    ContextError, Unavailable
        The rules cannot be read.
    NotFound, CorruptFile
        An exposure cannot be read.
    """
    choice = choose_references(
        files,
        context=context,
        profile=profile,
        required=required,
        custom=custom,
        certified=certified,
        download=download,
    )
    choice.check()
    return choice.references


def choose_references(
    files: Sequence[Path],
    *,
    context: str,
    profile: CrdsProfile,
    required: Required,
    custom: Mapping[str, Path] | None = None,
    certified: Certified | None = None,
    download: bool = True,
) -> Choice:
    """Choose the references of exposures, and say what is wrong instead of raising it.

    Parameters
    ----------
    files, context, profile, required, custom, certified, download
        As for :func:`best_references`.

    Raises
    ------
    ConfigError, ContextError, Unavailable, NotFound, CorruptFile
        As :func:`best_references`.
    """
    custom = _checked_custom(custom or {})
    exposures = [read_headers(path) for path in files]
    with library.session(profile) as messages:
        answers = [_answer(exposure, context, profile, required) for exposure in exposures]
        if certified is not None:
            answers = [replace(each, own=_known_types(each, certified)) for each in answers]
        _check_keywords(custom, answers)
        answers = [_with_opened(each, required, custom) for each in answers]
        if download and profile.can_fill:
            _download(answers, context, profile)
        source = _source(context, profile, custom)
    found = [_look_up(answer, source) for answer in answers]
    chosen = tuple(references for references, _ in found)
    return Choice(
        References(context, library.crds_version(), chosen, describe_differences(chosen)),
        tuple(problem for _, problems in found for problem in problems),
        source.catalogue,
        source.bad,
        tuple(messages),
    )


def _checked_custom(custom: Mapping[str, Path]) -> dict[str, Path]:
    absent = [f"{key}={path}" for key, path in custom.items() if not Path(path).is_file()]
    if absent:
        raise ConfigError("no such reference file", expected="a file", found=", ".join(absent))
    return {key.upper(): Path(path).resolve() for key, path in custom.items()}


def _check_keywords(custom: Mapping[str, Path], answers: Sequence[_Answer]) -> None:
    """Refuse a keyword that neither the rules nor calibration nor a header knows."""
    known = {key for answer in answers for key in (*answer.names, *answer.required)}
    headers = {key for answer in answers for key in answer.exposure.header}
    unknown = sorted(set(custom) - known - headers)
    if unknown and answers:
        raise ConfigError(
            "not a reference keyword of these exposures",
            expected=", ".join(sorted(known)),
            found=", ".join(unknown),
        )


def _answer(
    exposure: ExposureHeaders, context: str, profile: CrdsProfile, required: Required
) -> _Answer:
    from crds.core import utils

    rules, instrument = library.load_rules(profile, context, exposure.instrument)
    matching = rules.minimize_header(utils.condition_header(exposure.text))
    names = instrument.get_best_references(matching)
    return _Answer(
        exposure,
        tuple(key.upper() for key in required(exposure.header)),
        {kind.upper(): str(name) for kind, name in sorted(names.items())},
        {key: str(value) for key, value in sorted(matching.items())},
        own={},
    )


def _with_opened(answer: _Answer, required: Required, custom: Mapping[str, Path]) -> _Answer:
    """Return an answer that requires what calibration opens once the header names the choice.

    A raw header often names no file for what is opened only where one is named.
    """
    chosen = {key: name for key, name in answer.names.items() if not name.startswith(NOT_FOUND)}
    needless = (key for key, name in answer.names.items() if _is_needless(name))
    chosen |= dict.fromkeys(needless, NOT_APPLICABLE)
    chosen |= {key: own.path.name for key, own in answer.own.items()}
    chosen |= {key: path.name for key, path in custom.items()}
    opened = required({**answer.exposure.header, **chosen})
    return replace(answer, required=tuple(key.upper() for key in opened))


def _is_needless(text: str) -> bool:
    """Tell whether the rules say that no file is needed."""
    return text.startswith(NOT_FOUND) and "n/a" in text.lower()


def _known_types(answer: _Answer, certified: Certified) -> Mapping[str, OwnReference]:
    """Leave out types that mean nothing here: certified for any detector, used by another."""
    known = {*answer.names, *answer.required, *answer.exposure.header}
    return {key: own for key, own in certified(answer.exposure).items() if key in known}


def _download(answers: Sequence[_Answer], context: str, profile: CrdsProfile) -> None:
    """Bring what is absent; what cannot be had is looked for, and named, later."""
    absent = {
        name
        for answer in answers
        for keyword, name in answer.names.items()
        if not name.startswith(NOT_FOUND)
        and keyword not in answer.own
        and locate_reference(profile, answer.exposure.instrument, name) is None
    }
    if not absent:
        return
    try:
        synced = sync_references(profile, context, absent)
    except TransientError as error:
        logger.warning("references of %s cannot be had: %s", context, error)
        return
    for name, why in synced.failed:
        logger.warning("%s: %s", name, why)


def _source(context: str, profile: CrdsProfile, custom: Mapping[str, Path]) -> _Source:
    """Ask for bad files and checksums; a cache without server_config knows neither."""
    if profile.offline and not profile.server_config.is_file():
        logger.warning("%s is absent: bad files are not known", profile.server_config)
        return _Source(context, profile, custom)
    info = library.server_info(profile)
    bad = frozenset(info.get("bad_files_list", ()))
    return _Source(context, profile, custom, bad, catalogue(info))


def _look_up(answer: _Answer, source: _Source) -> tuple[ExposureReferences, list[Problem]]:
    uses, problems = [], []
    for keyword in dict.fromkeys((*answer.names, *answer.required, *answer.own, *source.custom)):
        use, problem = _use(answer, keyword, source)
        uses += [use] if use else []
        problems += [problem] if problem else []
    file = answer.exposure.path.name
    return ExposureReferences(file, tuple(uses), answer.matching), problems


def _use(
    answer: _Answer, keyword: str, source: _Source
) -> tuple[ReferenceUse | None, Problem | None]:
    required = keyword in answer.required
    if keyword in source.custom:
        return use_of(keyword, source.custom[keyword], required=required), None
    if keyword in answer.own:
        return _own_use(answer, keyword)
    text = answer.names.get(keyword)
    if text is None or text.startswith(NOT_FOUND):
        return _no_file(answer, keyword, text, source.context)
    path = locate_reference(source.profile, answer.exposure.instrument, text)
    if text not in source.bad and path is not None:
        entry = source.catalogue.get(text)
        return use_of(keyword, path, required=required, entry=entry), None
    use = ReferenceUse(keyword, text, required=required)
    problem = _unusable(answer, use, source)
    if not required:
        level = logging.DEBUG if problem.awaited else logging.WARNING
        logger.log(level, "%s %s: %s", problem.file, problem.keyword, problem.text)
    return use, problem if required else None


def _own_use(answer: _Answer, keyword: str) -> tuple[ReferenceUse, Problem | None]:
    """Use a certified file if it is there and is what was certified."""
    own, file = answer.own[keyword], answer.exposure.path.name
    required = keyword in answer.required
    trouble = own.trouble()
    if trouble is None:
        logger.info("%s %s: %s, %s", file, keyword, own.path.name, own.source)
        return use_of(keyword, own.path, required=required), None
    if not required:
        logger.warning("%s %s: %s", file, keyword, trouble)
    use = ReferenceUse(keyword, own.path.name, required=required)
    return use, Problem(file, keyword, trouble, name=own.path.name) if required else None


def _no_file(
    answer: _Answer, keyword: str, text: str | None, context: str
) -> tuple[ReferenceUse | None, Problem | None]:
    """Tell "no file is needed" from "no file matches" and from "the rules omit the type"."""
    file, required = answer.exposure.path.name, keyword in answer.required
    needless = text is not None and _is_needless(text)
    if required:
        why = _why(text, context, needless=needless)
        return None, Problem(file, keyword, why)
    if text is None:
        return None, None
    if not needless:
        logger.warning("%s %s: %s", file, keyword, _why(text, context, needless=False))
    return ReferenceUse(keyword, NOT_APPLICABLE if needless else NOT_FOUND), None


def _why(text: str | None, context: str, *, needless: bool) -> str:
    if text is None:
        return f"{context} has no rules for it here"
    if needless:
        return "the rules need none (N/A) although a switch asks for it"
    return f"no match: {' '.join(text.removeprefix(NOT_FOUND).split())}"


def _unusable(answer: _Answer, use: ReferenceUse, source: _Source) -> Problem:
    if use.name in source.bad:
        text = f"{use.name} is listed as bad by CRDS"
        return Problem(answer.exposure.path.name, use.keyword, text, name=use.name)
    text = f"{use.name} {ABSENT}"
    return Problem(answer.exposure.path.name, use.keyword, text, awaited=True, name=use.name)
