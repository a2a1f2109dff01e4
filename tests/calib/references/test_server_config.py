"""What a cache remembers of where it is filled from, with several writers at once."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from calib.errors import ConfigError
from calib.references import library
from calib.references.profile import CrdsProfile
from calib.references.server_config import (
    LAYOUT_TAG,
    cached_catalogue,
    cached_info,
    change_info,
    with_files,
    write_info,
)

ROOT = Path(__file__).parents[3]
ROW = {"size": "3", "sha1sum": "0" * 40}
SERVED: dict[str, Any] = {
    "operational_context": "hst_0001.pmap",
    "mappings": ["hst_0001.pmap"],
    "download_metadata": {"hst_0001.pmap": ROW},
}

# Another process that enters deliveries, as `hstflow context deliver` does.
DELIVER = """
import sys
from pathlib import Path
from calib.references.profile import CrdsProfile
from calib.references.server_config import change_info, with_files

profile = CrdsProfile("mine", "https://serverless", Path(sys.argv[1]))
for number in range(40):
    row = {f"hst_{9000 + number}.pmap": {"size": "1", "sha1sum": "1" * 40}}
    change_info(profile, lambda info: with_files(info, row))
    print(number, flush=True)
"""


@pytest.fixture
def profile(tmp_path: Path) -> CrdsProfile:
    """Return the profile of a cache whose origin was asked once."""
    found = CrdsProfile("mine", "https://serverless", tmp_path / "cache")
    write_info(found, SERVED)
    return found


@pytest.mark.parametrize("is_packed", [False, True])
def test_deliveries_stay_when_the_origin_is_asked_again(
    profile: CrdsProfile, is_packed: bool
) -> None:
    """In the form that the origin has; what it says of its own files counts."""
    served = SERVED
    if is_packed:
        with library.session(profile):
            from crds.client import proxy

            packed = proxy.crds_encode({"hst_0001.pmap": ROW})
        served = SERVED | {"download_metadata": packed}
    mine = {"hst_9000.pmap": ROW, "x_drk.fits": ROW, "hst_0001.pmap": {**ROW, "size": "9"}}
    change_info(profile, lambda info: with_files(info, mine))
    write_info(profile, served | {"operational_context": "hst_0002.pmap"})

    assert cached_catalogue(profile) == {**mine, "hst_0001.pmap": ROW}
    assert cached_info(profile)["mappings"] == ["hst_0001.pmap", "hst_9000.pmap"]
    assert cached_info(profile)["operational_context"] == "hst_0002.pmap"
    assert ("crds_encoded" in cached_info(profile)["download_metadata"]) is is_packed
    before = profile.server_config.stat().st_mtime_ns
    write_info(profile, served | {"operational_context": "hst_0002.pmap"})
    assert profile.server_config.stat().st_mtime_ns == before


def test_two_processes_at_once_lose_nothing(profile: CrdsProfile) -> None:
    """One archives deliveries while the other synchronises: both are there at the end."""
    words = [sys.executable, "-c", DELIVER, str(profile.cache)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        number = 0
        while child.poll() is None:
            number += 1
            write_info(profile, SERVED | {"operational_context": f"hst_{number:04d}.pmap"})
    assert child.returncode == 0
    write_info(profile, SERVED)
    names = [f"hst_{9000 + n}.pmap" for n in range(40)]
    assert sorted(cached_catalogue(profile)) == ["hst_0001.pmap", *names]
    assert cached_info(profile)["mappings"] == ["hst_0001.pmap", *names]


def test_damaged_one_is_replaced_by_the_origin_and_by_nobody_else(profile: CrdsProfile) -> None:
    """Who enters a delivery must not lose what he cannot read."""
    profile.server_config.write_text("{'operational_context': ", encoding="utf-8")
    with pytest.raises(ConfigError, match="damaged"):
        change_info(profile, lambda info: info)
    write_info(profile, SERVED)
    assert cached_info(profile) == SERVED


def test_nothing_new_needs_no_lock(profile: CrdsProfile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that nobody may write can be asked for what it has already."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "not yours")

    monkeypatch.setattr(fcntl, "flock", refuse)
    write_info(profile, SERVED)
    with pytest.raises(PermissionError):
        write_info(profile, {})
    assert (profile.server_config.parent / LAYOUT_TAG).read_text() == "instrument"


def test_what_is_told_can_be_changed_without_harm(profile: CrdsProfile) -> None:
    """The next to ask is told what the file says, not what somebody made of the answer."""
    said = cached_info(profile)
    said["operational_context"] = "hst_9999.pmap"
    assert cached_info(profile) == SERVED
