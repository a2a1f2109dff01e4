"""Seconds and memory of a calibration beside the least that its files cost.

Run with ``python benchmarks/calibrate.py``. Per case, each line in a fresh process of its own:

floor
    astropy reads the raw files and every reference image that the calibration opens, once,
    turns them into the machine's byte order and writes files like the products.
references read, references warm
    ``NativeEngine().calibrate(request)`` for the later datasets of a process, one thread: without
    and with the memory of decoded references (:mod:`calib.instruments.reference_memory`).
read, all CPUs; warm, all CPUs
    the same with as many threads as there are processors, as on the command line.
hstflow calibrate
    the command, with its interpreter.

Seconds are medians of several runs, CPU is user and system time of all threads. Memory is the
peak above that after the imports (of the whole process for the command), mapped files and files
in memory included. The last columns are wall and CPU seconds over those of the floor. Other work
on the machine adds to everything; ratios suffer less.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits

if TYPE_CHECKING:
    from calib.engines.protocol import CalibrationRequest
    from calib.records import InputFile

ROOT = Path(__file__).parents[1]
CASES = {  # with the folder of their references
    "acs_wfc_full": "ref_acs_wfc",
    "acs_wfc_sub2k": "ref_acs_wfc",
    "acs_wfc_asn": "ref_acs_wfc",
    "acs_hrc_real": "ref_acs_hrc",
    "acs_sbc": "ref_acs_sbc",
}
FLOOR = "floor"
CALIBRATIONS = {  # with references kept or not, and threads: None: all processors
    "references read": (False, 1),
    "references warm": (True, 1),
    "read, all CPUs": (False, None),
    "warm, all CPUs": (True, None),
}
TMPFS = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
WARMING = 2  # the second run is the first that finds something in the memory of references


Planes = list[tuple[str, tuple[int, ...], np.dtype[Any]]]
Work = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """What is calibrated: exposures, with their association table if they have one."""

    name: str
    raws: tuple[Path, ...]
    table: Path | None
    references: Path


@dataclass(frozen=True)
class Figures:
    """What one line shows: medians of the runs in seconds, peak in MB."""

    wall: float
    cpu: float
    peak: float


def main() -> None:
    """Print a table, or JSON."""
    options = parse_options()
    if options.child:
        measure_child(*options.child)
        return
    found = {}
    with scratch_folder() as scratch:
        for name in options.case or CASES:
            found[name] = measure_case(name, options.inputs, scratch, options.repeat)
            if not options.json:
                print_case(name, found[name])
    if options.json:
        print(json.dumps(found, indent=2))


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", action="append", choices=CASES, help="only this; may be repeated")
    parser.add_argument(
        "--inputs",
        type=Path,
        help="folder with CASE/in/*.fits and ref_*; without it they are made, where that is known",
    )
    parser.add_argument("--repeat", type=int, default=5, help="runs per figure (default: 5)")
    parser.add_argument("--json", action="store_true", help="figures as JSON")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.repeat < 1:
        parser.error("--repeat: at least one run is needed")
    return options


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder for inputs and products, in memory where that is possible."""
    parent = TMPFS if os.access(TMPFS, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="hstflow-", dir=parent) as folder:
        yield Path(folder)


def measure_case(name: str, inputs: Path | None, scratch: Path, repeat: int) -> dict[str, Any]:
    """Return the figures of a case by line, or why there are none."""
    case = find_case(name, inputs, scratch)
    if case is None:
        return {"absent": "no inputs: give --inputs"}
    if reason := why_not_covered(case):
        return {"absent": f"not covered: {reason}"}
    found = {line: ask_child(line, case, scratch, repeat) for line in (FLOOR, *CALIBRATIONS)}
    found["hstflow calibrate"] = measure_command(case, scratch, repeat)
    return {line: dataclasses.asdict(figures) for line, figures in found.items()}


def find_case(name: str, inputs: Path | None, scratch: Path) -> Case | None:
    """Return the files of a case: those of the user, or else made ones."""
    folder = inputs
    if folder is None:
        from calib.errors import ConfigError
        from calib.simulate.golden import write_case

        folder = scratch
        try:
            write_case(name, folder)
        except ConfigError:
            return None
    raws = sorted((folder / name / "in").glob("*_raw.fits"))
    table = next((folder / name / "in").glob("*_asn.fits"), None)
    if not raws:
        return None
    return Case(name, tuple(raws if table else raws[:1]), table, folder / CASES[name])


def why_not_covered(case: Case) -> str | None:
    """Return why the native engine refuses an exposure of the case, None where it does not."""
    from calib.engines.native import NativeEngine
    from calib.fitsfile import primary_header

    reasons = (NativeEngine().covers(primary_header(raw)) for raw in case.raws)
    return next(filter(None, reasons), None)


def ask_child(line: str, case: Case, scratch: Path, repeat: int) -> Figures:
    """Measure in a fresh process."""
    paths = [*map(str, case.raws), str(case.table or ""), str(case.references)]
    task = {"name": case.name, "paths": paths, "scratch": str(scratch), "repeat": repeat}
    done = subprocess.run(
        [sys.executable, __file__, "--child", line, json.dumps(task)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        message = f"{case.name}, {line}: {done.stderr}"
        raise RuntimeError(message)
    return Figures(**json.loads(done.stdout))


def measure_child(line: str, text: str) -> None:
    """Measure one line and print it as JSON."""
    task = json.loads(text)
    *raws, table, references = task["paths"]
    asn = Path(table) if table else None
    case = Case(task["name"], tuple(map(Path, raws)), asn, Path(references))
    scratch = Path(task["scratch"])
    warm, threads = CALIBRATIONS.get(line, (False, 1))
    set_memory(warm=warm)
    work = floor_of(case, scratch) if line == FLOOR else calibration_of(case, scratch, threads)
    print(json.dumps(dataclasses.asdict(measure(work, scratch, task["repeat"]))))


def set_memory(*, warm: bool) -> None:
    """Let the process keep as many decoded references as it does by default, or none."""
    from calib.instruments.reference_memory import MEMORY

    if not warm:
        MEMORY.limit = 0


def measure(work: Work, scratch: Path, repeat: int) -> Figures:
    """Return the medians of the runs after two that do not count, and the peak of all."""
    before = reset_peak()
    walls, cpus = [], []
    for _ in range(WARMING + repeat):
        with tempfile.TemporaryDirectory(dir=scratch) as output:
            wall, cpu = time.perf_counter(), time.process_time()
            work(Path(output))
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
    peak = (peak_memory() - before) / 1e3
    return Figures(statistics.median(walls[WARMING:]), statistics.median(cpus[WARMING:]), peak)


def reset_peak() -> float:
    """Set the peak of our memory to what is in use now, where Linux allows it; return it in kB."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # man 5 proc: resets the peak
    return peak_memory()


def peak_memory() -> float:
    """Return the largest resident memory of this process in kB."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(status.partition("VmHWM:")[2].split()[0])


def calibration_of(case: Case, scratch: Path, threads: int | None = 1) -> Work:
    """Return the calibration of a case into a folder; imports and compiling are done here."""
    from calib.compiled import warm_up
    from calib.engines.native import NativeEngine
    from calib.engines.protocol import available_cpus

    warm_up()
    request = request_of(case, scratch)
    request = dataclasses.replace(request, threads=threads or available_cpus())
    engine = NativeEngine()
    return lambda output: engine.calibrate(dataclasses.replace(request, output=output))


def request_of(case: Case, output: Path) -> CalibrationRequest:
    """Return what the engine is asked."""
    from calib.engines.native import NativeEngine
    from calib.engines.protocol import CalibrationRequest
    from calib.fetch.local import read_association
    from calib.records import RawInputs
    from calib.references.headers import references_from_headers

    members = read_association(case.table).members if case.table else ()
    root = (case.table or case.raws[0]).name.partition("_")[0]
    engine = NativeEngine()
    references = references_from_headers(
        case.raws,
        [case.references],
        {},
        required=lambda header: engine.required_references(header, members),
    )
    tables = [describe(case.table, "asn")] if case.table else []
    files = (*tables, *(describe(raw, "raw") for raw in case.raws))
    return CalibrationRequest(root, RawInputs(root, "file:", files, members), references, output)


def describe(path: Path, suffix: str) -> InputFile:
    """Return the record of an input file; no one looks at its checksum here."""
    from calib.records import InputFile

    return InputFile(path.name, str(path), "", path.stat().st_size, suffix, path.name[:9])


def floor_of(case: Case, scratch: Path) -> Work:
    """Return the reading and writing of a case without anything between."""
    request = request_of(case, scratch)
    uses = [use for exposure in request.references.exposures for use in exposure.references]
    opened = sorted({use.path for use in uses if use.required and use.path})
    shapes = product_shapes(case, scratch)

    def read_and_write(output: Path) -> None:
        for path in (*map(str, case.raws), *opened):
            read_pixels(path)
        for number, planes in enumerate(shapes):
            write_pixels(output / f"{number}.fits", planes)

    return read_and_write


def product_shapes(case: Case, scratch: Path) -> list[Planes]:
    """Return name, shape and type of all images of each product, which is made for that."""
    with tempfile.TemporaryDirectory(dir=scratch) as output:
        calibration_of(case, scratch)(Path(output))
        return [planes_of(path) for path in sorted(Path(output).glob("*_???.fits"))]


def planes_of(path: Path) -> Planes:
    """Return name, shape and type of the images of a file."""
    with fits.open(path) as hdus:
        return [
            (hdu.name, hdu.data.shape, hdu.data.dtype.newbyteorder("="))
            for hdu in hdus
            if isinstance(hdu, fits.ImageHDU) and hdu.data is not None
        ]


def read_pixels(path: str) -> None:
    """Read all images of a file into the machine's byte order; the next replaces the last."""
    with fits.open(path) as hdus:
        for hdu in hdus:
            if hdu.is_image and hdu.data is not None:
                np.ascontiguousarray(hdu.data, hdu.data.dtype.newbyteorder("="))
                del hdu.data


def write_pixels(path: Path, planes: Planes) -> None:
    """Write images of zeros."""
    hdus = [fits.ImageHDU(np.zeros(shape, kind), name=name) for name, shape, kind in planes]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)


def measure_command(case: Case, scratch: Path, repeat: int) -> Figures:
    """Return the medians of `hstflow calibrate`, interpreter and all."""
    runs = []
    for _ in range(repeat):
        with tempfile.TemporaryDirectory(dir=scratch) as output:
            words = ["calibrate", str(case.table or case.raws[0]), "--engine", "native", "--quiet"]
            words += ["--references", str(case.references), "--output", output]
            runs.append(run_command([sys.executable, "-m", "deployments.cli", *words]))
    return Figures(*(statistics.median(values) for values in zip(*runs, strict=True)))


def run_command(words: Sequence[str]) -> tuple[float, float, float]:
    """Return wall and CPU seconds and peak memory in MB of a process."""
    begun = time.perf_counter()
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        message = f"{' '.join(words)} ended with {process.returncode}"
        raise RuntimeError(message)
    wall = time.perf_counter() - begun
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3


def print_case(name: str, lines: dict[str, Any]) -> None:
    """Print the lines of a case."""
    if "absent" in lines:
        print(f"{name}: {lines['absent']}", end="\n\n", flush=True)
        return
    heads = ("wall s", "CPU s", "peak MB", "wall /", "CPU / floor")
    print(f"{name:<20} {heads[0]:>8} {heads[1]:>8} {heads[2]:>8} {heads[3]:>8} {heads[4]:>12}")
    for line, figures in lines.items():
        wall, cpu = (figures[key] / lines[FLOOR][key] for key in ("wall", "cpu"))
        seconds = f"{figures['wall']:8.3f} {figures['cpu']:8.3f}"
        print(f"  {line:<18} {seconds} {figures['peak']:8.0f} {wall:8.2f} {cpu:12.2f}")
    print(flush=True)


if __name__ == "__main__":
    main()
