"""An installation as the image has it, called by somebody whom the system does not know."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

ANYBODY = 12345  # no such user here


@dataclass(frozen=True)
class Caller:
    """Who calls, and from where.

    Attributes
    ----------
    environment
        All variables of the call: those of the Dockerfile.
    data
        The current folder, its own.
    """

    environment: dict[str, str]
    data: Path

    def run(self, *command: str, code: int = 0) -> str:
        """Run a command as the caller, and return its stdout."""
        user = ("setpriv", f"--reuid={ANYBODY}", f"--regid={ANYBODY}", "--clear-groups")
        done = subprocess.run(
            [*user, *command],
            cwd=self.data,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != code:
            message = f"{command} ended with {done.returncode}: {done.stderr[-3000:]}"
            raise AssertionError(message)
        return done.stdout


def anybodys_python() -> str | None:
    """Return a Python 3.11 or later that others than root may run; None: there is none."""
    test = "import ensurepip, sys; sys.exit(sys.version_info < (3, 11))"
    for name in ("python3.11", "python3", "python3.12", "python3.13"):
        for folder in ("/usr/local/bin", "/usr/bin"):
            command = ["setpriv", f"--reuid={ANYBODY}", "--clear-groups", f"{folder}/{name}"]
            done = subprocess.run([*command, "-c", test], capture_output=True, check=False)
            if done.returncode == 0:
                return f"{folder}/{name}"
    return None


def dockerfile_environment(path: Path) -> dict[str, str]:
    """Return the variables of the last stage."""
    text = re.sub(r"\\\n\s*", " ", path.read_text())
    words = re.findall(r"^ENV (.*)$", text, re.MULTILINE)[-1]
    return dict(pair.split("=", 1) for pair in shlex.split(words))


def as_anybody(installed: Path, folder: Path) -> Caller:
    """Return a caller in folders as the image has them: home and cache that all may write to."""
    root = Path(__file__).parents[1]
    found = dockerfile_environment(root / "Dockerfile")
    for parent in (folder, *folder.parents):
        if parent.stat().st_mode & 0o005 != 0o005:
            parent.chmod(0o755)
    for name in ("home", "cache", "data"):
        (folder / name).mkdir(mode=0o777)
        (folder / name).chmod(0o1777)
    moved = {
        "PATH": found["PATH"].replace("/opt/hstflow/bin", str(installed / "bin")),
        "HOME": str(folder / "home"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "CRDS_PATH": str(folder / "cache" / "crds"),
    }
    return Caller({**found, **moved}, folder / "data")
