"""URIs of inputs and outputs, read into a type before anything is done with them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from calib.errors import ConfigError
from calib.ids import RUN_NAMES, is_run_name

Scheme = Literal["file", "astroquery", "s3", "archive", "none"]

_KINDS = "file:PATH, astroquery:[POLLERS], s3://BUCKET/PREFIX"
EXPECTED = f"{_KINDS}, archive:[COLLECTION], or the word none"
EXPECTED_INPUTS = f"{_KINDS}, or archive:[COLLECTION]"

# Rules of Amazon S3 for bucket names (3-63 of a-z 0-9 . -, letter or digit at both ends).
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class Source:
    """Where inputs come from, or products go.

    Attributes
    ----------
    scheme
        ``file``, ``astroquery`` (MAST), ``s3``, ``archive`` (what the registry knows) or
        ``none``.
    location
        Path for ``file``; ``bucket/prefix`` for ``s3``; names of runs, chains and tags, with
        commas between, for ``archive``; for ``astroquery`` where the pollers of visits and
        skycells lie, a path or ``s3://BUCKET/PREFIX``, if anywhere; empty otherwise.
    """

    scheme: Scheme
    location: str = ""

    @property
    def path(self) -> Path:
        """Location in a file system as an absolute path, links followed."""
        return Path(self.location).expanduser().resolve()


def parse_uri(text: str) -> Source:
    """Read a URI.

    Parameters
    ----------
    text
        ``file:PATH`` (relative to the current folder, ``~`` is the home folder; also
        ``file:///PATH``), ``astroquery:``, ``astroquery:PATH`` or ``astroquery:s3://...`` with
        the place of pollers, ``s3://BUCKET/PREFIX``, ``archive:`` or ``archive:NAME,NAME...``
        with names of collections, or ``none``. Everything after ``file:`` is the path, further
        colons included.

    Raises
    ------
    ConfigError
        Anything else.
    """
    scheme, colon, rest = text.partition(":")
    if not colon:
        return _parse_word(text)
    if scheme == "file":
        return Source("file", _file_path(text, rest))
    if scheme == "s3":
        return Source("s3", _s3_location(text, rest))
    if scheme == "archive":
        return Source("archive", _collections(text, rest))
    if scheme == "astroquery":
        return Source("astroquery", _pollers(text, rest))
    raise _refusal(text, "unknown kind of URI")


def source_uri(text: str) -> str:
    """Return an INPUT_URI with an absolute path, so that it means the same everywhere.

    Raises
    ------
    ConfigError
        The URI is none, or is ``none``: inputs come from somewhere.
    """
    source = parse_uri(text)
    if source.scheme == "none":
        raise ConfigError("inputs come from somewhere", expected=EXPECTED_INPUTS, found=text)
    is_pollers = source.scheme == "astroquery" and not source.location.startswith("s3://")
    if source.scheme == "file" or (is_pollers and source.location):
        return f"{source.scheme}:{Path(source.path).absolute()}"
    return text


def _parse_word(text: str) -> Source:
    if text == "none":
        return Source("none")
    hint = f"; did you mean file:{text}?" if text.isprintable() and Path(text).exists() else ""
    raise _refusal(text, f"a URI begins with its kind{hint}")


def _file_path(text: str, rest: str) -> str:
    path = rest
    if rest.startswith("//"):
        if not rest.startswith("///"):
            raise _refusal(text, "a file URI cannot name a host")
        path = rest[2:]
    if not path or not path.isprintable():
        raise _refusal(text, "a file URI needs a path of printable characters")
    return path


def _pollers(text: str, rest: str) -> str:
    """Return where pollers lie: in a folder or a bucket; not at an address like https://."""
    if rest.startswith("s3:"):
        return f"s3://{_s3_location(text, rest.removeprefix('s3:'))}"
    is_path = rest.startswith(("/", "./", "../", "~")) or rest in {".", ".."}
    if rest and (not is_path or rest.startswith("//")):
        raise _refusal(text, "pollers lie in a folder (/..., ./..., ~/...) or s3://BUCKET/PREFIX")
    return _file_path(text, rest) if rest else ""


def _s3_location(text: str, rest: str) -> str:
    bucket, _, prefix = rest.removeprefix("//").partition("/")
    if not rest.startswith("//") or not _BUCKET.fullmatch(bucket):
        raise _refusal(text, "an s3 URI needs a bucket name")
    return f"{bucket}/{prefix.strip('/')}".rstrip("/")


def _collections(text: str, rest: str) -> str:
    if rest and not all(is_run_name(name) for name in rest.split(",")):
        message = f"an archive URI names runs, chains or tags ({RUN_NAMES}), or nothing"
        raise _refusal(text, message)
    return rest


def _refusal(text: str, message: str) -> ConfigError:
    return ConfigError(message, expected=EXPECTED, found=repr(text))
