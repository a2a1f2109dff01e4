"""Stage 2: the best references on one context, written into scratch copies of the headers."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path

from calib.engines.lookup import required_by
from calib.engines.version_keywords import version_cards
from calib.records import InputFile, RawInputs, References
from calib.references.bestrefs import Choice, choose_references
from calib.references.headers import update_headers
from calib.stages.calibrations import certified_choice, collection_record, still_as_certified
from calib.stages.engine import engine_of, headers_of
from calib.stages.environment import versions_of
from calib.stages.job import Job, key_of
from calib.stages.stage2 import plan_of, with_stage2_references
from calib.stages.visits import find_image_references, is_combined
from calib.stages.workfolder import Finished, StageFolder


def bestrefs(job: Job, inputs: RawInputs) -> Finished[References]:
    """Choose the references of every exposure; for visits and skycells there are none to choose.

    Raises
    ------
    MissingReference, ReferenceUnavailable, ContextError
        As :func:`calib.references.bestrefs.best_references`.
    """
    return _place(job, inputs).run(
        lambda folder: _choose(job, inputs, folder),
        still_valid=lambda found: _still_there(job, found),
    )


def finished_bestrefs(job: Job, inputs: RawInputs) -> References | None:
    """Return the references that an earlier attempt chose and that would be used again."""
    found = _place(job, inputs).load()
    return found if found is not None and _still_there(job, found) else None


def choose(job: Job, inputs: RawInputs, *, download: bool = True) -> Choice:
    """Ask the rules, and the user's collection, for the references of every exposure.

    Parameters
    ----------
    download
        Whether to fetch what is not in the cache.

    Raises
    ------
    ConfigError, ContextError, Unavailable, UnsupportedMode
        As :func:`calib.references.bestrefs.choose_references`.
    """
    options = job.options
    engine = engine_of(job, inputs)
    required = required_by(engine, inputs, headers_of(inputs), options.overrides)
    return choose_references(
        [Path(file.path) for file in inputs.exposures],
        context=job.context,
        profile=job.profile,
        required=with_stage2_references(required, plan_of(job, inputs)),
        custom={keyword: Path(path) for keyword, path in options.references.items()},
        certified=certified_choice(job),
        download=download,
    )


def _place(job: Job, inputs: RawInputs) -> StageFolder[References]:
    return StageFolder(job.folder / "bestrefs", References, bestrefs_key(job, inputs))


def bestrefs_key(job: Job, inputs: RawInputs) -> str:
    """Return what decides the answer and the headers.

    Inputs, context, references of one's own, what is opened, and version keywords.
    """
    return key_of(
        "bestrefs",
        sorted(file.sha256 for file in inputs.files),
        job.context,
        job.options.references,
        job.options.reference_checksums,
        collection_record(job.options),
        job.options.engine,
        dataclasses.asdict(job.options.overrides),
        dataclasses.asdict(job.profile),
        versions_of(job, inputs),
        *(["stage 2"] if plan_of(job, inputs).runs else []),
    )


def updated_inputs(job: Job, inputs: RawInputs) -> RawInputs:
    """Return the inputs with the exposures whose headers name the chosen references."""
    folder = job.folder / "bestrefs"

    def moved(file: InputFile) -> InputFile:
        path = folder / file.name
        return dataclasses.replace(file, path=str(path)) if path.exists() else file

    return dataclasses.replace(inputs, files=tuple(map(moved, inputs.files)))


def _choose(job: Job, inputs: RawInputs, folder: Path) -> References:
    if is_combined(job.id):
        return find_image_references(job, inputs)
    choice = choose(job, inputs)
    choice.check()
    versions = versions_of(job, inputs)
    for file in inputs.exposures:
        write_headers(file, choice.references, folder, versions)
    return choice.references


def write_headers(
    file: InputFile, references: References, folder: Path, versions: Mapping[str, str]
) -> None:
    """Write a copy of an exposure that names its references into a folder.

    Parameters
    ----------
    versions
        Version keywords, which every engine carries over into the products.
    """
    exposure = references.of(file.name)
    if exposure is None:
        return
    copy = Path(shutil.copyfile(file.path, folder / file.name))
    update_headers(copy, exposure, references.context, version_cards(versions))


def _still_there(job: Job, references: References) -> bool:
    """Look again: a file may have left the cache since, or a certified one have changed."""
    uses = [use for exposure in references.exposures for use in exposure.references]
    there = all(Path(use.path).is_file() for use in uses if use.path)
    return there and still_as_certified(job, references)
