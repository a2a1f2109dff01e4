"""What a dataset costs where nothing was measured yet: a written formula of sizes.

The coefficients of ACS are those of the native engine (``benchmarks/calibrate.py`` and the table
in docs/numbers.md), rounded up; those of other programs have their reason beside them. They aim
at the right rung and at the right order of seconds: history corrects them.
"""

from __future__ import annotations

from dataclasses import dataclass

from calib.campaigns.features import MB
from calib.cost_model import Features

STAGES = ("fetch", "bestrefs", "calibrate", "preview", "archive", "state-message")
TARGETS = ("memory", "disk", *STAGES)

# A worker with all imports that has calibrated a small exposure holds 310 MB (measured), and the
# engine of its flows some more.
BASE = 350.0 * MB

# Bytes of memory for each byte of a raw exposure, above the imports: a full frame of the WFC takes
# 249 MB for 34 MB, a 2K subarray 60 for 8.5, an exposure of the HRC 23 for 2.2.
OF_EXPOSURE = 7.5
# Decoded references that a process keeps: 760 MB for full frames, 18 for the SBC; never more than
# the limit of calib.instruments.reference_memory.
OF_REFERENCES = 22.0
MOST_REFERENCES = float(1 << 30)
# To combine, all exposures are held: beside kept references two frames of 34 MB take 264 MB more
# than one.
OF_COMBINATION = 8.0
# Programs of others, which run after or instead of the native engine, not on top of it: their CTE
# correction of a full frame takes 405 MB for ACS and 709 for WFC3 (calacs 10.5.0, calwf3 3.7.3,
# measured). Drizzling is not measured: science, weight and context images beside each input.
OF_PCTECORR = 22.0
OF_DRIZCORR = 16.0
# calcos turns events of 2 + 2 + 4 + 2 bytes into columns of 32 and 64 bits.
OF_EVENTS = 12.0
# A visit is drizzled onto common images: calcloud gave all visits its rung of 8 GB.
VISIT = 1_500.0 * MB
# A skycell is 21418 x 21418 pixels: science, weight and context of 32 bits each.
SKYCELL = 3 * 4 * 21418.0**2

# Inputs of visits and skycells are calibrated: 32 + 32 + 16 bits for each raw pixel of 16, by which
# the bytes of memory above are counted.
CALIBRATED_OF_RAW = 5.0
# Disk for each of their bytes: CALDP's visit acs_8ph_01 makes ten products of 336 MB from six
# exposures of 168 MB, which lie there three times (fetched, brought, named anew).
OF_HAP_INPUTS = 7.0

# Products of 32 + 32 + 16 bits for each raw pixel of 16, the raw files, previews.
OF_PRODUCTS = 7.0
OF_DRIZZLED = 12.0
LEAST_DISK = 20.0 * MB

ACS, COS = 0, 1


@dataclass(frozen=True)
class Seconds:
    """Seconds of a stage: at least so many, and more for each MB of inputs."""

    seconds: float
    of_mb: float


# Measured on two virtual cores with files on a local disk, rounded up; fetch as by a download of
# 5 MB/s.
SECONDS = {
    "fetch": Seconds(1.0, 0.2),
    "bestrefs": Seconds(1.0, 0.01),
    "calibrate": Seconds(0.5, 0.05),
    "preview": Seconds(0.5, 0.02),
    "archive": Seconds(0.5, 0.05),
    "state-message": Seconds(0.1, 0.0),
}
# The CTE correction of a full frame takes minutes (measured: 70 s with a table of 40 levels, real
# ones have hundreds). Events are slow by their number; a guess.
PCTECORR_OF_MB = 10.0
EVENTS_OF_MB = 2.0
# calcloud's default clock for what it has no model for is 20 minutes; a minute for each calibrated
# frame of 168 MB to be drizzled.
HAP_SECONDS = 1200.0
HAP_OF_MB = 0.4


def formula_of(target: str, features: Features, kind: str) -> float:
    """Return what a dataset costs without history: bytes or seconds, always positive.

    Parameters
    ----------
    target
        One of :data:`TARGETS`.
    features
        What it looks like.
    kind
        Its class: ``acs``, ``wfc3``, ``cos``, ``stis``, ``svm`` or ``mvm``.
    """
    if target == "memory":
        return _memory(features, kind)
    if target == "disk":
        return _disk(features, kind)
    return _seconds(target, features, kind)


def _memory(features: Features, kind: str) -> float:
    total = features.total_mb * MB
    if kind in {"svm", "mvm"}:
        total /= CALIBRATED_OF_RAW
    frame = total / max(1, features.n_files)
    if kind == "mvm":
        return BASE + SKYCELL + OF_EXPOSURE * frame
    if kind == "svm":
        return BASE + VISIT + OF_EXPOSURE * frame + OF_COMBINATION * (total - frame)
    if features.instr == COS:
        return BASE + OF_EVENTS * frame
    combining = OF_COMBINATION * (total - frame) if _combines(features) else 0.0
    references = min(MOST_REFERENCES, OF_REFERENCES * frame) if features.instr == ACS else 0.0
    calibrating = OF_EXPOSURE * frame + references + combining
    correcting = features.pctecorr * (OF_PCTECORR * frame + combining)
    return BASE + max(calibrating, correcting, features.drizcorr * OF_DRIZCORR * frame)


def _disk(features: Features, kind: str) -> float:
    total = features.total_mb * MB
    if kind == "mvm":
        return LEAST_DISK + 2 * SKYCELL + OF_HAP_INPUTS * total
    if kind == "svm":
        return LEAST_DISK + OF_HAP_INPUTS * total
    of_total = OF_PRODUCTS * (2 if _combines(features) else 1)
    return LEAST_DISK + (of_total + (OF_DRIZZLED if features.drizcorr else 0.0)) * total


def _seconds(stage: str, features: Features, kind: str) -> float:
    law = SECONDS[stage]
    of_mb = law.of_mb
    if stage != "calibrate":
        return law.seconds + of_mb * features.total_mb
    if kind in {"svm", "mvm"}:
        return HAP_SECONDS + HAP_OF_MB * features.total_mb
    of_mb += PCTECORR_OF_MB * features.pctecorr + EVENTS_OF_MB * (features.instr == COS)
    return law.seconds + of_mb * features.total_mb


def _combines(features: Features) -> bool:
    return bool(features.n_files > 1 and (features.dtype or features.crsplit > 1))
