"""What changes between two contexts, and for which exposures: the records of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TypeChange:
    """A reference type whose rules differ between two contexts.

    Attributes
    ----------
    instrument, keyword
        ``acs``, ``DARKFILE``.
    old, new
        The rules (``hst_acs_darkfile_0362.rmap``), ``N/A`` or ``OMIT``; None where the context
        has no such instrument or type.
    added, deleted
        References that only the new, or only the old rules name.
    since
        Exposures before this moment (``2019-08-01 00:00:00``) cannot change; None: all may.
    stage2_only
        Whether only stage 2 (drizzle) opens such files.
    """

    instrument: str
    keyword: str
    old: str | None
    new: str | None
    added: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    since: str | None = None
    stage2_only: bool = False


@dataclass(frozen=True)
class ContextChanges:
    """All types whose rules differ between two contexts, by instrument and keyword."""

    old: str
    new: str
    types: tuple[TypeChange, ...] = ()


@dataclass(frozen=True)
class ExposureHeader:
    """What the rules need to know of an exposure.

    Attributes
    ----------
    dataset
        What is to be processed again for it: an association or the exposure itself; upper or
        lower case as its source has it.
    exposure
        Its own name.
    header
        Keywords and values as text, upper case keywords: all of a header, or what the rules of
        one context matched with.
    context
        The context whose rules matched with it, where it is not a whole header.
    problem
        Why there is no header, where there is none: the exposure counts as affected.
    """

    dataset: str
    exposure: str
    header: Mapping[str, str] = field(default_factory=dict)
    context: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class ReferenceChange:
    """A keyword whose reference differs; None where the rules name no file.

    Attributes
    ----------
    keyword, old, new
        Names as the rules have them; ``N/A`` where no file is needed.
    stage2_only
        Whether only stage 2 (drizzle) opens it.
    """

    keyword: str
    old: str | None
    new: str | None
    stage2_only: bool = False


@dataclass(frozen=True)
class AffectedExposure:
    """An exposure whose references differ.

    Attributes
    ----------
    dataset, exposure, instrument
        As in :class:`ExposureHeader`; the instrument in lower case.
    changes
        What differs, by keyword.
    problem
        Why it cannot be told, and so counts as affected: a keyword that the rules match with is
        not known, or the rules refuse.
    """

    dataset: str
    exposure: str
    instrument: str
    changes: tuple[ReferenceChange, ...] = ()
    problem: str | None = None

    @property
    def stage2_only(self) -> bool:
        """Whether nothing differs but what stage 2 alone opens."""
        return bool(self.changes) and all(each.stage2_only for each in self.changes)
