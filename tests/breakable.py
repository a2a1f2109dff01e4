"""Outputs to break: any call that changes something can be made to stop the machine.

`Folder` and `Bucket` look at what lies there without the archive's own code.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from calib.archive import layout
from calib.archive.outputs import FileOutput, Output
from calib.archive.store_output import StoreOutput
from calib.ids import DatasetId
from calib.stores import FileStore, S3Store

# Every call through which a version comes into being: of the file system, of a store.
SYSTEM_CALLS = ("mkdir", "write", "fsync", "rename", "replace", "symlink", "unlink", "rmdir")
STORE_CALLS = ("head", "read", "put", "put_if_absent", "replace", "delete", "list_keys")


class PowerCut(BaseException):
    """Nothing runs after this, no handler and no cleaning."""


class Tripwire:
    """Does something at one call of many, and again at every later one if it is a power cut."""

    def __init__(self, owner: object, names: tuple[str, ...]) -> None:
        self._owner = owner
        self._names = names
        self._action: Callable[[], None] | None = None
        self._left = 0

    @contextmanager
    def at(self, number: int, action: Callable[[], None]) -> Iterator[None]:
        """Do something at call `number` of the block."""
        self._left, self._action = number, action
        with pytest.MonkeyPatch.context() as patch:
            for name in self._names:
                patch.setattr(self._owner, name, self._wrap(getattr(self._owner, name)))
            yield
        self._action = None

    def _wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            action = self._action
            if self._left < 0 and action is not None:
                self._action = None  # what the action itself calls is not disturbed
                action()
            return call(*args, **kwargs)

        def again(*args: Any, **kwargs: Any) -> Any:
            action = self._action
            try:
                return counted(*args, **kwargs)
            except PowerCut:
                self._action = action
                raise

        return again


def cut() -> None:
    """Stop the machine."""
    raise PowerCut


class World(Protocol):
    """An output to work on, and a look at it that does not go through the archive."""

    output: Output
    wire: Tripwire

    def holds(self, run: str, dataset: DatasetId) -> dict[str, bytes]:
        """Return the files of a publication by name, the manifest too."""
        ...

    def damage(self, run: str, dataset: DatasetId) -> None:
        """Remove a product."""
        ...

    def leftovers(self, run: str) -> list[str]:
        """Return what work in progress left."""
        ...


class Folder:
    """A folder."""

    def __init__(self, root: Path) -> None:
        self.output = FileOutput(root / "out")
        self.wire = Tripwire(os, SYSTEM_CALLS)

    def holds(self, run: str, dataset: DatasetId) -> dict[str, bytes]:
        """Read the folder; a reader's link must lead to the same."""
        folder = layout.publication_folder(self.output.folder, run, dataset)
        files = [path for path in folder.rglob("*") if path.is_file()]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    def damage(self, run: str, dataset: DatasetId) -> None:
        """Remove a product."""
        (layout.publication_folder(self.output.folder, run, dataset) / "x_flt.fits").unlink()

    def leftovers(self, run: str) -> list[str]:
        """Return the staging folders of a run."""
        return [path.name for path in self.output.folder.glob(f"runs/{run}/.staging/*")]


class Bucket:
    """A store."""

    def __init__(self, store: FileStore | S3Store) -> None:
        self.output = StoreOutput(store)
        self.wire = Tripwire(type(store), STORE_CALLS)

    def holds(self, run: str, dataset: DatasetId) -> dict[str, bytes]:
        """Read the objects, where there is a manifest: that makes them a publication."""
        place = f"runs/{run}/acs/{dataset.name}/"
        store = self.output.store
        found = {stored.key: store.read(stored.key) for stored in store.list_keys(place)}
        files = {key.removeprefix(place): each.data for key, each in found.items() if each}
        return files if "manifest.json" in files else {}

    def damage(self, run: str, dataset: DatasetId) -> None:
        """Remove a product."""
        self.output.store.delete(f"runs/{run}/acs/{dataset.name}/x_flt.fits")

    def leftovers(self, run: str) -> list[str]:
        """Return the claims of a run."""
        return [stored.key for stored in self.output.store.list_keys(f"runs/{run}/.claims/")]
