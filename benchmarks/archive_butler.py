"""The butler's half of benchmarks/archive.py: run by an interpreter that has lsst-daf-butler.

``python archive_butler.py FOLDER NUMBER...`` reads the files of FOLDER/files, and prints JSON:
milliseconds per operation for each number of products. The repository is one for Hubble data:
instrument, visit and exposure as dimensions, names as keys, SQLite.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lsst.daf.butler import Butler, DatasetRef, DatasetType, FileDataset, FormatterV2

SINGLE = 40  # repetitions of what is done one at a time

ELEMENTS = """
version: 1
namespace: hst
skypix:
  common: htm7
  htm: {class: lsst.sphgeom.HtmPixelization, max_level: 24}
elements:
  instrument:
    doc: An instrument.
    keys: [{name: name, type: string, length: 16}]
    governor: true
    storage: {cls: lsst.daf.butler.registry.dimensions.governor.BasicGovernorDimensionRecordStorage}
  visit:
    doc: A visit.
    keys: [{name: name, type: string, length: 16}]
    requires: [instrument]
    storage: {cls: lsst.daf.butler.registry.dimensions.table.TableDimensionRecordStorage}
  exposure:
    doc: An exposure.
    keys: [{name: name, type: string, length: 16}]
    requires: [instrument]
    implies: [visit]
    storage: {cls: lsst.daf.butler.registry.dimensions.table.TableDimensionRecordStorage}
topology: {}
packers: {}
"""
SEED = """
datastore:
  templates:
    default: "{run:/}/{datasetType}/{instrument:?}_{exposure:?}"
"""


class FitsFormatter(FormatterV2):
    """Says that a file is FITS; nothing is read here."""

    default_extension = ".fits"
    supported_extensions = frozenset({".fits"})


def main(folder: Path, numbers: list[int]) -> None:
    """Measure every number of products in a repository of its own."""
    results = {number: measure(folder, number) for number in numbers}
    print(json.dumps(results))


def measure(folder: Path, number: int) -> dict[str, float]:
    """Return milliseconds per operation at a number of products."""
    files = sorted((folder / "files").iterdir())
    butler, kind = make(folder / f"butler-{number}")
    result = {"bulk ingest": each(lambda: ingest(butler, kind, files[:number], "direct"), number)}
    more = files[number : number + SINGLE]
    result["publish one"] = median(lambda file: ingest(butler, kind, [file], "copy"), more)
    names = [file.name[:9] for file in files[: SINGLE * 7 : 7]]

    def find(name: str) -> None:
        found = butler.find_dataset(kind, instrument="ACS", exposure=name, collections="made")
        check(found is not None)

    def by_visit(name: str) -> None:
        check(len(query(butler, f"visit.name = '{name[:6]}'")) > 0)

    result["find one"] = median(find, names)
    result["query a visit"] = median(by_visit, names)
    result["query all"] = each(lambda: check(len(query(butler, "")) >= number), 1)
    refs = query(butler, "")
    result["verify"] = each(lambda: check(all(butler.stored_many(refs).values())), len(refs))
    return result


def make(root: Path) -> tuple[Butler, DatasetType]:
    """Make an empty repository with the dataset type flt."""
    root.parent.mkdir(exist_ok=True)
    dimensions, seed = root.with_suffix(".dimensions.yaml"), root.with_suffix(".seed.yaml")
    dimensions.write_text(ELEMENTS)
    seed.write_text(SEED)
    Butler.makeRepo(str(root), config=str(seed), dimensionConfig=str(dimensions))
    butler = Butler.from_config(str(root), run="made", writeable=True)
    kind = DatasetType(
        "flt", {"instrument", "exposure"}, "StructuredDataDict", universe=butler.dimensions
    )
    butler.registry.registerDatasetType(kind)
    butler.registry.insertDimensionData("instrument", {"name": "ACS"})
    return butler, kind


def ingest(butler: Butler, kind: DatasetType, files: list[Path], transfer: str) -> None:
    """Register files with the dimension rows that they need."""
    names = [file.name[:9] for file in files]
    visits = [{"instrument": "ACS", "name": visit} for visit in sorted({n[:6] for n in names})]
    exposures = [{"instrument": "ACS", "name": n, "visit": n[:6]} for n in names]
    with butler.transaction():
        butler.registry.insertDimensionData("visit", *visits, skip_existing=True)
        butler.registry.insertDimensionData("exposure", *exposures, skip_existing=True)
        datasets = []
        for file, name in zip(files, names, strict=True):
            data_id = butler.registry.expandDataId(instrument="ACS", exposure=name)
            ref = DatasetRef(kind, data_id, run="made")
            datasets.append(FileDataset(str(file), ref, formatter=FitsFormatter))
        butler.ingest(*datasets, transfer=transfer)


def query(butler: Butler, where: str) -> list[DatasetRef]:
    """Return the products of a run that a condition selects."""
    bind: dict[str, Any] = {"instrument": "ACS"}
    return butler.query_datasets("flt", "made", where=where, explain=False, limit=None, **bind)


def each(work: Callable[[], object], number: int) -> float:
    """Return milliseconds per item of work that does many."""
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1e3 / number


def median(work: Callable[[Any], object], items: list[Any]) -> float:
    """Return the median milliseconds of doing one."""
    return statistics.median(each(lambda item=item: work(item), 1) for item in items)


def check(holds: bool) -> None:
    """Stop where an answer is wrong: a fast wrong answer is no result."""
    if not holds:
        sys.exit("the butler gave a wrong answer")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(number) for number in sys.argv[2:]])
