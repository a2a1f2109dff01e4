"""Where the ledger lies, and how its address may be shown.

Imports nothing heavy: ``hstflow status`` finds the ledger with this module alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "HSTFLOW_LEDGER"

_SQLITE = re.compile(r"sqlite(?:\+pysqlite)?://(?P<path>.*)", re.DOTALL)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)

# Everything before the last @ of the authority: a password may hold an @ that nobody encoded.
_USER = re.compile(r"(?<=://)[^/\s]*@")

# Query values that open doors: signatures of object stores, tokens, passwords.
_SECRET_VALUE = re.compile(
    r"(?P<name>[?&][^=&\s]*(?:token|signature|credential|passw|secret|accesskey|apikey)[^=&\s]*=)"
    r"[^&\s]*",
    re.IGNORECASE,
)


def ledger_url(environ: Mapping[str, str]) -> str:
    """Return the URL of the ledger: the user's choice, else a file in the user's data folder.

    Parameters
    ----------
    environ
        Environment variables. ``HSTFLOW_LEDGER`` may hold a URL (``sqlite:////home/me/l.db``,
        ``postgresql://host/name``) or a plain path of a SQLite file.

    Returns
    -------
    str
        A database URL.
    """
    chosen = environ.get(VARIABLE, "").strip()
    return as_url(chosen) if chosen else f"sqlite:///{_default_file()}"


def as_url(text: str) -> str:
    """Return a URL as it is, and a plain path as the URL of a SQLite file."""
    return text if _SCHEME.match(text) else f"sqlite:///{Path(text).expanduser().absolute()}"


def sqlite_file(url: str) -> Path | None:
    """Return the file of a SQLite URL, None for any other database or one in memory."""
    found = _SQLITE.fullmatch(url)
    if found is None:
        return None
    name = found["path"].removeprefix("/").partition("?")[0]
    return Path(name) if name and name != ":memory:" else None


def hide_credentials(text: str) -> str:
    """Return a URL, or a text that holds URLs, without user names, passwords and signatures."""
    return _SECRET_VALUE.sub(r"\g<name>***", _USER.sub("", text))


def _default_file() -> Path:
    from platformdirs import user_data_path

    return user_data_path("hstflow", appauthor=False) / "ledger.db"
