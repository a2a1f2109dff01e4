"""`hstflow archive certify`: references of your own, valid for a range of dates."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape

from calib.errors import ConfigError
from calib.ledger.location import ledger_url
from deployments.cli.console import Flag, err, expand_names, out, print_json


@dataclass(frozen=True)
class CertifyFlags:
    """What else `hstflow archive certify` takes.

    Attributes
    ----------
    note
        A word about the collection.
    json
        Write JSON to stdout.
    """

    note: str | None = None
    json: Flag = False


def certify(
    collection: str,
    /,
    *files: Annotated[str, Parameter(required=True)],
    keyword: str | None = None,
    instrument: str | None = None,
    detector: str | None = None,
    begins: str | None = None,
    ends: str | None = None,
    flags: Annotated[CertifyFlags | None, Parameter(name="*")] = None,
) -> int:
    """Enter reference files of your own in a calibration collection, with dates.

    `hstflow process --calibrations COLLECTION` gives them to the exposures that start from
    BEGINS (included) to ENDS (excluded), instead of what CRDS assigns. In one collection no
    two references for a detector and keyword are valid at once. The file stays where it is:
    its checksum is kept, and a file that was changed since is refused in processing.

    Parameters
    ----------
    collection
        Name of the collection; made if it is new.
    files
        Reference files (FITS), or @FILE with one path a line.
    keyword
        Reference keyword, such as BIASFILE; by default the header's FILETYPE says it.
    instrument
        By default the header's INSTRUME.
    detector
        By default the header's DETECTOR; any detector where the header has none.
    begins
        First start of an exposure, UTC: 2004, 2004-06-01 or 2004-06-01T12:30:00. Open where
        not given.
    ends
        The same; an exposure that starts then is not included any more.
    """
    from calib.ledger.calibrations import Certification
    from calib.ledger.ledger import open_ledger
    from calib.ledger.validity import certify as enter
    from calib.repository.certification import Wanted, certification_of

    flags = flags or CertifyFlags()
    names = expand_names(files)
    if not names:
        raise ConfigError("no reference file was named", expected="FITS files, or @FILE")
    wanted = Wanted(keyword, instrument, detector, begins, ends)
    found: list[Certification] = []
    with err.status("") as status:
        for name in names:
            status.update(f"reading {escape(name)}")
            found.append(certification_of(name, wanted))
    with open_ledger(ledger_url(os.environ)) as ledger:
        new = ledger.write(lambda c: enter(c, collection, found, note=flags.note))
    if flags.json:
        certified = [asdict(each) for each in found]
        print_json({"collection": collection, "new": new, "references": certified})
        return 0
    for each in found:
        out.print(escape(str(each)), soft_wrap=True)
    out.print(f"{escape(collection)}: {new} new, {len(found) - new} known", soft_wrap=True)
    return 0


def decertify(
    collection: str,
    /,
    *,
    keyword: Annotated[str, Parameter(required=True)],
    instrument: str | None = None,
    detector: str | None = None,
    begins: str | None = None,
    ends: str | None = None,
    json: Flag = False,
) -> int:
    """Make references of a collection invalid for a range of dates; files are not touched.

    A range is cut, in two where the dates lie inside it. What was made with the references
    stays as it is.

    Parameters
    ----------
    collection
        Name of the collection.
    keyword
        Reference keyword, such as BIASFILE.
    instrument
        Only references of this instrument.
    detector
        Only references for this detector; `any`: those that are for any detector.
    begins
        From this date on (included), as in `hstflow archive certify`. Without BEGINS and ENDS
        the references are never valid any more.
    ends
        Until this date (excluded).
    json
        Write JSON to stdout.
    """
    from calib.ledger.calibrations import ANY
    from calib.ledger.ledger import open_ledger
    from calib.ledger.validity import decertify as cut

    wanted = "" if detector and detector.lower() == ANY else detector
    with open_ledger(ledger_url(os.environ)) as ledger:
        number = ledger.write(
            lambda c: cut(
                c,
                collection,
                keyword=keyword,
                instrument=instrument,
                detector=wanted,
                begins=begins,
                ends=ends,
            )
        )
    if json:
        print_json({"collection": collection, "changed": number})
        return 0
    text = f"{number} cut or removed" if number else "nothing to do: none is valid then"
    out.print(f"{escape(collection)}: {text}", soft_wrap=True)
    return 0
