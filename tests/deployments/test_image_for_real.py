"""What the image is built with, run without Docker: the wheel, its environment, any caller.

The base images, apt, the copy between stages, tini and the health check of the engine are not
run here: `make image-test` runs them where there is a Docker engine.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from real_image import ANYBODY, anybodys_python, as_anybody, dockerfile_environment

ROOT = Path(__file__).parents[2]
# The pip of these tests, which is newer than the one that a system's Python puts into its venv.
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
# What pip says where there is no index, or one that is out of reach.
NOT_TO_BE_HAD = ("No matching distribution", "Could not find a version", "Max retries", "timed out")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else"),
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="there is no setpriv"),
]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Build the wheel from what .dockerignore lets through, and install it as the image does."""
    folder = Path("/opt") / f"hstflow-image-{os.getpid()}"
    interpreter = anybodys_python()
    if interpreter is None:
        pytest.skip("the only Python here is in a folder that others cannot enter")
    source = tmp_path_factory.mktemp("source")
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            subprocess.run(["cp", "-r", str(ROOT / line[1:]), str(source)], check=True)
    wheels = source / "wheels"
    build = ("wheel", "--no-deps", "--wheel-dir", str(wheels), str(source))
    subprocess.run([*PIP, *build], check=True)
    wheel = next(wheels.glob("hstflow-*.whl"))
    try:
        subprocess.run([interpreter, "-m", "venv", "--without-pip", str(folder)], check=True)
        into = [*PIP, "--python", str(folder / "bin" / "python")]
        install(into, f"{wheel}[s3,postgres]")
        subprocess.run([*into, "check"], check=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def install(pip: Sequence[str], wheel: str) -> None:
    """Install a wheel with the pinned versions; skip where these cannot be had."""
    words = ("install", "-c", str(ROOT / "constraints.txt"), wheel)
    done = subprocess.run([*pip, *words], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    said = " / ".join(errors[-3:]) or done.stderr[-500:]
    if any(each in said for each in NOT_TO_BE_HAD):
        pytest.skip(f"the packages cannot be had: {said}")
    pytest.fail(f"pip ended with {done.returncode}: {said}")


def test_any_caller_calibrates(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A uid without a name, packages that it cannot write: the demo's folder is all its own."""
    places = as_anybody(installed, tmp_path_factory.mktemp("caller"))
    done = places.run("hstflow", "doctor", "--json")
    findings = {(each["part"], each["name"]): each for each in json.loads(done)}
    assert findings["package", "hstflow"]["state"] == "ok"
    assert [each for each in findings.values() if each["state"] == "bad"] == []

    said = json.loads(places.run("hstflow", "demo", "demo", "--json"))
    assert said
    products = list((places.data / "demo" / "archive").rglob("*_flt.fits"))
    assert products
    assert {path.stat().st_uid for path in products} == {ANYBODY}


def test_environment_of_the_image_is_read(installed: Path) -> None:
    """The variables that the tests above set are those of the Dockerfile."""
    found = dockerfile_environment(ROOT / "Dockerfile")
    assert shlex.split(found["PATH"])
    assert {"HOME", "XDG_CACHE_HOME", "CRDS_PATH", "USER"} <= set(found)
