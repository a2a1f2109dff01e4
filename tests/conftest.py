"""Fixtures of all tests: where the optional test material lies, and a home of our own."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from quick_ledgers import quick_ledgers
from real_programs import take_off_path

if TYPE_CHECKING:
    from calib.simulate.observatory import Observatory

# The same few examples in every run, so that a red build can be repeated; many new ones in the
# weekly run (`make PYTEST_OPTIONS='-q --hypothesis-profile=thorough' test`), which is where a
# rare counterexample is to be found.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", _PATIENT, derandomize=True, max_examples=30)
settings.register_profile("quick", _PATIENT, derandomize=True, max_examples=8)
settings.register_profile("thorough", _PATIENT, max_examples=300, print_blob=True)
settings.load_profile("ci")

# A shell without job control starts background jobs with the interrupt ignored, and children
# inherit that: tests that press Ctrl-C would wait in vain.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What a developer has installed changes no test but those of the real programs.
take_off_path()

# Compiled loops are kept where the next test finds them, although each has its own home.
os.environ.setdefault("HSTFLOW_CACHE", str(Path("~/.cache/hstflow").expanduser()))
SHARED = Path(os.environ.get("HSTFLOW_SHARED", Path(__file__).parents[2] / "shared"))

# Files of tests/flows that another process may run than the one that has the server of all.
ALONE = ("test_private_server.py", "test_campaign.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give one process all tests that share the Prefect server, beside those of each file.

    The mark `xdist_group` would say so too, but pytest-xdist 3.8 loses it under pytest 9.1.
    The longest file has a server of its own (ten seconds) beside them: two processes are then
    done at about the same time.
    """
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class KeepServer(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            shares = "flows/" in file and not file.endswith(ALONE)
            return "tests/flows" if shares else file

    return KeepServer(config, log)


@pytest.fixture(autouse=True, scope="module")
def frozen_garbage() -> None:
    """Let the garbage collector look at what this module makes, not at all that went before.

    The crds library collects several times in each call: a second each in a process that has
    imported everything.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of golden products and real data; absent on a plain clone."""
    if not (SHARED / "golden" / "compare.py").exists():
        pytest.skip(f"no test material in {SHARED} (set HSTFLOW_SHARED)")
    return SHARED


@pytest.fixture(scope="session")
def crds_pack(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return real CRDS rules (`crds_cache`) and three real HRC exposures (`raw`)."""
    folder = tmp_path_factory.mktemp("crds_pack")
    with tarfile.open(shared / "data" / "crds_pack.tar.gz") as tar:
        tar.extractall(folder, filter="data")
    return folder / "pack"


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return paths of new homes; `mktemp` would look through all earlier ones each time."""
    folder = tmp_path_factory.mktemp("homes")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True, scope="session")
def ledgers_made_quickly() -> Iterator[None]:
    """Run the migrations once in each process, not for each test."""
    with quick_ledgers():
        yield


@pytest.fixture(autouse=True)
def closed_ledgers() -> Iterator[None]:
    """Close what the stages opened: PostgreSQL counts connections, and so do warnings."""
    yield
    if recording := sys.modules.get("calib.stages.recording"):
        recording.close_ledgers()


@pytest.fixture(autouse=True)
def forgotten_answers() -> None:
    """Let no test know what a service answered in another."""
    if astrometry := sys.modules.get("calib.engines.astrometry"):
        astrometry._answers.clear()


@pytest.fixture(autouse=True)
def own_home(homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep every test away from the user's home, ledger, caches and CRDS settings."""
    home = next(homes)
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HSTFLOW_WORK", str(home / "work"))
    monkeypatch.setenv("HSTFLOW_LEDGER", f"sqlite:///{home / 'ledger.db'}")
    # Nothing listens there: a test that forgets its own server fails, and asks nobody outside.
    monkeypatch.setenv("HSTFLOW_MAST_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ASTROMETRY_SERVICE_URL", "http://127.0.0.1:9")
    for name in list(os.environ):
        if name.startswith(("CRDS_", "XDG_", "CALDP_")) or name in {
            "HSTFLOW_PROFILE",
            "HSTFLOW_RUNNER",
            "HSTFLOW_ASTROMETRY",
            "HSTFLOW_ENGINE",
            "HSTFLOW_STAGE2",
            "HSTFLOW_CALIBRATIONS",
            "HSTFLOW_REFERENCE_MEMORY",
            "HSTFLOW_TAR",
            "HSTFLOW_DOWNLOADS",
            "HSTFLOW_DOWNLOADS_LIMIT",
            "HSTFLOW_FETCH_SPT",
            "MAST_API_TOKEN",
            "PREFECT_API_URL",
            *(f"{letter}ref" for letter in "ijlonu"),
        }:
            monkeypatch.delenv(name)
    return home


@pytest.fixture(scope="session")
def observatory(tmp_path_factory: pytest.TempPathFactory) -> Observatory:
    """Return a small simulated observatory: raws, references, two CRDS contexts."""
    from calib.simulate.observatory import build_observatory

    return build_observatory(tmp_path_factory.mktemp("observatory"), exposures=2, small=True)
