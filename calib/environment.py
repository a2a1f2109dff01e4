"""Variables for the programs that calibrate: their names, and the file that CALDP reads them from.

The file ``ID_cal_env.txt`` lies beside the inputs of a dataset. It is data from elsewhere: what
it sets reaches the programs of this dataset alone, and is what they read and nothing else: neither
it nor a manifest decides which code is run, on how many threads, or what the manifest records.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from calib.caldp import VERSION_KEYWORDS
from calib.errors import ConfigError, CorruptFile

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

# What looks like a secret has no place in a manifest, in an archive or in the ledger.
SECRET_WORDS = ("password", "passwd", "secret", "token", "credential", "apikey", "api_key")

# What nobody sets for one dataset, in any case of letters, and why.
_REFUSALS = {
    re.compile(pattern, re.ASCII): reason
    for pattern, reason in (
        (
            r"(HSTFLOW|PREFECT|AWS).*",
            "a dataset does not set HSTFLOW*, PREFECT*, AWS*: they are of the whole campaign",
        ),
        (
            r"PATH|LD_.*|DYLD_.*|PYTHON.*|BASH_ENV|ENV|IFS|GCONV_PATH|GLIBC_TUNABLES",
            "a dataset does not choose which code is run",
        ),
        (
            r"CRDS_.*|[IJLONU]REF",
            "a dataset does not choose references: --context and --reference do",
        ),
        (
            r"OMP_.*|.*_NUM_THREADS|ASTRODRIZ_NO_PARALLEL",
            "a dataset does not choose its threads: it is granted them",
        ),
        (
            r"ASTROMETRY_(STEP_CONTROL|APPLY_APRIORI|COMPUTE_APOSTERIORI)",
            "the setting `astrometry` (--astrometry) says how images are aligned",
        ),
    )
}

# What a file beside the inputs may set: version keywords, and what the programs read of the
# environment (drizzlepac 3.11, stwcs 1.7; calcos and HSTCAL read folders of references alone).
# Anything else may change what Python or a library loads: HOME, MPLBACKEND, http_proxy.
_OF_FILES = re.compile(
    r"(ASTROMETRY|PIPELINE|SVM|MVM)_[A-Z0-9_]+"
    r"|ASTROMETRIC_CATALOG_URL|GSSS_WEBSERVICES_URL|RAISE_PIPELINE_ERRORS",
    re.ASCII,
)

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
    for pattern, reason in _REFUSALS.items():
        if pattern.fullmatch(name.upper()):
            return reason
    if is_secret(name):
        return "a variable that looks like a secret is not stored"
    return None


def read_environment(path: Path) -> dict[str, str]:
    """Read a file of KEY=VALUE lines.

    Everything after the first ``=`` is the value, further ``=`` included; blanks around key
    and value do not count. Blank lines and lines that begin with ``#`` say nothing. CALDP
    loses values that hold ``=``, and skips lines that it cannot read.

    Returns
    -------
    dict
        Version keywords (CSYS_VER...), and variables that drizzlepac reads: ``PIPELINE_*``,
        ``SVM_*``, ``MVM_*``, and of ``ASTROMETRY_*`` what the setting `astrometry` does not say.

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
        raise _fault(path, number, "not a variable and its value", text, "KEY=VALUE")
    reason = refusal_of(name)
    if reason is None and not (name in VERSION_KEYWORDS or _OF_FILES.fullmatch(name)):
        reason = "such a file sets variables of drizzlepac and version keywords only"
    if reason is None and "\0" in value:
        reason = "a variable cannot hold a null character"
    if reason is not None:
        raise _fault(path, number, reason, name, expected=None)
    return name, value


def _fault(
    path: Path, number: int, what: str, found: str, expected: str | None = None
) -> CorruptFile:
    return CorruptFile(
        f"line {number}: {what}", path=path, expected=expected, found=repr(found[:80])
    )
