"""One exposure against the rules that changed: which of its references differ.

The steps are those of ``crds bestrefs`` (crds/bestrefs/bestrefs.py, crds/core/rmap.py of 14.0.3):
a header is cut to what the rules of an instrument in one context match with, its values are
brought to their normal form, and "NOT FOUND n/a" means that no file is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from calib.references import library
from calib.references.changes import AffectedExposure, ExposureHeader, ReferenceChange, TypeChange
from calib.references.files import NOT_APPLICABLE, NOT_FOUND
from calib.references.profile import CrdsProfile
from calib.references.rule_changes import InstrumentRules, changed_rules, keywords_of, rules_of
from calib.references.stage2_types import is_stage2_only

# What rules match with of every exposure, whatever their instrument.
_ALWAYS = ("INSTRUME", "DATE-OBS", "TIME-OBS")

# Keywords that the rules of an instrument ask for and no header has.
_NEVER_THERE = frozenset({"REFTYPE"})

# A date and time that compares as text with those of rules.
_PLAIN_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?")

# What crds takes for "no value" (handle_na_and_not_found of bestrefs.py).
_UNDEFINED = "UNDEFINED"
# A bare "NOT FOUND" is what the ledger keeps of "no match" (calib.references.bestrefs).
_NO_FILE = frozenset({f"{NOT_FOUND} NO MATCH FOUND.", NOT_FOUND, _UNDEFINED, "NONE", "", "*"})

# What crds says where a value is known and the rules have no case for it: there is no file on
# either side then, and nothing changes.
_NO_CASE = "IS NOT IN"

# Values that are brought to normal form again and again: filters, gains, switches.
_REMEMBERED = 1 << 14


@dataclass(frozen=True)
class Asked:
    """What is compared.

    Attributes
    ----------
    old
        None: what headers name.
    undefined_matters
        Whether "no match" and "no such type" differ from "no file needed".
    """

    profile: CrdsProfile
    old: str | None
    new: str
    undefined_matters: bool = False


@dataclass(frozen=True)
class _Answer:
    """What is chosen for one type.

    Attributes
    ----------
    text
        The name in upper case, ``N/A``, or crds' reason for there being none.
    fails
        Whether crds would call it an error.
    """

    text: str
    fails: bool = False

    @property
    def name(self) -> str | None:
        """The name as we show it; None where there is none."""
        if self.fails or self.text in _NO_FILE:
            return None
        return NOT_APPLICABLE if self.text == NOT_APPLICABLE else self.text.lower()

    @property
    def is_file(self) -> bool:
        """Whether a file is named."""
        return self.name not in {None, NOT_APPLICABLE}


@dataclass(frozen=True)
class _Plan:
    """What is asked of the exposures of one instrument.

    Attributes
    ----------
    rules
        The rules, and the types to compare.
    old_keys, new_keys
        What the rules of either context match with.
    type_keys
        What the rules of each type match with, by keyword.
    """

    rules: InstrumentRules
    old_keys: tuple[str, ...]
    new_keys: tuple[str, ...]
    type_keys: Mapping[str, frozenset[str]]

    @property
    def needed(self) -> frozenset[str]:
        """Everything that is looked at in a header."""
        return frozenset((*_ALWAYS, *self.old_keys, *self.new_keys, *self.rules.types))

    def due(self, header: Mapping[str, str]) -> list[str]:
        """Return the types that can differ for an exposure of this date."""
        date = f"{header.get('DATE-OBS', '')} {header.get('TIME-OBS', '')}".strip()
        plain = _PLAIN_DATE.fullmatch(date) is not None
        return [
            keyword
            for keyword, change in self.rules.types.items()
            if change.since is None or not plain or date >= change.since
        ]


class Judge:
    """Tells of exposures whether their references differ.

    Make it, and call :meth:`judge`, inside :func:`calib.references.library.session`.

    Raises
    ------
    ContextError, Unavailable
        The rules of a context cannot be read.
    """

    def __init__(self, asked: Asked) -> None:
        from crds.core import utils

        self._asked = asked
        self._normal = lru_cache(_REMEMBERED)(utils.condition_value)
        if asked.old is None:
            changed, self._instruments = _all_rules(asked.profile, asked.new)
        else:
            changed, self._instruments = changed_rules(asked.profile, asked.old, asked.new)
        self._plans = {rules.instrument: _plan(rules) for rules in changed}
        self._needed = {name: plan.needed for name, plan in self._plans.items()}

    def needed(self, exposure: ExposureHeader) -> ExposureHeader | None:
        """Return an exposure with what the rules look at alone; None where it cannot differ."""
        instrument = _instrument(exposure.header)
        plan = self._plans.get(instrument)
        if plan is None or exposure.problem:
            return exposure if exposure.problem or instrument not in self._instruments else None
        if not plan.due(exposure.header):
            return None
        wanted = self._needed[instrument]
        header = {key: exposure.header[key] for key in wanted if key in exposure.header}
        return ExposureHeader(exposure.dataset, exposure.exposure, header, exposure.context)

    def judge(self, exposure: ExposureHeader) -> AffectedExposure | None:
        """Return what differs for an exposure, or why it cannot be told; None where nothing."""
        instrument = _instrument(exposure.header)
        if exposure.problem:
            return _affected(exposure, (), exposure.problem)
        if instrument not in self._instruments:
            found = f"there are no rules for instrument {instrument.upper()}"
            return _affected(exposure, (), found if instrument else "it names no instrument")
        plan = self._plans.get(instrument)
        due = plan.due(exposure.header) if plan else []
        if plan is None or not due:
            return None
        unknown = self._unknown(exposure, plan, due)
        before, after = self._answers(exposure, plan, [key for key in due if key not in unknown])
        changes, problems = self._differences(plan.rules.types, before, after)
        problems += [f"{key}: {why}" for key, why in unknown.items()]
        return _affected(exposure, changes, "; ".join(problems) or None)

    def _answers(
        self, exposure: ExposureHeader, plan: _Plan, types: list[str]
    ) -> tuple[dict[str, _Answer], dict[str, _Answer]]:
        header = {
            key: self._normal(value)
            for key, value in exposure.header.items()
            if key not in plan.rules.types or key in plan.new_keys
        }
        after = _ask(plan.rules.new, types, _cut(header, plan.new_keys))
        if self._asked.old is not None:
            before = _ask(plan.rules.old, types, _cut(header, plan.old_keys))
        else:
            before = {key: _bare(exposure.header.get(key, _UNDEFINED)) for key in types}
            # What the rules omit keeps whatever the header says.
            before = {key: text for key, text in before.items() if key in after}
        return self._normalised(before, types), self._normalised(after, types)

    def _normalised(self, texts: Mapping[str, str], types: list[str]) -> dict[str, _Answer]:
        return {key: self._answer(texts.get(key, _UNDEFINED)) for key in types}

    def _answer(self, text: str) -> _Answer:
        text = text.strip().upper()
        if text.startswith(f"{NOT_FOUND} N/A"):
            return _Answer(NOT_APPLICABLE)
        if text in _NO_FILE:
            return _Answer(text, fails=self._asked.undefined_matters)
        return _Answer(text, fails=text.startswith(NOT_FOUND))

    def _differences(
        self,
        types: Mapping[str, TypeChange],
        before: Mapping[str, _Answer],
        after: Mapping[str, _Answer],
    ) -> tuple[tuple[ReferenceChange, ...], list[str]]:
        changes, problems = [], []
        for keyword, new in after.items():
            old = before[keyword]
            if _lost(old, new):
                problems.append(f"{keyword}: {_reason(new.text)}")
            elif _is_untold(old, new):
                problems.append(f"{keyword}: it cannot be told ({_words(new.text)})")
            if not new.fails and self._differ(old, new):
                stage2_only = types[keyword].stage2_only
                changes.append(ReferenceChange(keyword, old.name, new.name, stage2_only))
        return tuple(changes), problems

    def _differ(self, old: _Answer, new: _Answer) -> bool:
        if old.name is None and new.name is None and not self._asked.undefined_matters:
            return False
        return self._comparable(old) != self._comparable(new)

    def _comparable(self, answer: _Answer) -> str:
        """Return what is compared: all ways to have no file are one, where they do not matter."""
        if answer.text in _NO_FILE and not self._asked.undefined_matters:
            return NOT_APPLICABLE
        return answer.text

    def _unknown(self, exposure: ExposureHeader, plan: _Plan, due: list[str]) -> dict[str, str]:
        """Return the types that cannot be told from what another context matched with."""
        if exposure.context is None:
            return {}
        unknown = {}
        for keyword in due:
            absent = sorted(plan.type_keys[keyword] - set(exposure.header) - _NEVER_THERE)
            if absent and not self._needless(exposure, plan, keyword):
                keys = ", ".join(absent)
                unknown[keyword] = f"{keys} is not recorded for {exposure.context}"
        return unknown

    def _needless(self, exposure: ExposureHeader, plan: _Plan, keyword: str) -> bool:
        """Tell whether what is known says that both contexts need no file of a type."""
        header = {key: self._normal(value) for key, value in exposure.header.items()}
        sides = (rules_of(each, keyword) for each in (plan.rules.old, plan.rules.new))
        return all(_is_irrelevant(rules, header) for rules in sides)


def _all_rules(
    profile: CrdsProfile, context: str
) -> tuple[tuple[InstrumentRules, ...], frozenset[str]]:
    """Return all types of all instruments of a context, as if each had changed."""
    pipeline = library.load_context(profile, context)
    found = []
    for name in sorted(str(each).lower() for each, _ in pipeline.selections.normal_items()):
        _, rules = library.load_rules(profile, context, name)
        types = {
            key: TypeChange(name, key, None, None, stage2_only=is_stage2_only(name, key))
            for key in keywords_of(rules)
        }
        found.append(InstrumentRules(name, rules, rules, types))
    return tuple(found), frozenset(rules.instrument for rules in found)


def _plan(rules: InstrumentRules) -> _Plan:
    type_keys = {
        keyword: frozenset(
            key for side in (rules.old, rules.new) for key in _keys_of(rules_of(side, keyword))
        )
        for keyword in rules.types
    }
    return _Plan(rules, _keys_of(rules.old), _keys_of(rules.new), type_keys)


def _keys_of(rules: Any) -> tuple[str, ...]:
    """Return what rules match with; nothing where there are none."""
    if rules is None or isinstance(rules, str):
        return ()
    return tuple(str(key).upper() for key in rules.get_required_parkeys())


def _instrument(header: Mapping[str, str]) -> str:
    """Return the instrument in lower case; '' where the header names none."""
    return str(header.get("INSTRUME", "")).strip().lower()


def _cut(header: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """Keep what rules match with, as crds' minimize_header does."""
    cut = {key: header.get(key, _UNDEFINED) for key in keys}
    cut["INSTRUME"] = header["INSTRUME"]
    return cut


def _ask(rules: Any, types: Iterable[str], header: Mapping[str, str]) -> dict[str, str]:
    """Return crds' answers by keyword; types that the rules omit or do not have are absent."""
    if rules is None:
        return {}
    there = [key.lower() for key in types if key.lower() in rules.selections]
    answers = rules.get_best_references(header, include=there) if there else {}
    return {kind.upper(): str(name) for kind, name in answers.items()}


def _bare(value: str) -> str:
    """Return the name of a reference without its logical folder (crds' cleanpath)."""
    return value.rpartition("$")[2] if "ref$" in value else value


def _lost(old: _Answer, new: _Answer) -> bool:
    """Tell whether the new rules have no answer where there was one."""
    if new.fails:
        return not old.fails
    return old.is_file and new.name is None


def _is_untold(old: _Answer, new: _Answer) -> bool:
    """Tell whether neither rules could answer, for want of something in the header."""
    if not (old.fails and new.fails) or new.text in _NO_FILE:
        return False
    return _UNDEFINED in new.text or _NO_CASE not in new.text


def _reason(text: str) -> str:
    """Return why there is no file, in words."""
    if text == _UNDEFINED:
        return "the new rules have no such type, or omit it"
    return f"the new rules fail ({_words(text)})"


def _words(text: str) -> str:
    return " ".join(text.removeprefix(NOT_FOUND).split()).lower()


def _is_irrelevant(rules: Any, header: Mapping[str, str]) -> bool:
    """Tell whether rules need no file whatever the unknown keywords are."""
    from crds.core import exceptions

    if isinstance(rules, str) or rules is None:
        return True
    try:
        rules.check_rmap_relevance(header)
    except exceptions.IrrelevantReferenceTypeError:
        return True
    return False


def _affected(
    exposure: ExposureHeader, changes: tuple[ReferenceChange, ...], problem: str | None
) -> AffectedExposure | None:
    if not changes and problem is None:
        return None
    instrument = _instrument(exposure.header)
    return AffectedExposure(exposure.dataset, exposure.exposure, instrument, changes, problem)
