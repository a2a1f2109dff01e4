"""Play a page: its blocks are one script, in one folder, as a reader types them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Seconds; pytest ends the whole run after 300.
LIMIT = 290.0
SHOWN = 5000  # characters of what was said, where it went wrong


def script_of(page: str) -> str:
    """Return all blocks of a page as one shell script, in order."""
    lines = ["set -eu"]
    for language, code in BLOCK.findall(page):
        lines.append(code if language == "sh" else f"python - <<'END'\n{code}END\n")
    return "\n".join(lines)


def play(
    page: Path,
    folder: Path,
    variables: Mapping[str, str] | None = None,
    choose: Callable[[str], str] = str,
) -> subprocess.CompletedProcess[str]:
    """Run all blocks of a page in a folder; what they left running is ended.

    Parameters
    ----------
    page
        Where the page is.
    folder
        Where it is played.
    variables
        What the reader has set.
    choose
        Returns the part of the page that is played.
    """
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parents[1]),
        **(variables or {}),
    }
    script = script_of(choose(page.read_text(encoding="utf-8")))
    with subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        try:
            out, err = child.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGTERM)
            out, err = child.communicate()
        finally:
            _end(child.pid)
    assert child.returncode == 0, out[-SHOWN:] + err[-SHOWN:]
    return subprocess.CompletedProcess(child.args, child.returncode, out, err)


def _end(group: int) -> None:
    try:
        os.killpg(group, signal.SIGTERM)
    except ProcessLookupError:
        return  # the page has ended all that it started
