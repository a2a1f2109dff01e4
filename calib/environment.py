"""Variables for the programs that calibrate: their names, and the file that CALDP reads them from.

The file ``ID_cal_env.txt`` lies beside the inputs of a dataset. It is data from elsewhere: what
it sets reaches the programs of this dataset alone, and never decides which code is run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from calib.caldp import VERSION_KEYWORDS
from calib.errors import ConfigError, CorruptFile

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

# Ours, the orchestrator's and the stores' settings are those of the campaign.
REFUSED_PREFIXES = ("HSTFLOW", "PREFECT", "AWS")

# What looks like a secret has no place in a manifest, in an archive or in the ledger.
SECRET_WORDS = ("password", "passwd", "secret", "token", "credential", "apikey", "api_key")

# What decides which program, library or module is loaded: no data file does.
_OF_CODE = re.compile(r"PATH|LD_.*|DYLD_.*|PYTHON.*|BASH_ENV|ENV|IFS", re.ASCII)

# References and their context are chosen before, on one context, and recorded.
_OF_REFERENCES = re.compile(r"CRDS_.*|[IJLONU]REF", re.ASCII)

# An honest file has a dozen lines.
_LARGEST = 1 << 16


def is_secret(name: str) -> bool:
    """Tell whether a variable or parameter may hold a secret: it has no place in a database."""
    return any(word in name.lower() for word in SECRET_WORDS)


def refusal_of(name: str) -> str | None:
    """Say why a variable may not be set for one dataset; None where it may."""
    if not NAME.fullmatch(name):
        return "not the name of an environment variable"
    if name in VERSION_KEYWORDS:
        return None
    if name.upper().startswith(REFUSED_PREFIXES):
        refused = ", ".join(f"{prefix}*" for prefix in REFUSED_PREFIXES)
        return f"a dataset does not set {refused}"
    if is_secret(name):
        return "a variable that looks like a secret is not stored"
    return None


def read_environment(path: Path) -> dict[str, str]:
    """Read a file of KEY=VALUE lines.

    Everything after the first ``=`` is the value, further ``=`` included; blanks around key
    and value do not count. Blank lines and lines that begin with ``#`` say nothing. CALDP
    loses values that hold ``=``, and skips lines that it cannot read.

    Raises
    ------
    CorruptFile
        The file cannot be read as UTF-8 text, or a line of it is no KEY=VALUE, sets a variable
        twice or one that such a file may not set; the message has the number of the line.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(_lines(path), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, value = _parse(path, number, text)
        if name in found:
            raise _fault(path, number, "a variable is set twice", name)
        found[name] = value
    return found


def merged(*environments: Mapping[str, str]) -> dict[str, str]:
    """Return environments as one; later ones win."""
    return {name: value for each in environments for name, value in each.items()}


def check_variable(name: str, value: str) -> str:
    """Return the value of a variable that a person sets for one dataset, where that may be.

    Raises
    ------
    ConfigError
        It may not.
    """
    if reason := refusal_of(name):
        is_name = NAME.fullmatch(name) is not None
        raise ConfigError(reason, found=name if is_name else repr(name))
    if "\0" in value:
        raise ConfigError("a variable cannot hold a null character", found=name)
    return value


def _lines(path: Path) -> list[str]:
    with path.open("rb") as stream:
        content = stream.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise CorruptFile(
            "not a file of variables: too large", path=path, expected=f"up to {_LARGEST} bytes"
        )
    try:
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise CorruptFile(f"not a file of variables: {error}", path=path) from error


def _parse(path: Path, number: int, text: str) -> tuple[str, str]:
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals:
        raise _fault(path, number, "not a variable and its value", text)
    reason = refusal_of(name)
    if reason is None and (_OF_CODE.fullmatch(name) or _OF_REFERENCES.fullmatch(name.upper())):
        reason = "such a file does not choose programs or references (--context, --reference do)"
    if reason is None and "\0" in value:
        reason = "a variable cannot hold a null character"
    if reason is not None:
        raise _fault(path, number, reason, name, expected=None)
    return name, value


def _fault(
    path: Path, number: int, what: str, found: str, expected: str | None = "KEY=VALUE"
) -> CorruptFile:
    return CorruptFile(
        f"line {number}: {what}", path=path, expected=expected, found=repr(found[:80])
    )
