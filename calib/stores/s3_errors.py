"""What S3 and boto3 report, in the words and classes of ours.

Messages are made of the error's code and the object's URI: never of the text that came with it,
which may repeat a request with its signature.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from calib.errors import (
    ARCHIVE,
    S3_INPUT,
    ArchiveError,
    ConfigError,
    HstflowError,
    NotFound,
    Proprietary,
    Unavailable,
)

Purpose = Literal["input", "output"]

INSTALL = "pip install 'hstflow[s3]'"

# Error codes of the S3 API reference, "Error responses"; "404" and the like are all that a HEAD
# answer says, since it has no body.
_CREDENTIALS = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)
_ABSENT = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NotFound"})
_REGION = "the bucket is in another region: set AWS_REGION"
_MISCONFIGURED = {
    "NoSuchBucket": "there is no such bucket",
    "InvalidBucketName": "there is no such bucket",
    "301": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraint": _REGION,
    "PermanentRedirect": _REGION,
    "NotImplemented": "the store lacks an operation that is needed",
}
_PRECONDITION = frozenset({"412", "PreconditionFailed"})
_CONFLICT = frozenset({"409", "ConditionalRequestConflict", "OperationAborted"})
_BUSY = frozenset(
    {"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests"}
)
_SERVER_FAULT, _TOO_MANY, _FORBIDDEN = 500, 429, 403


@contextmanager
def s3_errors(uri: str, purpose: Purpose, endpoint: str) -> Iterator[None]:
    """Turn errors of boto3 inside the block into ours.

    Parameters
    ----------
    uri
        The object or prefix concerned.
    purpose
        Whether inputs are read or products written: it decides class and exit code.
    endpoint
        The server, without user names and passwords.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ClientError as error:
        raise _of_answer(error.response, uri, purpose) from error
    except BotoCoreError as error:
        raise _of_client(error, uri, purpose, endpoint) from error
    except KeyError as error:
        # An answer of something else: of S3, size and ETag are always there.
        raise unavailable(f"an answer without {error}", uri, purpose, endpoint) from error
    except (Boto3Error, HTTPError, ConnectionError, TimeoutError) as error:
        # Of the transfer threads, and of connections that break while a body is read.
        raise unavailable(type(error).__name__, uri, purpose, endpoint) from error


def is_precondition(error: Any) -> bool:
    """Tell whether a ClientError says that a conditional write found something else."""
    return _code(error.response) in _PRECONDITION


def is_conflict(error: Any) -> bool:
    """Tell whether another conditional write to the same key was under way: try again."""
    return _code(error.response) in _CONFLICT


def is_absent(error: Any) -> bool:
    """Tell whether a ClientError says that there is no such object."""
    return _code(error.response) in _ABSENT


def unavailable(why: str, uri: str, purpose: Purpose, endpoint: str) -> Unavailable:
    """Return the error of a server that does not answer as S3 does."""
    return Unavailable(
        "the store does not answer; is the endpoint right?",
        path=uri,
        expected=f"S3 at {endpoint}",
        found=why,
        code=S3_INPUT if purpose == "input" else ARCHIVE,
    )


def _code(response: Any) -> str:
    return str(response.get("Error", {}).get("Code", ""))


def _of_answer(response: Any, uri: str, purpose: Purpose) -> HstflowError:
    """Choose the error for an answer of the server."""
    code = _code(response)
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    found = f"{code or 'no code'}, HTTP {status}"
    if code in _CREDENTIALS:
        return _without_rights("the credentials are refused", uri, purpose, found)
    if code in _ABSENT:
        return _absent(uri, purpose, found)
    if status == _FORBIDDEN:
        return _forbidden(uri, purpose, found)
    is_busy = status >= _SERVER_FAULT or status == _TOO_MANY or code in _BUSY | _CONFLICT
    if is_busy and code not in _MISCONFIGURED:
        exit_code = S3_INPUT if purpose == "input" else ARCHIVE
        message = "the store is busy or out of order"
        return Unavailable(message, path=uri, found=found, code=exit_code)
    settled = _MISCONFIGURED.get(code)
    kind = ConfigError if settled or purpose == "input" else ArchiveError
    return kind(settled or "the store refused the request", path=uri, found=found)


def _of_client(error: Any, uri: str, purpose: Purpose, endpoint: str) -> HstflowError:
    """Choose the error for a request that got no answer, or none that boto3 can read."""
    from botocore import exceptions

    credentials = (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.TokenRetrievalError,
        exceptions.SSOError,
        exceptions.ProfileNotFound,
        exceptions.LoginError,
    )
    if isinstance(error, credentials):
        return _without_rights("no usable credentials", uri, purpose, type(error).__name__)
    if isinstance(error, exceptions.ParamValidationError | exceptions.ValidationError):
        return ConfigError("boto3 does not allow this name", path=uri, found=type(error).__name__)
    return unavailable(type(error).__name__, uri, purpose, endpoint)


def _without_rights(message: str, uri: str, purpose: Purpose, found: str) -> HstflowError:
    kind = ConfigError if purpose == "input" else ArchiveError
    expected = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    return kind(message, path=uri, expected=expected, found=found)


def _absent(uri: str, purpose: Purpose, found: str) -> HstflowError:
    if purpose == "input":
        return NotFound("no such object", path=uri, found=found, code=S3_INPUT)
    return ArchiveError("no such object", path=uri, found=found)


def _forbidden(uri: str, purpose: Purpose, found: str) -> HstflowError:
    if purpose == "input":
        message = "may not be read with these credentials"
        return Proprietary(message, path=uri, found=found, code=S3_INPUT)
    return ArchiveError("these credentials do not allow it", path=uri, found=found)
