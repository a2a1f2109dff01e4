"""Which files of a program's folder are products of a visit or skycell, and whether they do.

Names are those of CALDP's tables (caldp/process.py): of a visit ``hst_*j8ph01*``, of a skycell
``hst_skycell-p2381x06y09*``, and the list of them all, ``ID_manifest.txt``, which the program
writes itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from calib.engines.workplace import Workplace
from calib.ids import DatasetId

_EXTENSIONS = {"svm": (".fits", ".txt", ".ecsv"), "mvm": (".fits", ".txt")}

# A drizzled image, of calibrated images with (drc) or without (drz) correction of CTE.
_DRIZZLED = ("_drc.fits", "_drz.fits")

# Logs of products: a listed one that was not written takes nothing from the science.
_LOGS = "_trl.txt"


def manifest_name(dataset: DatasetId) -> str:
    """Return what the list of a dataset's products is called."""
    return f"{dataset.name}_manifest.txt"


def is_product(name: str, dataset: DatasetId) -> bool:
    """Tell whether a file is a product of a dataset by its name."""
    whose = f"*{dataset.visit_root}" if dataset.kind == "svm" else dataset.name
    return name.endswith(_EXTENSIONS[dataset.kind]) and fnmatchcase(name, f"hst_{whose}*")


def read_manifest(path: Path) -> tuple[str, ...]:
    """Return the names that a program lists, each once; empty where there is no list."""
    if not path.is_file():
        return ()
    text = path.read_text(encoding="utf-8", errors="replace")
    return tuple(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


def find_products(place: Workplace, dataset: DatasetId, program: str) -> tuple[list[Path], str]:
    """Find the products that a program left in its folder, and check them.

    Parameters
    ----------
    place, dataset
        Where, and of what.
    program
        For messages.

    Returns
    -------
    list of Path, str
        The products with their list; a note on listed logs that are not there.

    Raises
    ------
    EngineError
        There is no list, or no drizzled image; a listed product is not there; one does not
        open, is cut short or empty, or was there before.
    """
    listed = read_manifest(place.folder / manifest_name(dataset))
    made = {path.name: path for path in place.made()}
    lost = sorted({*listed} - {*made})
    if trouble := _trouble(dataset, listed, made, lost):
        raise place.distrust(program, trouble)
    wanted = [name for name in made if name in listed or is_product(name, dataset)]
    place.check([name for name in wanted if name.endswith(".fits")], program)
    for name in wanted:
        if made[name].stat().st_size == 0 and not name.endswith(_LOGS):
            raise place.distrust(program, f"{name} is empty")
    note = f"{program} lists logs that it did not write: {', '.join(lost)}" if lost else ""
    return [made[name] for name in (*wanted, manifest_name(dataset))], note


def _trouble(
    dataset: DatasetId, listed: Sequence[str], made: dict[str, Path], lost: Sequence[str]
) -> str | None:
    if manifest_name(dataset) not in made:
        return f"{manifest_name(dataset)} is not there"
    if gone := [name for name in lost if not name.endswith(_LOGS)]:
        return f"{', '.join(gone)}, which it lists, is not there"
    if not any(name.endswith(_DRIZZLED) for name in listed):
        return f"{manifest_name(dataset)} lists no drizzled image"
    return None
