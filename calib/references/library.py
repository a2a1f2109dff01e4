"""The only place that configures and imports the crds library.

The library takes its settings from environment variables, remembers rules by name (not by
folder), and counts errors and log levels per process. So each use happens inside
:func:`session`: one thread at a time, with the CRDS_* variables of the profile for as long
as it lasts, what was remembered of another cache forgotten, and its log kept off the
terminal but at hand for our messages.
"""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from calib.errors import BESTREFS, ConfigError, ContextError, MissingReference, Unavailable
from calib.references.profile import CrdsProfile
from calib.references.server_config import cached_info, identify

logger = logging.getLogger(__name__)

T = TypeVar("T")

OBSERVATORY = "hst"

# The library contacts no server whose address has "serverless" in it.
SERVERLESS = "https://hst-serverless.stsci.edu"

# Seconds that a server may be silent; the library itself waits for an hour (crds 14.0.3,
# crds/core/config.py). Answers of the real server take seconds.
TIMEOUT = "60"
_TIMEOUT = "CRDS_CLIENT_TIMEOUT_SECONDS"

# Variables that would lead the library past the folder of the profile (crds.core.config).
_PATH_VARIABLES = (
    "CRDS_PATH_SINGLE",
    *(
        f"CRDS_{part}PATH{single}"
        for part in ("MAP", "REF", "CFG", "PICKLE")
        for single in ("", "_SINGLE")
    ),
    # Buckets are read by calib.references.origins, into the same folder.
    *(f"CRDS_{part}_URI" for part in ("CONFIG", "MAPPING", "REFERENCE", "PICKLE")),
    *("CRDS_S3_ENABLED", "CRDS_S3_RETURN_URI"),
)


@dataclass
class _Process:
    """What this process has done with the library.

    Attributes
    ----------
    imported
        The library is imported.
    defaults
        Variables that the library set when it was imported, and misses if they go.
    source
        The cache, server and server_config that its memory comes from.
    """

    imported: bool = False
    defaults: Mapping[str, str] = field(default_factory=dict)
    source: tuple[object, ...] | None = None


_LOCK = threading.RLock()
_PROCESS = _Process()


@contextmanager
def session(profile: CrdsProfile) -> Iterator[list[str]]:
    """Use the crds library with this profile, alone in the process.

    The environment and the library's log are as before afterwards.

    Yields
    ------
    list of str
        The errors and warnings that the library logs while the session lasts.
    """
    with _LOCK, ExitStack() as stack:
        stack.enter_context(_environment(profile))
        _import_once()
        _forget_other_cache(profile)
        yield stack.enter_context(_captured_log())


def crds_version() -> str:
    """Return the version of the crds library, without importing it."""
    return importlib.metadata.version("crds")


def warm_up(profile: CrdsProfile, context: str, instrument: str) -> None:
    """Import the library and read the rules of one instrument before the first exposure.

    Raises
    ------
    ContextError, Unavailable
        As :func:`load_rules`.
    """
    with session(profile):
        load_rules(profile, context, instrument)


def load_rules(profile: CrdsProfile, context: str, instrument: str) -> tuple[Any, Any]:
    """Return the rules of a context and those of one instrument, every file of them read.

    The library reads rules when it needs them and calls a missing file "no match"; so all
    are read here. With a server, missing rules are downloaded.

    Parameters
    ----------
    instrument
        Lower case.

    Returns
    -------
    tuple
        crds' PipelineContext and InstrumentContext. Call this inside :func:`session`.

    Raises
    ------
    ContextError
        There is no such context, or its rules are damaged or incomplete.
    Unavailable
        The server that has the missing rules does not answer.
    """
    return _read(profile, context, lambda: _read_rules(context, instrument))


def load_context(profile: CrdsProfile, context: str) -> Any:
    """Return the rules of a context (crds' PipelineContext) without those of its instruments.

    Call this inside :func:`session`.

    Raises
    ------
    ContextError, Unavailable
        As :func:`load_rules`.
    """
    return _read(profile, context, lambda: _read_context(context))


def _read(profile: CrdsProfile, context: str, read: Callable[[], T]) -> T:
    """Read rules, and once more with what the server has where some are missing."""
    try:
        return read()
    except OSError as error:
        if not profile.can_fill:
            raise _incomplete(profile, context, error) from error
    from calib.references.syncing import sync_rules

    sync_rules(profile, [context])
    try:
        return read()
    except OSError as error:
        raise _incomplete(profile, context, error) from error


def unknown_context(profile: CrdsProfile, context: str) -> ContextError:
    """Return the error for a context that is not in the cache: it names those that are."""
    there = cached_contexts(profile)
    return ContextError(
        "no such context in the cache",
        path=profile.mappings,
        expected=f"one of {', '.join(there[-8:])}"
        if there
        else "a cache with rules in it (hstflow context sync)",
        found=context,
    )


def _incomplete(profile: CrdsProfile, context: str, error: OSError) -> ContextError:
    if context not in cached_contexts(profile):
        return unknown_context(profile, context)
    return ContextError(
        f"the rules of {context} are not all in the cache: {error}",
        path=profile.mappings,
        expected=f"all of them (hstflow context sync {context})",
    )


def cached_contexts(profile: CrdsProfile) -> list[str]:
    """Return the names of the contexts in the cache, oldest first."""
    return sorted(path.name for path in profile.mappings.glob("hst_*.pmap"))


def server_info(profile: CrdsProfile) -> dict[str, Any]:
    """Return what the server says about itself; offline, what it last said.

    Raises
    ------
    ConfigError
        Offline, and the cache has no (readable) server_config.
    Unavailable
        The server does not answer, and it never did with this cache.
    """
    if not profile.offline:
        from crds.core import exceptions, heavy_client

        try:
            return dict(heavy_client.get_config_info(OBSERVATORY))
        except (exceptions.CrdsError, SystemExit) as error:
            # crds ends its scripts with SystemExit(-1), which says nothing.
            reason = "" if isinstance(error, SystemExit) else f": {error}"
            raise Unavailable(
                f"the CRDS server does not answer and the cache knows nothing of it{reason}",
                path=profile.server_url,
                code=BESTREFS,
            ) from error
    return _cached_info(profile)


def ask_server(profile: CrdsProfile, *, again: bool = False) -> dict[str, Any]:
    """Return what the server says about itself now, or said earlier in this process.

    Parameters
    ----------
    again
        Ask although it was asked before.

    Raises
    ------
    Unavailable
        It does not answer.
    """
    if again:
        forget()
    with session(profile):
        from crds.client import api
        from crds.core import exceptions

        try:
            return dict(api.get_server_info())
        except (exceptions.CrdsError, OSError, ValueError, SystemExit) as error:
            reason = "" if isinstance(error, SystemExit) else f": {error}"
            raise Unavailable(
                f"the CRDS server does not answer{reason}", path=profile.server_url, code=BESTREFS
            ) from error


def _server(profile: CrdsProfile) -> str:
    """Return the server for the library: none where files come from a bucket or a folder."""
    return SERVERLESS if profile.has_store else profile.server_url


@contextmanager
def _environment(profile: CrdsProfile) -> Iterator[None]:
    wanted = {
        "CRDS_PATH": str(profile.cache),
        "CRDS_SERVER_URL": _server(profile),
        "CRDS_OBSERVATORY": OBSERVATORY,
        "CRDS_READONLY_CACHE": "1" if profile.readonly or profile.offline else "0",
    }
    before = {name: value for name, value in os.environ.items() if name.startswith("CRDS_")}
    for name in (*_PATH_VARIABLES, "CRDS_CONTEXT"):
        os.environ.pop(name, None)
    os.environ.update({**_PROCESS.defaults, _TIMEOUT: TIMEOUT, **os.environ, **wanted})
    try:
        yield
    finally:
        for name in [name for name in os.environ if name.startswith("CRDS_")]:
            del os.environ[name]
        os.environ.update(before)


def _import_once() -> None:
    """Import the library, and take what it made out of sight of the garbage collector.

    crds collects garbage several times per file; nine tenths of its time goes there unless
    what exists after the import is frozen (measured: 1.19 s to 0.05 s for three files).
    """
    if _PROCESS.imported:
        return
    before = set(os.environ)
    importlib.import_module("crds.core.heavy_client")
    _PROCESS.defaults = {name: os.environ[name] for name in set(os.environ) - before}
    _PROCESS.imported = True
    gc.collect()
    gc.freeze()


def _forget_other_cache(profile: CrdsProfile) -> None:
    from crds.client import api
    from crds.core import config, utils

    source = (profile.cache, profile.server_url, profile.readonly, _stamp(profile))
    if source == _PROCESS.source:
        return
    utils.clear_function_caches()
    api.set_crds_server(_server(profile))
    config.CRDS_REF_SUBDIR_MODE = reference_layout(profile)
    _PROCESS.source = source


def forget() -> None:
    """Forget rules and what the server said: the next session asks anew."""
    with _LOCK:
        _PROCESS.source = None


def reference_layout(profile: CrdsProfile) -> str:
    """Return how references are laid out: what the cache says, else the profile."""
    tag = profile.cache / "config" / OBSERVATORY / "ref_cache_subdir_mode"
    return tag.read_text(encoding="utf-8").strip() if tag.is_file() else profile.layout


def _stamp(profile: CrdsProfile) -> tuple[int, int] | None:
    """Identify the content of server_config; with a server, the library writes it itself."""
    if not profile.offline or not profile.server_config.is_file():
        return None
    return identify(profile.server_config)


def _cached_info(profile: CrdsProfile) -> dict[str, Any]:
    info = cached_info(profile)
    if not info:
        raise ConfigError(
            "the CRDS cache has no server_config, so its default context is not known",
            path=profile.cache,
            expected="a cache that was synchronised (hstflow context sync), or --context",
        )
    return info


class _Collector(logging.Handler):
    """Keeps errors and warnings of the library; passes on what it says of downloads."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage().strip()
        if record.levelno >= logging.WARNING:
            self.messages.append(message)
        logger.log(min(record.levelno, logging.INFO), "crds: %s", message)


@contextmanager
def _captured_log() -> Iterator[list[str]]:
    from crds.core import log

    target, console = log.THE_LOGGER.logger, log.THE_LOGGER.console
    collector = _Collector()
    target.addHandler(collector)
    if console is not None:
        target.removeHandler(console)
    try:
        yield collector.messages
    finally:
        target.removeHandler(collector)
        if console is not None:
            target.addHandler(console)


def _read_context(context: str) -> Any:
    from crds.core import exceptions, rmap

    try:
        return rmap.get_cached_mapping(context)
    except exceptions.CrdsError as error:
        raise ContextError(f"the rules of {context} cannot be used: {error}") from error


def _read_rules(context: str, instrument: str) -> tuple[Any, Any]:
    from crds.core import exceptions

    pipeline = _read_context(context)
    try:
        rules = pipeline.get_imap(instrument)
        for kind in rules.selections.normal_keys():
            rules.get_rmap(kind)
    except exceptions.CrdsUnknownInstrumentError as error:
        raise MissingReference(
            f"{context} has no rules for instrument {instrument.upper()}"
        ) from error
    except exceptions.CrdsError as error:
        raise ContextError(f"the rules of {context} cannot be used: {error}") from error
    return pipeline, rules
