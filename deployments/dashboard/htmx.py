"""htmx, which lets a page look again without a flicker: one file, which need not be there.

It is not part of the sources: ``make htmx`` brings the pinned release by npm and checks it, and a
package that is built after that has it. Without it pages are loaded anew every ten seconds.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from functools import cache
from pathlib import Path

from calib.errors import HstflowError, Unavailable

VERSION = "2.0.11"
SHA256 = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"  # dist/htmx.min.js

FILE = Path(__file__).parent / "static" / "htmx.min.js"


@cache
def has_htmx() -> bool:
    """Tell whether the file is there, and is the one that we know."""
    try:
        return hashlib.sha256(FILE.read_bytes()).hexdigest() == SHA256
    except FileNotFoundError:
        return False


def bring_htmx(target: Path = FILE) -> None:
    """Bring the pinned release by npm, and put it where the dashboard looks for it.

    Raises
    ------
    Unavailable
        npm is not there or cannot bring it, or what it brought is another file.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("there is no npm to bring htmx with", expected="npm on PATH", code=1)
    with tempfile.TemporaryDirectory() as folder:
        command = [
            npm,
            "pack",
            f"htmx.org@{VERSION}",
            "--loglevel=error",
            "--pack-destination",
            folder,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        packs = [*Path(folder).glob("*.tgz")]
        if done.returncode or not packs:
            raise Unavailable(f"npm cannot bring htmx: {done.stderr.strip()[-300:]}", code=1)
        content = _content(packs[0])
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise Unavailable("npm brought another htmx", expected=SHA256, found=found, code=1)
    part = target.with_suffix(".part")
    part.write_bytes(content)
    part.replace(target)


def _content(pack: Path) -> bytes:
    with tarfile.open(pack) as opened:
        member = opened.extractfile("package/dist/htmx.min.js")
        return b"" if member is None else member.read()


if __name__ == "__main__":
    try:
        bring_htmx()
    except HstflowError as error:
        sys.exit(str(error))
