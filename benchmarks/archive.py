"""The archive and its registry beside the LSST butler, on the same operations in one run.

``python benchmarks/archive.py [--butler PYTHON] [NUMBER...]``: milliseconds per operation at
1,000 and 10,000 products (or other numbers), and how they grow. Without ``--butler`` an
environment with lsst-daf-butler is made in a temporary folder. Both keep their registry in
SQLite, on the same disk, with files of one FITS block.

What is not the same: publishing with us computes and records sha256, writes a manifest, flushes
everything to disk and moves the pointer of the current version; the butler copies the file. Bulk
ingest leaves files where they are, without checksums and headers, on both sides; ours lists the
folder and reads names as well. The butler's verify asks whether the files exist.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from calib.archive.outputs import FileOutput
from calib.archive.publish import File, Publication
from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger, open_ledger
from calib.ledger.products import ProductQuery, find_products
from calib.ledger.publications import record_publications
from calib.repository.candidates import IngestRequest
from calib.repository.ingest import ingest
from calib.repository.registration import registration_of
from calib.repository.verification import verify_repository

SINGLE = 40  # repetitions of what is done one at a time, as in archive_butler.py
NUMBERS = (1_000, 10_000)
BLOCK = 2880
RUN = {"context": "hst_0001.pmap", "engine": "native", "engine_version": "1", "parameters": {}}
OPERATIONS = (
    "bulk ingest",
    "ingest again",
    "publish one",
    "record one",
    "find one",
    "query a visit",
    "query all",
    "verify",
    "verify deep",
)


def main() -> None:
    """Print a table: operation, milliseconds of ours and of the butler's, ratio, growth."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("numbers", nargs="*", type=int, help="numbers of products")
    parser.add_argument("--butler", help="a Python that has lsst-daf-butler")
    arguments = parser.parse_args()
    numbers = arguments.numbers or [*NUMBERS]
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_files(folder / "files", max(numbers) + SINGLE)
        ours = {number: measure(folder, number) for number in numbers}
        theirs = measure_butler(arguments.butler or install_butler(folder), folder, numbers)
    print_table(ours, theirs)


def make_files(folder: Path, number: int) -> None:
    """Write small files with the names of exposures, eight to a visit."""
    folder.mkdir()
    for each_one in range(number):
        visit, exposure = divmod(each_one, 8)
        program, visit = divmod(visit, 100)
        name = f"j{program:03d}{visit:02d}{exposure:02d}q"
        (folder / f"{name}_flt.fits").write_bytes(name.encode().ljust(BLOCK))


def measure(folder: Path, number: int) -> dict[str, float]:
    """Return milliseconds per operation of ours at a number of products."""
    every = sorted((folder / "files").iterdir())
    source = folder / f"source-{number}"
    source.mkdir()
    for file in every[:number]:
        (source / file.name).hardlink_to(file)
    output = FileOutput(folder / f"ours-{number}")
    with open_ledger(str(folder / f"ours-{number}.db")) as ledger:
        result = {"bulk ingest": each(lambda: ingest_all(ledger, source, number), number)}
        result["ingest again"] = each(lambda: ingest_all(ledger, source, 0), number)
        ledger.ensure_run("made", **RUN, output=output.uri)
        result |= publish_each(ledger, output, every[number : number + SINGLE])
        names = [file.name[:9] for file in every[: SINGLE * 7 : 7]]
        result["find one"] = median(lambda name: find(ledger, name), names)
        result["query a visit"] = median(lambda name: query_visit(ledger, name), names)
        everything = ProductQuery(runs=("taken",), types=("flt",))
        result["query all"] = each(lambda: ask(ledger, everything, number), 1)
        for name, deep in (("verify", False), ("verify deep", True)):
            result[name] = each(lambda deep=deep: verify(ledger, source, number, deep), number)
    return result


def ingest_all(ledger: Ledger, source: Path, new: int) -> None:
    """Register the files of a folder where they are, as names alone say what they are."""
    request = IngestRequest(
        f"file:{source}", run="taken", transfer="in-place", headers=False, checksums=False
    )
    check(ingest(request, ledger).new == new, "ingest")


def verify(ledger: Ledger, source: Path, number: int, deep: bool) -> None:
    """Compare all files with the registry."""
    output = FileOutput(source)
    found = ledger.ask(lambda rows: [*verify_repository(output, rows, deep=deep)])
    check(sum(not each.problems for each in found) >= number, "verify")


def publish_each(ledger: Ledger, output: FileOutput, files: Sequence[Path]) -> dict[str, float]:
    """Publish files one at a time; also what the rows alone take of it."""
    rows = []

    def publish(file: Path) -> None:
        dataset = parse_dataset(file.name[:9])
        archived = output.publish(
            Publication(dataset, "made", "0" * 64, (File("product", file),), {})
        )
        manifest = output.manifest("made", dataset)
        found = registration_of(manifest, archived.uri, archived.manifest_sha256)
        begin = time.perf_counter()
        ledger.write(lambda c: record_publications(c, [found.published]))
        ledger.set_current(dataset, "made")
        rows.append((time.perf_counter() - begin) * 1e3)

    return {"publish one": median(publish, files), "record one": statistics.median(rows)}


def find(ledger: Ledger, name: str) -> None:
    """Find the product of one exposure."""
    ask(ledger, ProductQuery(rootnames=(name,), types=("flt",), runs=("taken",)), 1)


def query_visit(ledger: Ledger, name: str) -> None:
    """Find the products of a visit."""
    ask(ledger, ProductQuery(program=name[1:4], visit=name[4:6], runs=("taken",)), 1)


def ask(ledger: Ledger, query: ProductQuery, least: int) -> None:
    """Ask for products."""
    check(len(ledger.ask(lambda rows: find_products(rows, query))) >= least, "query")


def check(holds: bool, what: str) -> None:
    """Stop where an answer is wrong: a fast wrong answer is no result."""
    if not holds:
        sys.exit(f"wrong answer: {what}")


def install_butler(folder: Path) -> str:
    """Make an environment with the butler, and return its interpreter."""
    venv.create(folder / "butler-env", with_pip=True)
    python = str(folder / "butler-env" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "-q", "lsst-daf-butler"], check=True)
    return python


def measure_butler(python: str, folder: Path, numbers: list[int]) -> dict[int, dict[str, float]]:
    """Return what the butler's half measured."""
    script = str(Path(__file__).with_name("archive_butler.py"))
    command = [python, script, str(folder), *map(str, numbers)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {int(number): result for number, result in found.items()}


def each(work: Callable[[], object], number: int) -> float:
    """Return milliseconds per item of work that does many."""
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1e3 / number


def median(work: Callable[[Any], object], items: Sequence[Any]) -> float:
    """Return the median milliseconds of doing one."""
    return statistics.median(each(lambda item=item: work(item), 1) for item in items)


def print_table(ours: dict[int, dict[str, float]], theirs: dict[int, dict[str, float]]) -> None:
    """Print operations as rows, numbers of products as blocks."""
    for number, result in ours.items():
        print(f"\n{number} products{'ours ms':>22} {'butler ms':>10} {'ratio':>6}")
        for name in (name for name in OPERATIONS if name in result):
            other = theirs[number].get(name)
            shown = "" if other is None else f"{other:10.3f} {result[name] / other:6.2f}"
            print(f"  {name:<20}{result[name]:12.3f} {shown}")


if __name__ == "__main__":
    main()
