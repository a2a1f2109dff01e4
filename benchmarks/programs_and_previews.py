"""What an external engine adds to its program, and previews to the reading of their files.

Run with ``python benchmarks/programs_and_previews.py``; each figure in a process of its own.
The engine calibrates a WFC exposure (34 MB, product 168 MB) with a program that only copies;
its floor is the program started by hand and the sha256 of its product. Previews: an x1d of COS
with 2 x 16384 points, and four mosaics of 4200 x 4200 pixels with a composite of three; the floor
is astropy reading the same files. Seconds are the least of three runs after one that compiles,
memory is the peak above that after the imports. Ratios suffer less from other work.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from calib.engines.hstcal import HstcalEngine
from calib.engines.protocol import CalibrationRequest
from calib.ids import Kind
from calib.preview import make_previews
from calib.records import ExposureReferences, InputFile, RawInputs, References, ReferenceUse

RUNS = 3
ROOT = "j8bt05njq"
POINTS = 16384
SIDE = 4200
SCRIPT = '#!/bin/sh\n[ "$1" = --version ] && echo copies && exit 0\ncp "{flt}" {root}_flt.fits\n'
Work = Callable[[Path], object]


def main() -> None:
    """Print a table: seconds and memory of each, and their ratio to the floor."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        write_inputs(scratch)
        print(f"{'what':<10} {'floor s':>8} {'ours s':>8} {'ratio':>6} {'peak MB':>8}")
        for name, (floor, ours) in LINES.items():
            least, _ = measure(floor, scratch)
            seconds, peak = measure(ours, scratch)
            print(f"{name:<10} {least:8.3f} {seconds:8.3f} {seconds / least:6.2f} {peak:8.0f}")


def measure(work: Work, scratch: Path) -> tuple[float, float]:
    """Return seconds and peak memory in MB of a piece of work, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(run_here, work, scratch).result()


def run_here(work: Work, scratch: Path) -> tuple[float, float]:
    """Return the least seconds of several runs, and the peak above that before the first."""
    before = peak_now()
    seconds = []
    for _ in range(RUNS + 1):
        shutil.rmtree(scratch / "out", ignore_errors=True)
        (scratch / "out").mkdir()
        start = time.perf_counter()
        work(scratch)
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:]), peak_now() - before


def peak_now() -> float:
    """Return the peak memory of this process in MB; getrusage counts its parent's too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def run_program(scratch: Path) -> None:
    """Start the program by hand and take the sha256 of its product."""
    out = scratch / "out"
    shutil.copy(scratch / f"{ROOT}_raw.fits", out)
    subprocess.run([scratch / "calacs.e", f"{ROOT}_raw.fits"], cwd=out, check=True)
    with (out / f"{ROOT}_flt.fits").open("rb") as file:
        hashlib.file_digest(file, "sha256")


def run_engine(scratch: Path) -> None:
    """Let the engine do it."""
    os.environ["PATH"] = f"{scratch}:{os.environ['PATH']}"
    raw, dark = scratch / f"{ROOT}_raw.fits", scratch / "x_drk.fits"
    file = InputFile(raw.name, str(raw), "", raw.stat().st_size, "raw", ROOT)
    uses = (ReferenceUse("DARKFILE", dark.name, str(dark), required=True),)
    references = References("hst_0001.pmap", "14", (ExposureReferences(raw.name, uses),))
    inputs = RawInputs(ROOT, f"file:{scratch}", (file,))
    made = HstcalEngine().calibrate(CalibrationRequest(ROOT, inputs, references, scratch / "out"))
    if [each.name for each in made.files] != [f"{ROOT}_flt.fits"]:
        raise SystemExit(f"not the product: {made}")


def read(pattern: str, scratch: Path) -> None:
    """Read all data in the machine's byte order, file by file."""
    for path in sorted(scratch.glob(pattern)):
        with fits.open(path, memmap=False) as hdus:
            for hdu in hdus[1:]:
                hdu.data.astype(hdu.data.dtype.newbyteorder("="))


def draw(pattern: str, instrument: str, kind: Kind, scratch: Path) -> None:
    """Make the previews; all of them must come about."""
    paths = sorted(scratch.glob(pattern))
    made = make_previews(paths, scratch / "out", instrument=instrument, kind=kind)
    if not made.files or made.warnings:
        raise SystemExit(f"no preview: {made.warnings}")


def write_inputs(scratch: Path) -> None:
    """Write a raw exposure with its product and program, a spectrum of COS, and mosaics."""
    rng = np.random.default_rng(1)
    cards = {"INSTRUME": "ACS", "DETECTOR": "WFC", "OBSMODE": "ACCUM", "ROOTNAME": ROOT}
    cards |= {"DARKCORR": "PERFORM", "DARKFILE": ""}
    raw = rng.integers(0, 9000, (2068, 4144), np.int16)
    write(scratch / f"{ROOT}_raw.fits", cards, {("SCI", ver): raw for ver in (1, 2)})
    kinds = {"SCI": "f4", "ERR": "f4", "DQ": "i2"}.items()
    planes = {(n, ver): raw[:2048, :4096].astype(k) for ver in (1, 2) for n, k in kinds}
    write(scratch / "product.fits", cards, planes)
    write(scratch / "x_drk.fits", {}, {})
    (scratch / "calacs.e").write_text(SCRIPT.format(flt=scratch / "product.fits", root=ROOT))
    (scratch / "calacs.e").chmod(0o755)
    step, flux = np.arange(POINTS) * 0.01, rng.normal(1e-14, 1e-15, (2, POINTS))
    arrays = {"WAVELENGTH": np.stack([1300 + step, 1130 + step]), "FLUX": flux, "ERROR": flux / 9}
    columns = [fits.Column(name, f"{POINTS}D", array=each) for name, each in arrays.items()]
    table = fits.BinTableHDU.from_columns(columns, name="SCI", ver=1)
    primary = fits.PrimaryHDU(header=fits.Header({"INSTRUME": "COS"}))
    fits.HDUList([primary, table]).writeto(scratch / SPECTRUM)
    for name in ("f435w", "f606w", "f814w", "total"):
        data = rng.normal(0.02, 0.002, (SIDE, SIDE)).astype(np.float32)
        data[::50, ::50] = 3
        path = scratch / f"hst_10265_01_acs_wfc_{name}_j92c01_drc.fits"
        write(path, cards, {("SCI", 1): data, ("WHT", 1): data})


def write(path: Path, cards: dict[str, str], planes: dict[tuple[str, int], Any]) -> None:
    """Write images by name and version."""
    hdus = [fits.ImageHDU(data, name=name, ver=ver) for (name, ver), data in planes.items()]
    fits.HDUList([fits.PrimaryHDU(header=fits.Header(cards)), *hdus]).writeto(path)


SPECTRUM, MOSAICS = "la8q99abq_x1d.fits", "hst_*_drc.fits"
LINES: dict[str, tuple[Work, Work]] = {
    "engine": (run_program, run_engine),
    "spectrum": (partial(read, SPECTRUM), partial(draw, SPECTRUM, "cos", "ipst")),
    "colour": (partial(read, MOSAICS), partial(draw, MOSAICS, "acs", "svm")),
}


if __name__ == "__main__":
    main()
