"""Reference keywords of the instruments, and what their files call themselves.

The crds package has the list as a file; it is read without importing the package, which takes
a second.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Below the package: what CRDS knows of every type of every instrument.
_LIST = Path("hst", "specs", "combined_specs.json")


@cache
def reference_keywords(instrument: str) -> Mapping[str, str]:
    """Return the reference keywords of an instrument, each with the FILETYPE of its files.

    Parameters
    ----------
    instrument
        In any case.

    Returns
    -------
    mapping
        Upper case. Empty for an instrument that CRDS does not know.
    """
    types: Mapping[str, Any] = _known().get(instrument.lower(), {})
    return {
        name.upper(): str(each["filetype"]).upper()
        for name, each in types.items()
        if each.get("filetype")
    }


def keyword_of(instrument: str, filetype: str) -> str | None:
    """Return the keyword for files with this FILETYPE; None where no or several types have it."""
    wanted = filetype.strip().upper()
    found = [key for key, each in reference_keywords(instrument).items() if each == wanted]
    return found[0] if len(found) == 1 else None


@cache
def _known() -> Mapping[str, Any]:
    spec = find_spec("crds")
    for folder in (spec and spec.submodule_search_locations) or ():
        file = Path(folder) / _LIST
        if file.is_file():
            known: Mapping[str, Any] = json.loads(file.read_bytes())
            return known
    return {}
