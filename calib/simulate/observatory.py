"""Everything that processing needs, made in one call: raws, references, contexts."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from calib.errors import ConfigError
from calib.references.profile import CrdsProfile
from calib.simulate.context import CONTEXTS, SERVER, build_context, offline_profile
from calib.simulate.detector import FULL_FRAME, SMALL_FRAME, Detector
from calib.simulate.hrc import plan_pointings, write_raw

# Kept in the folder: what the observatory was built with.
RECORD = "observatory.json"


@dataclass(frozen=True)
class Observatory:
    """A synthetic observatory on disk.

    Attributes
    ----------
    raws
        Folder of the raw exposures.
    crds_path
        The CRDS cache: rules, references, configuration.
    datasets
        Names of the exposures.
    contexts
        The older context (operational) and the newer one, which has one dark more.
    """

    raws: Path
    crds_path: Path
    datasets: tuple[str, ...]
    contexts: tuple[str, str]

    @property
    def profile(self) -> CrdsProfile:
        """The CRDS profile of this observatory."""
        return offline_profile(self.crds_path)

    @property
    def environ(self) -> dict[str, str]:
        """The same as environment variables."""
        return {"CRDS_PATH": str(self.crds_path), "CRDS_SERVER_URL": SERVER}


def build_observatory(
    folder: Path, *, exposures: int = 1, seed: int = 1, small: bool = False
) -> Observatory:
    """Make an observatory in a folder, or return the one that is there.

    Parameters
    ----------
    folder
        Where to put ``raw/`` and ``crds/``. An observatory built there before is used again
        if it was built with the same arguments.
    exposures
        Number of exposures, four to a visit. Every fourth was taken before the later dark
        came into use, so the newer context changes nothing for it.
    seed
        Equal seeds give the same bytes.
    small
        A chip of 128 x 128 pixels instead of 1024 x 1024: less than 1 MB instead of 36.

    Raises
    ------
    ConfigError
        The folder has an observatory built with other arguments, or something else. Nothing
        in it is touched.
    """
    asked = {"exposures": exposures, "seed": seed, "small": small}
    pointings = plan_pointings(exposures, seed)
    names = tuple(pointing.rootname for pointing in pointings)
    built = Observatory(folder / "raw", folder / "crds", names, CONTEXTS)
    if _is_there(folder, asked):
        return built
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    (part / "raw").mkdir(parents=True)
    build_context(part / "crds", seed=seed, small=small)
    detector = Detector(SMALL_FRAME if small else FULL_FRAME, seed)
    for pointing in pointings:
        write_raw(part / "raw", pointing, detector)
    (part / RECORD).write_text(json.dumps(asked) + "\n")
    part.replace(folder)
    return built


def _is_there(folder: Path, asked: dict[str, int]) -> bool:
    """Say whether this very observatory is there; a folder with anything else is an error."""
    record = folder / RECORD
    if record.is_file():
        found = record.read_text()
        if json.loads(found) == asked:
            return True
        message = "an observatory built with other arguments is in this folder"
        raise ConfigError(message, path=folder, expected=json.dumps(asked), found=found.strip())
    if folder.exists() and any(folder.iterdir()):
        message = "a simulated observatory needs a new folder"
        raise ConfigError(message, path=folder, expected="an empty folder")
    return False
