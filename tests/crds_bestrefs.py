"""The crds command line, run for real: which exposures it finds affected, and by which types."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from calib.references.changes import ExposureHeader
from calib.references.profile import CrdsProfile

_MATTERS = ("--undefined-differences-matter", "--na-differences-matter")
_FAILED = re.compile(r"data='([^']+)' ::  New: ")


@dataclass(frozen=True)
class Affected:
    """What the command line said.

    Attributes
    ----------
    types
        Types that change, by exposure (`--print-affected-details`).
    products
        Datasets of `--print-affected`.
    failed
        Exposures for which a type of the new context, changed or not, is an error.
    """

    types: dict[str, set[str]]
    products: set[str]
    failed: set[str]


def write_headers(path: Path, headers: Iterable[ExposureHeader]) -> Path:
    """Write headers as `--load-pickles` takes them."""
    lines = [json.dumps({f"{each.dataset}:{each.exposure}": dict(each.header)}) for each in headers]
    path.write_text("\n".join(lines) + "\n")
    return path


def ask_crds(profile: CrdsProfile, *arguments: str, undefined_matters: bool = False) -> Affected:
    """Run `crds bestrefs` and read what it prints."""
    options = (*arguments, "--print-affected", "--print-affected-details")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "crds.bestrefs", *options),
            *(_MATTERS if undefined_matters else ()),
        ],
        env={**os.environ, **environ(profile)},
        capture_output=True,
        text=True,
        check=False,  # its code is the number of errors
    )
    if "datasets" not in done.stderr and "infos" not in done.stderr:
        raise RuntimeError(done.stderr)
    words = [line.split() for line in done.stdout.splitlines() if line.strip()]
    types = {line[0]: set(line[2:]) for line in words if len(line) > 1}
    products = {line[0] for line in words if len(line) == 1}
    failed = {name.lower() for name in _FAILED.findall(done.stderr)}
    return Affected(types, products, failed)


def environ(profile: CrdsProfile) -> dict[str, str]:
    """Return a profile as environment variables."""
    return {
        "CRDS_PATH": str(profile.cache),
        "CRDS_SERVER_URL": profile.server_url,
        "CRDS_OBSERVATORY": "hst",
        "CRDS_READONLY_CACHE": "1",
    }


def only_acs(**changes: str) -> ExposureHeader:
    """Return a WFC exposure of 2019, with changes."""
    header = {
        "INSTRUME": "ACS",
        "DETECTOR": "WFC",
        "CCDAMP": "ABCD",
        "CCDGAIN": "2.0",
        "DATE-OBS": "2019-08-20",
        "TIME-OBS": "10:00:00",
        "DARKCORR": "PERFORM",
        "FILTER1": "F606W",
        "FILTER2": "CLEAR2L",
        "OBSTYPE": "IMAGING",
    }
    return ExposureHeader("jzzz01010", "jzzz01aaq", header | changes)
