"""Everything that processing needs, made in one call: raws, references, contexts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calib.association import Association
from calib.errors import ConfigError
from calib.references.profile import CrdsProfile
from calib.simulate.context import CONTEXTS, SERVER, build_cache, offline_profile
from calib.simulate.detector import FULL_FRAME, SMALL_FRAME, Geometry, make_detectors
from calib.simulate.pointing import Pointing, Visit, plan_pointings, plan_visits
from calib.simulate.raws import write_association, write_raw

# Kept in the folder: what the observatory was built with.
RECORD = "observatory.json"


@dataclass(frozen=True)
class Observatory:
    """A synthetic observatory on disk.

    Attributes
    ----------
    raws
        Folder of the raw exposures and association tables.
    crds_path
        The CRDS cache: rules, references, configuration.
    datasets
        Names of what can be processed: single exposures, then associations.
    contexts
        The older context (operational) and the newer one, which has one dark more.
    associations
        Names of the exposures of each association.
    """

    raws: Path
    crds_path: Path
    datasets: tuple[str, ...]
    contexts: tuple[str, str]
    associations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def profile(self) -> CrdsProfile:
        """The CRDS profile of this observatory."""
        return offline_profile(self.crds_path)

    @property
    def environ(self) -> dict[str, str]:
        """The same as environment variables."""
        return {"CRDS_PATH": str(self.crds_path), "CRDS_SERVER_URL": SERVER}


@dataclass(frozen=True)
class Plan:
    """What to build: cameras, single exposures and associations of more.

    Attributes
    ----------
    geometry
        Size of the HRC, which the others follow.
    seed
        Of the cameras.
    pointings
        All exposures, those of associations too.
    tables
        The associations.
    """

    geometry: Geometry
    seed: int
    pointings: Sequence[Pointing]
    tables: Sequence[Association] = ()

    @classmethod
    def of(
        cls, geometry: Geometry, seed: int, single: Sequence[Pointing], visits: Sequence[Visit]
    ) -> Plan:
        """Return the plan of single exposures and of visits that make associations."""
        members = [pointing for visit in visits for pointing in visit.pointings(seed)]
        return cls(geometry, seed, [*single, *members], [visit.association for visit in visits])

    @property
    def associations(self) -> dict[str, tuple[str, ...]]:
        """Names of the exposures of each association."""
        return {table.name: table.required for table in self.tables}

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras in use; the HRC is always there."""
        return tuple(dict.fromkeys(("HRC", *(p.camera for p in self.pointings))))

    @property
    def datasets(self) -> tuple[str, ...]:
        """Single exposures, then associations."""
        single = [p.rootname for p in self.pointings if p.membership is None]
        return (*single, *self.associations)


def build_observatory(
    folder: Path,
    *,
    exposures: int = 1,
    seed: int = 1,
    small: bool = False,
    associations: bool = False,
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
    associations
        Four associations besides, with their tables: ``jsia01010`` (CR-split), ``jsia02010``
        (repeated), ``jsia03010`` (dithered), ``jsia04010`` (CR-split at two positions).

    Raises
    ------
    ConfigError
        The folder has an observatory built with other arguments, or something else. Nothing
        in it is touched.
    """
    asked = {"exposures": exposures, "seed": seed, "small": small}
    if associations:
        asked["associations"] = True
    geometry = SMALL_FRAME if small else FULL_FRAME
    visits = plan_visits(seed) if associations else []
    plan = Plan.of(geometry, seed, plan_pointings(exposures, seed), visits)
    if not is_built(folder, asked):
        build(folder, plan, asked)
    return Observatory(folder / "raw", folder / "crds", plan.datasets, CONTEXTS, plan.associations)


def build(
    folder: Path,
    plan: Plan,
    asked: Mapping[str, Any],
    *,
    damage: Callable[[Path], None] | None = None,
) -> None:
    """Write raws, association tables and a CRDS cache; all or nothing appears in the folder.

    Parameters
    ----------
    folder
        Where to; new or empty.
    plan
        What to.
    asked
        The arguments of the caller, for :func:`is_built`.
    damage
        What happens to the folder of raws afterwards.
    """
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    (part / "raw").mkdir(parents=True)
    detectors = make_detectors(plan.geometry, plan.seed, plan.cameras)
    build_cache(part / "crds", detectors)
    camera_of = {p.membership.association: p.camera for p in plan.pointings if p.membership}
    for pointing in plan.pointings:
        write_raw(part / "raw", pointing, detectors[pointing.camera])
    for table in plan.tables:
        write_association(part / "raw", table, camera_of[table.name])
    if damage:
        damage(part / "raw")
    (part / RECORD).write_text(json.dumps(asked) + "\n")
    part.replace(folder)


def is_built(folder: Path, asked: Mapping[str, Any]) -> bool:
    """Say whether this very observatory is there.

    Raises
    ------
    ConfigError
        The folder has one built with other arguments, or something else.
    """
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
