"""A cache for a moment: a context's rules beside new ones, and the real cache stays as it is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from calib.errors import ContextError
from calib.references import library
from calib.references.profile import CrdsProfile


@contextmanager
def staged(profile: CrdsProfile, context: str, rules: Sequence[Path] = ()) -> Iterator[CrdsProfile]:
    """Yield the profile of a temporary cache with a context's rules and files of ours.

    References of the real cache are seen through it; it has no server.

    Parameters
    ----------
    context
        A context of the cache of `profile`; with a server its rules are downloaded first.
    rules
        Files of rules to put beside them.

    Raises
    ------
    ContextError
        There is no such context, or its rules are incomplete.
    Unavailable
        The server that has the missing rules does not answer.
    """
    files = context_files(profile, context)
    with TemporaryDirectory(prefix="hstflow-crds-") as folder:
        stage = _empty_cache(profile, Path(folder))
        for path in files:
            (stage.mappings / path.name).symlink_to(path.resolve())
        for path in rules:
            shutil.copyfile(path, stage.mappings / path.name)
        library.forget()  # crds remembers rules by name; so too after the stage is gone
        yield stage
    library.forget()


def offline(profile: CrdsProfile, cache: Path | None = None) -> CrdsProfile:
    """Return a profile that contacts no server."""
    return replace(
        profile,
        server_url=profile.server_url if profile.offline else library.SERVERLESS,
        cache=cache or profile.cache,
        context=None,
        rules_uri=None,
        references_uri=None,
        config_uri=None,
    )


def context_files(profile: CrdsProfile, context: str) -> list[Path]:
    """Return the files of a context: the pmap, its imaps and their rules.

    Raises
    ------
    ContextError
        There is no such context, or a file is missing or damaged.
    Unavailable
        The server that has the missing rules does not answer.
    """
    with library.session(profile):
        if not (profile.mappings / context).is_file():
            library.load_rules(profile, context, "acs")  # downloads all of it, or says why not
        names = [context]
        for instrument, imap in sorted(_selector(context).items()):
            found = _instrument_files(profile, imap)
            if not all((profile.mappings / name).is_file() for name in found):
                library.load_rules(profile, context, instrument.lower())
                found = _instrument_files(profile, imap)
            names += found
    return [profile.mappings / name for name in names]


def _instrument_files(profile: CrdsProfile, imap: str) -> list[str]:
    """Return the names of an instrument's rules; only that of the imap while it is missing."""
    if not imap.endswith(".imap"):
        return []
    if not (profile.mappings / imap).is_file():
        return [imap]
    return [imap, *(name for name in _selector(imap).values() if name.endswith(".rmap"))]


def _selector(name: str) -> dict[str, str]:
    """Return what a context or the rules of an instrument name, no file of those read."""
    from crds.core import exceptions, rmap

    try:
        return dict(rmap.get_cached_mapping(name).selector)
    except exceptions.CrdsError as error:
        raise ContextError(f"the rules cannot be used: {error}", path=name) from error


def _empty_cache(profile: CrdsProfile, folder: Path) -> CrdsProfile:
    """Make a cache without rules, which shows the references and the settings of another."""
    stage = offline(profile, folder)
    stage.mappings.mkdir(parents=True)
    stage.references.parent.mkdir(parents=True)
    if profile.references.is_dir():
        stage.references.symlink_to(profile.references.resolve())
    else:
        stage.references.mkdir()
    config = stage.server_config.parent
    config.mkdir(parents=True)
    if profile.server_config.is_file():
        (config / "server_config").symlink_to(profile.server_config.resolve())
    layout = library.reference_layout(profile)
    (config / "ref_cache_subdir_mode").write_text(f"{layout}\n", encoding="utf-8")
    return replace(stage, readonly=True)
