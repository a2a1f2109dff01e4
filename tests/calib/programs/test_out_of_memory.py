"""How the end of a program is told to be a lack of memory, or something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from calib.programs import out_of_memory
from calib.programs.out_of_memory import SIGNS, count_kills, why_out_of_memory

GB = 10**9


@pytest.mark.parametrize("sign", SIGNS)
def test_every_sign_counts_in_any_case(sign: str) -> None:
    """What programs say is found wherever it stands in the log."""
    text = f"first line\nERROR: {sign.upper()} in step 3\nlast"
    reason = why_out_of_memory(1, text, peak=0, limit=None, kills=0)
    assert reason is not None
    assert sign in reason


@pytest.mark.parametrize(
    ("code", "peak", "limit", "kills", "is_memory"),
    [
        (0, 2 * GB, GB, 1, False),  # it has ended well
        (2, GB, GB, 0, False),  # an error that says nothing of memory
        (2, 0, None, 1, True),  # the kernel has killed something meanwhile
        (-11, 9 * GB // 10, GB, 0, True),  # a crash near the limit
        (139, 9 * GB // 10, GB, 0, True),  # the same, told by a shell
        (-11, GB // 10, GB, 0, False),  # a crash far from it
        (-11, GB, None, 0, False),  # no limit
        (-15, GB, GB, 0, False),  # asked to stop
    ],
)
def test_end_is_weighed(
    code: int, peak: int, limit: int | None, kills: int, *, is_memory: bool
) -> None:
    """Exit code, memory and the kernel's counter together decide."""
    reason = why_out_of_memory(code, "", peak=peak, limit=limit, kills=kills)
    assert (reason is not None) == is_memory


@pytest.mark.parametrize(
    ("line", "path", "content"),
    [
        ("0::/jobs/one", "jobs/one/memory.events", "low 0\noom 3\noom_kill 2\n"),
        ("4:memory:/a", "memory/a/memory.oom_control", "under_oom 0\noom_kill 2\n"),
    ],
    ids=["version 2", "version 1"],
)
def test_kernel_counter_is_read(
    line: str, path: str, content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control groups of both versions tell how many processes were ended for memory."""
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(content)
    own = tmp_path / "cgroup"
    own.write_text(f"7:cpu:/a\n{line}\n")
    monkeypatch.setattr(out_of_memory, "_CGROUPS", tmp_path)
    monkeypatch.setattr(out_of_memory, "_OWN", own)

    assert count_kills() == 2

    own.unlink()
    assert count_kills() == 0
