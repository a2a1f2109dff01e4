"""Switches that a user sets for programs: a slip would do nothing, and nobody would notice."""

from __future__ import annotations

from calib.engines.calcos_references import OPENINGS as COS
from calib.engines.product import switches_of
from calib.engines.protocol import CalibrationRequest
from calib.engines.switch_references import OPENINGS
from calib.errors import ConfigError
from calib.fitsfile import primary_header


def refuse_unknown_switches(request: CalibrationRequest) -> None:
    """Refuse switches that neither an exposure nor a program has.

    Raises
    ------
    ConfigError
        There are some.
    """
    found = {key for file in request.inputs.exposures for key in primary_header(file.path)}
    tables = (*OPENINGS.values(), COS)
    known = {name for table in tables for each in table for name in each.switches}
    if unknown := sorted(set(request.overrides.switches) - found - known):
        raise ConfigError(
            "no exposure has such a switch",
            dataset=request.dataset,
            expected=" ".join(sorted(switches_of(dict.fromkeys(found, "")))),
            found=" ".join(unknown),
        )
