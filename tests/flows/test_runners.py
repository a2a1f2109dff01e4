"""Runners: how much of the machine their workers get."""

from __future__ import annotations

import os
from pathlib import Path

import dask
import pytest
from distributed.system import MEMORY_LIMIT
from prefect_dask.task_runners import DaskTaskRunner

from calib.compiled import cache_folder
from calib.errors import ConfigError
from flows.runners import DASK, make_runner
from flows.worker_setup import share_of


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is set for the workers out of the other tests."""
    monkeypatch.setattr(os, "environ", dict(os.environ))


def test_workers_get_the_machine_and_references_a_share(tmp_path: Path) -> None:
    """Dask's limit is a last backstop; references may take a third with three workers."""
    runner = make_runner("local", 3, tmp_path)

    assert isinstance(runner, DaskTaskRunner)
    assert runner.cluster_kwargs["memory_limit"] == MEMORY_LIMIT
    assert share_of(MEMORY_LIMIT, os.environ) == MEMORY_LIMIT // 3
    assert runner.cluster_kwargs["threads_per_worker"] == 1


def test_workers_find_what_was_compiled(tmp_path: Path) -> None:
    """They inherit the folder of compiled code, also where it is not the usual one."""
    del os.environ["HSTFLOW_CACHE"]

    make_runner("local", 1, tmp_path)

    folder = cache_folder()
    assert folder is not None
    assert Path(os.environ["HSTFLOW_CACHE"]) == folder.parent


@pytest.mark.parametrize("name", DASK)
def test_dask_knows_what_is_set_of_it(name: str) -> None:
    """A setting that a later Dask calls otherwise would be passed over without a word."""
    assert dask.config.get(name, "unknown") != "unknown"


def test_unknown_runner_is_refused(tmp_path: Path) -> None:
    """Another word is a bad setting."""
    with pytest.raises(ConfigError, match="not a runner"):
        make_runner("cloud", 1, tmp_path)
