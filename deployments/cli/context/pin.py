"""`hstflow context pin`: one context until another is pinned, whatever the server says."""

from __future__ import annotations

import os
from typing import Any

from rich.markup import escape

from calib.errors import ContextError
from calib.references.profile import CrdsProfile
from deployments.cli.console import Flag, err, out, print_json
from deployments.cli.context.places import profile_of


def pin(
    context: str,
    /,
    *,
    profile: str | None = None,
    variable: Flag = False,
    json: Flag = False,
) -> int:
    """Use one context where no --context is given, until it is pinned to another.

    The pin is yours, on this host, and holds for one profile. CRDS_CONTEXT and the context of a
    profile's file win over it. With --variable the context is set for an installation instead:
    as the Variable hstflow_context of the Prefect server, which a pin of your own wins over.
    Campaigns keep the context that they were submitted with.

    Parameters
    ----------
    context
        Such as hst_0729.pmap; hst-operational: the one that is operational now; none: no pin.
    profile
        onsite, offsite, cloud, or a TOML file; by default as for `hstflow context show`.
    variable
        Set the Variable of the Prefect server.
    json
        Write JSON to stdout.
    """
    place = profile_of(profile)
    name = None if context == "none" else _existing(context, place)
    found: dict[str, Any] = {"profile": place.name, "context": name, "variable": variable}
    found["before"] = _set_variable(name) if variable else _set_pin(place, name)
    if json:
        print_json(found)
    else:
        _print(found, place)
    return 0


def _existing(context: str, profile: CrdsProfile) -> str:
    """Return the name of a context that the cache or its source has.

    Raises
    ------
    ContextError
        There is none.
    """
    from calib.references.context import resolve_context
    from calib.references.origins import origin_of
    from calib.references.server_config import catalogue

    name = resolve_context(context, profile)
    if (profile.mappings / name).is_file():
        return name
    known = catalogue(origin_of(profile).info())
    if known and name not in known:
        raise ContextError("neither the cache nor the server has this context", found=name)
    err.print(f"{name} is not in the cache yet: hstflow context sync {name}")
    return name


def _set_pin(profile: CrdsProfile, name: str | None) -> str | None:
    from calib.references.pins import pin as set_pin

    before = set_pin(profile, name)
    if profile.context:
        where = "CRDS_CONTEXT" if os.environ.get("CRDS_CONTEXT") else "the profile's file"
        err.print(f"{where} says {escape(profile.context)}, which wins over a pin")
    return None if before is None else before.context


def _set_variable(name: str | None) -> str | None:
    from flows.pins import context_variable, set_context_variable

    before = context_variable()
    set_context_variable(name)
    return before


def _print(found: dict[str, Any], profile: CrdsProfile) -> None:
    where = "the Prefect server" if found["variable"] else f"profile {escape(profile.name)}"
    before = f" (before: {found['before']})" if found["before"] else ""
    text = f"pinned to {found['context']}" if found["context"] else "no longer pinned"
    out.print(f"{where}: {text}{before}", soft_wrap=True)
