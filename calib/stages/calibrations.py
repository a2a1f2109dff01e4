"""References of the user's own, by date: from a collection in the ledger to an exposure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from calib.errors import ConfigError, CorruptFile
from calib.ledger.calibrations import Certification, calibrations_in, unknown, valid_at
from calib.ledger.reading import open_reader
from calib.records import References
from calib.references.exposure import ExposureHeaders
from calib.references.files import sha1_of
from calib.references.own import Certified, OwnReference
from calib.stages.job import Job, Options


def read_certifications(ledger: str, collection: str) -> tuple[Certification, ...]:
    """Read what is certified in a collection now.

    Parameters
    ----------
    ledger
        URL of the ledger, or the path of a SQLite file.
    collection
        Name of the collection.

    Raises
    ------
    ConfigError
        There is no such collection, nothing is certified in it, or the ledger cannot be read.
    """
    with open_reader(ledger) as rows:
        if rows is None:
            raise unknown(collection, None)
        found = tuple(calibrations_in(rows, collection))
    if not found:
        message = "nothing is certified in this calibration collection"
        raise ConfigError(message, found=collection)
    return found


def with_certifications(options: Options, ledger: str) -> Options:
    """Return options with what is in their collection now; those that have it stay.

    Raises
    ------
    ConfigError
        As :func:`read_certifications`.
    """
    if options.calibrations is None or options.certifications is not None:
        return options
    return replace(options, certifications=read_certifications(ledger, options.calibrations))


def certified_for(collection: str, certifications: Iterable[Certification]) -> Certified:
    """Return the function that says which references of a collection are for an exposure.

    The start of the exposure counts: DATE-OBS and TIME-OBS of its header.
    """
    known = tuple(certifications)

    def choose(exposure: ExposureHeaders) -> Mapping[str, OwnReference]:
        instrument, detector = exposure.instrument, _text(exposure, "DETECTOR")
        fitting = [each for each in known if each.is_for(instrument, detector, None)]
        if not fitting:
            return {}
        valid = _valid(exposure, fitting, instrument=instrument, detector=detector)
        return {key: _own(each, collection) for key, each in valid.items()}

    return choose


def certified_choice(job: Job) -> Certified | None:
    """Return the same for a job; None where it has no collection."""
    options = job.options
    if options.calibrations is None:
        return None
    return certified_for(options.calibrations, options.certifications or ())


def collection_record(options: Options) -> dict[str, Any]:
    """Return a whole collection as the parameters of a run name it; empty without one.

    Where the files lie is left out: they are known by their checksums.
    """
    known = options.certifications or ()
    if options.calibrations is None:
        return {}
    rows = [{key: value for key, value in vars(each).items() if key != "uri"} for each in known]
    return {"calibrations": {"collection": options.calibrations, "references": rows}}


def use_record(job: Job, references: References) -> dict[str, Any]:
    """Return what a dataset got from its collection; empty where that is nothing.

    A dataset that a collection has nothing for is the same as without the collection.
    """
    files = {(each.keyword, each.reference, each.sha1) for each in job.options.certifications or ()}
    used = {
        (use.keyword, use.name, use.sha1)
        for exposure in references.exposures
        for use in exposure.references
        if use.keyword not in job.options.references
    }
    rows = [dict(zip(("keyword", "name", "sha1"), each, strict=True)) for each in files & used]
    if not rows:
        return {}
    rows.sort(key=lambda row: (row["keyword"], row["name"], row["sha1"]))
    return {"calibrations": {"collection": job.options.calibrations, "references": rows}}


def still_as_certified(job: Job, references: References) -> bool:
    """Tell whether the files of the collection are what they were when they were chosen."""
    paths = {each.path for each in job.options.certifications or ()}
    return all(
        sha1_of(Path(use.path)) == use.sha1
        for exposure in references.exposures
        for use in exposure.references
        if use.path in paths
    )


def _valid(
    exposure: ExposureHeaders, certifications: Iterable[Certification], **words: str
) -> dict[str, Certification]:
    date, time = _text(exposure, "DATE-OBS"), _text(exposure, "TIME-OBS")
    try:
        return valid_at(certifications, observed_at=f"{date}T{time or '00:00:00'}", **words)
    except ConfigError as error:
        raise CorruptFile(
            "the header has no date that references of a collection could be chosen by",
            path=exposure.path,
            expected="DATE-OBS as YYYY-MM-DD and TIME-OBS as HH:MM:SS",
            found=f"DATE-OBS {date or 'absent'}, TIME-OBS {time or 'absent'}",
        ) from error


def _own(each: Certification, collection: str) -> OwnReference:
    source = f"certified in {collection} ({each.range})"
    return OwnReference(Path(each.path), each.sha1, source)


def _text(exposure: ExposureHeaders, keyword: str) -> str:
    return str(exposure.header.get(keyword) or "").strip().upper()
