"""Stage 2, drizzling, for the exposures that ask for it: what is planned, and how it is done.

``runastrodriz`` (drizzlepac) combines the calibrated exposures of ACS and WFC3 on an undistorted
grid. It also writes the world coordinates that it used into the calibrated exposures, so those
that are published are the ones that it has left.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from calib.engines.astrometry import AstrometryMode, astrometry_of
from calib.engines.program import RUNASTRODRIZ, find_program, version_of
from calib.engines.protocol import CalibrationRequest, Engine
from calib.errors import STAGE2, ConfigError
from calib.records import Products
from calib.switches import Overrides, Switch, read_switch

log = logging.getLogger(__name__)

Stage2Policy = Literal["auto", "always", "never"]
POLICIES: tuple[Stage2Policy, ...] = get_args(Stage2Policy)

# The switch of stage 2 in raw headers (ACS Data Handbook 3.4, WFC3 Data Handbook 3.3).
SWITCH = "DRIZCORR"

# Parameter of a dataset that says how its images were aligned; it is there once they are drizzled.
ASTROMETRY = "stage2.astrometry"

# How people are told that there is no program for it.
NOT_INSTALLED = "not installed"

# Whose exposures runastrodriz drizzles, of those that we calibrate.
INSTRUMENTS = frozenset({"acs", "wfc3"})


@dataclass(frozen=True)
class Stage2Plan:
    """What becomes of a dataset after its exposures are calibrated.

    Attributes
    ----------
    wanted
        Whether it is to be drizzled.
    version
        Of drizzlepac; empty where it is not installed.
    is_must
        Whether the dataset fails where that is so.
    astrometry
        How the images are aligned; ``auto`` is resolved where it runs.
    gives_way
        Whether that was left to us: then they are drizzled without alignment rather than not.
    note
        What a person should know about it.
    """

    wanted: bool = False
    version: str = ""
    is_must: bool = False
    astrometry: AstrometryMode = "auto"
    gives_way: bool = False
    note: str = ""

    @property
    def runs(self) -> bool:
        """Whether it is wanted and can be done."""
        return self.wanted and bool(self.version)

    @property
    def record(self) -> dict[str, Any]:
        """What decides the result; empty where nothing is drizzled.

        A result without stage 2 is the same whatever the reason; one that must have it is
        another even before the program is found missing.
        """
        if not self.runs and not (self.wanted and self.is_must):
            return {}
        return {"program": self.program, "astrometry": self.astrometry}

    @property
    def program(self) -> str:
        """The program and its version; "not installed" and how to get it where it is not."""
        return (
            f"drizzlepac {self.version}"
            if self.version
            else f"{NOT_INSTALLED}: {RUNASTRODRIZ.advice}"
        )

    @property
    def said(self) -> str:
        """What to tell people; empty where nobody asks for stage 2."""
        return self.program if self.wanted else ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know before, as a forecast says it."""
        return (f"stage 2: {self.program}",) if self.wanted and not self.version else ()

    @property
    def sought(self) -> tuple[Stage2Plan, ...]:
        """Plans whose results will do where they are published already, the best first.

        What was aligned is not made again without alignment on a night without network.
        """
        if self.runs and self.gives_way and self.astrometry == "off":
            return dataclasses.replace(self, astrometry="full"), self
        return (self,)

    def check(self) -> None:
        """Refuse, before any work, what must be drizzled and cannot be.

        Raises
        ------
        ConfigError
            Stage 2 must be done, and the program is not on PATH (exit code 24).
        """
        if self.wanted and self.is_must and not self.version:
            raise absent_program()


def absent_program() -> ConfigError:
    """Return the error that stage 2 must be done and cannot be."""
    return ConfigError(
        "stage 2 must be done (--stage2 always), and its program is not on PATH: "
        f"{RUNASTRODRIZ.advice}",
        found=f"no {RUNASTRODRIZ.name}",
        code=STAGE2,
    )


def plan_stage2(
    policy: Stage2Policy,
    astrometry: AstrometryMode,
    headers: Sequence[Mapping[str, Any]],
    overrides: Overrides | None = None,
    environ: Mapping[str, str] | None = None,
) -> Stage2Plan:
    """Find out whether a dataset is drizzled, and how; no program is started.

    Parameters
    ----------
    policy
        ``auto``: where the header says DRIZCORR=PERFORM and the program is here; ``always``:
        whatever the header says, and without the program that is an error; ``never``.
    astrometry
        How images are aligned; with ``auto`` a service is asked whether it is there.
    headers
        Primary headers of the exposures; the first counts, as for runastrodriz.
    overrides
        Switches set by the user.
    environ
        Where the address of that service is looked up.
    """
    if policy == "never" or not headers:
        return Stage2Plan()
    header = (overrides or Overrides()).apply(headers[0])
    if str(header.get("INSTRUME", "")).strip().lower() not in INSTRUMENTS:
        return Stage2Plan()
    is_must = policy == "always"
    if not is_must and read_switch(header, SWITCH) is not Switch.PERFORM:
        return Stage2Plan()
    version = version_of(RUNASTRODRIZ) if find_program(RUNASTRODRIZ) else ""
    plan = Stage2Plan(wanted=True, version=version, is_must=is_must, astrometry=astrometry)
    if not version:
        return plan
    settings, note = astrometry_of(astrometry, environ or {})
    gives_way = astrometry == "auto"
    return dataclasses.replace(plan, astrometry=settings.name, gives_way=gives_way, note=note)


def calibrate_and_drizzle(
    engine: Engine, request: CalibrationRequest, plan: Stage2Plan
) -> Products:
    """Calibrate, then drizzle where that is planned.

    Where drizzling fails nothing is left of the calibration either.

    Raises
    ------
    ConfigError
        Stage 2 must be done and cannot be.
    UnsupportedMode, MissingReference, DataError, EngineError, OutOfMemory, TimedOut
        As the engine and :func:`calib.engines.stage2_run.drizzle` say.
    EngineError
        A drizzled image of this name exists already: nothing is calibrated then.
    """
    plan.check()
    if not plan.runs:
        return _noted(engine.calibrate(request), plan)
    from calib.engines.stage2_run import check_names, drizzle

    check_names(request)
    products = engine.calibrate(request)
    if products.ending is not None:
        return products
    with ExitStack() as undoing:
        undoing.callback(_remove, products)
        done = drizzle(request, products, plan)
        undoing.pop_all()
        return done


def _noted(products: Products, plan: Stage2Plan) -> Products:
    """Say of what is calibrated that it is not drizzled, where it was to be."""
    if products.ending is not None or not plan.wanted:
        return products
    notes = (*products.notes, *plan.notes)
    return dataclasses.replace(products, notes=notes, stage2=plan.said)


def _remove(products: Products) -> None:
    for file in (*(each.path for each in products.files), products.log, *products.logs):
        if file is not None:
            with suppress(OSError):
                Path(file).unlink()
