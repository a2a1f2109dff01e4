"""A small registry to ask questions of: an association in two runs, and an exposure beside it."""

from __future__ import annotations

from typing import Any

from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger, current_owner
from calib.ledger.publications import (
    Published,
    PublishedFile,
    record_data_ids,
    record_members,
    record_publications,
)
from calib.records import (
    DataId,
    ExposureReferences,
    InputFile,
    Member,
    Outcome,
    RawInputs,
    References,
    ReferenceUse,
)

ASSOCIATION, EXPOSURES, ALONE = "j8bt05010", ("j8bt05njq", "j8bt05nkq"), "jbxx01abq"
BIAS = "x_bia.fits"
RUN: dict[str, Any] = {
    "context": "hst_1.pmap",
    "engine": "native",
    "engine_version": "1",
    "parameters": {"overrides": {"switches": {"DARKCORR": "OMIT"}}},
    "output": "file:/o",
}
MEMBERS = (
    Member("J8BT05NJQ", "EXP-CRJ", present=True),
    Member("J8BT05NKQ", "EXP-CRJ", present=True),
    Member("J8BT05010", "PROD-CRJ", present=True),
)
DATA_IDS = (
    DataId(ASSOCIATION, "acs", "8bt", "05", "HRC", "F606W", 9025, "M31", "2002-04-12T18:30:00"),
    DataId(EXPOSURES[0], "acs", "8bt", "05", "HRC", "F606W", 9025, "M31", "2002-04-12T18:30:00"),
    DataId(EXPOSURES[1], "acs", "8bt", "05", "HRC", "F606W", 9025, "M31", "2002-04-12T18:40:00"),
    DataId(ALONE, "acs", "bxx", "01", "WFC", "F814W;POL0V", 12345, "[M33]", "2010-01-01T00:00:00"),
)


def checksum(name: str) -> str:
    """Return the sha256 that a file of the registry has."""
    return name.encode().hex().ljust(64, "0")[:64]


def file_of(name: str, *, run: str = "") -> PublishedFile:
    """Return a file, with other content in another run."""
    root, _, kind = name.partition(".")[0].partition("_")
    return PublishedFile(name, kind, root, checksum(f"{run}{name}"), 1000)


def published(run: str, dataset: str, *names: str, day: int = 1) -> Published:
    """Return a publication."""
    files = tuple(file_of(name, run="" if "_raw" in name else run) for name in names)
    gone = ((f"{ASSOCIATION}_sfl.fits", "r1"),) if (run, dataset) == ("r2", ASSOCIATION) else ()
    return Published(
        run,
        dataset,
        f"file:///o/runs/{run}/acs/{dataset}",
        files,
        f"2026-01-{day:02d}T00:00:00+00:00",
        fingerprint=checksum(run + dataset),
        tombstones=gone,
    )


def fill(ledger: Ledger) -> None:
    """Write the registry down: run r1 was processed, r2 found again, and is current for one."""
    for run in ("r1", "r2"):
        ledger.ensure_run(run, **RUN)
    raws = [f"{name}_raw.fits" for name in EXPOSURES]
    flts = [f"{name}_flt.fits" for name in EXPOSURES]
    process(ledger, published("r1", ASSOCIATION, *raws, *flts, f"{ASSOCIATION}_crj.fits"), raws)
    process(ledger, published("r1", ALONE, f"{ALONE}_raw.fits"), [f"{ALONE}_raw.fits"])
    again = published("r2", ASSOCIATION, *flts, f"{ASSOCIATION}_crj.fits", day=2)
    ledger.write(lambda c: record_publications(c, [again]))
    ledger.write(lambda c: record_data_ids(c, DATA_IDS))
    ledger.write(lambda c: record_members(c, ASSOCIATION, MEMBERS))
    ledger.set_current(parse_dataset(ASSOCIATION), "r2")
    ledger.set_current(parse_dataset(ALONE), "r1")


def process(ledger: Ledger, found: Published, raws: list[str]) -> None:
    """Tell the ledger of an attempt that made a publication."""
    dataset = parse_dataset(found.dataset)
    job = ledger.submit("adhoc", dataset, found.run, context=RUN["context"])
    attempt = ledger.begin_attempt(job, current_owner())
    inputs = [
        InputFile(name, f"/in/{name}", checksum(name), 1000, "raw", name[:9]) for name in raws
    ]
    ledger.record_inputs(attempt, RawInputs(found.dataset, "file:/in", tuple(inputs)))
    uses = (
        ReferenceUse("BIASFILE", BIAS, f"/refs/{BIAS}", "b" * 40, required=True),
        ReferenceUse("DARKFILE", "N/A"),
    )
    exposures = tuple(ExposureReferences(name, uses, {}) for name in raws)
    ledger.record_references(attempt, References(RUN["context"], "14.0", exposures))
    ledger.record_publication(attempt, found)
    ledger.finish_attempt(attempt, Outcome(found.dataset, "processed", "published", uri=found.uri))
