"""Which engine calibrates a dataset: asked by every stage, and told by the headers."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calib.engines.lookup import choose_engine
from calib.engines.protocol import Engine
from calib.fitsfile import primary_header
from calib.records import RawInputs
from calib.stages.job import Job


def headers_of(inputs: RawInputs) -> list[Mapping[str, Any]]:
    """Return the primary headers of what is calibrated in its own right; not to be changed.

    Raises
    ------
    NotFound, CorruptFile
        An exposure cannot be read.
    """
    return [_header_of(file.path) for file in inputs.calibrated]


def engine_of(job: Job, inputs: RawInputs) -> Engine:
    """Return the engine that the options and the headers ask for.

    Raises
    ------
    ConfigError, UnsupportedMode
        As :func:`calib.engines.lookup.choose_engine`.
    NotFound, CorruptFile
        As :func:`headers_of`.
    """
    options = job.options
    headers = headers_of(inputs)
    return choose_engine(options.engine, headers, options.overrides, kind=job.id.kind)


def _header_of(path: str) -> Mapping[str, Any]:
    try:
        status = Path(path).stat()
    except FileNotFoundError:
        header: Mapping[str, Any] = primary_header(path)  # says which file is gone
        return header
    return _read(path, status.st_size, status.st_mtime_ns)


# A dataset's stages ask ten times, a millisecond each; an association has a dozen exposures.
@functools.lru_cache(maxsize=64)
def _read(path: str, size: int, modified: int) -> Mapping[str, Any]:  # noqa: ARG001 - part of the key
    header: Mapping[str, Any] = primary_header(path)
    return header
