"""A job's log holds its own lines only, each with time, level, dataset, stage, attempt."""

from __future__ import annotations

import logging
import re
import threading
from pathlib import Path

import pytest

from calib.stages.joblog import job_log, stage_name

log = logging.getLogger("calib.stages.test")


def test_line_carries_time_level_dataset_stage_and_attempt(tmp_path: Path) -> None:
    """A line can be understood alone."""
    with job_log(tmp_path, "j8bt05njq", 3) as path, stage_name("fetch"):
        log.info("copied %d files", 2)

    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO    j8bt05njq fetch #3  copied 2 files\n"
    assert re.fullmatch(pattern, path.read_text())


def test_jobs_in_threads_do_not_mix(tmp_path: Path) -> None:
    """Two jobs at work in one process write two clean logs."""
    barrier = threading.Barrier(2)

    def work(dataset: str) -> None:
        with job_log(tmp_path / dataset, dataset, 1):
            barrier.wait(10)
            log.info("from %s", dataset)
            barrier.wait(10)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("jaaaaaaaq", "jbbbbbbbq")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for name in ("jaaaaaaaq", "jbbbbbbbq"):
        lines = (tmp_path / name / "process.txt").read_text().splitlines()
        assert len(lines) == 1
        assert lines[0].endswith(f"from {name}")


def test_second_attempt_is_appended(tmp_path: Path) -> None:
    """The log tells the story of all attempts."""
    for attempt in (1, 2):
        with job_log(tmp_path, "j8bt05njq", attempt):
            log.info("try")

    lines = (tmp_path / "process.txt").read_text().splitlines()
    assert ["#1" in lines[0], "#2" in lines[1]] == [True, True]


@pytest.mark.parametrize("name", ["CRDS", "astropy", "py.warnings"])
def test_lines_of_libraries_are_told_too(tmp_path: Path, name: str) -> None:
    """What a library says during a stage carries the same names; after the job it is not told."""
    with job_log(tmp_path, "j8bt05njq", 2) as path, stage_name("bestrefs"):
        logging.getLogger(name).warning("no match")
    logging.getLogger(name).warning("later")

    (line,) = path.read_text().splitlines()
    assert line.endswith("WARNING j8bt05njq bestrefs #2  no match")
