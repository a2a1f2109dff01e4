"""The references that a manifest records, found again by name and checksum."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from calib.errors import MissingReference, ReferenceUnavailable, TransientError
from calib.records import ExposureReferences, References, ReferenceUse
from calib.references.files import locate_reference, sha1_of
from calib.references.syncing import sync_references
from calib.repository.provenance import Told
from calib.stages.job import Job

log = logging.getLogger(__name__)


def find_references(told: Told, job: Job, folders: Sequence[Path] = ()) -> References:
    """Find the references of every exposure.

    Looked for in `folders`, where references of the user's own lay then, and in the CRDS
    cache; what is not there is downloaded where the profile has a server.

    Parameters
    ----------
    told
        The provenance of the manifest.
    job
        Its profile says where the cache is.
    folders
        Where to look first.

    Raises
    ------
    MissingReference
        A file of the recorded name has another checksum; the message has all of them.
    ReferenceUnavailable
        A file is not to be had.
    """
    recorded = tuple(each.as_recorded() for each in told.references)
    own = [Path(path) for path in told.request.get("own_references", ())]
    places = _Places(job, [*folders], own)
    _download(places, recorded, job)
    found = tuple(places.fill(exposure) for exposure in recorded)
    places.raise_problems()
    return References(
        context=told.context,
        crds_version=told.crds_version,
        exposures=found,
        differences=told.reference_differences,
    )


class _Places:
    """Where references may lie, and what is wrong with those found.

    What was not there then is not looked for. What is there must be the same file, whether or
    not a switch requires it: engines open some types only where they are named (BPIXTAB).
    """

    def __init__(self, job: Job, folders: Sequence[Path], own: Sequence[Path]) -> None:
        self._job = job
        self._folders = folders
        self._own = own
        self._others: dict[str, tuple[ReferenceUse, Path]] = {}
        self._absent: dict[str, ReferenceUse] = {}

    def fill(self, exposure: ExposureReferences) -> ExposureReferences:
        """Return an exposure with the paths of its references."""
        return replace(exposure, references=tuple(map(self._fill, exposure.references)))

    def is_absent(self, use: ReferenceUse) -> bool:
        """Tell whether a file that was there then lies nowhere now."""
        return use.present and next(self._candidates(use), None) is None

    def _fill(self, use: ReferenceUse) -> ReferenceUse:
        if not use.present:
            return use
        there = list(self._candidates(use))
        for path in there:
            if use.sha1 in {None, sha1_of(path)}:
                return replace(use, path=str(path))
        if there:
            self._others[use.name] = (use, there[0])
        elif use.required:
            self._absent[use.name] = use
        return replace(use, path=None)

    def _candidates(self, use: ReferenceUse) -> Iterator[Path]:
        paths = [folder / use.name for folder in self._folders]
        paths += [path for path in self._own if path.name == use.name]
        yield from (path for path in paths if path.is_file())
        job = self._job
        if cached := locate_reference(job.profile, job.id.instrument, use.name):
            yield cached

    def raise_problems(self) -> None:
        """Raise where a file is another one, or is nowhere."""
        if self._others:
            names = ", ".join(f"{use.keyword} {name}" for name, (use, _) in self._others.items())
            raise MissingReference(
                f"reference {names} differs from the one recorded",
                dataset=self._job.dataset,
                path="; ".join(str(path) for _, path in self._others.values()),
                expected="; ".join(f"sha1 {use.sha1}" for use, _ in self._others.values()),
                found="; ".join(f"sha1 {sha1_of(path)}" for _, path in self._others.values()),
            )
        if self._absent:
            raise ReferenceUnavailable(
                "references that were used are not to be had",
                dataset=self._job.dataset,
                path=", ".join(self._absent),
                expected="them in the CRDS cache, at their recorded places, or in a folder given "
                "with --references",
            )


def _download(places: _Places, exposures: Sequence[ExposureReferences], job: Job) -> None:
    """Bring what is absent, where the profile can; what cannot be had is named later."""
    uses = [use for exposure in exposures for use in exposure.references]
    absent = {use.name for use in uses if places.is_absent(use)}
    if not absent or not job.profile.can_fill:
        return
    try:
        synced = sync_references(job.profile, job.context, absent)
    except TransientError as error:
        log.warning("references of %s cannot be had: %s", job.context, error)
        return
    for name, why in synced.failed:
        log.warning("%s: %s", name, why)
