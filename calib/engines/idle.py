"""What there is to do for exposures in which no switch is PERFORM: nothing.

Acquisition exposures are such: STIS ACQ and ACQ/PEAK have all switches at OMIT. The programs
end with 0 and no product there (calacs.e, calwf3.e, cs0.e: internal status 116), calcos with 5.
The same comes out here, whether the programs are installed or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from calib.engines.protocol import CalibrationRequest
from calib.engines.switch_references import is_wavecal
from calib.records import Member, Products
from calib.switches import Switch, is_switch, read_switch

REASON = "no switch is PERFORM"

# Switches of ACS, WFC3 and STIS that start nothing by themselves: they say how another step is
# done, or ask for the next program (DRIZCORR).
_HSTCAL = frozenset({"ACS", "WFC3", "STIS"})
_HOW = frozenset(
    {
        *("DRIZCORR", "EXPSCORR", "BACKCORR", "CTECORR", "DISPCORR", "DOPPCORR", "FLUXCORR"),
        *("HELCORR", "SGEOCORR", "SC2DCORR"),
    }
)


class IdleEngine:
    """Stands in for the engine of exposures that nobody calibrates."""

    name = "idle"
    numbers_version = "1"

    def covers(self, header: Mapping[str, Any]) -> str | None:
        """Say why there is something to do; None where there is not."""
        return None if is_idle(header) else "a calibration switch is PERFORM"

    def required_references(
        self,
        header: Mapping[str, Any],  # noqa: ARG002 - as the protocol has it
        members: Sequence[Member] = (),  # noqa: ARG002
    ) -> tuple[str, ...]:
        """Return no keyword: nothing is opened."""
        return ()

    def product_names(self, request: CalibrationRequest) -> tuple[str, ...]:  # noqa: ARG002
        """Return no name: nothing is made."""
        return ()

    def calibrate(self, request: CalibrationRequest) -> Products:
        """Return that there is nothing to do, with what kind of exposure it is."""
        return Products(
            files=(),
            engine=self.name,
            engine_version=self.numbers_version,
            ending="nothing to do",
            reason="; ".join(f"{file.name}: {REASON}" for file in request.inputs.calibrated),
        )


def is_idle(header: Mapping[str, Any]) -> bool:
    """Tell whether a header has calibration switches, and none of them starts anything.

    A wavelength calibration of STIS does not count: cs0.e takes it as the image asks for it.
    Of COS any switch counts: which of them start calcos, its engine knows.

    Raises
    ------
    DataError
        A switch has a word that none has.
    """
    if is_wavecal(header):
        return False
    switches = [keyword for keyword in header if is_switch(keyword)]
    idle = _HOW if str(header.get("INSTRUME") or "").strip().upper() in _HSTCAL else frozenset()
    return bool(switches) and all(
        read_switch(header, keyword) is not Switch.PERFORM or keyword in idle
        for keyword in switches
    )
