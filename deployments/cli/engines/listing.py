"""`hstflow engines list`: what calibrates which detector here, and how to get what is absent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.markup import escape

from deployments.cli.console import Flag, out, print_json
from deployments.cli.tables import print_rows

if TYPE_CHECKING:
    from calib.engines.coverage import DetectorEntry, EngineEntry


def list_engines(*, json: Flag = False) -> int:
    """List the engines, and what calibrates each detector.

    Programs are looked for on PATH; those that are here are asked for their versions. The
    exit code is 0 whatever is absent: what a dataset needs is said when it is calibrated.

    Parameters
    ----------
    json
        Write JSON to stdout.
    """
    from calib.engines.coverage import find_engines, list_detectors, list_installations

    found = find_engines()
    engines, detectors = list_installations(found), list_detectors(found)
    if json:
        shown = [asdict(each) | {"is_ready": each.is_ready} for each in detectors]
        print_json({"engines": [asdict(each) for each in engines], "detectors": shown})
    else:
        _print(engines, detectors)
    return 0


def _print(engines: Sequence[EngineEntry], detectors: Sequence[DetectorEntry]) -> None:
    columns = ("engine", "kinds", "needs", "for", "version", "found")
    rows = [
        (
            each.engine,
            " ".join(each.kinds),
            each.program,
            each.purpose,
            each.version or ("" if each.found else "absent"),
            each.found or "see below",
        )
        for each in engines
    ]
    print_rows(out, columns, rows, spare=(columns[1], columns[3]), whole=columns[:3])
    out.print()
    print_rows(
        out, ("calibrates", "native", "or program", "which is"), list(map(detector_row, detectors))
    )
    absent = sorted({each.advice for each in detectors if each.found is None})
    for advice in absent:
        names = dict.fromkeys(each.program for each in detectors if each.advice == advice)
        out.print(escape(f"to get {', '.join(names)}: {advice}"), style="dim", soft_wrap=True)


def detector_row(each: DetectorEntry) -> tuple[str, str, str, str]:
    """Return what calibrates one detector as texts of a table."""
    where = f"{each.version} {each.found}" if each.found else "absent"
    return each.what, each.native, each.program, where
