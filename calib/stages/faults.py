"""Faults on purpose: how a campaign copes is tried out with the failures that it will meet.

``--simulate STAGE=KIND[:TIMES][@DATASET]`` and HSTFLOW_SIMULATE, the descendants of CALDP's
CALDP_SIMULATE_ERROR. A fault happens where the real one would: memory is really taken, a hang
really does not come back, a product is really cut short.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from calib.errors import ConfigError
from calib.ids import parse_dataset
from calib.stages.policy import STAGES

KINDS = {
    "memory": "memory up to the limit, or a MemoryError where there is none",
    "hang": "a call that does not come back",
    "network": "a service that does not answer",
    "disk-full": "a disk that fills up while the stage writes",
    "crash": "the end of the process, as by the kernel's out-of-memory killer",
    "corrupt-output": "a file that is cut short after the stage has finished",
}

# Stages whose files a later one reads.
_WITH_FILES = ("fetch", "calibrate", "preview")

# A fault that comes oftener than any retry table allows is one that never passes.
MOST_TIMES = 1_000

_FORM = re.compile(
    r"(?P<stage>[a-z-]+)=(?P<kind>[a-z-]+)(:(?P<times>\d+))?(@(?P<dataset>[^@]+))?\Z"
)


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes
    ----------
    stage, kind
        Where it happens, and what.
    times
        How often it happens to one dataset; then the stage passes.
    dataset
        The dataset that it happens to; None: every one.
    """

    stage: str
    kind: str
    times: int = 1
    dataset: str | None = None

    def __str__(self) -> str:
        who = "" if self.dataset is None else f"@{self.dataset}"
        return f"{self.stage}={self.kind}:{self.times}{who}"


def parse_fault(text: str) -> Fault:
    """Read ``STAGE=KIND[:TIMES][@DATASET]``.

    Raises
    ------
    ConfigError
        It has another form, there is no such stage or kind, the stage leaves no file that
        could be cut short, the number is not 1 to 1,000, or the dataset is no name.

    Examples
    --------
    >>> parse_fault("calibrate=memory:2")
    Fault(stage='calibrate', kind='memory', times=2, dataset=None)
    """
    found = _FORM.match(text.strip())
    if found is None:
        raise ConfigError("not a fault", expected="STAGE=KIND[:TIMES][@DATASET]", found=text)
    name = found["dataset"]
    fault = Fault(
        stage=found["stage"],
        kind=found["kind"],
        times=int(found["times"] or 1),
        dataset=None if name is None else parse_dataset(name).name,
    )
    _check(fault)
    return fault


def parse_faults(texts: Iterable[str]) -> tuple[Fault, ...]:
    """Read several; each text may hold more than one, joined by commas.

    Raises
    ------
    ConfigError
        As :func:`parse_fault`.
    """
    return tuple(parse_fault(each) for text in texts for each in text.split(",") if each.strip())


def _check(fault: Fault) -> None:
    _check_one_of("a stage", fault.stage, STAGES)
    _check_one_of("a kind of fault", fault.kind, tuple(KINDS))
    if fault.kind == "corrupt-output":
        _check_one_of("a stage that leaves files to another", fault.stage, _WITH_FILES)
    if not 1 <= fault.times <= MOST_TIMES:
        raise ConfigError(
            "a fault happens too often or never", expected=f"1 to {MOST_TIMES}", found=fault.times
        )


def _check_one_of(what: str, found: str, known: tuple[str, ...]) -> None:
    if found not in known:
        raise ConfigError(f"not {what}", expected=", ".join(known), found=found)
