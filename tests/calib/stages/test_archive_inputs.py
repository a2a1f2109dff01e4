"""Datasets made again from raws that the registry knows."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from calib.ledger.products import ProductQuery, find_products
from calib.repository.retrieval import find_product, get
from calib.stages.fetch import fetch
from calib.stages.job import Job
from calib.stages.recording import ledger_of
from calib.stages.sequence import process_dataset


def again(job: Job, run: str, source: str = "archive:") -> Job:
    """Return the job with inputs from the registry and another run."""
    return dataclasses.replace(job, source=source, run=run, run_is_named=True)


def test_second_run_from_the_archive_is_equal_bit_for_bit(job: Job) -> None:
    """Raws come from the first run; pixels and headers of the flt are the same, dates aside."""
    first = process_dataset(dataclasses.replace(job, run="first", run_is_named=True))
    second = process_dataset(again(job, "second"))
    third = process_dataset(again(job, "second"))

    assert [each.state for each in (first, second, third)] == ["processed", "processed", "skipped"]
    ledger = ledger_of(job.ledger)
    name, paths = f"{job.dataset}_flt.fits", []
    for run in ("first", "second"):
        product = ledger.ask(
            lambda rows, run=run: find_product(rows, name, ProductQuery(runs=(run,)))
        )
        paths.append(get(product, as_path=True))
    difference = fits.FITSDiff(*paths, ignore_keywords=["DATE", "CHECKSUM", "DATASUM"])
    assert difference.identical, difference.report()
    assert np.isfinite(fits.getdata(paths[0], "SCI")).all()
    inputs = ledger.ask(lambda rows: rows("SELECT source FROM inputs WHERE run = 'second'", {}))
    assert {row["source"] for row in inputs} == {"archive:first"}


def test_work_is_done_again_when_the_registry_has_other_raws(job: Job) -> None:
    """The key of the stage has the answer of the registry: same answer, same files."""
    process_dataset(dataclasses.replace(job, run="first", run_is_named=True))
    mine = again(job, "later")
    assert [fetch(mine).reused, fetch(mine).reused] == [False, True]

    process_dataset(again(job, "second"))

    fetched = fetch(mine)
    assert not fetched.reused
    assert fetched.record.source == "archive:second"


def test_registry_without_the_dataset_is_an_error_of_input(job: Job) -> None:
    """Nothing registered, and a collection that nobody knows: codes 21 and 2, in the outcome."""
    found: list[Any] = [
        process_dataset(again(job, "one")),
        process_dataset(again(job, "two", "archive:nobody")),
    ]

    assert [(each.state, each.error_class, each.code) for each in found] == [
        ("error", "NotFound", 21),
        ("error", "ConfigError", 2),
    ]
    ledger = ledger_of(job.ledger)
    assert ledger.ask(lambda rows: find_products(rows, ProductQuery())) == []
    assert not (Path(job.work) / "one" / job.dataset / "fetch").exists()
