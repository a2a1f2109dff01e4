"""Locks between processes and users."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from calib.references.locks import locked


def test_one_after_the_other(tmp_path: Path) -> None:
    """Who comes second waits for the first one's end."""
    said: list[str] = []
    began = threading.Event()

    def second() -> None:
        began.set()
        with locked(tmp_path / "lock") as is_held:
            said.append(f"second {is_held}")

    with locked(tmp_path / "lock"):
        other = threading.Thread(target=second)
        other.start()
        began.wait()
        other.join(0.05)
        said.append("first")
    other.join()
    assert said == ["first", "second True"]


def test_lock_of_another_user_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One made before with a careful umask may only be read: that is enough."""
    path = tmp_path / "lock"
    path.touch(0o644)
    really = os.open

    def refuse(place: Any, flags: int, *rest: int) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied", str(place))
        return really(place, flags, *rest)

    monkeypatch.setattr(os, "open", refuse)
    with locked(path) as is_held:
        assert is_held
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
