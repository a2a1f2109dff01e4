"""References that a process keeps decoded."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from factories import write_image

from calib.errors import NotFound
from calib.fitsfile import StoredPlane
from calib.instruments import reference_memory
from calib.instruments.reference_memory import ReferenceMemory, default_limit

PIXELS = 50
PLANE = PIXELS * PIXELS * 4  # bytes of one float plane
NOTHING = 0


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Return three references of different level."""
    data = np.ones((PIXELS, PIXELS), np.float32)
    return [write_image(tmp_path / f"{level}.fits", data * level) for level in range(3)]


def use(memory: ReferenceMemory, path: Path) -> float:
    """Read SCI as an exposure does, in two blocks; return its first pixel."""
    image = memory.image(path, 1)
    image.signal(0, 10)
    return float(image.signal(10, PIXELS)[0, 0])


def test_kept_from_the_second_time_on(files: list[Path]) -> None:
    """One exposure pays for no copy."""
    memory = ReferenceMemory()
    assert use(memory, files[1]) == 1
    assert memory.size == NOTHING
    assert use(memory, files[1]) == 1
    assert memory.size == PLANE


def test_a_kept_plane_is_not_read_again(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The third exposure asks no file for pixels."""
    memory = ReferenceMemory()
    for _ in range(2):
        use(memory, files[2])

    def fail(*_: object) -> None:
        pytest.fail("read from the file")

    monkeypatch.setattr(StoredPlane, "read", fail)
    assert use(memory, files[2]) == 2


def test_what_was_used_longest_ago_goes_first(files: list[Path]) -> None:
    """Two fit; the third one takes the place of the one not used since."""
    memory = ReferenceMemory(2 * PLANE)
    for path in (files[0], files[0], files[1], files[1], files[0], files[2], files[2]):
        use(memory, path)
    kept = {key[0].path.name for key in memory._planes}  # type: ignore[index]
    assert kept == {"0.fits", "2.fits"}
    assert memory.size == 2 * PLANE


@pytest.mark.parametrize("limit", [0, PLANE - 1])
def test_nothing_larger_than_the_limit_is_kept(files: list[Path], limit: int) -> None:
    """0 switches it off; the pixels are right all the same."""
    memory = ReferenceMemory(limit)
    assert [use(memory, files[2]) for _ in range(3)] == [2, 2, 2]
    assert memory.size == NOTHING


def test_a_lower_limit_makes_room_at_once(files: list[Path]) -> None:
    """As does forgetting."""
    memory = ReferenceMemory()
    for path in (*files, *files):
        use(memory, path)
    assert memory.size == 3 * PLANE
    memory.limit = PLANE
    assert memory.size == PLANE
    memory.forget()
    assert memory.size == NOTHING


def test_a_changed_file_is_read_again(files: list[Path]) -> None:
    """Another size or time of change is another file."""
    memory = ReferenceMemory()
    for _ in range(3):
        assert use(memory, files[1]) == 1
    with fits.open(files[1], mode="update") as hdus:
        hdus["SCI"].data += 6
    os.utime(files[1], ns=(1, 1))
    assert use(memory, files[1]) == 7


def test_kept_pixels_cannot_be_written_to(files: list[Path]) -> None:
    """A step that does would spoil all later exposures."""
    memory = ReferenceMemory()
    for _ in range(2):
        rows = memory.image(files[1], 1).signal(0, 5)
    with pytest.raises(ValueError, match="read-only"):
        rows[0, 0] = 3


def test_threads_get_the_same_pixels(files: list[Path]) -> None:
    """Many at once, with room for one plane: never a wrong number, never too much kept."""
    memory = ReferenceMemory(PLANE)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda k: use(memory, files[k % 3]), range(90)))
    assert found == [k % 3 for k in range(90)]
    assert memory.size <= PLANE


def test_missing_file_is_named(tmp_path: Path) -> None:
    """Also where it went away after it was found."""
    with pytest.raises(NotFound, match=r"gone\.fits"):
        ReferenceMemory().image(tmp_path / "gone.fits", 1)


def test_default_leaves_most_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """An eighth of 4 GB is 512 MB; of 64 GB it would be 8, but 1 is enough."""
    for machine, limit in ((4 << 30, 512 << 20), (64 << 30, 1 << 30)):
        pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": machine // 4096}
        monkeypatch.setattr(reference_memory.os, "sysconf", pages.__getitem__)
        assert default_limit() == limit
