"""How to fetch over a network: addresses, token, patience, cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from calib.errors import ConfigError

MAST_URL = "https://mast.stsci.edu"

# The names of the variables that `options_from` reads; the last is astroquery's.
URL_VARIABLE = "HSTFLOW_MAST_URL"
DOWNLOADS_VARIABLE = "HSTFLOW_DOWNLOADS"
LIMIT_VARIABLE = "HSTFLOW_DOWNLOADS_LIMIT"
SPT_VARIABLE = "HSTFLOW_FETCH_SPT"
TOKEN_VARIABLE = "MAST_API_TOKEN"  # noqa: S105 - a name, not a token


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server, and how often to ask again.

    Attributes
    ----------
    connect, read
        Longest wait for a connection, and for the next bytes, in seconds.
    deadline
        Longest time for one file, all tries and waits together, in seconds. The archive's
        largest raws have 200 MB: this allows for 0.1 MB/s.
    tries
        Attempts at one file or query.
    backoff
        Wait before the second try in seconds; it doubles each time and varies by half, so
        that many workers do not come back together.
    """

    connect: float = 10.0
    read: float = 60.0
    deadline: float = 1800.0
    tries: int = 5
    backoff: float = 1.0


@dataclass(frozen=True)
class FetchOptions:
    """How to fetch from MAST.

    Attributes
    ----------
    mast_url
        Address of the archive, without a slash at the end.
    token
        MAST API token for exclusive data. It is sent to the host of `mast_url` only, and is
        neither shown nor logged.
    cache
        Folder of the download cache; None is ``downloads`` in the user's cache folder.
    cache_limit
        Most bytes that finished downloads may take there; None is no limit.
    spt
        Whether support files come too.
    patience
        Timeouts and retries.
    """

    mast_url: str = MAST_URL
    token: str | None = field(default=None, repr=False)
    cache: Path | None = None
    cache_limit: int | None = None
    spt: bool = False
    patience: Patience = Patience()

    @property
    def downloads(self) -> Path:
        """Folder of the download cache."""
        from platformdirs import user_cache_path

        return self.cache or user_cache_path("hstflow") / "downloads"


def options_from(environ: Mapping[str, str], base: FetchOptions | None = None) -> FetchOptions:
    """Return options with what the environment says.

    ``HSTFLOW_MAST_URL``, ``MAST_API_TOKEN``, ``HSTFLOW_DOWNLOADS`` (a folder),
    ``HSTFLOW_DOWNLOADS_LIMIT`` (gigabytes) and ``HSTFLOW_FETCH_SPT`` (1 or 0). Call it where the
    download happens, so that the token never travels in parameters.

    Raises
    ------
    ConfigError
        A value that cannot be used; the message names the variable.
    """
    base = base or FetchOptions()
    folder = environ.get(DOWNLOADS_VARIABLE)
    return replace(
        base,
        mast_url=_address(environ.get(URL_VARIABLE) or base.mast_url),
        token=environ.get(TOKEN_VARIABLE, "").strip() or base.token,
        cache=Path(folder).expanduser().absolute() if folder else base.cache,
        cache_limit=_limit(environ.get(LIMIT_VARIABLE, ""), base.cache_limit),
        spt=_truth(environ.get(SPT_VARIABLE, ""), default=base.spt),
    )


def _address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
        raise ConfigError(
            f"{URL_VARIABLE} is not the address of a server", expected=MAST_URL, found=repr(text)
        )
    return text.rstrip("/")


def _limit(text: str, default: int | None) -> int | None:
    if not text:
        return default
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = -1.0
    if not 0 <= gigabytes < float("inf"):
        raise ConfigError(
            f"{LIMIT_VARIABLE} is no size", expected="gigabytes such as 50", found=repr(text)
        )
    return int(gigabytes * 1e9)


def _truth(text: str, *, default: bool) -> bool:
    if text not in {"", "0", "1"}:
        raise ConfigError(f"{SPT_VARIABLE} is neither 1 nor 0", expected="1 or 0", found=repr(text))
    return text == "1" if text else default
