"""`hstflow reference list`: the references that a context names."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from calib.errors import ConfigError
from deployments.cli.console import Flag, Several, count_text, expand_names, out, print_json
from deployments.cli.reference.places import context_of, profile_of
from deployments.cli.tables import print_rows


def list_references(
    context: str | None = None,
    /,
    *,
    instrument: Several = None,
    keyword: Annotated[Several, Parameter(alias="--type")] = None,
    missing: Flag = False,
    profile: str | None = None,
    json: Flag = False,
) -> int:
    """List the references that a context names, and whether the cache has them.

    Parameters
    ----------
    context
        By default the operational context.
    instrument
        Only this instrument: names, commas or @FILE; may be repeated.
    keyword
        Only this type, such as DARKFILE: names, commas or @FILE; may be repeated.
    missing
        Only those that the cache has not.
    profile
        onsite, offsite, cloud, or a TOML file, as in `hstflow bestrefs`.
    json
        Write JSON to stdout.
    """
    from calib.references.delivery.listing import list_context

    place = profile_of(profile)
    name = context_of(context, place)
    chosen = {
        "instruments": expand_names(instrument or ()),
        "keywords": expand_names(keyword or ()),
    }
    found = list_context(place, name, **chosen)
    if not found and any(chosen.values()):
        words = ", ".join(word for words in chosen.values() for word in words)
        raise ConfigError(f"{name} names no reference of this kind", found=words)
    shown = [each for each in found if not (missing and each.present)]
    if json:
        print_json({"context": name, "references": [asdict(each) for each in shown]})
        return 0
    if shown:
        rows = [
            (each.instrument, each.keyword, each.name, "yes" if each.present else "no")
            for each in shown
        ]
        print_rows(out, ("instrument", "type", "reference", "here"), rows)
    absent = sum(not each.present for each in found)
    number = count_text(len(found), "reference")
    out.print(f"{name}: {number}, {absent:,} not in the cache", soft_wrap=True)
    return 0
