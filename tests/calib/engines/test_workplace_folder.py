"""The private folder of a program: whose it is, and what a program is told there."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hap_inputs import make_inputs, request_for

from calib.engines.protocol import CalibrationRequest
from calib.engines.workplace import Workplace, workplace


@pytest.fixture
def request_here(tmp_path: Path) -> CalibrationRequest:
    """Return what is asked for a visit."""
    return request_for(tmp_path, make_inputs(tmp_path / "in"))


@pytest.fixture
def two(request_here: CalibrationRequest) -> Iterator[tuple[Workplace, Workplace, ExitStack]]:
    """Lend two folders for one dataset and program; the stack gives back the second."""
    with workplace(request_here, "prog") as first, ExitStack() as stack:
        yield first, stack.enter_context(workplace(request_here, "prog")), stack


def test_two_processes_of_one_dataset(two: tuple[Workplace, Workplace, ExitStack]) -> None:
    """A program that runs keeps its folder, whoever begins or ends beside it."""
    first, second, stack = two
    assert first.folder != second.folder
    assert first.log == second.log
    (first.folder / "its.fits").touch()
    stack.close()
    assert not second.folder.exists()
    assert (first.folder / "its.fits").exists()


def test_nothing_stays(request_here: CalibrationRequest) -> None:
    """Not even where the work ends with an error; it is short, as some programs cut long paths."""
    with ExitStack() as stack:
        stack.enter_context(pytest.raises(KeyError))
        place = stack.enter_context(workplace(request_here, "prog"))
        assert place.folder.parent == request_here.output
        assert len(place.folder.name) <= len(".prog-j8bt05njq")
        raise KeyError
    assert list(request_here.output.iterdir()) == []


def test_what_is_chosen_and_granted_stands_above(request_here: CalibrationRequest) -> None:
    """The manifest names references and threads: no variable of a dataset makes it untrue."""
    own = {"jref": "/elsewhere/", "OMP_NUM_THREADS": "64", "SVM_QUALITY_TESTING": "on"}
    request = dataclasses.replace(request_here, environment=own, threads=2)
    with workplace(request, "prog") as place:
        place.run("env", environment=own)
        said = place.log.read_text().splitlines()
        assert {"OMP_NUM_THREADS=2", "SVM_QUALITY_TESTING=on"} < {*said}
        assert f"jref={place.folder}{os.sep}ref{os.sep}" in said
