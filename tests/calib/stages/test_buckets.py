"""All six stages from a bucket to a bucket."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from calib.archive.outputs import open_output
from calib.errors import ConfigError
from calib.simulate.observatory import Observatory
from calib.stages.planning import Request, plan_jobs
from calib.stages.sequence import process_dataset
from calib.stores.s3_store import S3Store


@pytest.fixture
def in_bucket(request_of: Request, observatory: Observatory, bucket: str) -> Request:
    """Return a request whose inputs and output are in a bucket."""
    store = S3Store(bucket, "raws", purpose="output")
    for name in observatory.datasets:
        store.put(observatory.raws / f"{name}_raw.fits", f"{name}/{name}_raw.fits")
    return dataclasses.replace(
        request_of, source=f"s3://{bucket}/raws", output=f"s3://{bucket}/out"
    )


def test_products_are_in_the_bucket_and_verify(
    in_bucket: Request, observatory: Observatory
) -> None:
    """A dataset is published with its manifest last; a second run has nothing to do."""
    job = plan_jobs(in_bucket, observatory.datasets[:1])[0]

    outcome = process_dataset(job)
    again = process_dataset(job)

    assert (outcome.state, again.state) == ("processed", "skipped")
    output = open_output(str(job.output))
    manifest = output.current_manifest(job.id)
    assert manifest is not None
    assert manifest.run == outcome.run
    assert output.verify(job.id) == []
    assert not Path(job.folder).exists()


def test_missing_bucket_is_found_before_any_work(
    in_bucket: Request, observatory: Observatory, tmp_path: Path
) -> None:
    """An output bucket that does not exist is a configuration error; nothing was started."""
    request = dataclasses.replace(in_bucket, output="s3://no-such-bucket/out")

    with pytest.raises(ConfigError, match="no-such-bucket"):
        plan_jobs(request, observatory.datasets[:1])
    assert not (tmp_path / "work").exists()
