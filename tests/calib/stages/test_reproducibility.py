"""Which products are expected to be the same bits again, and how close the others have to be."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from calib.engines.native import NativeEngine
from calib.fitsfile.comparison import EXACT
from calib.stages.reproducibility import (
    CLASSES,
    Facts,
    changes,
    classes_of,
    facts_of,
    tolerance_for,
)

HERE = {"machine": "x86_64", "cpu": "Model A", "numpy": "2.4.6", "platform": "Linux-x86_64"}
NATIVE = NativeEngine([])


class Program:
    """An engine that runs a program."""

    name = "calcos"
    numbers_version = "3.6"


def facts(**fields: Any) -> Facts:
    """Return the facts of an exposure made again where it was made, with some changed."""
    same = Facts("native", NATIVE.numbers_version, NATIVE, HERE, HERE, {}, "acs")
    return dataclasses.replace(same, **fields)


PROGRAM = {"engine": "calcos", "numbers_version": "3.6", "now": Program()}


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({}, []),
        ({"here": {**HERE, "cpu": "Model B", "numpy": "2.4.7"}}, []),
        ({"here": {**HERE, "machine": "aarch64"}}, ["machine"]),
        ({"environment": {}}, []),
        ({"environment": {"platform": "Linux-6-x86_64-glibc"}}, []),
        ({"environment": {"platform": "Linux-6-aarch64-glibc"}}, ["machine"]),
        ({"numbers_version": "0"}, ["numbers"]),
        ({"engine": "hstcal", "numbers_version": "4"}, ["engine"]),
        (PROGRAM, []),
        ({**PROGRAM, "here": {**HERE, "cpu": "Model B"}}, ["program"]),
        ({**PROGRAM, "instrument": "cos"}, ["random"]),
        ({**PROGRAM, "instrument": "cos", "seeds": (1, None)}, ["random"]),
        ({**PROGRAM, "instrument": "cos", "seeds": (-1,)}, ["random"]),
        ({**PROGRAM, "instrument": "cos", "seeds": (1, 1)}, []),
        ({"drizzled": "drizzlepac 3.11.0, astrometry off"}, ["drizzle", "edge"]),
        ({"drizzled": "drizzlepac 3.11.0, astrometry full"}, ["drizzle", "edge", "alignment"]),
        ({"switches": {"DRIZCORR": "PERFORM"}}, []),  # asked for, and not done
    ],
)
def test_classes(changed: dict[str, Any], names: list[str]) -> None:
    """Each reason for which bits differ, and what is no reason."""
    found = classes_of(facts(**changed))

    assert [each.name for each, _ in found] == names
    assert all(why for _, why in found)


def test_tolerance_is_for_the_files_of_the_class() -> None:
    """An alignment matters to drizzled files alone; of several classes the widest counts."""
    by_name = {each.name: each for each in CLASSES}
    aligned, program = by_name["alignment"], by_name["program"]

    assert tolerance_for("x_flt.fits", ()) == EXACT
    assert tolerance_for("x_flt.fits", (aligned,)) == EXACT
    assert tolerance_for("x_drc.fits", (program, aligned)) == aligned.tolerance
    assert tolerance_for("x_flt.fits", (program, aligned)) == program.tolerance


def test_every_class_has_a_tolerance_with_its_source() -> None:
    """No class lets everything pass, and each says where its numbers come from."""
    for each in CLASSES:
        assert each.source
        assert max(each.tolerance) > 0
        assert max(each.tolerance) <= 0.05


def test_changes_of_the_environment() -> None:
    """What is another now is listed; what older manifests do not record is not."""
    here = {"numpy": "2.4.7", "numba": "0.68", "cpu": "Model A", "machine": "x86_64"}
    found = facts(environment={"numpy": "2.4.6", "crds": "14"}, here=here)

    assert changes(found) == (
        ("crds", "14", "absent"),
        ("numba", "absent or not recorded", "0.68"),
        ("numpy", "2.4.6", "2.4.7"),
    )


def test_facts_come_from_the_manifest() -> None:
    """Engine, switches and environment are those of the record."""
    record = {
        "engine": {"name": "native", "version": "1"},
        "switches": {"DRIZCORR": "OMIT"},
        "environment": {"numpy": "1"},
    }

    found = facts_of(record, NATIVE, "acs", (1,))

    assert (found.engine, found.numbers_version, found.seeds) == ("native", "1", (1,))
    assert found.environment == {"numpy": "1"}
    assert "python" in found.here
