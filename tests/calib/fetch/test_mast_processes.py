"""Datasets from MAST in the processes of a Dask cluster, all faults included."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from calib.errors import HstflowError
from calib.fetch import FetchOptions, Patience, fetch_inputs
from calib.ids import parse_dataset
from calib.simulate.mast_server import MastServer

WriteRaw = Callable[..., Path]

PLANS = {
    "jh0003aaq": (["503", "503"], "good"),
    "jh0003abq": (["truncate:9000"], "good"),
    "jh0003acq": (["corrupt"], "good"),
    "jh0003adq": (["short:5760"], "good"),
    "jh0003aeq": (["html"], "good"),
    "jh0003afq": (["slow:2"], "good"),
    "jh0003agq": (["no-length"], "good"),
    "jh0003ahq": (["404"], "NotFound"),
    "jh0003aiq": (["401"], "Proprietary"),
    "jh0003ajq": (["500"] * 9, "Unavailable"),
}


def fetch_in_worker(root: str, folder: Path, options: FetchOptions) -> str:
    """Return the sha256 of what was fetched, or the error's class."""
    try:
        (file,) = fetch_inputs(
            parse_dataset(root), "astroquery:", folder / root, options=options
        ).files
    except HstflowError as error:
        return type(error).__name__
    return hashlib.sha256(Path(file.path).read_bytes()).hexdigest()


@pytest.mark.slow
def test_ten_faults_in_two_processes_never_end_badly(write_raw: WriteRaw, tmp_path: Path) -> None:
    """Two workers of four threads share one cache: the archive's bytes, or a clear error."""
    from distributed import Client, LocalCluster

    (tmp_path / "archive").mkdir()
    for root in PLANS:
        write_raw(tmp_path / "archive" / f"{root}_raw.fits", imsets=2)
    with MastServer(tmp_path / "archive") as server:
        server.faults = {f"{root}_raw.fits": list(plan) for root, (plan, _) in PLANS.items()}
        options = FetchOptions(
            mast_url=server.url,
            cache=tmp_path / "cache",
            patience=Patience(connect=5, read=0.5, deadline=60, tries=3, backoff=0.05),
        )
        with (
            LocalCluster(
                n_workers=2,
                threads_per_worker=4,
                processes=True,
                dashboard_address="127.0.0.1:0",
                local_directory=str(tmp_path / "dask"),
            ) as cluster,
            Client(cluster) as client,
        ):
            futures = client.map(
                fetch_in_worker, list(PLANS), folder=tmp_path, options=options, pure=False
            )
            outcomes = dict(zip(PLANS, client.gather(futures), strict=True))
    expected = {
        root: ending if ending != "good" else sha256_of(tmp_path / "archive", root)
        for root, (_, ending) in PLANS.items()
    }
    assert outcomes == expected, json.dumps(outcomes)


def sha256_of(folder: Path, root: str) -> str:
    """Return the sha256 of a raw in the archive."""
    return hashlib.sha256((folder / f"{root}_raw.fits").read_bytes()).hexdigest()
