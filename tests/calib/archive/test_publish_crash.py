"""A machine that stops, a disk that fails, a person who interrupts: at every call in turn.

`faults` of conftest counts every call that changes the file system during a publication and
makes one of them fail. Each test first counts the calls of an undisturbed publication, so
that all of them are covered whatever the code does.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from calib.archive.publish import Publication, make_current, publish
from calib.errors import ArchiveError
from calib.ids import parse_dataset

Make = Callable[..., Publication]
Visible = Callable[[Path], str | None]
Leftovers = Callable[[Path], list[str]]
DATASET = parse_dataset("j8bt05njq")


class Injector(Protocol):
    """What the tests use of conftest's Faults."""

    count: int

    def at(self, number: int, error: BaseException) -> Any:
        """Make call `number` fail."""


def count_calls(faults: Injector, work: Callable[[], object]) -> int:
    """Return how many calls change the file system while something is done undisturbed."""
    with faults.at(-1, RuntimeError()):
        work()
    return faults.count


@pytest.mark.parametrize("before", [None, "first"])
def test_power_cut_at_every_call(
    make: Make,
    tmp_path: Path,
    faults: Injector,
    power_cut: type[BaseException],
    visible: Visible,
    leftovers: Leftovers,
    before: str | None,
) -> None:
    """Old or new is visible, whole, wherever the machine stops; the next try finishes."""

    def prepared(name: str) -> Path:
        output = tmp_path / name
        if before:
            publish(make(run=before, created="01"), output)
        return output

    new = make(run="second", content=b"better", created="02")
    undisturbed = prepared("undisturbed")
    calls = count_calls(faults, lambda: publish(new, undisturbed))
    seen = set()
    for number in range(calls):
        output = prepared(f"cut{number}")
        with faults.at(number, power_cut()), pytest.raises(power_cut):
            publish(new, output)
        seen.add(shown := visible(output))
        assert shown in {before, "second"}
        publish(new, output)
        assert visible(output) == "second"
        assert leftovers(output) == []

    assert calls > 20
    assert seen == {before, "second"}


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_disk_error_at_every_call(
    make: Make,
    tmp_path: Path,
    faults: Injector,
    visible: Visible,
    leftovers: Leftovers,
    code: int,
) -> None:
    """Any failing call is an archive error that says where, and leaves nothing half-done."""
    new = make(run="second", content=b"better", created="02")
    old = tmp_path / "undisturbed"
    publish(make(created="01"), old)
    calls = count_calls(faults, lambda: publish(new, old))
    errors = []
    for number in range(calls):
        output = tmp_path / f"failed{number}"
        publish(make(created="01"), output)
        with faults.at(number, OSError(code, os.strerror(code))):
            errors += refused(lambda: publish(new, output))  # noqa: B023 - called at once
        assert len(leftovers(output)) <= 1
        assert visible(output) in {"first", "second"}
        publish(new, output)
        assert visible(output) == "second"
        assert leftovers(output) == []

    # A failure to clean up is a warning: unlink or rmdir of the emptied staging folder.
    assert 0 < calls - len(errors) <= 3
    assert {(error.code, error.dataset) for error in errors} == {(25, "j8bt05njq")}
    assert all(os.strerror(code) in error.message for error in errors)
    assert all(str(tmp_path) in str(error.path) for error in errors)


def refused(work: Callable[[], object]) -> list[ArchiveError]:
    """Return the archive error that something ended in, if it did."""
    try:
        work()
    except ArchiveError as error:
        return [error]
    return []


def test_interrupt_at_every_call(
    make: Make, tmp_path: Path, faults: Injector, visible: Visible, leftovers: Leftovers
) -> None:
    """Ctrl-C goes through, and the staging folder is cleaned up on the way."""
    new = make()
    calls = count_calls(faults, lambda: publish(new, tmp_path / "undisturbed"))
    left = []
    for number in range(calls):
        output = tmp_path / f"interrupted{number}"
        with faults.at(number, KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
            publish(new, output)
        left += leftovers(output)
        assert visible(output) in {None, "first"}
        publish(new, output)
        assert leftovers(output) == []

    assert len(left) <= 3  # only where the interrupt hits the cleaning itself


def test_power_cut_while_the_pointer_goes_back(
    make: Make, output: Path, faults: Injector, power_cut: type[BaseException], visible: Visible
) -> None:
    """Going back is as safe as publication: one version or the other, at every call."""
    publish(make(), output)
    publish(make(run="second", content=b"better"), output)

    def back() -> None:
        make_current(output, DATASET, "first")

    calls = count_calls(faults, back)
    for number in range(calls):
        make_current(output, DATASET, "second")
        with faults.at(number, power_cut()), pytest.raises(power_cut):
            back()
        assert visible(output) in {"first", "second"}

    back()
    assert visible(output) == "first"


DYING = """
import os, sys
from pathlib import Path
from calib.archive.publish import File, Publication, publish
from calib.ids import parse_dataset

output, source, fatal = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
count = 0

def dying(call):
    def counted(*args, **kwargs):
        global count
        if count == fatal:
            os._exit(9)
        count += 1
        return call(*args, **kwargs)
    return counted

for name in ("mkdir", "write", "fsync", "rename", "replace", "symlink", "unlink", "rmdir"):
    setattr(os, name, dying(getattr(os, name)))
publish(
    Publication(parse_dataset("j8bt05njq"), "second", "f", (File("product", source),)), output
)
print(count)
"""


def publish_and_die(output: Path, source: Path, fatal: int) -> subprocess.CompletedProcess[str]:
    """Publish in a process of its own, which ends at once at one call."""
    return subprocess.run(
        [sys.executable, "-c", DYING, output, source, str(fatal)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )


def test_dead_process(make: Make, tmp_path: Path, visible: Visible, leftovers: Leftovers) -> None:
    """What a killed process leaves is swept by the next one, whichever call it died at."""
    source = tmp_path / "x.fits"
    source.write_bytes(b"pixels")
    publish(make(), tmp_path / "undisturbed")
    calls = int(publish_and_die(tmp_path / "undisturbed", source, -1).stdout)
    seen = set()
    for fatal in (calls // 2, *range(calls - 7, calls)):
        output = tmp_path / f"died{fatal}"
        publish(make(), output)
        assert publish_and_die(output, source, fatal).returncode == 9
        seen.add((visible(output), bool(leftovers(output))))
        assert publish_and_die(output, source, -1).returncode == 0
        assert visible(output) == "second"
        assert leftovers(output) == []

    # Died before the swap and after it, each with a staging folder for the next one to sweep.
    assert seen == {("first", True), ("second", True)}
