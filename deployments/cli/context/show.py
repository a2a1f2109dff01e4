"""`hstflow context show`: server, cache, contexts, and the one that is used."""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from cyclopts import Parameter, validators
from rich.markup import escape

from calib.errors import HstflowError
from calib.references.profile import CrdsProfile
from deployments.cli.console import Flag, count_text, err, out, print_json
from deployments.cli.context.places import Heard, ask, profile_of
from deployments.cli.tables import plain_table, time_text

REASONS = {
    "profile": "the profile says so",
    "pin": "it is pinned (hstflow context pin)",
    "fallback": "the Prefect Variable hstflow_context says so",
    "operational": "it is the operational one",
}


def show(
    *,
    profile: str | None = None,
    number: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 10,
    cached: Flag = False,
    json: Flag = False,
) -> int:
    """Show the server, the cache, the contexts in it, and which one is used and why.

    What is used where no --context is given, first that is set: CRDS_CONTEXT, the context of the
    profile's file, the pin, the Prefect Variable hstflow_context (flows and `process`, where
    PREFECT_API_URL is set), the operational context.

    Parameters
    ----------
    profile
        onsite, offsite, cloud, or a TOML file; by default HSTFLOW_PROFILE, else what CRDS_PATH
        and CRDS_SERVER_URL say, else offsite.
    number
        How many contexts of the cache to list, newest first.
    cached
        Do not ask the server.
    json
        Write JSON to stdout.
    """
    place = profile_of(profile)
    heard = ask(place, server=not cached)
    found = {
        **_place(place),
        "server": server_of(place, heard),
        "cache": _cache(place),
        "contexts": _contexts(place, heard, number),
        "used": used_context(place, heard),
    }
    if json:
        print_json(found)
    else:
        _print(found)
    return 0


def _place(profile: CrdsProfile) -> dict[str, Any]:
    return {
        "profile": profile.name,
        "rules_uri": profile.rules_uri,
        "references_uri": profile.references_uri,
    }


def server_of(profile: CrdsProfile, heard: Heard) -> dict[str, Any]:
    """Return what is told of the server or bucket."""
    return {
        "address": heard.source,
        "offline": heard.source is None,
        "answers": heard.is_now if heard.is_now or heard.error else None,
        "seconds": heard.seconds,
        "error": heard.error,
        "operational_context": heard.info.get("operational_context") if heard.is_now else None,
        "bad_files": len(heard.info.get("bad_files_list", ())),
        "url": profile.server_url,
    }


def _cache(profile: CrdsProfile) -> dict[str, Any]:
    from calib.references.library import reference_layout
    from calib.references.server_config import cached_info

    file = profile.server_config
    synced = datetime.fromtimestamp(file.stat().st_mtime, UTC) if file.is_file() else None
    return {
        "path": str(profile.cache),
        "exists": profile.cache.is_dir(),
        "readonly": profile.readonly or not os.access(profile.cache, os.W_OK)
        if profile.cache.is_dir()
        else profile.readonly,
        "layout": reference_layout(profile),
        "operational_context": cached_info(profile).get("operational_context"),
        "synced_at": synced.isoformat(timespec="seconds") if synced else None,
    }


def _contexts(profile: CrdsProfile, heard: Heard, number: int) -> dict[str, Any]:
    from calib.references.context import list_contexts
    from calib.references.rules import rules_of

    names = list_contexts(profile)
    listed = []
    for name in reversed(names[-number:]):
        rules = rules_of(profile, name)
        absent = len(rules.missing) + len(rules.unreadable)
        row = {"context": name, "complete": rules.complete, "rules": len(rules.present)}
        operational = heard.info.get("operational_context") == name
        listed.append({**row, "missing": absent, "operational": operational})
    return {"number": len(names), "listed": listed}


def used_context(profile: CrdsProfile, heard: Heard) -> dict[str, Any]:
    """Return which context is used where none is named, and why; or why none can be."""
    from calib.references.pins import pinned

    pin = pinned(profile)
    found: dict[str, Any] = {
        "context": None,
        "why": None,
        "profile_context": profile.context,
        "crds_context": os.environ.get("CRDS_CONTEXT"),
        "pin": asdict(pin) if pin else None,
        "variable": _variable(),
    }
    try:
        return {**found, **_standing(profile, heard, found["variable"])}
    except HstflowError as error:
        return {**found, "error": str(error)}


def reason_of(used: dict[str, Any]) -> str:
    """Return in words why a context is the one that is used."""
    if used["why"] == "profile" and used["crds_context"]:
        return "CRDS_CONTEXT says so"
    return REASONS[used["why"]]


def _standing(profile: CrdsProfile, heard: Heard, variable: str | None) -> dict[str, Any]:
    """Say what is used, believing what was just heard of the operational context."""
    from calib.references.context import (
        OPERATIONAL_NAMES,
        Standing,
        check_context,
        pinned_context,
        standing_context,
    )
    from calib.references.rules import rules_of

    wanted = pinned_context(profile) or variable
    operational = heard.info.get("operational_context")
    if wanted in {None, *OPERATIONAL_NAMES} and isinstance(operational, str):
        chosen = Standing(check_context(operational, profile), "operational")
    else:
        chosen = standing_context(profile, fallback=variable)
    return {**asdict(chosen), "complete": rules_of(profile, chosen.context).complete}


def _variable() -> str | None:
    if not os.environ.get("PREFECT_API_URL"):
        return None
    from flows.pins import context_variable

    return context_variable()


def _print(found: dict[str, Any]) -> None:
    for name, text in _lines(found):
        out.print(f"{name:12}{text}", soft_wrap=True)
    _print_contexts(found["contexts"])
    used = found["used"]
    if used.get("error"):
        err.print(f"no context can be used: {escape(used['error'])}", soft_wrap=True)
        return
    why = reason_of(used)
    advice = "" if used["complete"] else "; its rules are not all here: hstflow context sync"
    out.print(f"{'used':12}[bold]{used['context']}[/bold]: {why}{advice}", soft_wrap=True)


def _lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    cache, used = found["cache"], found["used"]
    marks = [f"layout {cache['layout']}"] + (["read-only"] if cache["readonly"] else [])
    marks += [] if cache["exists"] else ["does not exist yet"]
    lines = [
        ("profile", escape(found["profile"])),
        ("server", _server_text(found["server"])),
        ("cache", f"{escape(cache['path'])} ({', '.join(marks)})"),
        ("synced", time_text(cache["synced_at"]) or "never"),
    ]
    if cache["operational_context"]:
        lines.append(("of then", f"{cache['operational_context']} was operational"))
    if used["pin"]:
        lines.append(("pin", f"{used['pin']['context']} since {time_text(used['pin']['since'])}"))
    return lines


def _server_text(server: dict[str, Any]) -> str:
    if server["offline"]:
        return f"none ({escape(server['url'])} is never asked)"
    address = escape(server["address"])
    if server["answers"] is None:
        return f"{address} (not asked)"
    if not server["answers"]:
        return f"{address}: [red]no answer[/red] ({escape(server['error'])})"
    return (
        f"{address}: {server['operational_context']} is operational "
        f"(answered in {server['seconds']:.2f} s)"
    )


def _print_contexts(contexts: dict[str, Any]) -> None:
    out.print(f"{'contexts':12}{count_text(contexts['number'], 'context')} in the cache")
    if not contexts["listed"]:
        return
    table = plain_table("context", "rules", "complete", "", right=("rules",))
    for row in contexts["listed"]:
        whole = "yes" if row["complete"] else f"[yellow]no, {row['missing']} missing[/yellow]"
        mark = "operational" if row["operational"] else ""
        table.add_row(row["context"], str(row["rules"]), whole, mark)
    out.print(table)
