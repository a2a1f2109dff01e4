"""The visit that fetching is tested with: what is taken of it, and its poller."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

from calib.records import Member, RawInputs

VISIT, SKYCELL = "wfc3_b46_06", "skycell-p2381x06y09"
TAKEN = ["ib4606c5q_flc.fits", "ib4606c6q_flc.fits", "ib4606clq_flt.fits"]
POLLER = """\
ib4606c5q_flc.fits,11665,B46,06,1.0,F555W,UVIS,ib4606c5q_flc.fits
ib4606c6q_flc.fits,11665,B46,06,1.0,F555W,UVIS,ib4606c6q_flc.fits
ib4606clq_flt.fits,11665,B46,06,602.9,F160W,IR,ib4606clq_flt.fits
"""


def names(inputs: RawInputs) -> list[str]:
    """Return the names of the images fetched."""
    return [file.name for file in inputs.images]


def check_complete(inputs: RawInputs) -> None:
    """See that this is the whole visit, with its poller."""
    (poller,) = inputs.of("poller")
    assert names(inputs) == TAKEN
    assert Path(poller.path).read_text() == POLLER
    assert (poller.name, poller.rootname) == (f"{VISIT}_input.out", VISIT)
    assert inputs.members == tuple(Member(n[:9], n[10:13].upper(), present=True) for n in TAKEN)
    assert [file.rootname for file in inputs.images] == [n[:9] for n in TAKEN]
    for file in inputs.files:
        content = Path(file.path).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (file.sha256, file.size)
    folder = Path(poller.path).parent
    assert sorted(path.name for path in folder.iterdir()) == [*TAKEN, poller.name]


def tar(folder: Path, target: Path, *, only: str = "*") -> Path:
    """Write an archive of a folder."""
    with tarfile.open(target, "w:gz") as archive:
        for path in sorted(folder.glob(only)):
            archive.add(path, f"{VISIT}/{path.name}")
    return target
