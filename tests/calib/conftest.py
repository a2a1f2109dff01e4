"""A server that speaks S3 on this machine, and buckets of it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

_numbers = itertools.count()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Return the endpoint of a loopback server, empty at the start of a session."""
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_settings(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Point boto3 to the loopback server, away from the user's own settings; return its URL."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    settings = {
        "AWS_ENDPOINT_URL_S3": s3_server,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "s3cr3t-of-the-tests",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture
def bucket(s3_settings: str) -> str:
    """Return the name of a new bucket."""
    from calib.stores.s3_client import open_client

    name = f"bucket-{os.getpid()}-{next(_numbers)}"
    open_client(s3_settings, anonymous=False).create_bucket(Bucket=name)
    return name
