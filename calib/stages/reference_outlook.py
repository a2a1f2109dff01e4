"""References as a forecast shows them: at hand, to be downloaded, missing."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calib.ledger.reading import open_reader
from calib.ledger.reports import references_of_last_attempt
from calib.records import References, ReferenceUse
from calib.references.bestrefs import Choice
from calib.references.files import NOT_APPLICABLE, NOT_FOUND, locate_reference
from calib.references.problems import Problem
from calib.references.profile import CrdsProfile
from calib.stages.job import Job
from calib.stages.outlook import ReferenceForecast, ReferenceState


def can_download(name: str, choice: Choice, job: Job) -> bool:
    """Tell whether a file that is not in the cache can be had; a server may not say what it has."""
    if not name or name in choice.bad or not job.profile.can_fill:
        return False
    return not choice.catalogue or name in choice.catalogue


def as_downloaded(choice: Choice) -> References:
    """Return the references with the checksums that CRDS names for files still to come."""

    def filled(use: ReferenceUse) -> ReferenceUse:
        entry = choice.catalogue.get(use.name)
        if use.path or not use.required or not entry:
            return use
        return dataclasses.replace(use, sha1=entry.get("sha1sum"))

    exposures = tuple(
        dataclasses.replace(each, references=tuple(map(filled, each.references)))
        for each in choice.references.exposures
    )
    return dataclasses.replace(choice.references, exposures=exposures)


def describe_choice(
    job: Job, choice: Choice, profile: CrdsProfile
) -> tuple[ReferenceForecast, ...]:
    """Return the references of all exposures, with what is wrong with some.

    Parameters
    ----------
    job
        Whose; its profile is the user's.
    choice
        What the rules chose.
    profile
        Under which the files were seen: :func:`looking_profile`.
    """
    notes = {(p.file, p.keyword): p for p in choice.problems}
    found = []
    for exposure in choice.references.exposures:
        listed = {use.keyword: use for use in exposure.references}
        lost = [key for file, key in notes if file == exposure.file and key not in listed]
        for use in [*listed.values(), *(ReferenceUse(key, "", required=True) for key in lost)]:
            problem = notes.get((exposure.file, use.keyword))
            found.append(_reference(job, exposure.file, use, problem, choice, profile))
    return tuple(found)


def _reference(
    job: Job,
    exposure: str,
    use: ReferenceUse,
    problem: Problem | None,
    choice: Choice,
    profile: CrdsProfile,
) -> ReferenceForecast:
    state = _state_of(job, use, choice)
    path = _own_path(use.path, job, profile)
    entry = choice.catalogue.get(use.name, {}).get("size", "")
    size = Path(path).stat().st_size if path else int(entry) if entry.isdigit() else None
    return ReferenceForecast(
        exposure,
        use.keyword,
        "" if state in {"N/A", "no match"} else use.name,
        required=use.required,
        custom=use.keyword in job.options.references,
        state=state,
        size=size,
        path=path,
        note=problem.text if problem and state != "download" else "",
    )


def _state_of(job: Job, use: ReferenceUse, choice: Choice) -> ReferenceState:
    if use.path:
        return "present"
    if use.name == NOT_APPLICABLE:
        return "N/A"
    if use.name in {NOT_FOUND, ""}:
        return "no match"
    if use.name in choice.bad:
        return "bad"
    return "download" if can_download(use.name, choice, job) else "missing"


def _own_path(path: str | None, job: Job, profile: CrdsProfile) -> str | None:
    """Return the path in the user's cache of a file that was seen through the temporary one."""
    if path is None or not Path(path).is_relative_to(profile.cache):
        return path
    return str(job.profile.cache / Path(path).relative_to(profile.cache))


def remembered_references(job: Job) -> tuple[ReferenceForecast, ...]:
    """Return what the last attempt on the job's context used; empty where the ledger has none.

    Raises
    ------
    ConfigError
        The ledger cannot be read.
    """
    with open_reader(job.ledger) as rows:
        if rows is None:
            return ()
        used = references_of_last_attempt(rows, job.dataset, job.context)
    return tuple(_remembered(job, row) for row in used)


def _remembered(job: Job, row: Mapping[str, Any]) -> ReferenceForecast:
    use = ReferenceUse(row["keyword"], row["name"], required=bool(row["required"]))
    path = locate_reference(job.profile, job.id.instrument, use.name)
    if path is not None:
        use = dataclasses.replace(use, path=str(path))
    state = _state_of(job, use, Choice(References(job.context, "", ())))
    return ReferenceForecast(
        row["exposure"],
        use.keyword,
        "" if state in {"N/A", "no match"} else use.name,
        required=use.required,
        custom=use.keyword in job.options.references,
        state=state,
        size=path.stat().st_size if path else None,
        path=use.path,
    )


def looking_profile(profile: CrdsProfile, scratch: Path) -> CrdsProfile:
    """Return a profile whose cache is a temporary one, that shows what the user's cache has.

    The crds library writes rules and what the server says into its cache when it is only asked.

    Parameters
    ----------
    profile
        The user's. Where it writes nothing (no server, or read-only) it is returned as it is.
    scratch
        A temporary folder.
    """
    if not profile.can_fill:
        return profile
    shown = dataclasses.replace(profile, cache=scratch / "crds")
    shown.mappings.mkdir(parents=True)
    for path in profile.mappings.glob("hst*.?map"):
        (shown.mappings / path.name).symlink_to(path.absolute())
    if (profile.cache / "references").is_dir():
        (shown.cache / "references").symlink_to((profile.cache / "references").absolute())
    if (profile.cache / "config").is_dir():
        shutil.copytree(profile.cache / "config", shown.cache / "config")
    return shown
