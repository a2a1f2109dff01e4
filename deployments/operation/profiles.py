"""The settings in deployments/profiles: what a standing server and its clients are set to.

`hstflow up` has no settings of its own: what systemd and a shell read, it reads too.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Literal

Profile = Literal["server", "worker"]


def read_profile(name: Profile) -> dict[str, str]:
    """Return the variables of a profile, as systemd's EnvironmentFile= reads them."""
    path = files("deployments").joinpath("profiles", f"{name}.env")
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {key: value for key, _, value in pairs}
