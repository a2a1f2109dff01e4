"""Which files MAST has of a dataset, asked by the real client, and bringing them here.

MastMissions is asked first (one request for a dataset); Observations, the portal, when that
fails or knows nothing. astroquery finds the files; :mod:`calib.fetch.download` loads them.
Its clients are not made for threads: each thread has its own, pointed at the address that the
options name, with a timeout on every request.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter

from calib.caldp import INPUT_SUFFIXES, suffix_of
from calib.errors import MAST, NotFound, Proprietary, Unavailable
from calib.fetch.cache import DownloadCache
from calib.fetch.copying import Copied
from calib.fetch.download import Remote
from calib.fetch.holdings import Listed
from calib.fetch.hosts import host_of, user_agent
from calib.fetch.options import FetchOptions
from calib.fetch.selection import is_exposure, root_of
from calib.ids import DatasetId

log = logging.getLogger(__name__)

_RETRIEVE = "/search/hst/api/v0.1/retrieve_product?product_name="
_DOWNLOAD = "/api/v0.1/Download/file?uri="
_LONGEST_QUERY = 300.0  # seconds of polling for one answer of the portal

_THREAD = threading.local()

Answer = TypeVar("Answer")
Service = Callable[[Sequence[str], FetchOptions], dict[str, Remote]]


@dataclass
class MastHoldings:
    """The input files that MAST has of a dataset: names first, bytes when taken.

    Attributes
    ----------
    dataset, options
        Whose files, and how to get them.
    staging
        Where files are put.
    """

    dataset: DatasetId
    options: FetchOptions
    staging: Path
    files: dict[str, Remote] = field(default_factory=dict)
    code: int = MAST
    is_chosen: bool = False
    notes: Collection[str] = ()

    @property
    def origin(self) -> str:
        """The archive."""
        return f"astroquery:{self.options.mast_url}"

    @property
    def names(self) -> Collection[str]:
        """Names of the files known so far."""
        return self.files

    def look_for(self, roots: Collection[str]) -> None:
        """Ask for the files of exposures that the list has not shown yet.

        Raises
        ------
        Unavailable, Proprietary
            As :func:`find_files`. That nothing is found is no error here.
        """
        shown = {root_of(n) for n in self.files if is_exposure(n, self.dataset.instrument)}
        if missing := sorted(set(roots) - shown):
            self.files |= find_files(missing, self.dataset.instrument, self.options)

    def describe(self, name: str) -> Listed:
        """Say what MAST's list says of a file."""
        return Listed(self.files[name].size, self.files[name].url)

    def take(self, name: str) -> Copied:
        """Bring one file, verified, into the staging folder."""
        cache = DownloadCache(self.options.downloads, self.options.cache_limit)
        return cache.fetch(self.files[name], self.staging / name, self.options.patience)


def find_holdings(dataset: DatasetId, options: FetchOptions, staging: Path) -> MastHoldings:
    """Ask MAST for the input files of an exposure or association.

    Raises
    ------
    NotFound
        MAST has no input file of it. Code 22.
    Unavailable, Proprietary
        As :func:`find_files`.
    """
    files = find_files([dataset.name], dataset.instrument, options)
    if not files:
        raise NotFound(
            "MAST has no input files of this dataset",
            dataset=dataset.name,
            path=options.mast_url,
            code=MAST,
        )
    return MastHoldings(dataset, options, staging, files)


def find_files(roots: Sequence[str], instrument: str, options: FetchOptions) -> dict[str, Remote]:
    """Return the input files that MAST lists for exposures and associations, by name.

    Parameters
    ----------
    roots
        Dataset names, lower case. All are asked for at once.
    instrument
        Files with an input suffix of this instrument count; ``_spt`` only on request.

    Returns
    -------
    dict
        Empty where MAST answers and has nothing.

    Raises
    ------
    Unavailable
        No service answers after every try. Code 22.
    Proprietary
        MAST does not answer this user (401, 403).
    """
    suffixes = INPUT_SUFFIXES[instrument] - (frozenset() if options.spt else {"spt"})
    found = _patiently(lambda: _ask_both(roots, options), options)
    return {name: file for name, file in sorted(found.items()) if suffix_of(name) in suffixes}


def find_products(pattern: str, options: FetchOptions) -> dict[str, Remote]:
    """Return the FITS files that MAST's Observations list for names that fit a pattern.

    Parameters
    ----------
    pattern
        Beginning of names with ``*`` at the end, such as ``j8ph01*``.

    Raises
    ------
    Unavailable, Proprietary
        As :func:`find_files`.
    """
    return _patiently(lambda: _ask_observations([pattern], options), options)


def find_observations(criteria: Mapping[str, Any], options: FetchOptions) -> list[dict[str, Any]]:
    """Return the rows of MAST's Observations that meet criteria.

    Parameters
    ----------
    criteria
        Columns of the service with one or more values, or least and most of a number.

    Raises
    ------
    Unavailable
        The service does not answer after every try. Code 22.
    Proprietary
        MAST does not answer this user (401, 403).
    """

    def ask() -> list[dict[str, Any]]:
        client = _client("observations", options)
        return _rows(partial(client.query_criteria_async, **criteria), "data", options)

    return _patiently(ask, options)


def _patiently(ask: Callable[[], Answer], options: FetchOptions) -> Answer:
    """Ask until there is an answer, with growing waits between."""
    patience = options.patience
    for attempt in range(1, patience.tries + 1):
        try:
            return ask()
        except Unavailable as error:
            if attempt == patience.tries:
                error.message += f"; gave up after {attempt} tries"
                raise
            wait = patience.backoff * 2 ** (attempt - 1) * random.SystemRandom().uniform(0.5, 1.5)
            log.info("%s; asking again in %.1f s", error, wait)
            time.sleep(wait)
    raise Unavailable("not even one try was allowed", expected="tries >= 1", code=MAST)


def _ask_both(roots: Sequence[str], options: FetchOptions) -> dict[str, Remote]:
    """Ask MastMissions, then Observations; "nothing" counts only if both say so."""
    failure: Unavailable | None = None
    services: tuple[Service, ...] = (_ask_missions, _ask_observations)
    for service in services:
        try:
            if found := service(roots, options):
                return found
        except Unavailable as error:
            log.info("%s", error)
            failure = failure or error
    if failure:
        raise failure
    return {}


def _ask_missions(roots: Sequence[str], options: FetchOptions) -> dict[str, Remote]:
    client = _client("missions", options)
    ask = partial(client.get_product_list_async, [root.upper() for root in roots])
    rows = _rows(ask, "products", options)
    return _remotes(rows, ("filename", "uri"), _RETRIEVE, options)


def _ask_observations(roots: Sequence[str], options: FetchOptions) -> dict[str, Remote]:
    client = _client("observations", options)
    ask = partial(client.query_criteria_async, obs_collection="HST", obs_id=list(roots))
    numbers = [str(row["obsid"]) for row in _rows(ask, "data", options) if "obsid" in row]
    if not numbers:
        return {}
    rows = _rows(partial(client.get_product_list_async, numbers), "data", options)
    return _remotes(rows, ("productFilename", "dataURI"), _DOWNLOAD, options)


def _remotes(
    rows: Iterable[Mapping[str, Any]],
    columns: tuple[str, str],
    path: str,
    options: FetchOptions,
) -> dict[str, Remote]:
    """Return files by name in lower case; rows without name or address are left out."""
    named = ((str(row.get(columns[0]) or ""), str(row.get(columns[1]) or ""), row) for row in rows)
    return {
        name.lower(): Remote(
            url=f"{options.mast_url}{path}{quote(uri, safe='')}",
            name=name.lower(),
            size=row["size"] if isinstance(row.get("size"), int) else None,
            token=options.token,
            token_host=host_of(options.mast_url),
        )
        for name, uri, row in named
        if uri and name == Path(name).name and name.endswith(".fits")
    }


def _rows(ask: Callable[[], Any], key: str, options: FetchOptions) -> list[dict[str, Any]]:
    """Ask, and return the rows of the answer or answers.

    Raises
    ------
    Unavailable
        No answer, an error, or something else than rows.
    Proprietary
        The status is 401 or 403.
    """
    from astroquery import exceptions

    try:
        answers = ask()
        bodies = [answer.json() for answer in _listed(answers)]
        rows = [row for body in bodies for row in _listed(body[key])]
    except requests.HTTPError as error:
        raise _refusal(error, options) from error
    except (requests.RequestException, TimeoutError, exceptions.TimeoutError) as error:
        message = f"MAST does not answer: {type(error).__name__}"
        raise Unavailable(message, path=options.mast_url, code=MAST) from error
    except (
        *(exceptions.InvalidQueryError, exceptions.RemoteServiceError),
        *(KeyError, TypeError, ValueError, AttributeError),
    ) as error:
        message = f"MAST's answer cannot be used: {type(error).__name__}: {str(error)[:200]}"
        raise Unavailable(message, path=options.mast_url, code=MAST) from error
    return [row for row in rows if isinstance(row, dict)]


def _listed(value: Any) -> list[Any]:
    """Return a list as it is, anything else as a list of one; nested lists flat."""
    if not isinstance(value, list):
        return [value]
    return [item for part in value for item in (part if isinstance(part, list) else [part])]


def _refusal(error: requests.HTTPError, options: FetchOptions) -> Unavailable | Proprietary:
    status = None if error.response is None else error.response.status_code
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return Proprietary(f"MAST does not answer this user ({status})", path=options.mast_url)
    return Unavailable(f"MAST answers with status {status}", path=options.mast_url, code=MAST)


def _client(service: str, options: FetchOptions) -> Any:
    """Return this thread's client of a service, pointed at the address of the options."""
    clients = getattr(_THREAD, "clients", None)
    if clients is None or clients["process"] != os.getpid():
        clients = _THREAD.clients = {"process": os.getpid()}
    timeout = (options.patience.connect, options.patience.read)
    key = (service, options.mast_url, timeout)
    if key not in clients:
        clients[key] = (_missions if service == "missions" else _observations)(options.mast_url)
        _prepare(clients[key], timeout)
    return clients[key]


def _missions(url: str) -> Any:
    from astroquery.mast import MastMissionsClass

    client = MastMissionsClass(mission="hst")
    client._service_api_connection.SERVICE_URL = url  # noqa: SLF001 - there is no public way
    client.mission = "hst"  # makes the addresses of its services from SERVICE_URL
    return client


def _observations(url: str) -> Any:
    from astroquery.mast import ObservationsClass

    client = ObservationsClass()
    portal = client._portal_api_connection  # noqa: SLF001 - there is no public way
    portal.MAST_REQUEST_URL = f"{url}/api/v0/invoke"
    portal.MAST_DOWNLOAD_URL = f"{url}/api/v0.1/Download/file"
    portal.COLUMNS_CONFIG_URL = f"{url}/portal/Mashup/Mashup.asmx/columnsconfig"
    portal.TIMEOUT = _LONGEST_QUERY
    return client


class _TimedAdapter(HTTPAdapter):
    """Gives every request a timeout: astroquery sets none."""

    def __init__(self, timeout: tuple[float, float]) -> None:
        super().__init__()
        self._timeout = timeout

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = self._timeout
        return super().send(request, *args, **kwargs)


def _prepare(client: Any, timeout: tuple[float, float]) -> None:
    session = client._session  # noqa: SLF001 - there is no public way
    session.headers["User-Agent"] = f"{user_agent()} {session.headers['User-Agent']}"
    for scheme in ("http://", "https://"):
        session.mount(scheme, _TimedAdapter(timeout))
