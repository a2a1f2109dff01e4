"""External programs: their limits hold, their end is told apart, nothing of them is left."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from calib.errors import (
    Cancelled,
    ConfigError,
    EngineError,
    OutOfMemory,
    TimedOut,
    Unavailable,
)
from calib.programs import run as running
from calib.programs.allowance import CURRENT, Allowance
from calib.programs.run import ProgramRun, run_program
from calib.programs.tree import born

MB = 1 << 20


def python(code: str) -> list[str]:
    """Return the arguments of a Python that runs a piece of code, quick to start."""
    return [sys.executable, "-I", "-S", "-c", code]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return the folder of a program."""
    folder = tmp_path / "own"
    folder.mkdir()
    return folder


@pytest.fixture
def allowance() -> Iterator[Allowance]:
    """Work under an allowance."""
    allowance = Allowance("j8pq010a1")
    token = CURRENT.set(allowance)
    yield allowance
    CURRENT.reset(token)


def run(place: Path, code: str, **options: object) -> ProgramRun:
    """Run a piece of Python as a program."""
    return run_program(
        python(code),
        folder=place,
        log_file=place / "program.log",
        **options,  # type: ignore[arg-type] - as given
    )


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended, or waits to be buried by init."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until_gone(pid: int) -> bool:
    """Wait a little for the end of a process that was killed."""
    end = time.monotonic() + 5
    while not is_gone(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return is_gone(pid)


def test_program_runs_in_its_folder_with_its_own_environment(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Folder and variables are the program's alone; its lines come into the log."""
    with caplog.at_level(logging.INFO, "calib"):
        done = run(
            place,
            "import os, sys\n"
            "print(os.getcwd(), os.environ['IREF'], flush=True)\n"
            "sys.stderr.write('to stderr\\n')",
            environment={"IREF": "here/"},
        )

    assert done.log.read_text().splitlines() == [f"{place} here/", "to stderr"]
    assert "IREF" not in os.environ
    name = Path(sys.executable).name
    assert f"{name}: to stderr" in [record.getMessage() for record in caplog.records]
    assert done.wall > 0
    assert done.cpu > 0
    assert 0 <= done.peak_rss < psutil.Process().memory_info().rss


def test_failure_has_the_code_and_the_last_lines(place: Path) -> None:
    """A program that fails is an engine error with exit code, program and the end of its log."""
    code = "import sys\nfor n in range(100): print('line', n)\nsys.exit(7)"
    with pytest.raises(EngineError, match="exit code 7: line 99") as caught:
        run(place, code)

    error = caught.value
    assert (error.exit_code, error.code) == (7, 23)
    assert error.log_tail.splitlines()[0] == "line 80"
    assert error.path == str(place / "program.log")


def test_last_words_of_a_traceback_are_the_whole_message(place: Path) -> None:
    """A message over several lines is told on one, with the name of its exception."""
    code = (
        "try:\n raise LookupError('first')\n"
        "except LookupError as e: raise ValueError('\\nno row:\\n    CHIP: 1\\n') from e"
    )
    with pytest.raises(EngineError, match=r"exit code 1: ValueError: no row: CHIP: 1 \(f"):
        run(place, code)


def test_control_characters_reach_no_terminal(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Escape sequences of a program stay in its own log."""
    code = "import os; os.write(1, b'\\x1b]0;owned\\x07 \\x9b2J\\xff\\n'); os._exit(2)"
    with caplog.at_level(logging.INFO, "calib"), pytest.raises(EngineError) as caught:
        run(place, code)

    told = f"{caught.value}{caught.value.log_tail}{caplog.text}"
    assert not set(told) & {"\x1b", "\x07", "\x9b"}
    assert "]0;owned" in caught.value.log_tail
    assert b"\x1b" in (place / "program.log").read_bytes()


@pytest.mark.parametrize(
    ("code", "options"),
    [
        ("x = bytearray(3000 << 20)", {"memory": 512 * MB}),
        ("import os; os.kill(os.getpid(), 9)", {}),
        ("import sys; print('*** Out of memory ***'); sys.exit(1)", {}),
        ("import sys; sys.exit(137)", {}),
    ],
    ids=["limit", "killed", "said", "exit 137"],
)
def test_lack_of_memory_is_recognised(place: Path, code: str, options: dict[str, int]) -> None:
    """The limit, the kernel's signal, a text, and a shell's exit code: all are error 31."""
    with pytest.raises(OutOfMemory) as caught:
        run(place, code, **options)

    assert caught.value.code == 31


def test_limit_is_that_of_the_job_and_of_the_program_alone(
    place: Path, allowance: Allowance
) -> None:
    """What the job is granted is the limit of address space; ours stays as it was."""
    allowance.memory = 512 * MB
    code = "import resource as r\nprint(r.getrlimit(r.RLIMIT_AS)[0], r.getrlimit(r.RLIMIT_CORE)[0])"

    done = run(place, code)

    assert done.log.read_text().split() == [str(512 * MB), "0"]


def test_program_over_its_time_is_ended_with_its_children(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a child that ignores SIGTERM and one that has left the group are ended."""
    monkeypatch.setattr(running, "GRACE", 0.2)
    code = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "first = os.fork()\n"
        "if first == 0:\n"
        "    os.setsid(); time.sleep(60)\n"
        "print(os.getpid(), first, flush=True)\n"
        "time.sleep(60)\n"
    )
    with pytest.raises(TimedOut, match="after 1 s"):
        run(place, code, timeout=0.6)

    pids = [int(text) for text in (place / "program.log").read_text().split()]
    assert len(pids) == 2
    assert all(map(wait_until_gone, pids))


def test_end_of_the_job_ends_its_program(place: Path, allowance: Allowance) -> None:
    """What comes out is why the job was ended, not how the program died of it."""
    timer = threading.Timer(0.3, allowance.end, [Cancelled("enough")])
    timer.start()
    start = time.monotonic()
    with pytest.raises(Cancelled, match="enough"):
        run(place, "import time; time.sleep(60)")

    assert time.monotonic() - start < 5
    timer.join()


def test_ended_job_starts_no_program(place: Path, allowance: Allowance) -> None:
    """A program that starts in the moment in which its job ends is ended at once."""
    allowance.end(Cancelled("enough"))
    with pytest.raises(Cancelled):
        run(place, "import time; time.sleep(60)")


def test_children_that_outlive_a_program_are_ended(place: Path) -> None:
    """A program that leaves a child behind in its group leaves nothing."""
    code = "import subprocess as s\nprint(s.Popen(['sleep', '60']).pid)"

    done = run(place, code)

    assert wait_until_gone(int(done.log.read_text()))


def test_children_whose_parents_are_gone_are_ended(place: Path) -> None:
    """A daemon (a session of its own, its parent gone) that was seen leaves nothing either."""
    code = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        print(os.getpid(), flush=True); time.sleep(60)\n"
        "    time.sleep(0.5); os._exit(0)\n"
        "os.wait(); time.sleep(0.3)\n"
    )
    done = run(place, code)

    assert wait_until_gone(int(done.log.read_text()))


def test_a_number_that_is_used_again_is_left_alone(place: Path) -> None:
    """Another process than the one seen, by the time at which it was started."""
    with subprocess.Popen(["sleep", "60"]) as other:
        program = running._Running(
            other,
            None,
            0.0,
            None,
            0,
            seen={os.getpid(): 1.0},  # type: ignore[arg-type]
        )
        assert program.left(()) == set()
        program.seen = {other.pid: born(other.pid) or 0.0}
        assert program.left(()) == {other.pid}
        assert program.left({other.pid}) == set()
        other.kill()


@pytest.mark.parametrize(
    "said", ["OSError: [Errno 28] No space left on device", "write: Disk quota exceeded"]
)
def test_full_disk_is_no_fault_of_the_program(place: Path, said: str) -> None:
    """Code 25 as for what is written here: it is tried again when there may be room."""
    with pytest.raises(Unavailable, match="the disk is full: ") as caught:
        run(place, f"import sys; print({said!r}); print('bye'); sys.exit(4)")

    assert caught.value.code == 25
    assert said in str(caught.value)


def test_variables_are_taken_from_a_program(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None: ours of this name does not reach it."""
    monkeypatch.setenv("OURS", "1")
    done = run(place, "import os; print('OURS' in os.environ)", environment={"OURS": None})

    assert done.log.read_text().strip() == "False"


def test_interrupt_ends_the_program(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control-C while a program runs leaves nothing of it."""

    def interrupt(*_given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "resident", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(place, "import os, time; print(os.getpid(), flush=True); time.sleep(60)")

    text = (place / "program.log").read_text()
    assert not text or wait_until_gone(int(text))


def test_peak_is_that_of_the_tree(place: Path, allowance: Allowance) -> None:
    """A child's memory counts, and the job is told."""
    code = (
        "import subprocess, sys\n"
        "child = 'x = b\"1\" * (120 << 20); import time; time.sleep(0.6)'\n"
        "subprocess.run([sys.executable, '-I', '-S', '-c', child])\n"
    )
    done = run(place, code)

    assert 120 * MB < done.peak_rss < 200 * MB
    assert allowance.take_peak() == done.peak_rss


@pytest.mark.parametrize("name", ["no-such-program", "{place}/text", "{place}"])
def test_missing_program_is_a_setting_that_cannot_work(place: Path, name: str) -> None:
    """A name that is no program is refused before anything is started."""
    (place / "text").write_text("not executable")
    name = name.format(place=place)
    with pytest.raises(ConfigError, match="no such program"):
        run_program([name], folder=place, log_file=place / "log")


def test_bytes_that_are_no_text_stop_nothing(place: Path) -> None:
    """A program may print what it wants; the log keeps the bytes."""
    with pytest.raises(EngineError, match="exit code 3"):
        run(place, "import os; os.write(1, b'\\xff\\xfe bad\\n'); os._exit(3)")

    assert (place / "program.log").read_bytes() == b"\xff\xfe bad\n"


def test_signal_is_named(place: Path) -> None:
    """A crash says which signal it was, and is no lack of memory."""
    with pytest.raises(EngineError, match="SIGSEGV"):
        run(place, "import os; os.kill(os.getpid(), 11)")


def test_interrupts_wait_for_a_program(allowance: Allowance) -> None:
    """While a program is started or ended, no exception comes from outside."""
    sent: list[int] = []
    with allowance.held():
        assert not allowance.interrupt(lambda: sent.append(1))
    assert allowance.interrupt(lambda: sent.append(2))
    assert sent == [2]


def test_last_words_reach_the_log(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    """All that a program says is passed on, also much at its end, and a line without an end."""
    with caplog.at_level(logging.INFO):
        run(place, "print(('y' * 999 + '\\n') * 2500 + 'the end', end='')")
    lines = [record.getMessage() for record in caplog.records]
    assert lines[-1].endswith(": the end")
    assert sum(line.endswith("yyy") for line in lines) == 2_500


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv (util-linux) is not here")
def test_program_ends_with_a_process_that_was_killed(place: Path) -> None:
    """Kill -9 of ours, or the system out of memory: the kernel ends the program."""
    code = (
        "import pathlib, sys\n"
        "from calib.programs.run import run_program\n"
        f"place = pathlib.Path({str(place)!r})\n"
        "say = 'import os, time; print(os.getpid(), flush=True); time.sleep(60)'\n"
        "run_program([sys.executable, '-c', say], folder=place, log_file=place / 'said.log')\n"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as ours:
        said, end = place / "said.log", time.monotonic() + 20
        while not (said.exists() and said.read_text().endswith("\n")):
            assert time.monotonic() < end, "the program did not start"
            time.sleep(0.02)
        ours.kill()

    assert wait_until_gone(int(said.read_text()))
