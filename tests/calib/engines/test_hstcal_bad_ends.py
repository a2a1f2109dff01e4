"""However a program of HSTCAL ends: it is told for what it was, and nothing half-made is left."""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from associations import describe
from factories import ROOT, make_raw, make_references, make_request
from standin_programs import (
    CRASHES,
    FAILS,
    HANGS,
    IS_KILLED,
    MAKES_NOTHING,
    SAYS_OUT_OF_MEMORY,
    hstcal_body,
    make_program,
    put_first_on_path,
)

from calib.engines.hstcal import HstcalEngine
from calib.engines.protocol import CalibrationRequest
from calib.errors import Cancelled, EngineError, HstflowError, OutOfMemory, TimedOut
from calib.programs.allowance import CURRENT, Allowance
from calib.records import ExposureReferences

FLT = f"{ROOT}_flt.fits"
COPY = f"cp {ROOT}_raw.fits {FLT}"
STAGE1, CHILD_MEMORY = 23, 31


@pytest.fixture
def request_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CalibrationRequest:
    """Return what is asked for one exposure; programs of the test are on PATH."""
    put_first_on_path(tmp_path / "programs", monkeypatch)
    return make_request(make_raw(tmp_path), make_references(tmp_path), tmp_path / "out")


@pytest.fixture
def allowance() -> Iterator[Allowance]:
    """Work under an allowance."""
    allowance = Allowance(ROOT)
    token = CURRENT.set(allowance)
    yield allowance
    CURRENT.reset(token)


def left(request: CalibrationRequest) -> list[str]:
    """Return the names of everything in the folder of the products."""
    return sorted(path.name for path in request.output.iterdir())


@pytest.mark.parametrize(
    ("body", "error", "code", "said"),
    [
        (CRASHES, EngineError, STAGE1, "SIGSEGV"),
        (IS_KILLED, OutOfMemory, CHILD_MEMORY, "SIGKILL"),
        ("exit 137", OutOfMemory, CHILD_MEMORY, "memory"),
        (SAYS_OUT_OF_MEMORY, OutOfMemory, CHILD_MEMORY, "out of memory"),
        ("echo '         Out of memory.'; exit 2", OutOfMemory, CHILD_MEMORY, "out of memory"),
        (FAILS, EngineError, STAGE1, "something is wrong with the input"),
        (f"{COPY}; {FAILS}", EngineError, STAGE1, "exit code 2"),
        (MAKES_NOTHING, EngineError, STAGE1, f"{FLT} is not there"),
        (f"head -c 5000 {ROOT}_raw.fits > {FLT}", EngineError, STAGE1, "cut short|cannot be read"),
        (f"echo none > {FLT}", EngineError, STAGE1, "cannot be read"),
        (f"{COPY}; touch -d '2001-01-01' {FLT}", EngineError, STAGE1, "not written by it"),
        (f"{COPY}; head -c 5000 {FLT} > {ROOT}_flc.fits", EngineError, STAGE1, "flc"),
    ],
)
def test_bad_ends(
    request_: CalibrationRequest,
    tmp_path: Path,
    body: str,
    error: type[EngineError],
    code: int,
    said: str,
) -> None:
    """Error and exit code say what it was; the log stays, and no product."""
    make_program(tmp_path / "programs", "calacs.e", body)
    with pytest.raises(error, match=f"(?is)calacs.*{said}") as caught:
        HstcalEngine().calibrate(request_)
    assert caught.value.code == code
    assert left(request_) == [f"{ROOT}_hstcal.log"]


def test_failure_that_says_nothing_to_do_is_one(
    request_: CalibrationRequest, tmp_path: Path
) -> None:
    """The text counts only where the program ends well and has made nothing."""
    idle = "echo 'CALACS did NOT process it'"
    make_program(tmp_path / "programs", "calacs.e", f"{idle}; exit 2")
    with pytest.raises(EngineError, match="exit code 2"):
        HstcalEngine().calibrate(request_)
    make_program(tmp_path / "programs", "calacs.e", f"{idle}; {COPY}")
    assert HstcalEngine().calibrate(request_).ending is None


def test_words_of_an_earlier_run_do_not_count(request_: CalibrationRequest, tmp_path: Path) -> None:
    """The log of an attempt before is not read again."""
    make_program(tmp_path / "programs", "calacs.e", "echo 'CALACS did NOT process it'")
    assert HstcalEngine().calibrate(request_).ending == "nothing to do"
    make_program(tmp_path / "programs", "calacs.e", MAKES_NOTHING)
    with pytest.raises(EngineError, match="not there"):
        HstcalEngine().calibrate(request_)


def test_second_attempt_succeeds_in_the_same_folder(
    request_: CalibrationRequest, tmp_path: Path
) -> None:
    """Nothing of the failed one is in its way."""
    make_program(tmp_path / "programs", "calacs.e", f"{COPY}; {CRASHES}")
    with pytest.raises(EngineError):
        HstcalEngine().calibrate(request_)
    make_program(tmp_path / "programs", "calacs.e", hstcal_body("calacs"))
    assert [file.name for file in HstcalEngine().calibrate(request_).files] == [FLT]


def test_failure_of_the_second_call_takes_the_first_ones_products_back(
    request_: CalibrationRequest, tmp_path: Path
) -> None:
    """A dataset is published as a whole."""
    second = make_raw(tmp_path, ROOTNAME="j8zz01zzq")
    uses = request_.references.exposures[0].references
    references = dataclasses.replace(
        request_.references,
        exposures=(*request_.references.exposures, ExposureReferences(second.name, uses)),
    )
    files = (*request_.inputs.files, describe(second, "raw"))
    request = dataclasses.replace(
        request_,
        inputs=dataclasses.replace(request_.inputs, files=files),
        references=references,
    )
    body = f'[ "$1" = {second.name} ] && kill -SEGV $$\n{hstcal_body("calacs")}'
    make_program(tmp_path / "programs", "calacs.e", body)
    with pytest.raises(EngineError, match="SIGSEGV"):
        HstcalEngine().calibrate(request)
    assert [name for name in left(request) if name.endswith(".fits")] == []


@pytest.mark.parametrize(
    "why", [Cancelled("cancelled by a person"), TimedOut("over its time")], ids=["cancel", "time"]
)
def test_ended_job_ends_the_program_and_its_children(
    request_: CalibrationRequest, tmp_path: Path, allowance: Allowance, why: HstflowError
) -> None:
    """A program that hangs goes with the job, and all that it started; so does its folder."""
    mark = tmp_path / "group"
    body = f"echo $$ > {mark}.part; mv {mark}.part {mark}\n{HANGS}"
    make_program(tmp_path / "programs", "calacs.e", body)

    def end() -> None:
        while not mark.exists():
            time.sleep(0.01)
        allowance.end(why)

    helper = threading.Thread(target=end)
    helper.start()
    with pytest.raises(type(why)):
        HstcalEngine().calibrate(request_)
    helper.join()
    assert living(int(mark.read_text())) == []
    assert left(request_) == [f"{ROOT}_hstcal.log"]


def living(group: int) -> list[int]:
    """Return the processes of a group that have not ended."""
    found = []
    for process in psutil.process_iter(["status"]):
        with suppress(ProcessLookupError):
            if process.info["status"] != psutil.STATUS_ZOMBIE and os.getpgid(process.pid) == group:
                found.append(process.pid)
    return found


def test_peak_memory_and_the_limit(
    request_: CalibrationRequest, tmp_path: Path, allowance: Allowance
) -> None:
    """A program gets the limit of the job, and what it held is noted."""
    allowance.memory = 400 << 20
    holds = "import time; held = b'1' * (150 << 20); time.sleep(0.3)"
    body = f'ulimit -v > {tmp_path}/limit\n{sys.executable} -S -c "{holds}"\n{COPY}'
    make_program(tmp_path / "programs", "calacs.e", body)
    HstcalEngine().calibrate(request_)
    assert int((tmp_path / "limit").read_text()) == 400 * 1024
    assert allowance.take_peak() >= 150 << 20
