"""`hstflow context verify`: the files of the cache, compared with size and sha1."""

from __future__ import annotations

from dataclasses import asdict

from rich.markup import escape

from calib.errors import BESTREFS, DONE
from calib.references.profile import CrdsProfile
from calib.references.verification import Verified, verify_cache
from deployments.cli.console import Flag, count_text, expand_names, out, print_json
from deployments.cli.context.places import profile_of
from deployments.cli.progress import following
from deployments.cli.tables import plain_table


def verify(
    *contexts: str,
    references: Flag = False,
    repair: Flag = False,
    profile: str | None = None,
    json: Flag = False,
) -> int:
    """Check rules and references of the cache against size and sha1.

    Rules are compared with the sha1 in their own header and in the catalogue that the cache got
    from its server, references with the catalogue. No server is asked, so that offline and
    read-only caches can be checked. Exit code 27 if anything is wrong, and stays wrong.

    Parameters
    ----------
    contexts
        Contexts whose rules must all be there, or @FILE; by default the rules that are there
        are checked.
    references
        Read the references, too: all that are in the cache.
    repair
        Bring again what is missing or damaged, and remove what killed downloads left.
    profile
        onsite, offsite, cloud, or a TOML file; by default as for `hstflow context show`.
    json
        Write JSON to stdout.
    """
    place = profile_of(profile)
    names = _checked(expand_names(contexts), place)
    with following("files") as progress:
        found = verify_cache(place, names, references=references, progress=progress)
    if repair and found.problems:
        from calib.references.verification import repair as mend

        found = mend(place, found, names)
    if json:
        print_json({"profile": place.name, "cache": str(place.cache), **asdict(found)})
    else:
        _print(place, found, references=references)
    return BESTREFS if any(not each.is_repaired for each in found.problems) else DONE


def _checked(names: list[str], profile: CrdsProfile) -> list[str]:
    from calib.references.context import resolve_context

    return [resolve_context(name, profile) for name in names]


def _print(profile: CrdsProfile, found: Verified, *, references: bool) -> None:
    if found.problems:
        table = plain_table("file", "problem", "what", "now", whole=("file", "problem"))
        for each in found.problems:
            now = "[green]repaired[/green]" if each.is_repaired else "[red]wrong[/red]"
            table.add_row(each.name, each.kind, escape(each.text), now)
        out.print(table)
    read = (
        count_text(found.rules, "file")
        + " of rules"
        + (f", {count_text(found.references, 'reference')}" if references else "")
    )
    wrong = (
        count_text(len(found.problems), "problem") if found.problems else "all as they should be"
    )
    out.print(f"{escape(str(profile.cache))}: {read} read, {wrong}", soft_wrap=True)
    if found.unknown:
        text = f"{count_text(len(found.unknown), 'file')} the catalogue of the cache does not know"
        out.print(f"{text}, so only their own sha1 counts", soft_wrap=True)
