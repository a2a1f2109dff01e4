"""A made-up spectrum of COS for the pages: ``python tests/pictured_spectrum.py FILE``.

Two segments of G130M as calcos lays them out: a continuum, two narrow absorption lines of the
space between the stars, a broad emission line, airglow, noise, and a stretch that is flagged.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from spectra import row, table, write_x1d

POINTS = 16384  # along the dispersion (COS Data Handbook, chapter 1)
STEP = 0.00997  # Angstroms, G130M (COS Instrument Handbook, chapter 5)
FIRST = {"FUVA": 1301.0, "FUVB": 1147.0}  # Angstroms, about the setting 1309
LEVEL = 1e-14  # erg/s/cm**2/Angstrom
NOISE = 0.1  # of the continuum in a point
SEED = 1

# Wavelength in Angstroms, depth or height in units of the continuum, width (sigma) in Angstroms.
LINES = (
    (1215.67, 8.0, 0.8),  # Lyman alpha of the atmosphere
    (1260.42, -1.0, 0.3),  # Si II on the way
    (1334.53, -1.0, 0.3),  # C II on the way
    (1400.0, 1.5, 8.0),  # of the quasar
)
FLAGGED = slice(11000, 11120)  # a stretch of pixels
POOR = 4  # a flag that SDQFLAGS names


def segment(name: str, noise: np.random.Generator) -> dict[str, object]:
    """Return the row of a segment."""
    wavelengths = FIRST[name] + STEP * np.arange(POINTS)
    shape = np.ones(POINTS)
    for centre, height, width in LINES:
        shape += height * np.exp(-0.5 * ((wavelengths - centre) / width) ** 2)
    error = NOISE * np.sqrt(np.abs(shape) + 0.05)
    flux = shape + noise.normal(0, 1, POINTS) * error
    flags = np.zeros(POINTS, int)
    flags[FLAGGED] = POOR
    flux[FLAGGED] *= 0.4
    return row(wavelengths, flux * LEVEL, ERROR=error * LEVEL, DQ=flags, SEGMENT=name)


def main(path: Path) -> None:
    """Write the spectrum to a file that does not exist yet."""
    noise = np.random.default_rng(SEED)
    hdu = table([segment(name, noise) for name in FIRST], SDQFLAGS=POOR)
    write_x1d(
        path,
        hdu,
        instrument="COS",
        TARGNAME="SIMULATED-QUASAR",
        DETECTOR="FUV",
        OPT_ELEM="G130M",
        CENWAVE=1309,
        APERTURE="PSA",
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
