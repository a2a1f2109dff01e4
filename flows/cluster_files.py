"""A Dask cluster described in a file: a class, what it is made with, and how many workers.

::

    class = "dask_jobqueue.SLURMCluster"
    workers = 20            # or [adapt] with minimum and maximum
    patience = 86400        # seconds to wait while there is no worker; a day if not given

    [kwargs]
    cores = 1
    memory = "64 GB"
    worker_extra_args = ["--resources", "MEM_GB=64"]
"""

from __future__ import annotations

import importlib
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calib.errors import ConfigError

SUFFIXES = (".toml", ".yaml", ".yml")
KEYS = {"class": str, "kwargs": dict, "workers": int, "adapt": dict, "patience": int}

# Seconds to wait while there is no worker: batch systems let jobs wait for hours.
PATIENCE = 86_400.0


@dataclass(frozen=True)
class ClusterFile:
    """A cluster as a file describes it.

    Attributes
    ----------
    cluster_class
        ``module.Class``.
    kwargs
        What it is made with.
    adapt
        ``minimum`` and ``maximum`` of workers where their number follows the work.
    patience
        Seconds that a campaign waits while there is no worker.
    """

    cluster_class: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    adapt: dict[str, Any] = field(default_factory=dict)
    patience: float = PATIENCE


def is_cluster_file(name: str) -> bool:
    """Tell whether a runner is the path of a cluster file."""
    return Path(name).suffix.lower() in SUFFIXES


def read_cluster_file(path: Path) -> ClusterFile:
    """Read a cluster file.

    Raises
    ------
    ConfigError
        It cannot be read, has keys that are unknown or of another type, or names a class
        that is not installed.
    """
    found = _parse(path)
    _check_keys(found, path)
    _import(found["class"], path)
    kwargs = dict(found.get("kwargs", {}))
    if "workers" in found:
        kwargs["n_workers"] = found["workers"]
    patience = float(found.get("patience", PATIENCE))
    return ClusterFile(found["class"], kwargs, dict(found.get("adapt", {})), patience)


def _parse(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text) if path.suffix.lower() == ".toml" else _yaml(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"the cluster file cannot be read: {error}", path=path) from error
    if not isinstance(found, dict):
        raise ConfigError("not a cluster file", path=path, expected="class, kwargs, workers, adapt")
    return found


def _yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def _check_keys(found: dict[str, Any], path: Path) -> None:
    wrong = [
        f"{key}: {value!r}"
        for key, value in found.items()
        if key not in KEYS or not isinstance(value, KEYS[key]) or isinstance(value, bool)
    ]
    both = "workers" in found and "adapt" in found
    if wrong or "class" not in found or both or not _has_maximum(found.get("adapt")):
        raise ConfigError(
            "not a cluster file",
            path=path,
            expected="class (text), kwargs (table), patience (seconds), and workers (number) or "
            "adapt (table with a maximum)",
            found=", ".join(wrong) or ", ".join(found),
        )


def _has_maximum(adapt: dict[str, Any] | None) -> bool:
    """Tell whether it is said how many workers there may be: so many get work ahead."""
    most = 1 if adapt is None else adapt.get("maximum")
    return isinstance(most, int) and not isinstance(most, bool) and most > 0


def _import(name: str, path: Path) -> None:
    module, _, attribute = name.rpartition(".")
    try:
        getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"the class of the cluster cannot be imported: {error}",
            path=path,
            expected="module.Class of an installed package, such as dask_jobqueue.SLURMCluster",
            found=name,
        ) from error
