"""Compiled loops: the only module that imports numba, and only when a loop is first called.

A function decorated with :func:`compiled` keeps its source, a typed signature and nothing
else; the first call imports numba (half a second) and compiles it or loads it from our
cache. Options: the interpreter lock is released, arithmetic is exactly as written (no
fast-math, no fused multiply-add), division by zero gives inf or NaN as in C.

The cache folder is named by a hash of all sources a compiled function can come from,
because numba checks only the file of the outermost function: an edit in a helper of another
module would otherwise give the old numbers. Where no folder is writable, nothing is cached.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import importlib
import logging
import os
import pkgutil
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt
import platformdirs

from calib.errors import DataError
from calib.image import Flags, Float, Image

P = ParamSpec("P")
R = TypeVar("R")
Kind = TypeVar("Kind", bound=np.generic)

logger = logging.getLogger(__name__)

# Packages whose sources decide what the machine code does.
PACKAGES = ("arithmetic", "steps")

_lock = threading.RLock()


class Planes(NamedTuple):
    """The three arrays of an image as compiled code takes them: C-contiguous, native."""

    sci: Float
    err: Float
    dq: Flags


class Compiled(Generic[P, R]):
    """A function that is compiled when it is first called.

    Parameters
    ----------
    function
        The Python function; also callable as `python`, for tests and reading.
    returns, arguments
        Types, written as :func:`compiled` says.
    """

    def __init__(self, function: Callable[P, R], returns: str, arguments: tuple[str, ...]) -> None:
        self.python = function
        self.returns = returns
        self.arguments = arguments
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the compiled function."""
        result: R = self.dispatcher(*args, **kwargs)
        return result

    @functools.cached_property
    def dispatcher(self) -> Any:
        """Return numba's function, compiled or loaded on first use."""
        with _lock, _cache_folder() as cached:
            numba = _numba()
            signature = _type(self.returns)(*map(_type, self.arguments))
            return numba.njit([signature], nogil=True, error_model="numpy", cache=cached)(
                self.python
            )


def compiled(returns: str, *arguments: str) -> Callable[[Callable[P, R]], Compiled[P, R]]:
    """Mark a function for compilation on first call.

    Parameters
    ----------
    returns, *arguments
        ``f4 f8 i2 i4 i8 b1 void`` are scalars; ``f4[:,:]`` is a C-contiguous array that is
        only read (a read-only array costs no second compilation); ``out f4[:,:]`` is one
        that is written; ``planes`` and ``out planes`` are :class:`Planes`.

    Returns
    -------
    Callable
        The decorator. Decorated functions may call each other.
    """

    def mark(function: Callable[P, R]) -> Compiled[P, R]:
        return Compiled(function, returns, arguments)

    return mark


def planes(image: Image, shape: tuple[int, int] | None = None) -> Planes:
    """Return the arrays of an image, read-only, contiguous and native; copied only if not.

    Parameters
    ----------
    shape
        What the image must have, because compiled loops go over another one of this shape and
        do not look where an array ends.

    Raises
    ------
    DataError
        The image has another shape.
    """
    return Planes(
        readonly(image.sci, np.float32, shape),
        readonly(image.err, np.float32, shape),
        readonly(image.dq, np.int16, shape),
    )


def new_planes(shape: tuple[int, int]) -> Planes:
    """Return arrays to be filled."""
    return Planes(
        np.empty(shape, np.float32), np.empty(shape, np.float32), np.empty(shape, np.int16)
    )


def readonly(
    array: npt.NDArray[Any], kind: type[Kind], shape: tuple[int, int] | None = None
) -> npt.NDArray[Kind]:
    """Return an array as compiled code takes one that it only reads; copied only if need be.

    Raises
    ------
    DataError
        The array has another shape than it must have (:func:`planes`).
    """
    if shape is not None and array.shape != shape:
        raise DataError(
            "images that belong together differ in shape", expected=shape, found=array.shape
        )
    view: npt.NDArray[Kind] = np.ascontiguousarray(array, kind).view()
    view.flags.writeable = False
    return view


def warm_up() -> int:
    """Compile everything now (or load it), once, before a cluster starts.

    Returns
    -------
    int
        How many functions are ready.
    """
    functions = [
        value
        for module in _modules()
        for value in vars(importlib.import_module(module)).values()
        if isinstance(value, Compiled)
    ]
    ready = {id(function.dispatcher) for function in functions}
    return len(ready)


def _modules() -> list[str]:
    root = Path(__file__).parent
    return [
        f"calib.{package}.{module.name}"
        for package in PACKAGES
        for module in pkgutil.iter_modules([str(root / package)])
    ]


@functools.cache
def _numba() -> Any:
    """Import numba and teach it that one of our functions may call another."""
    import numba
    from numba.extending import typeof_impl

    @typeof_impl.register(Compiled)
    def _typeof(value: Compiled[Any, Any], _context: object) -> Any:
        return numba.types.Dispatcher(value.dispatcher)

    return numba


_KINDS = ("f4", "f4", "i2")  # of SCI, ERR and DQ


@functools.cache
def _type(text: str) -> Any:
    types = _numba().types
    writable = text.startswith("out ")
    name = text.removeprefix("out ")
    if name == "planes":
        prefix = "out " if writable else ""
        return types.NamedTuple([_type(f"{prefix}{kind}[:,:]") for kind in _KINDS], Planes)
    scalar, _, axes = name.partition("[")
    kind = types.boolean if scalar == "b1" else getattr(types, scalar)
    return types.Array(kind, axes.count(":"), "C", readonly=not writable) if axes else kind


@contextmanager
def _cache_folder() -> Iterator[bool]:
    """Point numba at our folder, only while one of our functions is made."""
    config = _numba().config
    folder = cache_folder()
    before = config.CACHE_DIR
    config.CACHE_DIR = str(folder or before)
    try:
        yield folder is not None
    finally:
        config.CACHE_DIR = before


@functools.cache
def cache_folder() -> Path | None:
    """Return the folder of compiled code: HSTFLOW_CACHE, else the user's; None if unwritable.

    The last resort is a temporary folder of this process.
    """
    base = os.environ.get("HSTFLOW_CACHE") or platformdirs.user_cache_dir("hstflow")
    name = f"compiled-{source_hash()[:16]}"
    return _writable(Path(base).absolute() / name) or _temporary(name)


def _writable(folder: Path) -> Path | None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        logger.info("compiled code cannot be kept: %s", error)
        return None


def _temporary(name: str) -> Path | None:
    """Return a folder that this process removes at its end."""
    try:
        parent = tempfile.mkdtemp(prefix="hstflow-")
    except OSError as error:
        logger.info("compiled code cannot be kept for a while either: %s", error)
        return None
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    return _writable(Path(parent) / name)


def source_hash() -> str:
    """Return the sha256 of numba's version and all sources that get compiled."""
    digest = hashlib.sha256(str(_numba().__version__).encode())
    root = Path(__file__).parent
    for path in [
        Path(__file__),
        *(p for name in PACKAGES for p in sorted((root / name).glob("*.py"))),
    ]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
