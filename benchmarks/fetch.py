"""Seconds of a download by hstflow beside plain requests, from a server on this machine.

The goal is a ratio of at most 1.3 on a line of 1 Gbit/s; run with ``python benchmarks/fetch.py``.
"plain" is requests with 64 kB blocks into a file, nothing else; the lines below it add what
hstflow does, one thing after the other. Each figure is the median of several runs, all kinds in
turn. The server's "line" is a pause after each 64 kB. Without one, bytes cost next to nothing
(900 MB/s where this was written): then hashing, the disk and the look at the file are all there
is to see.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import requests
from astropy.io import fits

from calib.fetch.cache import DownloadCache
from calib.fetch.download import Remote
from calib.fetch.integrity import verify_file
from calib.fetch.options import Patience

GOAL = 1.3
RUNS = 5
BLOCK = 1 << 16
SIZES = {"20 files of 2 MB": (20, 2), "1 file of 100 MB": (1, 100)}
LINES = {"loopback": 0.0, "1 Gbit/s": 0.00045}  # seconds after each block; waking up takes some
SERVE = """
import sys
from pathlib import Path
from calib.simulate.mast_server import Manner, MastServer
with MastServer(Path(sys.argv[1]), {}, Manner(pause=float(sys.argv[2]))) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""

Fetch = Callable[[str, Sequence[str], Path], None]


def main() -> None:
    """Print a table for each size and line."""
    print(f"{'':<17} {'':<10} {'':<32} {'median s':>8} {'ratio':>6}")
    for title, (count, megabytes) in SIZES.items():
        names = [f"jb{number:04d}aaq_raw.fits" for number in range(count)]
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "archive").mkdir()
            for name in names:
                write_raw(Path(folder) / "archive" / name, megabytes)
            for line, pause in LINES.items():
                with served(Path(folder) / "archive", pause) as url:
                    print_table(f"{title:<17} {line:<10}", measure(url, names, Path(folder)))


@contextmanager
def served(folder: Path, pause: float) -> Iterator[str]:
    """Serve a folder from another process, so that it shares no interpreter with us."""
    command = [sys.executable, "-c", SERVE, str(folder), str(pause)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        if process.stdout is None or process.stdin is None:
            message = "the server has no pipes"
            raise RuntimeError(message)
        yield process.stdout.readline().strip()
        process.stdin.close()


def write_raw(path: Path, megabytes: int) -> None:
    """Write a raw exposure of that size, as the archive has it: without checksums."""
    rows = megabytes * 1_000_000 // 2 // 1000
    primary = fits.PrimaryHDU()
    primary.header.update(
        {"ROOTNAME": path.name[:9], "INSTRUME": "ACS", "DETECTOR": "HRC", "NEXTEND": 3}
    )
    primary.header.update({"EXPTIME": 1.0, "DATE-OBS": "2002-04-13"})
    pixels = np.arange(rows * 1000, dtype=np.uint32).reshape(rows, 1000).astype(np.uint16)
    hdus = [primary, fits.ImageHDU(pixels, name="SCI", ver=1)]
    for name in ("ERR", "DQ"):
        hdu = fits.ImageHDU(name=name, ver=1)
        hdu.header.update({"NPIX1": 1000, "NPIX2": rows, "PIXVALUE": 0})
        hdus.append(hdu)
    fits.HDUList(hdus).writeto(path)


def measure(url: str, names: Sequence[str], folder: Path) -> dict[str, float]:
    """Return the median seconds of each kind of download."""
    kinds: dict[str, Fetch] = {
        "plain requests": fetch_plainly,
        "... and sha256": fetch_and_hash,
        "... and fsync": fetch_hash_and_sync,
        "... and a look at the FITS file": fetch_and_verify,
        "hstflow, nothing kept": fetch_by_us,
        "hstflow, kept in the cache": fetch_and_keep,
    }
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(RUNS):
        for name, fetch in kinds.items():
            target = folder / "out"
            target.mkdir()
            start = time.perf_counter()
            fetch(url, names, target)
            seconds[name].append(time.perf_counter() - start)
            shutil.rmtree(target)
    return {name: statistics.median(times) for name, times in seconds.items()}


def fetch_plainly(url: str, names: Sequence[str], folder: Path) -> None:
    """Write what comes."""
    with requests.Session() as session:
        for name in names:
            save(session, address(url, name), folder / name)


def fetch_and_hash(url: str, names: Sequence[str], folder: Path) -> None:
    """Hash on the way as well."""
    with requests.Session() as session:
        for name in names:
            save(session, address(url, name), folder / name, digest=True)


def fetch_hash_and_sync(url: str, names: Sequence[str], folder: Path) -> None:
    """See to it that the bytes are on the disk."""
    with requests.Session() as session:
        for name in names:
            save(session, address(url, name), folder / name, digest=True, sync=True)


def fetch_and_verify(url: str, names: Sequence[str], folder: Path) -> None:
    """Look at each file as fetch does."""
    fetch_hash_and_sync(url, names, folder)
    for name in names:
        verify_file(folder / name)


def fetch_by_us(url: str, names: Sequence[str], folder: Path) -> None:
    """Download with retries, resuming, verification; keep nothing."""
    cache = DownloadCache(folder / "cache", limit=0)
    for name in names:
        cache.fetch(Remote(address(url, name), name), folder / name, Patience())


def fetch_and_keep(url: str, names: Sequence[str], folder: Path) -> None:
    """Keep a second copy for the next time as well."""
    cache = DownloadCache(folder / "cache")
    for name in names:
        cache.fetch(Remote(address(url, name), name), folder / name, Patience())


def address(url: str, name: str) -> str:
    """Return the address of a file."""
    return f"{url}/api/v0.1/Download/file?uri=mast:HST/product/{name}"


def save(
    session: requests.Session, url: str, path: Path, *, digest: bool = False, sync: bool = False
) -> None:
    """Download a file in the simplest way."""
    running = hashlib.sha256()
    with session.get(url, stream=True, timeout=60) as response, path.open("wb") as out:
        for block in response.iter_content(BLOCK):
            if digest:
                running.update(block)
            out.write(block)
        if sync:
            out.flush()
            os.fsync(out.fileno())


def print_table(title: str, seconds: dict[str, float]) -> None:
    """Print a line for each kind, ours marked where they are over the goal."""
    plain = next(iter(seconds.values()))
    for name, figure in seconds.items():
        over = name.startswith("hstflow") and figure / plain > GOAL
        mark = "  over the goal" if over else ""
        print(f"{title} {name:<32} {figure:8.3f} {figure / plain:6.2f}{mark}")


if __name__ == "__main__":
    main()
