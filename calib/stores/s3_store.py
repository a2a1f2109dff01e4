"""A bucket of S3, or of a server that speaks its language, as a store.

boto3 is imported when the first object is touched. Conditional writes (``If-None-Match: *``,
``If-Match``) decide between writers; sha256 is kept in the metadata, because the ETag and
checksum of a multipart object are not those of its bytes.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from calib.errors import ArchiveError, CorruptFile
from calib.stores.multipart import put_parts
from calib.stores.s3_client import endpoint_of, open_client
from calib.stores.s3_errors import Purpose, is_absent, is_conflict, is_precondition, s3_errors
from calib.stores.sources import SMALL, open_outgoing, reading, refuse_difference
from calib.stores.store import CHUNK, Content, Stored, check_key, hash_file

log = logging.getLogger(__name__)

# Lower case: S3 stores the names of metadata so.
_SHA256 = "sha256"

# Tries while another conditional write to the same key is under way, and seconds between.
_CONFLICTS, _PAUSE = 8, 0.25


@dataclass(frozen=True)
class S3Store:
    """Objects of a bucket below a prefix.

    Attributes
    ----------
    bucket, prefix
        Where; the prefix without slashes at its ends, or empty.
    purpose
        ``input`` or ``output``: it decides the class and code of errors.
    endpoint
        The server; None for AWS_ENDPOINT_URL_S3, or Amazon.
    anonymous
        Send no signature, for public buckets.
    """

    bucket: str
    prefix: str = ""
    purpose: Purpose = "output"
    endpoint: str | None = None
    anonymous: bool = False

    @property
    def uri(self) -> str:
        """Where the store is."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def uri_of(self, key: str) -> str:
        """Return where an object is or would be."""
        return f"{self.uri}/{key}"

    def head(self, key: str) -> Stored | None:
        """Describe an object; None where there is none (or no such bucket: HEAD cannot tell)."""
        with self._errors(key):
            answer = self._unless_absent(self._client.head_object, key)
            return None if answer is None else _described(key, answer)

    def list_keys(self, prefix: str) -> Iterator[Stored]:
        """Yield all objects whose keys begin with a prefix, in key order."""
        with self._errors(prefix):
            for page in self._pages(prefix):
                for entry in page.get("Contents", ()):
                    key = entry["Key"].removeprefix(self._full(""))
                    yield Stored(key, entry["Size"], entry["ETag"])

    def list_folders(self, prefix: str) -> list[str]:
        """Return the next parts of the keys below a prefix that have further parts."""
        start = self._full(f"{prefix}/")
        with self._errors(prefix):
            pages = [*self._pages(f"{prefix}/", Delimiter="/")]
        found = (entry["Prefix"] for page in pages for entry in page.get("CommonPrefixes", ()))
        return [name.removeprefix(start).rstrip("/") for name in found]

    def read(self, key: str) -> Content | None:
        """Return a small object whole; None where there is none."""
        with self._errors(key):
            answer = self._unless_absent(self._client.get_object, key)
            if answer is None:
                return None
            with closing(answer["Body"]) as body:
                return Content(body.read(), answer["ETag"], _age(answer))

    def get(self, key: str, target: Path) -> Stored:
        """Bring an object into a new local file, checked against its recorded sha256.

        Large objects come in several ranges at once. The name `target` appears when all is
        there and right.
        """
        part = target.with_name(f"{target.name}.part")
        try:
            stored, found = self._download(check_key(key), part)
            if found != (stored.sha256 or found) or part.stat().st_size != stored.size:
                raise CorruptFile(
                    "what was received is not what was stored",
                    path=self.uri_of(key),
                    expected=f"{stored.size} bytes, sha256 {stored.sha256}",
                    found=f"{part.stat().st_size} bytes, sha256 {found}",
                )
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return Stored(key, stored.size, stored.tag, found)

    def compute_digest(self, key: str) -> str:
        """Read an object and return the sha256 of its bytes (hexadecimal)."""
        digest = hashlib.sha256()
        with self._errors(key):
            answer = self._client.get_object(Bucket=self.bucket, Key=self._full(key))
            with closing(answer["Body"]) as body:
                for block in body.iter_chunks(CHUNK):
                    digest.update(block)
        return digest.hexdigest()

    def put(
        self,
        source: Path,
        key: str,
        *,
        sha256: str | None = None,
        only_new: bool = False,
        verify: bool = True,
    ) -> Stored:
        """Store a local file, in parts where it is large; nothing shows before the last byte."""
        outgoing = open_outgoing(source, sha256)
        options: dict[str, Any] = {"Metadata": {_SHA256: outgoing.sha256}}
        if only_new:
            options["IfNoneMatch"] = "*"
        if outgoing.data is None:
            with reading(source):
                stream = source.open("rb")
            with stream, self._errors(key):
                place = {"Bucket": self.bucket, "Key": self._full(check_key(key))}
                tag = put_parts(self._client, stream, outgoing.size, place, options)
        else:
            tag = self._put_bytes(key, outgoing.data, options)
        if tag is None:
            return self._accept_equal(key, outgoing.sha256)
        if verify:
            refuse_difference(self.uri_of(key), outgoing.sha256, self.compute_digest(key))
        return Stored(key, outgoing.size, tag, outgoing.sha256)

    def put_if_absent(self, key: str, data: bytes) -> str | None:
        """Store bytes under a free key and return their tag; None where the key is taken."""
        tag = self._put_bytes(key, data, {"IfNoneMatch": "*"})
        # The answer to our own write may have been lost, and boto3 have sent it again.
        return tag or self._tag_if_ours(key, data)

    def replace(self, key: str, data: bytes, tag: str | None = None) -> str | None:
        """Store bytes and return their tag; with a tag, only where the object still has it."""
        made = self._put_bytes(key, data, {} if tag is None else {"IfMatch": tag})
        return made or self._tag_if_ours(key, data)

    def delete(self, key: str) -> None:
        """Remove an object; a missing one is no error."""
        with self._errors(key):
            self._client.delete_object(Bucket=self.bucket, Key=self._full(check_key(key)))

    @property
    def _client(self) -> Any:
        return open_client(endpoint_of(self.endpoint), anonymous=self.anonymous)

    def _full(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def _errors(self, key: str) -> AbstractContextManager[None]:
        _ = self._client  # says first whether boto3 is there at all
        endpoint = endpoint_of(self.endpoint) or "Amazon"
        return s3_errors(self.uri_of(key), self.purpose, endpoint)

    def _pages(self, prefix: str, **options: str) -> Iterator[Any]:
        pages = self._client.get_paginator("list_objects_v2")
        yield from pages.paginate(Bucket=self.bucket, Prefix=self._full(prefix), **options)

    def _unless_absent(self, call: Any, key: str) -> Any:
        """Return the answer of a call; None where there is no such object."""
        from botocore.exceptions import ClientError

        try:
            return call(Bucket=self.bucket, Key=self._full(check_key(key)))
        except ClientError as error:
            if is_absent(error):
                return None
            raise

    def _download(self, key: str, part: Path) -> tuple[Stored, str]:
        """Write an object to a file; return its description and the sha256 of what came."""
        digest = hashlib.sha256()
        with self._errors(key):
            answer = self._client.get_object(Bucket=self.bucket, Key=self._full(key))
            with closing(answer["Body"]) as body:
                if answer["ContentLength"] <= SMALL:
                    with part.open("wb") as out:
                        for block in body.iter_chunks(CHUNK):
                            digest.update(block)
                            out.write(block)
                    return _described(key, answer), digest.hexdigest()
            self._client.download_file(self.bucket, self._full(key), str(part))
            return _described(key, answer), hash_file(part)

    def _put_bytes(self, key: str, data: bytes, options: dict[str, Any]) -> str | None:
        """Store bytes; None where the condition among the options does not hold."""
        from botocore.exceptions import ClientError

        place = {"Bucket": self.bucket, "Key": self._full(check_key(key))}
        with self._errors(key):
            for pause in (*[_PAUSE] * _CONFLICTS, None):
                try:
                    return str(self._client.put_object(Body=data, **place, **options)["ETag"])
                except ClientError as error:
                    # If-Match on an object that is gone: 404 from S3.
                    if is_precondition(error) or ("IfMatch" in options and is_absent(error)):
                        return None
                    if pause is None or not is_conflict(error):
                        raise
                time.sleep(pause)
        return None

    def _tag_if_ours(self, key: str, data: bytes) -> str | None:
        found = self.read(key)
        return found.tag if found is not None and found.data == data else None

    def _accept_equal(self, key: str, sha256: str) -> Stored:
        """Describe what lies under a taken key; raise where its bytes are others."""
        found = self.head(key)
        if found is None or found.sha256 != sha256 or self.compute_digest(key) != sha256:
            raise ArchiveError("other bytes lie there already", path=self.uri_of(key))
        return found


def open_store(location: str, purpose: Purpose, *, anonymous: bool = False) -> S3Store:
    """Return the store at ``BUCKET/PREFIX``, with the endpoint as it is set now.

    Raises
    ------
    ConfigError
        boto3 is not installed, or the endpoint is not one.
    """
    bucket, _, prefix = location.partition("/")
    if prefix:
        check_key(prefix)
    store = S3Store(bucket, prefix, purpose, endpoint_of(None), anonymous)
    open_client(store.endpoint, anonymous=anonymous)
    return store


def _described(key: str, answer: Any) -> Stored:
    sha256 = answer.get("Metadata", {}).get(_SHA256)
    return Stored(key, answer["ContentLength"], answer["ETag"], sha256)


def _age(answer: Any) -> float:
    """Return the seconds since the last change, by the server's clock where it says its time."""
    header = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = parsedate_to_datetime(header) if header else datetime.now(UTC)
    age: float = (now - answer["LastModified"]).total_seconds()
    return max(age, 0.0)
