"""An observing programme to try a campaign on: all three cameras of ACS, one dataset broken."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from calib.fitsfile import BLOCK, opened, write_atomically
from calib.simulate.context import CONTEXTS
from calib.simulate.detector import FULL_FRAME, MIDDLE_FRAME, SBC
from calib.simulate.observatory import Observatory, Plan, build, is_built
from calib.simulate.pointing import FIRST_START, Pointing, Visit, letter_of

PROGRAM = "sky"

# Visit, target, filters of its single exposures, seconds of each.
_SINGLE = (
    ("01", "SIM-CLUSTER", ("F606W", "F555W", "F330W"), 120.0),
    ("02", "SIM-SPIRAL", ("F606W", "F330W"), 180.0),
    ("03", "SIM-GROUP", ("F606W",), 240.0),
    ("04", "SIM-NEBULA", ("F555W",), 180.0),
)

# With post-flash, from the time after SM4, and from before; one quadrant of chip 1 alone.
_SINCE_SM4 = datetime(2017, 9, 4, 3, 0)  # noqa: DTZ001 - HST headers are UT, unmarked
_BEFORE_SM4 = datetime(2006, 10, 15, 8, 0)  # noqa: DTZ001 - as above; gain 2 was usual by then
_FAR_UV = datetime(2013, 10, 9, 21, 0)  # noqa: DTZ001 - as above

# The exposure of visit 04 reached the archive with flipped bits.
BROKEN = f"j{PROGRAM}04aaq"

# Folder beside the raws with a good copy of it.
REDELIVERED = "redelivered"

# A few bytes in the middle of the pixels.
_FLIPPED = 64


@dataclass(frozen=True)
class Programme(Observatory):
    """An observatory that has carried out a programme.

    Attributes
    ----------
    broken
        The dataset whose raw file is damaged: its pixels contradict its CHECKSUM.
    """

    broken: str = BROKEN

    @property
    def redelivered(self) -> Path:
        """Folder with a good copy of the damaged file."""
        return self.raws.with_name(REDELIVERED)


def build_programme(folder: Path, *, seed: int = 1, small: bool = True) -> Programme:
    """Make raws, references and contexts of a programme, or return the one that is there.

    HRC: four targets (a globular cluster, a nebula, a spiral, a group of galaxies), seven single
    exposures in three filters, a CR-split pair, a repeated pair and a dithered pair. One of
    the single exposures is damaged. WFC: a frame since SM4 with post-flash, one from before, a
    quadrant, and a CR-split of three. SBC: an aurora in two filters.

    Parameters
    ----------
    folder
        Where to put ``raw/``, ``crds/``, and ``redelivered/`` with a good copy of the damaged
        file. A programme built there before is used again if it was built with the same
        arguments.
    seed
        Equal seeds give the same bytes.
    small
        Chips of half the size: 512 x 512 pixels of HRC and SBC, twice 768 x 384 of the WFC.

    Raises
    ------
    ConfigError
        The folder has something else. Nothing in it is touched.
    """
    asked = {"programme": PROGRAM, "seed": seed, "small": small}
    geometry = MIDDLE_FRAME if small else FULL_FRAME
    single = [*plan_single(seed), *plan_wfc(seed), *plan_sbc(seed)]
    plan = Plan.of(geometry, seed, single, plan_programme_visits(seed))
    if not is_built(folder, asked):
        build(folder, plan, asked, damage=_break)
    return Programme(folder / "raw", folder / "crds", plan.datasets, CONTEXTS, plan.associations)


def plan_single(seed: int) -> list[Pointing]:
    """Return the single exposures; those of the first visit precede the later dark."""
    return [
        Pointing(
            rootname=f"j{PROGRAM}{visit}a{letter_of(number)}q",
            filter=name,
            start=FIRST_START + timedelta(days=int(visit) - 2, minutes=30 * number),
            seconds=seconds,
            field=seed,
            seed=seed * 100003 + int(visit) * 100 + number,
            target=target,
        )
        for visit, target, filters, seconds in _SINGLE
        for number, name in enumerate(filters)
    ]


def plan_wfc(seed: int) -> list[Pointing]:
    """Return the WFC's single exposures: with post-flash, from before SM4, and a quadrant."""
    common: dict[str, Any] = {"field": seed, "camera": "WFC"}
    return [
        Pointing(
            **common,
            rootname=f"j{PROGRAM}08aaq",
            filter="F606W",
            start=_SINCE_SM4,
            seconds=500.0,
            seed=seed * 100003 + 800,
            target="SIM-SPIRAL",
            flash=1.2,
            offset=(0, -120),  # away from the gap between the chips
        ),
        Pointing(
            **common,
            rootname=f"j{PROGRAM}09aaq",
            filter="F814W",
            start=_BEFORE_SM4,
            seconds=600.0,
            seed=seed * 100003 + 900,
            target="SIM-GROUP",
        ),
        Pointing(
            **common,
            rootname=f"j{PROGRAM}10aaq",
            filter="F606W",
            start=_SINCE_SM4 + timedelta(hours=2),
            seconds=90.0,
            seed=seed * 100003 + 1000,
            target="SIM-CLUSTER",
            quadrant="B",
        ),
    ]


def plan_sbc(seed: int) -> list[Pointing]:
    """Return the SBC's exposures of the aurora."""
    return [
        Pointing(
            rootname=f"j{PROGRAM}12a{letter_of(number)}q",
            filter=name,
            start=_FAR_UV + timedelta(minutes=30 * number),
            seconds=1200.0,
            field=seed,
            seed=seed * 100003 + 1200 + number,
            target="SIM-AURORA",
            camera="SBC",
        )
        for number, name in enumerate(SBC.filters)
    ]


def plan_programme_visits(seed: int) -> list[Visit]:
    """Return the HRC's CR-split, repeats and dither, and the WFC's CR-split."""
    first = FIRST_START + timedelta(days=4)
    return [
        Visit(PROGRAM, "05", "CR", "F606W", 600.0, first, seed, "SIM-NEBULA"),
        Visit(PROGRAM, "06", "RP", "F555W", 500.0, first + timedelta(hours=3), seed, "SIM-SPIRAL"),
        Visit(
            PROGRAM,
            "07",
            "DTH",
            "F606W",
            240.0,
            first + timedelta(hours=6),
            seed,
            target="SIM-GROUP",
            points=2,
        ),
        Visit(
            PROGRAM,
            "11",
            "CR",
            "F606W",
            400.0,
            _SINCE_SM4 + timedelta(hours=4),
            seed,
            target="SIM-NEBULA",
            repeats=3,
            camera="WFC",
        ),
    ]


def _break(raws: Path) -> None:
    """Damage the raw of one dataset; a good copy lies beside, as if it were delivered again."""
    name = f"{BROKEN}_raw.fits"
    again = raws.with_name(REDELIVERED)
    again.mkdir()
    shutil.copy2(raws / name, again / name)
    flip_bits(raws / name)


def flip_bits(path: Path) -> None:
    """Damage a raw as a failing disk does: right length and headers, wrong pixels.

    The file gets checksums first, so that the damage can be found.
    """
    with opened(path) as hdus:
        for hdu in hdus:
            hdu.add_checksum(when="before the damage")
        write_atomically(hdus, path)
    with opened(path) as hdus:
        info = hdus["SCI"].fileinfo()
        start = info["datLoc"] + info["datSpan"] // BLOCK // 2 * BLOCK
    content = bytearray(path.read_bytes())
    content[start : start + _FLIPPED] = bytes(255 - byte for byte in content[start:][:_FLIPPED])
    path.write_bytes(content)
