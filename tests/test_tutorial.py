"""The tutorial, run as a reader would run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.prefect

PAGE = Path(__file__).parents[1] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def script_of(page: str) -> str:
    """Return all blocks of a page as one shell script, in order."""
    lines = ["set -eu"]
    for language, code in BLOCK.findall(page):
        lines.append(code if language == "sh" else f"python - <<'END'\n{code}END\n")
    return "\n".join(lines)


def test_every_block_of_the_tutorial_runs(tmp_path: Path, own_home: Path) -> None:
    """Commands and Python run one after the other, and show what the page promises."""
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["bash", "-c", script_of(PAGE.read_text())],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stderr.strip() == ""
    for promised in ("broken on purpose", "nothing to do", "no-dark", "hstflow native", "50.0"):
        assert promised in done.stdout
