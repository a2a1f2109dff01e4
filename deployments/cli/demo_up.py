"""The demo as a campaign of what is up: all of it is files, so that work can go on any time."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from calib.errors import GENERIC, Unavailable

if TYPE_CHECKING:
    from calib.simulate.programme import Programme
    from deployments.dashboard.prefect_api import PrefectServer

DEPLOYMENT = "campaign/campaign"

# The crds library and hstflow contact no server whose address has "serverless" in it.
_NO_SERVER = "https://hst-serverless.stsci.edu"


@dataclass(frozen=True)
class Submitted:
    """What was submitted, and where it is seen.

    Attributes
    ----------
    campaign, datasets
        Its name, and how many it has.
    broken, redelivered
        The dataset that is broken on purpose, and the INPUT_URI of a good copy.
    flow_run
        Number of the run in Prefect.
    page
        The dashboard of `hstflow up`, which lists the campaign when it begins; None: there is
        none on this host.
    """

    campaign: str
    datasets: int
    broken: str
    redelivered: str
    flow_run: str
    page: str | None


def ready_server(environ: Mapping[str, str]) -> PrefectServer:
    """Return the Prefect server of PREFECT_API_URL, or that of the `hstflow up` of this home.

    Raises
    ------
    ConfigError
        PREFECT_API_URL is no address of a server.
    Unavailable
        Nothing is up.
    """
    from deployments.dashboard.prefect_api import server_of
    from deployments.operation.place import home_of, variables_of_what_is_up

    found = {} if environ.get("PREFECT_API_URL") else variables_of_what_is_up(environ)
    server = server_of({**environ, **found})
    if server is None:
        raise Unavailable(
            "nothing is up to submit the demo to",
            path=home_of(environ),
            expected="`hstflow up` in another terminal, ready, with the same PREFECT_HOME",
            code=GENERIC,
        )
    return server


def submit(
    folder: Path, server: PrefectServer, campaign: str, environ: Mapping[str, str]
) -> Submitted:
    """Make the programme in a folder and have a server run it as a campaign.

    Raises
    ------
    ConfigError
        The folder has something else.
    NotFound, Unavailable
        The server does not have the deployments of hstflow, or does not answer.
    """
    from calib.simulate.programme import build_programme

    programme = build_programme(folder / "observatory")
    run = server.start(DEPLOYMENT, _parameters(folder, programme, campaign), str(uuid.uuid4()))
    return Submitted(
        campaign=campaign,
        datasets=len(programme.datasets),
        broken=programme.broken,
        redelivered=f"file:{programme.redelivered}",
        flow_run=run,
        page=_page(environ),
    )


def _parameters(folder: Path, programme: Programme, campaign: str) -> dict[str, object]:
    """Return the parameters of the flow, with the files that they name written."""
    names, profile = folder / "datasets.txt", folder / "crds.toml"
    names.write_text("\n".join(programme.datasets) + "\n", encoding="utf-8")
    # JSON's strings are TOML's.
    cache = json.dumps(str(programme.crds_path))
    profile.write_text(f'server_url = "{_NO_SERVER}"\ncache = {cache}\n', encoding="utf-8")
    return {
        "name": campaign,
        "manifest": str(names),
        "input_uri": f"file:{programme.raws}",
        "output_uri": f"file:{folder / 'products'}",
        "context": programme.contexts[1],
        "how": {"profile": str(profile)},
    }


def _page(environ: Mapping[str, str]) -> str | None:
    from deployments.operation.place import Place, home_of

    found = Place(home_of(environ)).standing()
    return found.pages.get("dashboard") if found else None
