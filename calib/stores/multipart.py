"""Large objects in parts, several at once, under a condition.

boto3's own transfer sends parts as well, but (1.43) not under a condition on the whole.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, BinaryIO

from calib.stores.s3_errors import is_precondition

log = logging.getLogger(__name__)

# S3 allows 10 000 parts of at least 5 MiB (user guide, "multipart upload limits").
_PART = 8 << 20
_MOST_PARTS = 9_000
_THREADS = 4


def put_parts(
    client: Any, stream: BinaryIO, size: int, place: dict[str, str], options: dict[str, Any]
) -> str | None:
    """Store a file in parts and return its ETag.

    Parameters
    ----------
    client
        A boto3 client.
    stream, size
        The open file and its bytes.
    place
        Bucket and Key.
    options
        Metadata, and IfNoneMatch where the key must be free.

    Returns
    -------
    str or None
        None where the key is not free. In that case, and after any error, the parts are
        discarded: a bucket charges for parts that nobody sees.
    """
    from botocore.exceptions import ClientError

    condition = {k: v for k, v in options.items() if k == "IfNoneMatch"}
    described = {k: v for k, v in options.items() if k != "IfNoneMatch"}
    with _begin(client, place, described) as upload:
        length = max(_PART, -(-size // _MOST_PARTS))
        parts = _send(client, stream.fileno(), [*range(0, size, length)], length, upload)
        try:
            answer = client.complete_multipart_upload(
                **upload, MultipartUpload={"Parts": parts}, **condition
            )
        except ClientError as error:
            if not is_precondition(error):
                raise
            client.abort_multipart_upload(**upload)
            return None
    return str(answer["ETag"])


@contextmanager
def _begin(client: Any, place: dict[str, str], options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Begin an upload; discard its parts where the block does not end well."""
    from botocore.exceptions import BotoCoreError, ClientError

    upload = {**place, "UploadId": client.create_multipart_upload(**place, **options)["UploadId"]}
    finished = False
    try:
        yield upload
        finished = True
    finally:
        if not finished:
            try:
                client.abort_multipart_upload(**upload)
            except (BotoCoreError, ClientError) as error:
                log.warning(
                    "parts of an upload are left in %s: %s", place["Bucket"], type(error).__name__
                )


def _send(
    client: Any, handle: int, offsets: list[int], length: int, upload: dict[str, Any]
) -> list[dict[str, Any]]:
    """Send the parts; after the first failure no other is begun."""

    def send(number: int, offset: int) -> dict[str, Any]:
        body = os.pread(handle, length, offset)
        answer = client.upload_part(Body=body, PartNumber=number, **upload)
        return {"PartNumber": number, "ETag": answer["ETag"]}

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(send, range(1, len(offsets) + 1), offsets))
