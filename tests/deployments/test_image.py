"""Dockerfile, compose.yaml and units: every word is understood by who reads it.

No Docker is needed: what the image is built with is run in test_image_for_real.py.
"""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import stat
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.cli.main import run
from deployments.deploying.described import NAME
from deployments.operation.health import PLACES

ROOT = Path(__file__).parents[2]
PROFILES = ROOT / "deployments" / "profiles"
UNITS = sorted((*PROFILES.glob("*.service"), *PROFILES.glob("*.timer")))
INSTRUCTIONS = {
    *("FROM", "ARG", "COPY", "RUN", "WORKDIR", "LABEL", "ENV"),
    *("USER", "HEALTHCHECK", "ENTRYPOINT", "CMD"),
}


def instructions(text: str) -> list[tuple[str, str]]:
    """Return a Dockerfile's instructions: continued lines joined, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    pairs = (line.partition(" ") for line in joined.splitlines() if line.strip())
    return [(word, rest.strip()) for word, _, rest in pairs]


def expanded(text: str) -> str:
    """Return a text with ${NAME:-default} as compose has it where nothing is set."""
    return re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", lambda found: found[2] or "", text)


@pytest.fixture(scope="module")
def dockerfile() -> list[tuple[str, str]]:
    """Return the instructions of the image."""
    return instructions((ROOT / "Dockerfile").read_text())


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """Return compose.yaml with its defaults."""
    found: dict[str, Any] = yaml.safe_load(expanded((ROOT / "compose.yaml").read_text()))
    return found


def test_image_is_nobodys(dockerfile: list[tuple[str, str]]) -> None:
    """No root at run time, signals arrive, and health is asked by role."""
    last = dockerfile[max(n for n, (word, _) in enumerate(dockerfile) if word == "FROM") :]
    found = dict(last)
    assert {word for word, _ in dockerfile} <= INSTRUCTIONS
    assert int(found["USER"].split(":")[0]) > 0
    assert yaml.safe_load(found["ENTRYPOINT"]) == ["tini", "--", "hstflow"]
    assert "hstflow doctor --role" in found["HEALTHCHECK"]
    environment = dict(pair.split("=", 1) for pair in shlex.split(found["ENV"]))
    assert environment["PATH"].split(":")[0] == "/opt/hstflow/bin"
    assert environment["PATH"].split(":")[-1] == "/opt/hstcal/bin"
    made = " ".join(rest for word, rest in last if word == "RUN")
    writable = re.search(r"chmod 1777 ([\w/ ]+)", made)
    assert writable is not None
    assert {environment["HOME"], environment["XDG_CACHE_HOME"]} <= set(writable[1].split())


def test_every_stage_and_argument_is_there(dockerfile: list[tuple[str, str]]) -> None:
    """What is copied exists: from a stage, or from what .dockerignore lets through."""
    stages = {
        m[1] for w, rest in dockerfile if w == "FROM" and (m := re.search(r" AS (\S+)", rest))
    }
    assert {"hstcal-none", "hstcal-conda"} <= stages
    given = {rest.split("=")[0] for word, rest in dockerfile if word == "ARG"}
    passed = [
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    ]
    for word, rest in dockerfile:
        used = set(re.findall(r"\$\{(\w+)\}", rest)) - {"HSTFLOW_ROLE"}
        assert used <= given, rest
        if word == "COPY":
            source = re.match(r"--from=(\S+)", rest)
            assert source[1] in stages if source else rest.split()[0] in {".", *passed}, rest
    assert all((ROOT / name).exists() for name in passed)


def test_the_parser_sees_what_is_wrong() -> None:
    """Continued lines and comments are read as Docker reads them."""
    text = "FROM a AS b\n# no\nRUN one \\\n# between\n && two\nUSER 1:1\n"
    assert instructions(text) == [("FROM", "a AS b"), ("RUN", "one  && two"), ("USER", "1:1")]


def test_services_refer_to_what_is_declared(compose: dict[str, Any]) -> None:
    """Volumes, secrets, files and services; every port is of this host alone."""
    services = compose["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        assert set(service.get("secrets", [])) <= set(compose["secrets"]), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            is_file = source.startswith(".")
            assert is_file or source in compose["volumes"], name
            assert not is_file or source == "./data" or (ROOT / source).exists(), name
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
        for file in service.get("env_file", []):
            assert isinstance(file, dict) or (ROOT / file).exists(), name
            assert not isinstance(file, dict) or file["required"] is False
        environment = service.get("environment") or {}
        secret = {key for key in environment if "PASSWORD" in key or "AUTH" in key}
        assert all(key.endswith("_FILE") for key in secret), name
        assert not re.search(r"://\w+:\w+@", str(environment)), name


@pytest.mark.parametrize("name", ["ledger", "deploy", "dashboard"])
def test_commands_of_services_are_ours(
    name: str, compose: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each word and option is one that the command has."""
    command = compose["services"][name]["command"]
    words = [word for word in command if not word.startswith("-")]
    assert run([*words, "--help"]) == 0
    said = capsys.readouterr().out
    for option in (word.split("=")[0] for word in command if word.startswith("--")):
        assert option in said, option


def test_health_is_asked_where_each_listens(compose: dict[str, Any]) -> None:
    """The role of each service, and the port that its command opens."""
    roles = {}
    for name, service in compose["services"].items():
        if role := (service.get("environment") or {}).get("HSTFLOW_ROLE"):
            roles[role] = name
            port = PLACES[role].split(":")[2].split("/")[0]
            said = str(service.get("command")) + str(service.get("environment"))
            usual = {"server": "4200", "dashboard": "8080"}
            assert usual.get(role) == port or port in said, name
    assert set(roles) == set(PLACES)


def test_dask_worker_offers_what_it_may_use(compose: dict[str, Any]) -> None:
    """Memory offered, memory of Dask's own watch, and memory of the container are one number."""
    service = compose["services"]["dask-worker"]
    said = " ".join(service["command"])
    assert "MEM_GB=8 DISK_GB=50" in said
    assert "--memory-limit=8GB" in said
    assert service["mem_limit"] == "8g"
    assert "--preload=flows.worker_setup" in said


def test_secrets_are_made_once_and_for_one(tmp_path: Path) -> None:
    """Mode 600, the same password for server and clients, never shown, never replaced."""
    place = tmp_path / "deployments" / "docker"
    place.mkdir(parents=True)
    script = shutil.copy(ROOT / "deployments" / "docker" / "make-secrets.sh", place)
    first = subprocess.run(["sh", script], capture_output=True, text=True, check=True)
    password = (place / "secrets" / "postgres_password").read_text()
    line = (place / "secrets" / "pgpass").read_text()
    again = subprocess.run(["sh", script], capture_output=True, text=True, check=False)

    assert re.fullmatch(r"[0-9a-f]{48}", password)
    assert line == f"postgres:5432:*:hstflow:{password}\n"
    assert password not in first.stdout + first.stderr
    for name in ("postgres_password", "pgpass"):
        assert stat.S_IMODE((place / "secrets" / name).stat().st_mode) == 0o600
    assert again.returncode == 1
    assert (place / "secrets" / "postgres_password").read_text() == password
    assert "HSTFLOW_UID=" in (tmp_path / ".env").read_text()


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_start_what_is_there(unit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Programs of the environment, profiles that are delivered, our commands with our options."""
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(unit)
    if unit.suffix == ".timer":
        assert unit.with_suffix(".service").exists()
        return
    command = shlex.split(parser["Service"]["ExecStart"])
    assert parser["Service"]["User"] == "hstflow"
    assert "NoNewPrivileges" in parser["Service"]
    for file in re.findall(r"^EnvironmentFile=(/\S+)", unit.read_text(), re.MULTILINE):
        assert (PROFILES / Path(file).name).exists()
    if command[0].endswith("/hstflow"):
        words = [word for word in command[1:] if not word.startswith("-") and not word.isdigit()]
        assert run([*words, "--help"]) == 0
        said = capsys.readouterr().out
        assert all(word in said for word in command if word.startswith("--"))


def test_all_that_read_the_ledger_are_told_where_it_is(compose: dict[str, Any]) -> None:
    """Whoever has worker.env has the file beside it too: ledger, work folder, Prefect's password.

    A dashboard without it shows an empty ledger of its own, and says that it is well.
    """
    readers = [unit for unit in UNITS if "/worker.env" in unit.read_text()]
    assert "hstflow-dashboard.service" in {unit.name for unit in readers}
    for unit in readers:
        files = re.findall(r"^EnvironmentFile=(\S+)", unit.read_text(), re.MULTILINE)
        assert files[:2] == ["/etc/hstflow/worker.env", "-/etc/hstflow/worker.secret.env"]
    optional = {"path": "deployments/profiles/worker.secret.env", "required": False}
    for name, service in compose["services"].items():
        files = service.get("env_file", [])
        if "deployments/profiles/worker.env" in files:
            assert files[1] == optional, name


def test_image_needs_no_second_prefect_yaml(dockerfile: list[tuple[str, str]]) -> None:
    """The wheel has it where `hstflow deploy` looks; the build sees the file."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = settings["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"] == {NAME: f"deployments/{NAME}"}
    assert f"!{NAME}" in (ROOT / ".dockerignore").read_text().splitlines()
    assert not any(word == "COPY" and NAME in rest for word, rest in dockerfile)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_understands_each_unit(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say of ours; of a wrong word it has."""
    for unit in UNITS:
        text = re.sub(r"/opt/hstflow/bin/\w+", "/bin/true", unit.read_text())
        (tmp_path / unit.name.replace("@", "@1")).write_text(text)
    wrong = tmp_path / "hstflow-wrong.service"
    wrong.write_text("[Service]\nExecStart=/bin/true\nNoNewPriviledges=yes\n")
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, tmp_path.iterdir())],
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in done.stderr.splitlines() if "hstflow" in line]
    assert [line for line in said if "wrong" not in line] == []
    assert any("NoNewPriviledges" in line for line in said)
