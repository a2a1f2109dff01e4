"""`hstflow fetch`: the raw inputs of one dataset, copied and verified."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from calib.errors import DONE
from deployments.cli.console import Flag, out, print_json

if TYPE_CHECKING:
    from calib.records import RawInputs


def fetch(
    dataset: str,
    uri: str = "file:.",
    destination: Path = Path(),
    /,
    *,
    json: Flag = False,
) -> int:
    """Copy the input files of a dataset into DESTINATION/DATASET and verify them.

    Every file must be whole, agree with its checksums and be what its name says. An
    association comes with all its exposures, an exposure comes alone. Files that are there
    already are never overwritten.

    A visit (acs_8ph_01) comes as its calibrated exposures, the FLC of each or else its FLT, with
    the poller acs_8ph_01_input.out for runsinglehap: yours where one lies beside the files, else
    made from their headers. A skycell needs a poller, beside its files or in the place that
    astroquery:PATH names; with archive: it is made of what it was made of before.

    Exit code 21 if something is missing or damaged, 22 from
    MAST, 26 from S3.

    Parameters
    ----------
    dataset
        Exposure or association, such as j8bt05njq or j8bt05020; visit such as acs_8ph_01;
        skycell such as skycell-p2381x06y09.
    uri
        file:FOLDER with FITS files or DATASET.tar.gz; file:ARCHIVE, a tar file itself;
        astroquery: for MAST, astroquery:FOLDER or astroquery:s3://BUCKET/PREFIX with the place
        of your pollers; s3://BUCKET/PREFIX; archive: for what the ledger knows, or
        archive:NAME with a run, chain or tag.
    destination
        Folder in which the folder of the dataset is made.
    json
        Print JSON.
    """
    from calib.fetch import fetch_inputs, options_from
    from calib.ids import parse_dataset
    from calib.ledger.location import ledger_url
    from calib.repository.inputs import look_up

    name = parse_dataset(dataset)
    folder = Path(str(destination).removeprefix("file:"))
    inputs = fetch_inputs(
        name,
        uri,
        folder / name.name,
        options=options_from(os.environ),
        registered=look_up(name, uri, ledger_url(os.environ)),
    )
    if json:
        import dataclasses

        print_json(dataclasses.asdict(inputs))
    else:
        _show(inputs)
    return DONE


def _show(inputs: RawInputs) -> None:
    width = max(len(file.name) for file in inputs.files)
    for file in inputs.files:
        out.print(
            f"{file.name:{width}}  {file.size:>13,} bytes  sha256 {file.sha256[:16]}",
            soft_wrap=True,
        )
    folder = Path(inputs.files[0].path).parent
    exposures = f"{len(inputs.exposures or inputs.images)} exposure file(s)"
    out.print(f"{inputs.dataset}: {exposures} verified, in {folder}", soft_wrap=True)
