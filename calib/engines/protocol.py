"""What an engine is: something that turns raw exposures into calibrated products.

Engines are found through the entry-point group ``hstflow.engines``; each entry names a class
that is made without arguments.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from calib.engines.astrometry import AstrometryMode
from calib.records import Member, Products, RawInputs, References
from calib.switches import Overrides


@dataclass(frozen=True)
class CalibrationRequest:
    """What to calibrate, with what, and where to.

    Attributes
    ----------
    dataset
        Exposure or association.
    inputs
        Raw files.
    references
        Reference files by exposure; an engine opens no others.
    output
        Folder for the products; made where it does not exist.
    overrides
        Switches and parameters set by the user.
    threads
        How many threads the engine may use. The products do not depend on it.
    environment
        Variables for the programs that the engine starts, beside those of this process.
    astrometry
        How a program that makes mosaics puts them on the sky.
    """

    dataset: str
    inputs: RawInputs
    references: References
    output: Path
    overrides: Overrides = field(default_factory=Overrides)
    threads: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    astrometry: AstrometryMode = "off"


def available_cpus() -> int:
    """Return how many CPUs this process may use: taskset and batch systems may allow fewer."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@runtime_checkable
class ForeseeingEngine(Protocol):
    """An engine that can say what it would make."""

    def product_names(self, request: CalibrationRequest) -> tuple[str, ...]:
        """Return the names of the products of a request; nothing is computed or written.

        Raises
        ------
        UnsupportedMode, DataError, ConfigError
            What `calibrate` would find wrong before it computes.
        """
        ...


@dataclass(frozen=True)
class Installation:
    """Whether an engine, or one of the programs that it starts, can be used here.

    Attributes
    ----------
    name
        Of the engine or program.
    purpose
        What it calibrates, for people: ``ACS HRC WFC SBC``.
    found
        Where it is; None where it is not.
    version
        As it says itself; empty where it is not here.
    advice
        How to get it; empty where it is here.
    """

    name: str
    purpose: str
    found: str | None
    version: str = ""
    advice: str = ""


@runtime_checkable
class ListedEngine(Protocol):
    """An engine that tells what it takes to run it, and what it calibrates.

    Attributes
    ----------
    kinds
        Kinds of datasets: ``ipst``, ``svm``, ``mvm``. Engines that do not tell make ipst.
    """

    kinds: frozenset[str]

    @property
    def instruments(self) -> frozenset[str]:
        """The instruments, lower case, that it calibrates here, with the programs on PATH."""
        ...

    def installations(self) -> tuple[Installation, ...]:
        """Return what it needs, whether here or not."""
        ...


@runtime_checkable
class ManyProgramEngine(Protocol):
    """An engine that starts another program for each instrument."""

    def narrowed(self, header: Mapping[str, Any]) -> Engine:
        """Return the engine for the exposures of one dataset: its version is their program's.

        Parameters
        ----------
        header
            Primary header of one of them; covered.
        """
        ...


@runtime_checkable
class ManyKindEngine(Protocol):
    """An engine that starts another program for each kind of dataset."""

    def of_kind(self, kind: str) -> Engine:
        """Return the engine of one of its kinds: what it covers, and its version, are of that."""
        ...


@runtime_checkable
class ProvenEngine(Protocol):
    """An engine that makes also what was not compared with the reference programs yet."""

    def unproven(self, header: Mapping[str, Any]) -> str | None:
        """Say why ``auto`` passes over an exposure that is covered; None where it does not."""
        ...


@runtime_checkable
class Engine(Protocol):
    """A calibration engine.

    Attributes
    ----------
    name
        As in ``--engine NAME`` and in CAL_VER.
    numbers_version
        Changes whenever an equal input gives other numbers: part of the fingerprint.
    """

    name: str
    numbers_version: str

    def covers(self, header: Mapping[str, Any]) -> str | None:
        """Say why an exposure is not covered with every product its switches ask for.

        Parameters
        ----------
        header
            Primary header.

        Returns
        -------
        str or None
            The reason; None where it is covered.
        """
        ...

    def required_references(
        self, header: Mapping[str, Any], members: Sequence[Member] = ()
    ) -> tuple[str, ...]:
        """Return the reference keywords that the PERFORM switches of a header open.

        Parameters
        ----------
        header
            Primary header.
        members
            Rows of the association that the exposure is calibrated in; none: it is alone,
            and files that only a combination opens are not needed.
        """
        ...

    def calibrate(self, request: CalibrationRequest) -> Products:
        """Make the products.

        Raises
        ------
        UnsupportedMode
            The exposure is not covered.
        MissingReference, ReferenceUnavailable
            A reference is not named or does not fit; is not in the cache.
        DataError
            The input cannot be calibrated.
        EngineError
            Anything else that went wrong. Nothing half-made is left.
        """
        ...
