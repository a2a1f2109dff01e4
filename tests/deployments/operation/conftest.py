"""Tiny stand-ins for the programs of `hstflow up`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deployments.operation import program, supervisor
from deployments.operation.role import Role

StandIn = Callable[..., Role]

# Writes down its start and its end; answers while its file is there.
SCRIPT = """
echo "start $0" >> story
trap 'echo "end $0" >> story; rm -f "$0.up"; exit 0' TERM
touch "$0.up"
while :; do sleep 0.02; done
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, and have little patience."""
    monkeypatch.setattr(supervisor, "TICK", 0.01)
    monkeypatch.setattr(program, "LOOK_STARTING", 0.01)
    monkeypatch.setattr(program, "LOOK_READY", 0.02)
    monkeypatch.setattr(program, "PAUSE", 0.01)
    monkeypatch.setattr(program, "TERM_PATIENCE", 0.4)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Return a function that gives the role of a shell script, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def make(name: str, script: str = SCRIPT, **words: object) -> Role:
        return Role(
            name=name,
            command=("sh", "-c", script, name),
            environment={"PATH": "/usr/bin:/bin"},
            look=(tmp_path / f"{name}.up").exists,
            **words,  # type: ignore[arg-type]
        )

    return make
