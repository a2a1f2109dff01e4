"""How a result was made, as JSON for the manifest: code, engine, references, inputs."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from calib.records import DataId, Products, RawInputs, References

# What can change a pixel, a header or a preview. Absent ones are left out.
PACKAGES = (
    "hstflow",
    "astropy",
    "astroquery",
    "calcos",
    "crds",
    "drizzlepac",
    "llvmlite",
    "numba",
    "numpy",
    "pillow",
    "pydantic",
)


def environment_versions() -> dict[str, str]:
    """Return the versions of Python, the machine and the packages that decide a result.

    Installed metadata is read; nothing is imported.
    """
    return dict(_versions())


@cache
def _versions() -> Mapping[str, str]:
    found = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu": _cpu(),
    }
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _cpu() -> str:
    """Return the model of the CPU: instructions chosen by it decide last bits of programs."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor())


def provenance_record(
    *,
    inputs: RawInputs,
    references: References,
    products: Products,
    parameters: Mapping[str, Any],
    data_ids: Iterable[DataId] = (),
    execution: Mapping[str, str] | None = None,
    request: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Put together the record that the manifest carries.

    Parameters
    ----------
    inputs
        What was fetched: name, sha256 and size of each file go in, paths do not, since they
        mean nothing elsewhere.
    references
        What bestrefs decided: every keyword of every exposure, with sha1, and the header
        values that selected them.
    products
        What the engine did: version, switches, parameters, notes. The files themselves are
        in the manifest.
    parameters
        What a user set.
    data_ids
        What the exposures show, and the association that they make.
    execution
        Whatever names this execution: flow run, attempt, host.
    request
        What else has to be asked for to make the same again, and is no part of the
        fingerprint: previews, and where references of the user's own lay.

    Returns
    -------
    dict
        JSON types only.
    """
    return {
        "code": {"name": "hstflow", "version": environment_versions().get("hstflow", "unknown")},
        "engine": {"name": products.engine, "version": products.engine_version},
        "context": references.context,
        "crds_version": references.crds_version,
        "references": _references(references),
        "reference_differences": list(references.differences),
        "source": inputs.source,
        "inputs": _inputs(inputs),
        "data_ids": [dataclasses.asdict(each) for each in data_ids],
        "members": [dataclasses.asdict(member) for member in inputs.members],
        "switches": dict(products.switches),
        "resolved_parameters": dict(products.parameters),
        "parameters": dict(parameters),
        "notes": list(products.notes),
        **({"stage2": products.stage2} if products.stage2 else {}),
        "environment": environment_versions(),
        "execution": dict(execution or {}),
        "request": dict(request or {}),
    }


def _references(references: References) -> list[dict[str, Any]]:
    return [
        {
            "file": exposure.file,
            "matching_header": dict(exposure.matching_header),
            "references": [
                {
                    "keyword": use.keyword,
                    "name": use.name,
                    "sha1": use.sha1,
                    "required": use.required,
                    "present": use.present,
                }
                for use in exposure.references
            ],
        }
        for exposure in references.exposures
    ]


def _inputs(inputs: RawInputs) -> list[dict[str, Any]]:
    return [
        {"name": file.name, "sha256": file.sha256, "size": file.size, "rootname": file.rootname}
        for file in inputs.files
    ]
