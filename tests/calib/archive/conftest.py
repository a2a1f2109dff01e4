"""Publications made from scratch, and a file system that stops between two calls."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from calib.archive import layout
from calib.archive.outputs import FileOutput, Output
from calib.archive.publish import File, Publication
from calib.archive.store_output import StoreOutput
from calib.ids import parse_dataset
from calib.stores import FileStore, S3Store

DATASET = parse_dataset("j8bt05njq")
# Every call through which the archive changes a file system, also inside shutil.rmtree.
MUTATIONS = ("mkdir", "write", "fsync", "rename", "replace", "symlink", "unlink", "rmdir")

MakePublication = Callable[..., Publication]
CheckVisible = Callable[[Path], str | None]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Return an output folder that does not exist yet."""
    return tmp_path / "out"


@pytest.fixture(params=["folder", "store", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Output:
    """Return an empty output of each kind: all say the same."""
    if request.param == "folder":
        return FileOutput(tmp_path / "out")
    if request.param == "store":
        return StoreOutput(FileStore(tmp_path / "store"))
    return StoreOutput(S3Store(request.getfixturevalue("bucket"), "archive"))


@pytest.fixture
def make(tmp_path: Path) -> MakePublication:
    """Return a function that makes a publication of four small files."""

    def publication(
        run: str = "first", content: bytes = b"pixels", created: str = "", **changes: Any
    ) -> Publication:
        files = write_sources(tmp_path / "work" / f"{run}-{content[:8].hex()}", content)
        values: dict[str, Any] = {
            "dataset": DATASET,
            "run": run,
            "fingerprint": f"fingerprint of {content[:8]!r}",
            "files": files,
            "provenance": {"context": "hst_0729.pmap"},
        }
        if created:
            values["created"] = f"2026-01-{created}T00:00:00+00:00"
        return Publication(**{**values, **changes})

    return publication


def write_sources(folder: Path, content: bytes) -> tuple[File, ...]:
    """Write one file of each role."""
    folder.mkdir(parents=True, exist_ok=True)
    roles: dict[str, layout.Role] = {
        "j8bt05njq_flt.fits": "product",
        "j8bt05njq_flt.jpg": "preview",
        "process.txt": "log",
        "j8bt05njq_cal_env.txt": "env",
    }
    for name in roles:
        (folder / name).write_bytes(content + name.encode())
    return tuple(File(role, folder / name) for name, role in roles.items())


@pytest.fixture
def visible() -> CheckVisible:
    """Return a function that reads what the pointer shows, and insists that it is whole."""

    def check(output: Path) -> str | None:
        pointer = layout.pointer_path(output, DATASET)
        if not pointer.is_symlink():
            assert not pointer.exists()
            return None
        assert pointer.resolve(strict=True).is_dir()
        assert FileOutput(output).verify(DATASET) == []
        return pointer.resolve().parts[-3]

    return check


def staging_left(output: Path) -> list[str]:
    """Return the names of all staging folders below an output folder."""
    return [str(path) for path in output.glob("**/.staging/*")]


@pytest.fixture
def leftovers() -> Callable[[Path], list[str]]:
    """Return the function that lists staging folders."""
    return staging_left


class PowerCut(BaseException):
    """Nothing runs after this, no handler and no cleaning."""


class Faults:
    """Counts the calls that change a file system, and makes one of them go wrong."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.fail_at = -1
        self.error: BaseException = PowerCut()
        self._monkeypatch = monkeypatch

    @contextmanager
    def at(self, number: int, error: BaseException) -> Iterator[None]:
        """Raise at one call in the block; after a power cut at every later one as well."""
        self.count, self.fail_at, self.error = 0, number, error
        with self._monkeypatch.context() as patch:
            for name in MUTATIONS:
                patch.setattr(os, name, self._wrap(getattr(os, name)))
            yield

    def _wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            number, self.count = self.count, self.count + 1
            is_off = isinstance(self.error, PowerCut) and number > self.fail_at >= 0
            if number == self.fail_at or is_off:
                raise self.error
            return call(*args, **kwargs)

        return counted


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """Return the fault injector."""
    return Faults(monkeypatch)


@pytest.fixture
def power_cut() -> type[PowerCut]:
    """Return the error that stands for a machine that stops."""
    return PowerCut
