"""The identity of a result: equal fingerprints mean that there is nothing to do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from calib.errors import ConfigError
from calib.ids import DatasetId

# Part of what is hashed: a change of the recipe below makes every result a new one.
SCHEMA = 1


def fingerprint(
    dataset: DatasetId | str,
    *,
    inputs: Iterable[str],
    context: str,
    references: Iterable[str],
    engine: str,
    parameters: Mapping[str, Any],
    numbers_version: str = "",
) -> str:
    """Hash everything that decides the pixels of a product.

    Parameters
    ----------
    dataset
        Its name.
    inputs
        sha256 of every input file; their order has no meaning, their number has.
    context
        CRDS context, such as ``hst_0729.pmap``.
    references
        One text per reference used, holding its checksum and, where one file could serve
        twice, what it is used for; their order has no meaning.
    engine
        Name of the engine.
    parameters
        Switches and step parameters as resolved: JSON, in which the order of keys has no
        meaning and that of lists has.
    numbers_version
        Version of the engine's numbers: raised when its products change, not at every
        release. Empty where `engine` says it.

    Returns
    -------
    str
        sha256 of the canonical JSON of all of these (hexadecimal).

    Raises
    ------
    ConfigError
        The parameters are not JSON (NaN is not), or a key in them is not text.
    """
    record = {
        "schema": SCHEMA,
        "dataset": str(dataset),
        "inputs": sorted(inputs),
        "context": context,
        "references": sorted(references),
        "engine": engine,
        "numbers_version": numbers_version,
        "parameters": parameters,
    }
    return hashlib.sha256(_canonical(record).encode()).hexdigest()


def _canonical(record: dict[str, Any]) -> str:
    """Return the one text for a record.

    Keys have to be text: json writes 1 and "1" alike, so different mappings could meet.
    """
    try:
        text = json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"parameters that cannot be written as JSON: {error}") from error
    _refuse_other_keys(record)
    return text


def _refuse_other_keys(value: object) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise ConfigError("a parameter's name is not text", found=repr(key))
            _refuse_other_keys(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _refuse_other_keys(inner)
