"""The provenance record: complete, JSON, and free of paths that mean nothing elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

from calib.archive import provenance
from calib.archive.manifest import plain_json
from calib.archive.provenance import environment_versions, provenance_record
from calib.records import (
    ExposureReferences,
    InputFile,
    Member,
    Products,
    RawInputs,
    References,
    ReferenceUse,
)

INPUTS = RawInputs(
    dataset="j8bt05njq",
    source="file:/in",
    files=(InputFile("j8bt05njq_raw.fits", "/in/x", "a" * 64, 2880, "raw", "j8bt05njq"),),
    members=(Member("J8BT05NJQ", "EXP-CRJ", present=True),),
)
REFERENCES = References(
    context="hst_0729.pmap",
    crds_version="14.0.3",
    exposures=(
        ExposureReferences(
            "j8bt05njq_raw.fits",
            (
                ReferenceUse("BIASFILE", "x_bia.fits", "/refs/x_bia.fits", "b" * 40, required=True),
                ReferenceUse("DARKFILE", "N/A"),
            ),
            {"DETECTOR": "HRC"},
        ),
    ),
    differences=("BIASFILE",),
)
PRODUCTS = Products(
    files=(),
    engine="native",
    engine_version="1.0",
    switches={"BIASCORR": "COMPLETE"},
    parameters={"bias.clip": "4"},
    notes=("DARKTIME from EXPTIME",),
)


def record() -> dict[str, Any]:
    """Return the record of a small dataset."""
    return provenance_record(
        inputs=INPUTS,
        references=REFERENCES,
        products=PRODUCTS,
        parameters={"references": []},
        execution={"flow_run": "1234"},
    )


def test_record_says_how_it_was_made() -> None:
    """Code, engine, context, references, inputs and parameters are all there."""
    made = record()

    assert made["code"] == {"name": "hstflow", "version": version("hstflow")}
    assert made["engine"] == {"name": "native", "version": "1.0"}
    assert (made["context"], made["crds_version"]) == ("hst_0729.pmap", "14.0.3")
    assert made["inputs"] == [
        {
            "name": "j8bt05njq_raw.fits",
            "sha256": "a" * 64,
            "size": 2880,
            "rootname": "j8bt05njq",
        }
    ]
    assert made["members"] == [{"name": "J8BT05NJQ", "type": "EXP-CRJ", "present": True}]
    assert made["switches"] == {"BIASCORR": "COMPLETE"}
    assert made["resolved_parameters"] == {"bias.clip": "4"}
    assert made["parameters"] == {"references": []}
    assert made["notes"] == ["DARKTIME from EXPTIME"]
    assert made["reference_differences"] == ["BIASFILE"]
    assert made["execution"] == {"flow_run": "1234"}


def test_references_with_and_without_a_file() -> None:
    """Each keyword of each exposure has its reference, checksum and whether it was there."""
    (exposure,) = record()["references"]

    assert exposure == {
        "file": "j8bt05njq_raw.fits",
        "matching_header": {"DETECTOR": "HRC"},
        "references": [
            {
                "keyword": "BIASFILE",
                "name": "x_bia.fits",
                "sha1": "b" * 40,
                "required": True,
                "present": True,
            },
            {
                "keyword": "DARKFILE",
                "name": "N/A",
                "sha1": None,
                "required": False,
                "present": False,
            },
        ],
    }


def test_record_is_plain_json() -> None:
    """The manifest can hold the record as it is, and no path of this machine is in it."""
    made = record()

    assert plain_json(made) == made
    assert "/refs" not in json.dumps(made)
    assert "/in/x" not in json.dumps(made)


def test_versions() -> None:
    """Python, platform, and the packages that decide numbers have versions; others are absent."""
    found = environment_versions()

    assert found["python"] == sys.version.split()[0]
    assert {"platform", "hstflow", "numpy", "astropy", "crds", "numba"} <= {*found}
    assert found["numpy"] == version("numpy")


def test_absent_packages_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """An extra that is not installed is no entry, not an empty one."""

    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(provenance, "version", absent)

    assert {*provenance._versions.__wrapped__()} == {"python", "platform", "machine", "cpu"}


def test_a_caller_cannot_change_the_versions() -> None:
    """Each call gives a mapping of its own."""
    environment_versions()["numpy"] = "0"

    assert environment_versions()["numpy"] != "0"


def test_versions_are_cheap() -> None:
    """Asking for versions imports none of the packages."""
    code = (
        "import sys; from calib.archive.provenance import environment_versions;"
        "environment_versions(); print({'numpy', 'astropy', 'crds', 'numba'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )

    assert done.stdout.strip() == "set()"
