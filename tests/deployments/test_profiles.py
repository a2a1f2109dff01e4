"""Settings and cluster files that are delivered: every line is understood by who reads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import types
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from calib.errors import ConfigError
from flows.cluster_files import is_cluster_file, read_cluster_file
from flows.placement import DISK_RESOURCE, MEMORY_RESOURCE
from flows.private_server import DEFAULTS

ROOT = Path(__file__).parents[2]
PROFILES = sorted((ROOT / "deployments" / "profiles").glob("*.env"))
CLUSTERS = sorted(p for p in (ROOT / "deployments" / "dask").iterdir() if is_cluster_file(p.name))
UNITS = sorted((ROOT / "deployments" / "profiles").glob("*.service"))

# What Prefect's logging.yml reads; they are no settings.
OF_LOGGING = (
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL",
    "PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL",
    "PREFECT_LOGGING_LOGGERS_PREFECT_FLOW_RUNS_LEVEL",
)
EVENTS = "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED"

# A setting that Prefect does not know is passed over in silence; what it has read, it lists.
SETTINGS = """
import json
from prefect.settings import get_current_settings
known = get_current_settings().to_environment_variables(exclude_unset=True)
print(json.dumps(known))
"""


def lines_of(path: Path) -> dict[str, str]:
    """Read a file as systemd does: NAME=value, nothing expanded."""
    lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
    return dict(line.split("=", 1) for line in lines)


def test_there_are_files_to_look_at() -> None:
    """The lists of files that the other tests walk are not empty."""
    assert {path.stem for path in PROFILES} == {"server", "worker"}
    assert {path.stem for path in CLUSTERS} == {"slurm", "htcondor", "kubernetes"}
    assert len(UNITS) == 7


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_the_shell_reads_what_systemd_reads(path: Path) -> None:
    """`set -a; . FILE` and EnvironmentFile= give the same variables."""
    done = subprocess.run(
        ["sh", "-c", f'set -a; . "{path}"; exec env -0'],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    read = dict(pair.split("=", 1) for pair in done.stdout.split("\0") if pair)
    assert {name: read.get(name) for name in lines_of(path)} == lines_of(path)


@pytest.mark.prefect
@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_prefect_takes_every_setting(path: Path, tmp_path: Path) -> None:
    """The pinned Prefect knows each name, and has the value in force."""
    wanted = {name: value for name, value in lines_of(path).items() if name[:8] == "PREFECT_"}
    for name in OF_LOGGING:
        wanted.pop(name, None)
    environment = {key: v for key, v in os.environ.items() if key[:8] != "PREFECT_"}
    done = subprocess.run(
        [sys.executable, "-c", SETTINGS],
        env={**environment, **wanted, "PREFECT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    known = json.loads(done.stdout)
    assert {name: meant(known.get(name, "")) for name in wanted} == {
        name: meant(value) for name, value in wanted.items()
    }


def meant(text: str) -> float | str:
    """Return a number as a number (200 is 200.0, and not 20), and words without capitals."""
    try:
        return float(text)
    except ValueError:
        return text.lower()


@pytest.mark.parametrize(("one", "other"), [("200", "20"), ("0", ""), ("1.0", "10"), ("a", "b")])
def test_other_values_are_told_apart(one: str, other: str) -> None:
    """The comparison of settings can fail."""
    assert meant(one) != meant(other)


def test_private_server_and_profiles_agree() -> None:
    """What a campaign's own server is set to, a standing one is too; but that keeps events."""
    profiles = {name: value for path in PROFILES for name, value in lines_of(path).items()}
    wanted = {name: value for name, value in DEFAULTS.items() if name != EVENTS}
    assert {name: profiles.get(name) for name in wanted} == wanted
    assert EVENTS not in profiles


@pytest.mark.parametrize("path", [*PROFILES, *UNITS], ids=lambda path: path.name)
def test_no_secret_is_delivered(path: Path) -> None:
    """Passwords and database URLs are named in comments only."""
    given = "\n".join(line for line in path.read_text().splitlines() if line[:1] != "#")
    assert "AUTH_STRING" not in given
    assert "postgresql" not in given.replace("postgresql.service", "")


@pytest.mark.parametrize("name", ["prefect", "prefect-dask", "fastapi", "sqlalchemy"])
def test_pinned_packages_are_within_their_pins(name: str) -> None:
    """The versions for which Prefect was measured, or fails, are kept where it runs."""
    texts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    pinned = next(r for r in map(Requirement, texts) if r.name == name)
    assert {each.operator for each in pinned.specifier} & {"==", "<"}
    assert pinned.specifier.contains(version(name))


@pytest.fixture
def batch_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the classes of the examples be importable, as where they are installed."""
    jobqueue, kubernetes = types.ModuleType("dask_jobqueue"), types.ModuleType("dask_kubernetes")
    operator = types.ModuleType("dask_kubernetes.operator")
    for module, name in (
        (jobqueue, "SLURMCluster"),
        (jobqueue, "HTCondorCluster"),
        (operator, "KubeCluster"),
    ):
        setattr(module, name, type(name, (), {}))
    for module in (jobqueue, kubernetes, operator):
        monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.usefixtures("batch_systems")
@pytest.mark.parametrize("path", CLUSTERS, ids=lambda path: path.name)
def test_cluster_files_are_read(path: Path) -> None:
    """Each example is read by `--runner FILE`; its workers offer memory and disk, are set up."""
    found = read_cluster_file(path)
    words = found.kwargs.get("worker_extra_args") or found.kwargs["worker_command"]
    offered = dict(pair.split("=") for pair in words[words.index("--resources") + 1].split(","))
    assert set(offered) == {MEMORY_RESOURCE, DISK_RESOURCE}
    assert all(float(value) > 0 for value in offered.values())
    assert words[words.index("--preload") + 1] == "flows.worker_setup"
    assert found.adapt.get("maximum") or found.kwargs["n_workers"]


@pytest.mark.usefixtures("batch_systems")
@pytest.mark.parametrize("path", CLUSTERS, ids=lambda path: path.name)
def test_unknown_keys_are_refused(path: Path, tmp_path: Path) -> None:
    """A key that nobody reads is an error, not passed over."""
    extra = "resource = 1\n" if path.suffix == ".toml" else "resource: 1\n"
    odd = tmp_path / path.name
    odd.write_text(extra + path.read_text())
    with pytest.raises(ConfigError, match="resource"):
        read_cluster_file(odd)


def test_start_by_hand_explains_itself() -> None:
    """Without a word the script says how it is called, and starts nothing."""
    script = ROOT / "deployments" / "dask" / "start-by-hand.sh"
    done = subprocess.run(["sh", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "usage" in done.stderr
