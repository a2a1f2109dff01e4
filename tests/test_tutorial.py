"""The tutorial and the tour of the archive, run as a reader would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.prefect

PAGES = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def script_of(page: str) -> str:
    """Return all blocks of a page as one shell script, in order."""
    lines = ["set -eu"]
    for language, code in BLOCK.findall(page):
        lines.append(code if language == "sh" else f"python - <<'END'\n{code}END\n")
    return "\n".join(lines)


def play(page: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run all blocks of a page in a folder."""
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["bash", "-c", script_of(page.read_text())],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


def test_every_block_of_the_tutorial_and_of_the_tour_runs(tmp_path: Path, own_home: Path) -> None:
    """Commands and Python run one after the other, and show what the pages promise.

    The tour of the archive goes on where the tutorial ends. Among other things it makes every
    product of the demo again, and compares it bit for bit.
    """
    done = play(PAGES / "tutorial.md", tmp_path)

    assert done.stderr.strip() == ""
    for promised in ("broken on purpose", "nothing to do", "no-dark", "hstflow native", "50.0"):
        assert promised in done.stdout

    toured = play(PAGES / "archive.md", tmp_path).stdout

    assert toured.count(" reproduced  exact: ") == 1 + 15
    for promised in (
        "all is well",
        "2 to run",
        "chain best begins with second; first has left it",
        "2 versions removed",
        "25 files",
        "jsky02aaq  skipped  nothing to do",
        "jsky02abq  processed  published",
        "synced",
        "CCDData electron True",
        "['patched', 'raws']",
        "publications new, 0 known",
    ):
        assert promised in toured, promised
