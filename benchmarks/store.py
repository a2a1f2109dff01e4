"""What our store adds to plain boto3: 100 MB, and 200 small objects by eight threads.

The goal is at most 1.3 times; run with ``python benchmarks/store.py``. Both talk to the same
loopback server, which is one Python process, so seconds are mostly its own and only ratios
mean something. Rounds alternate and the fastest counts: other work on the machine only adds.
Putting is measured without and with reading back: that is a second pass over all bytes, the
price of knowing what the store holds.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from moto.server import ThreadedMotoServer

from calib.stores import S3Store
from calib.stores.s3_client import open_client

GOAL = 1.3
ROUNDS = 5
LARGE = 100 << 20
SMALL, COUNT, THREADS = 64_000, 200, 8
BUCKET = "benchmark"

Work = Callable[[Path, str], object]


def main() -> None:
    """Print a table: what, seconds of boto3, seconds of ours, ratio."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        use_server("http://{}:{}".format(*server.get_host_and_port()))
        with tempfile.TemporaryDirectory() as folder:
            print_table(Path(folder))
    finally:
        server.stop()


def use_server(endpoint: str) -> None:
    """Point boto3 to the server, and make the bucket."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "something",
        "AWS_REGION": "us-east-1",
    }
    open_client(endpoint, anonymous=False).create_bucket(Bucket=BUCKET)


def print_table(folder: Path) -> None:
    """Measure everything and print it."""
    large, small = make_files(folder)
    client, store = plain_client(), S3Store(BUCKET)

    def put_plain(path: Path, key: str) -> None:
        client.upload_file(str(path), BUCKET, key)

    def get_plain(path: Path, key: str) -> None:
        client.download_file(BUCKET, key, f"{path}.back")

    def get(path: Path, key: str) -> None:
        store.get(key, path.with_suffix(".back"))

    puts: dict[str, Work] = {
        "put": lambda path, key: store.put(path, key, verify=False),
        "put, read back": lambda path, key: store.put(path, key, verify=True),
    }
    print(f"{'what':<28} {'boto3 s':>8} {'ours s':>8} {'ratio':>6}")
    for label, files in (("1 x 100 MB", [large]), (f"{COUNT} x 64 kB", small)):
        for name, put in puts.items():
            print_row(f"{name}, {label}", *measure(files, put_plain, put))
        print_row(f"get, {label}", *measure(files, get_plain, get))


def plain_client() -> Any:
    """Return a client as a program without us would make it."""
    import boto3
    from botocore.config import Config

    config = Config(max_pool_connections=32, s3={"addressing_style": "path"})
    return boto3.session.Session().client("s3", config=config)


def make_files(folder: Path) -> tuple[Path, list[Path]]:
    """Write the files that are put."""
    large = folder / "large"
    large.write_bytes(os.urandom(1 << 20) * (LARGE >> 20))
    small = [folder / f"{number:03d}" for number in range(COUNT)]
    for path in small:
        path.write_bytes(os.urandom(SMALL))
    return large, small


def measure(files: list[Path], plain: Work, ours: Work) -> tuple[float, float]:
    """Return the least seconds of both, taken in turns after one round that does not count."""
    seconds: dict[Work, list[float]] = {plain: [], ours: []}
    for _ in range(ROUNDS + 1):
        for work, found in seconds.items():
            found.append(time_work(files, work))
    return min(seconds[plain][1:]), min(seconds[ours][1:])


def time_work(files: list[Path], work: Work) -> float:
    """Return the seconds that all files take."""
    begun = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda path: work(path, path.name), files))
    return time.perf_counter() - begun


def print_row(what: str, plain: float, ours: float) -> None:
    """Print one line, marked where it is over the goal."""
    ratio = ours / plain
    mark = "  over the goal" if ratio > GOAL else ""
    print(f"{what:<28} {plain:8.3f} {ours:8.3f} {ratio:6.2f}{mark}")


if __name__ == "__main__":
    main()
