"""An observing programme to try a campaign on: four targets, ten datasets, one of them broken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from calib.fitsfile import BLOCK, opened, write_atomically
from calib.simulate.context import CONTEXTS
from calib.simulate.detector import FULL_FRAME, MIDDLE_FRAME
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

# The exposure of visit 04 reached the archive with flipped bits.
BROKEN = f"j{PROGRAM}04aaq"

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


def build_programme(folder: Path, *, seed: int = 1, small: bool = True) -> Programme:
    """Make raws, references and contexts of a programme, or return the one that is there.

    Four targets (a globular cluster, a nebula, a spiral, a group of galaxies), seven single
    exposures in three filters, a CR-split pair, a repeated pair and a dithered pair. One of
    the single exposures is damaged.

    Parameters
    ----------
    folder
        Where to put ``raw/`` and ``crds/``. A programme built there before is used again if
        it was built with the same arguments.
    seed
        Equal seeds give the same bytes.
    small
        A chip of 512 x 512 pixels instead of 1024 x 1024.

    Raises
    ------
    ConfigError
        The folder has something else. Nothing in it is touched.
    """
    asked = {"programme": PROGRAM, "seed": seed, "small": small}
    geometry = MIDDLE_FRAME if small else FULL_FRAME
    plan = Plan.of(geometry, seed, plan_single(seed), plan_programme_visits(seed))
    if not is_built(folder, asked):
        build(folder, plan, asked, damage=lambda raws: flip_bits(raws / f"{BROKEN}_raw.fits"))
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


def plan_programme_visits(seed: int) -> list[Visit]:
    """Return the CR-split of the nebula, the repeated spiral and the dithered group."""
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
    ]


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
