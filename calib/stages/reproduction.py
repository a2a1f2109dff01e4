"""Makes a published dataset again, from its provenance alone, and compares.

Everything happens in a folder of its own: the archive and the ledger are read, never written.
The references are those that were recorded, by name and checksum, so the rules of the context
are not asked again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from calib.archive.layout import relative_name
from calib.archive.manifest import FileEntry, Manifest
from calib.caldp import DELETED_SUFFIXES, product_suffix
from calib.engines.stage2 import ASTROMETRY
from calib.errors import (
    ConfigError,
    CorruptFile,
    MissingMember,
    NotFound,
    Proprietary,
    Unavailable,
)
from calib.fitsfile import primary_header
from calib.ids import parse_dataset
from calib.records import RawInputs, References
from calib.references.profile import CrdsProfile
from calib.repository.provenance import Told, read_provenance
from calib.stages.archive import Made, files_of
from calib.stages.bestrefs import write_headers
from calib.stages.calibrate import calibrate
from calib.stages.engine import engine_of
from calib.stages.fetch import fetch
from calib.stages.file_comparison import VERSION_CARDS, FileResult, Terms, compare_all
from calib.stages.job import Job, Options
from calib.stages.preview import preview
from calib.stages.published import Found, not_ours
from calib.stages.recorded_references import find_references
from calib.stages.reproducibility import (
    DRIZZLED,
    Facts,
    changes,
    classes_of,
    facts_of,
    tolerance_for,
)
from calib.stages.visits import is_combined
from calib.stores.store import hash_file
from calib.switches import Overrides

ARCHIVE_ORIGIN = "the archive"

# MAST by its address: its source names no place of its own.
_MAST = re.compile(r"astroquery:https?://")

# What a source says that does not have the inputs, or not all, or not for us, or not now.
_NO_INPUTS = (ConfigError, MissingMember, NotFound, Proprietary, Unavailable)


@dataclass(frozen=True)
class Rerun:
    """How to make a dataset again.

    Attributes
    ----------
    profile
        How to reach CRDS.
    work
        A folder of its own for this dataset: empty or absent.
    ledger
        URL of the ledger, where inputs of ``archive:`` are looked up: read, never written.
    source
        URI of the inputs; None: where they came from, else the archive.
    from_archive
        Take the raw files that were published with the products, whatever the source is.
    folders
        Folders to look for references in first.
    engine
        Another engine than the one that made it.
    threads
        How many the engine may use.
    """

    profile: CrdsProfile
    work: Path
    ledger: str
    source: str | None = None
    from_archive: bool = False
    folders: tuple[Path, ...] = ()
    engine: str | None = None
    threads: int = 1


@dataclass(frozen=True)
class Reproduction:
    """How a dataset came out.

    Attributes
    ----------
    dataset, run, uri
        What was made again.
    kind
        ``exact``: every bit was expected; ``tolerance``: numbers close by.
    reasons
        Why not every bit, one per class.
    engine
        Which one made it again.
    inputs
        Where they came from.
    unanswered
        What the source of the inputs said where the archive had to do; empty otherwise.
    changes
        What is another now: name, then, now.
    files
        How each file came out.
    seconds
        What it took.
    """

    dataset: str
    run: str
    uri: str
    kind: str
    reasons: tuple[str, ...]
    engine: str
    inputs: str
    unanswered: str
    changes: tuple[tuple[str, str, str], ...]
    files: tuple[FileResult, ...]
    seconds: float = 0.0

    @property
    def reproduced(self) -> bool:
        """Whether every file counts as made again."""
        return all(file.reproduced for file in self.files)


def reproduce(found: Found, rerun: Rerun) -> Reproduction:
    """Make a published dataset again and compare every file but the logs.

    Parameters
    ----------
    found
        The publication (:func:`calib.stages.published.find_publication`).
    rerun
        With what, and where.

    Raises
    ------
    UnsupportedMode
        hstflow did not make it, or no engine here can.
    NotFound, CorruptFile
        The inputs are not to be had, or are not those that it was made from.
    MissingReference, ReferenceUnavailable
        A reference differs from the one recorded, or is not to be had.
    ConfigError
        The work folder is in use, or there is no such engine.
    EngineError, DataError, PreviewError
        As the stages say.
    """
    start = time.perf_counter()
    provenance = found.manifest.provenance
    if not {"engine", "inputs", "references", "context"} <= {*provenance}:
        raise not_ours(found.manifest.dataset, found.uri)
    told = read_provenance(found.manifest.dataset, provenance, found.uri)
    _make_folder(rerun.work)
    fetched = _fetch(found, told, rerun)
    inputs, job = fetched.inputs, fetched.job
    references = find_references(told, job, rerun.folders)
    facts = _facts(provenance, job, inputs)
    made = _make(job, inputs, references, dict(told.request.get("versions", {})))
    classes = classes_of(facts)
    files = _compare(found, job, made, facts)
    return Reproduction(
        dataset=job.dataset,
        run=job.run,
        uri=found.uri,
        kind="tolerance" if classes else "exact",
        reasons=tuple(f"{why} ({each.source})" for each, why in classes),
        engine=f"{facts.now.name} {facts.now.numbers_version}",
        inputs=fetched.origin,
        unanswered=fetched.unanswered,
        changes=changes(facts),
        files=files,
        seconds=time.perf_counter() - start,
    )


def _make_folder(folder: Path) -> None:
    """Make the work folder: what an earlier try left there would be taken for this one's."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_used = any(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"the folder cannot be used: {error.strerror}", path=folder) from error
    if is_used:
        raise ConfigError("the folder has something in it", path=folder, expected="an empty one")


def _job(manifest: Manifest, told: Told, rerun: Rerun, source: str) -> Job:
    overrides = told.parameters.get("overrides", {})
    drawn = any(file.role == "preview" for file in manifest.files)
    thumb = told.request.get("thumb")
    options = Options(
        engine=rerun.engine or told.engine["name"],
        overrides=Overrides(
            dict(overrides.get("switches", {})), dict(overrides.get("parameters", {}))
        ),
        env=_environment_of(manifest, told),
        **_stage2_of(manifest, told),
        previews="normal" if drawn else "none",
        thumb=None if thumb is None else int(thumb),
        threads=rerun.threads,
    )
    return Job(
        dataset=manifest.dataset,
        campaign="reproduce",
        run=manifest.run,
        run_is_named=True,
        context=told.context,
        profile=rerun.profile,
        source=source,
        output=None,
        work=str(rerun.work.absolute()),
        ledger=rerun.ledger,
        options=options,
    )


def _environment_of(manifest: Manifest, told: Told) -> dict[str, str]:
    """Return the variables that were set; of a visit with the version keywords of its headers.

    Those of exposures are written before they are calibrated.
    """
    said = dict(told.parameters.get("env", {}))
    return said | dict(told.request.get("versions", {})) if is_combined(manifest.id) else said


def _stage2_of(manifest: Manifest, told: Told) -> dict[str, Any]:
    """Return the settings of stage 2 that make the same again: what was done, not what was asked.

    What was not drizzled, for lack of a program as well, is not drizzled now; what had no viable
    data then may have none now.
    """
    recorded = told.parameters.get("stage2")
    if not recorded:
        done = told.resolved_parameters.get("astrometry", told.parameters.get("astrometry", "off"))
        return {"stage2": "never", "astrometry": done}
    done = told.resolved_parameters.get(ASTROMETRY, recorded.get("astrometry", "off"))
    is_drizzled = any(file.name.endswith(DRIZZLED) for file in manifest.files)
    return {"stage2": "always" if is_drizzled else "auto", "astrometry": done}


class _Fetched(NamedTuple):
    """The inputs, where they came from, the job that has them, and why not from their source."""

    inputs: RawInputs
    origin: str
    job: Job
    unanswered: str = ""


def _fetch(found: Found, told: Told, rerun: Rerun) -> _Fetched:
    """Bring the inputs: from where a person says, else from their source, else the archive."""
    unanswered = ""
    is_visit = is_combined(found.manifest.id)
    if rerun.from_archive and is_visit:
        raise ConfigError(
            "the images of a visit or skycell are not published with it",
            dataset=found.manifest.dataset,
            expected="--source archive:RUN",
            found="--from-archive",
        )
    if not rerun.from_archive:
        source = rerun.source or _recorded_source(told)
        job = _job(found.manifest, told, rerun, source)
        try:
            inputs = fetch(job).record
        except _NO_INPUTS as error:
            if rerun.source is not None or is_visit:
                raise
            unanswered = str(error)
        else:
            _refuse_others(told, inputs)
            return _Fetched(inputs, source, job)
    job = _job(found.manifest, told, rerun, f"file:{_from_archive(found, told, rerun.work)}")
    return _Fetched(fetch(job).record, ARCHIVE_ORIGIN, job, unanswered)


def _recorded_source(told: Told) -> str:
    """Return where the inputs came from; MAST is where the settings say that it is now.

    The place of a visit's poller (``astroquery:FOLDER``) stays.
    """
    return "astroquery:" if _MAST.match(told.source) else told.source


def _refuse_others(told: Told, inputs: RawInputs) -> None:
    """Raise where the inputs are not those that the products were made from."""
    recorded = {file.name: file.sha256 for file in told.inputs}
    there = {file.name: file.sha256 for file in inputs.files}
    others = sorted(name for name in {*recorded, *there} if recorded.get(name) != there.get(name))
    if others:
        raise CorruptFile(
            f"the inputs are not those that the products were made from: they have changed since; "
            f"{_elsewhere(inputs)}",
            dataset=inputs.dataset,
            path=inputs.source,
            expected="; ".join(f"{name} sha256 {recorded.get(name, 'none')}" for name in others),
            found="; ".join(f"{name} sha256 {there.get(name, 'none')}" for name in others),
        )


def _elsewhere(inputs: RawInputs) -> str:
    if is_combined(parse_dataset(inputs.dataset)):
        return "--source archive:RUN takes the images of the run in which they were published"
    return "--from-archive takes the raw files published beside the products"


def _from_archive(found: Found, told: Told, work: Path) -> Path:
    """Bring the raw files of the publication: their headers name the references already."""
    folder = work / "archived"
    folder.mkdir()
    entries = {file.name.rpartition("/")[2]: file for file in found.manifest.files}
    deleted = DELETED_SUFFIXES.get(found.manifest.id.instrument, frozenset())
    for file in told.inputs:
        if product_suffix(file.name) in deleted:
            continue  # it was not archived, by the same rule
        entry = entries.get(file.name)
        if entry is None:
            raise NotFound(
                "an input is neither at its source nor in the archive",
                dataset=found.manifest.dataset,
                path=file.name,
            )
        _bring(found, entry, folder)
    return folder


def _bring(found: Found, entry: FileEntry, folder: Path) -> None:
    target = folder / entry.name.rpartition("/")[2]
    found.store.get(entry.name, target)
    if (sha256 := hash_file(target)) != entry.sha256:
        raise CorruptFile(
            "the archived input has changed since it was published",
            dataset=found.manifest.dataset,
            path=f"{found.uri}/{entry.name}",
            expected=f"sha256 {entry.sha256}",
            found=sha256,
        )


def _facts(provenance: Mapping[str, Any], job: Job, inputs: RawInputs) -> Facts:
    headers = [primary_header(file.path) for file in inputs.exposures]
    seeds = tuple(header.get("RANDSEED") for header in headers)
    engine = engine_of(job, inputs)
    return facts_of(provenance, engine, job.id.instrument, seeds)


def _make(job: Job, inputs: RawInputs, references: References, versions: Mapping[str, str]) -> Made:
    """Go through the stages from the headers on; nothing of it is recorded anywhere.

    Parameters
    ----------
    versions
        Version keywords as the products have them; none in what was published before there
        were any.
    """
    folder = job.folder / "bestrefs"
    folder.mkdir(parents=True)
    for file in inputs.exposures:
        write_headers(file, references, folder, versions)
    products = calibrate(job, inputs, references).record
    previews = preview(job, inputs, products).record
    return Made(inputs, references, products, previews)


def _compare(found: Found, job: Job, made: Made, facts: Facts) -> tuple[FileResult, ...]:
    classes = tuple(each for each, _ in classes_of(facts))
    other = {name for name, _, _ in changes(facts)}
    if (facts.engine, facts.numbers_version) != (facts.now.name, facts.now.numbers_version):
        other.add("engine")
    cards = tuple(card for card, name in VERSION_CARDS.items() if name in other)
    files = {
        relative_name(file.role, file.path.name): file.path
        for file in files_of(job, made)
        if file.role != "log"
    }
    words = any(each.other_words for each in classes)
    terms = {
        name: Terms(tolerance_for(name, classes), cards, "pillow" in other, words) for name in files
    }
    folder = Path(job.work) / "compared"
    folder.mkdir()
    return compare_all(found.manifest.files, found.store, files, terms, folder)
