"""boto3 clients: one per process and endpoint, made when first needed."""

from __future__ import annotations

import os
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from calib.errors import ConfigError
from calib.stores.s3_errors import INSTALL

# The order in which botocore itself looks, behind an argument.
ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")

AMAZON = "amazonaws.com"

# Seconds. A stage tries again by itself, so a dead server should show soon.
_CONNECT, _READ = 10, 60
_ATTEMPTS = 3
_CONNECTIONS = 32


def endpoint_of(endpoint: str | None) -> str | None:
    """Return the server to talk to; None for Amazon's.

    Parameters
    ----------
    endpoint
        ``http://HOST:PORT`` or https, or None for what AWS_ENDPOINT_URL_S3 says.

    Raises
    ------
    ConfigError
        It is not such a URL, or carries a user name, a password or a query: credentials
        have their own variables, and a URL is shown in messages.
    """
    found = endpoint or next((os.environ[v] for v in ENDPOINT_VARIABLES if os.environ.get(v)), None)
    if found is None:
        return None
    try:
        parts = urlsplit(found)
        is_server = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_server = False
    if not is_server or "@" in found or "?" in found:
        raise ConfigError(
            "not an S3 endpoint",
            expected="http://HOST:PORT or https://HOST, without user name, password and query",
            found="a URL that is not shown, it may hold a password" if "@" in found else found,
        )
    return found


def open_client(endpoint: str | None, *, anonymous: bool) -> Any:
    """Return this process's client; safe to share between threads.

    A forked child makes its own: connections cannot be shared between processes.

    Raises
    ------
    ConfigError
        boto3 is not installed, or its configuration cannot be read.
    """
    return _client(os.getpid(), endpoint, anonymous)


@cache
def _client(_process: int, endpoint: str | None, anonymous: bool) -> Any:
    try:
        import boto3
        from botocore import UNSIGNED
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise ConfigError("s3: needs boto3", expected=INSTALL, found=str(error)) from error
    options: dict[str, Any] = {"signature_version": UNSIGNED} if anonymous else {}
    if endpoint is not None and AMAZON not in endpoint:
        # Bucket names as host names need DNS that other servers rarely have.
        options["s3"] = {"addressing_style": "path"}
    config = Config(
        connect_timeout=_CONNECT,
        read_timeout=_READ,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        max_pool_connections=_CONNECTIONS,
        **options,
    )
    try:
        # A session of our own: the default one is shared and not safe to make clients from.
        return boto3.session.Session().client("s3", endpoint_url=endpoint, config=config)
    except (BotoCoreError, ValueError) as error:
        raise ConfigError(
            "boto3 cannot be set up", expected="usable AWS settings", found=type(error).__name__
        ) from error
