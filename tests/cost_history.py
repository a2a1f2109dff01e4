"""A made history of what datasets did cost, by a law that the tests know."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from calib.campaigns.formula import formula_of
from calib.cost_model import Example, Features

GB = 10**9
RUNGS = (2 * GB, 8 * GB, 16 * GB, 64 * GB)
WFC_MB, HRC_MB = 34.4, 2.2

Truth = Callable[[float, Features], float]


def frame(
    files: int = 1, megabytes: float = WFC_MB, *, drizzle: bool = False, instr: int = 0
) -> Features:
    """Return the features of exposures of one size."""
    return Features(
        n_files=files,
        total_mb=files * megabytes,
        drizcorr=int(drizzle),
        pctecorr=0,
        crsplit=1 if files == 1 else 2,
        subarray=0,
        detector=int(megabytes > 10),
        dtype=int(files > 1),
        instr=instr,
    )


def three_times(formula: float, features: Features) -> float:
    """Return the cost by a known law: three times the formula, half more with DRIZCORR."""
    return 3 * formula * 1.5**features.drizcorr


def made_history(
    number: int, truth: Truth = three_times, *, kind: str = "acs", scatter: float = 0.05
) -> list[Example]:
    """Return examples of memory and of calibration, always the same ones."""
    chance = random.Random(number)
    found = []
    for each in range(number):
        features = frame(
            chance.choice([1, 1, 2, 4]),
            chance.choice([WFC_MB, HRC_MB]) * chance.uniform(0.9, 1.1),
            drizzle=chance.random() < 0.5,
        )
        costs = {
            target: truth(formula_of(target, features, kind), features)
            * math.exp(chance.gauss(0, scatter))
            for target in ("memory", "calibrate")
        }
        found.append(Example(f"j{each:07d}q", kind, features, costs))
    return found
