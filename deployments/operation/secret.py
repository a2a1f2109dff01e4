"""The password of an `hstflow up`: made once for each home, for its owner alone.

All of it listens on this machine alone, but others may have accounts here.
"""

from __future__ import annotations

import getpass
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from calib.errors import ConfigError

NAME = "password"
PRIVATE = 0o600
BYTES = 18  # from the system's generator: 24 characters, which nobody tries through


def password_of(folder: Path) -> str:
    """Return ``USER:PASSWORD`` of a home, which is made where there is none.

    Parameters
    ----------
    folder
        The folder of `hstflow up`; made where it is missing.

    Raises
    ------
    ConfigError
        Others can read the file, or it is of somebody else: it is no secret.
    """
    path = folder / NAME
    if not path.exists():
        write_once(path, f"{_user()}:{secrets.token_urlsafe(BYTES)}\n")
    check_private(path, "the password")
    text = path.read_text(encoding="utf-8").strip()
    if not all(text.partition(":")):
        raise ConfigError("no password: remove the file, and a new one is made", path=path)
    return text


def check_private(path: Path, what: str) -> None:
    """See that a file is no one's but ours.

    Parameters
    ----------
    path
        The file.
    what
        What it has, for the message.

    Raises
    ------
    ConfigError
        Others can read it, or it is of somebody else: it is no secret.
    """
    found = path.stat()
    if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid != os.getuid():
        message = f"others can read {what}: remove the file, and a new one is made"
        raise ConfigError(message, path=path, expected="mode 600")


def is_made(password: str | None, folder: Path) -> bool:
    """Tell whether a password is the one of the home, and none that the operator has set."""
    try:
        return password == (folder / NAME).read_text(encoding="utf-8").strip()
    except OSError:
        return False


def write_once(path: Path, text: str) -> None:
    """Write a secret whole, for the owner alone; of two that begin at the same time one is kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    part.touch(PRIVATE)
    part.write_text(text, encoding="utf-8")
    try:
        os.link(part, path)
    except FileExistsError:
        pass
    finally:
        part.unlink()


def _user() -> str:
    """Return the name of the account, which the ledger keeps with what is approved."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"  # a container with a number that has no account


def guarded(environ: Mapping[str, str], password: str, *, has_server: bool) -> dict[str, str]:
    """Return the variables with passwords for the programs that would ask for none.

    What the operator has set stays.

    Parameters
    ----------
    environ
        Their variables.
    password
        ``USER:PASSWORD``.
    has_server
        Whether the Prefect server is ours: of another one we do not know what it asks for.
    """
    found = dict(environ)
    if not (found.get("HSTFLOW_DASHBOARD_PASSWORD") or found.get("HSTFLOW_DASHBOARD_PROXY_HEADER")):
        found["HSTFLOW_DASHBOARD_PASSWORD"] = password
    if has_server:
        theirs = found.get("PREFECT_SERVER_API_AUTH_STRING") or found.get("PREFECT_API_AUTH_STRING")
        found["PREFECT_SERVER_API_AUTH_STRING"] = theirs or password
        found["PREFECT_API_AUTH_STRING"] = theirs or password
    return found
