"""Where CRDS lives: a server, a cache and how the cache is laid out.

The three built-in profiles are those of CALDP's configuration scripts
(caldp-config-onsite, -offsite and -aws); their old names are accepted.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

from calib.errors import ConfigError
from calib.stores.uri import parse_uri

Layout = Literal["flat", "instrument"]

# The crds library contacts no server whose address contains this word.
OFFLINE_WORD = "serverless"

# Servers of the three configuration scripts of CALDP.
ONSITE_SERVER = "https://hst-serverless-mode.stsci.edu"
OFFSITE_SERVER = "https://hst-crds.stsci.edu"
CLOUD_SERVER = "https://hst-crds-serverless.stsci.edu"

# The cache on the institute's central storage (the crds library's own default).
ONSITE_CACHE = Path("/grp/crds/cache")

OLD_NAMES = {
    "caldp-config-onsite": "onsite",
    "caldp-config-offsite": "offsite",
    "caldp-config-aws": "cloud",
}

_YES = {"1", "true", "t", "yes", "y", "on"}
_NO = {"", "0", "false", "f", "no", "n", "off", "none"}


@dataclass(frozen=True)
class CrdsProfile:
    """A CRDS server and cache.

    Attributes
    ----------
    name
        ``onsite``, ``offsite``, ``cloud``, ``environment`` or that of a TOML file.
    server_url
        Address of the server; one with "serverless" in it is never contacted.
    cache
        Folder with ``mappings/hst``, ``references/hst`` and ``config/hst``.
    readonly
        Nothing is written into the cache: nothing is downloaded either.
    layout
        Whether references lie in one folder or in one per instrument, where the cache
        itself does not say.
    context
        The context this profile is pinned to, if any.
    rules_uri, references_uri
        Where rules and references come from instead of the server: ``s3://BUCKET/PREFIX`` or
        ``file:PATH`` of the folder that has them (CRDS_MAPPING_URI and CRDS_REFERENCE_URI of
        the crds library). No server is asked then.
    config_uri
        The folder with server_config, which has size and sha1 of every file; None: ``config/hst``
        of the tree whose ``mappings/hst`` is `rules_uri`.
    """

    name: str
    server_url: str
    cache: Path
    readonly: bool = False
    layout: Layout = "instrument"
    context: str | None = None
    rules_uri: str | None = None
    references_uri: str | None = None
    config_uri: str | None = None

    @property
    def offline(self) -> bool:
        """Whether no server is ever contacted."""
        return self.has_store or OFFLINE_WORD in self.server_url

    @property
    def has_store(self) -> bool:
        """Whether files come from a bucket or a folder."""
        return self.rules_uri is not None or self.references_uri is not None

    @property
    def can_fill(self) -> bool:
        """Whether files that are not in the cache can be brought into it."""
        return not self.readonly and (self.has_store or not self.offline)

    @property
    def mappings(self) -> Path:
        """Folder of the rules."""
        return self.cache / "mappings" / "hst"

    @property
    def references(self) -> Path:
        """Folder of the reference files, or of one folder per instrument."""
        return self.cache / "references" / "hst"

    @property
    def server_config(self) -> Path:
        """What the server last said about itself: operational context, bad files, catalogue."""
        return self.cache / "config" / "hst" / "server_config"


def load_profile(name_or_path: str | None, environ: Mapping[str, str]) -> CrdsProfile:
    """Return a profile by name, from a TOML file, or from the CRDS environment.

    Parameters
    ----------
    name_or_path
        ``onsite``, ``offsite``, ``cloud`` (or the old names ``caldp-config-...``), or the
        path of a TOML file with the fields of :class:`CrdsProfile`; a relative cache in it
        is relative to the file. None: CRDS_PATH, CRDS_SERVER_URL, CRDS_CONTEXT and
        CRDS_READONLY_CACHE where any of them is set, else ``offsite``.
    environ
        The environment. For a built-in profile CRDS_PATH moves the cache, CRDS_CONTEXT
        pins the context and CRDS_READONLY_CACHE=1 protects the cache; the server stays
        that of the profile. CRDS_MAPPING_URI, CRDS_REFERENCE_URI and CRDS_CONFIG_URI name the
        places of ``cloud``. A TOML file is taken as it is, but CRDS_CONTEXT wins over it.

    Raises
    ------
    ConfigError
        No such profile, or the file is not a profile.
    """
    if name_or_path is None:
        return _from_environment(environ)
    name = OLD_NAMES.get(name_or_path, name_or_path)
    if name in {"onsite", "offsite", "cloud"}:
        built_in = _overridden(_built_in(name), environ)
        return _stored(built_in, environ) if name == "cloud" else built_in
    if name.endswith(".toml") or "/" in name:
        found = _from_file(Path(name).expanduser())
        return replace(found, context=environ.get("CRDS_CONTEXT") or found.context)
    raise ConfigError(
        "no such CRDS profile",
        expected=f"onsite, offsite, cloud, {', '.join(OLD_NAMES)}, or the path of a TOML file",
        found=repr(name_or_path),
    )


def _built_in(name: str) -> CrdsProfile:
    if name == "onsite":
        return CrdsProfile(name, ONSITE_SERVER, ONSITE_CACHE, readonly=True, layout="flat")
    server = OFFSITE_SERVER if name == "offsite" else CLOUD_SERVER
    return CrdsProfile(name, server, _home_cache())


def _home_cache() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("hstflow") / "crds"


def _from_environment(environ: Mapping[str, str]) -> CrdsProfile:
    offsite = _overridden(_built_in("offsite"), environ)
    if not any(environ.get(key) for key in ("CRDS_PATH", "CRDS_SERVER_URL", "CRDS_CONTEXT")):
        return offsite
    server = environ.get("CRDS_SERVER_URL") or OFFSITE_SERVER
    return replace(offsite, name="environment", server_url=server)


def _overridden(profile: CrdsProfile, environ: Mapping[str, str]) -> CrdsProfile:
    cache = environ.get("CRDS_PATH")
    readonly = environ.get("CRDS_READONLY_CACHE", "")
    return replace(
        profile,
        cache=Path(cache).expanduser() if cache else profile.cache,
        readonly=profile.readonly or _yes_or_no(readonly, "CRDS_READONLY_CACHE"),
        context=environ.get("CRDS_CONTEXT") or profile.context,
    )


def _stored(profile: CrdsProfile, environ: Mapping[str, str]) -> CrdsProfile:
    """Return the profile with the places that the variables of the crds library name."""
    return replace(
        profile,
        rules_uri=_place(environ, "CRDS_MAPPING_URI"),
        references_uri=_place(environ, "CRDS_REFERENCE_URI"),
        config_uri=_place(environ, "CRDS_CONFIG_URI"),
    )


def _place(environ: Mapping[str, str], name: str) -> str | None:
    text = environ.get(name) or "none"  # "none" is what the crds library says for nothing
    return None if text == "none" else _checked_place(text, name)


def _checked_place(text: str, name: str) -> str:
    if not text.startswith(("s3:", "file:")):
        raise ConfigError(
            f"{name} names no place of CRDS files",
            expected="s3://BUCKET/PREFIX or file:PATH",
            found=text,
        )
    parse_uri(text)
    return text


def _yes_or_no(text: str, name: str) -> bool:
    if text.lower() in _YES:
        return True
    if text.lower() in _NO:
        return False
    raise ConfigError(f"{name} is neither yes nor no", expected="1 or 0", found=repr(text))


def _from_file(path: Path) -> CrdsProfile:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"cannot read the CRDS profile: {error.strerror}"
        raise ConfigError(message, path=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the CRDS profile is not TOML: {error}", path=path) from error
    _check_fields(content, path)
    for key in _PLACES:
        if key in content:
            content[key] = _checked_place(content[key], key)
    cache = path.parent.resolve() / Path(content.pop("cache")).expanduser()
    return CrdsProfile(**{"name": path.stem, **content, "cache": cache})


# Fields of a profile file, and what each must be.
_FIELDS: dict[str, type] = {
    "name": str,
    "server_url": str,
    "cache": str,
    "readonly": bool,
    "layout": str,
    "context": str,
    "rules_uri": str,
    "references_uri": str,
    "config_uri": str,
}

_PLACES = ("rules_uri", "references_uri", "config_uri")


def _check_fields(content: dict[str, Any], path: Path) -> None:
    wrong = [
        key
        for key, value in content.items()
        if key not in _FIELDS or not isinstance(value, _FIELDS[key])
    ]
    missing = [key for key in ("server_url", "cache") if key not in content]
    layout = cast("str", content.get("layout", "instrument"))
    if wrong or missing or layout not in get_args(Layout):
        raise ConfigError(
            "not a CRDS profile",
            path=path,
            expected=(
                "server_url and cache (text); name, context, rules_uri, references_uri, config_uri "
                "(text), readonly (true or false), layout ('flat' or 'instrument') if wanted"
            ),
            found="; ".join(
                [f"{key} = {content[key]!r}" for key in wrong]
                + [f"no {key}" for key in missing]
                + ([] if layout in get_args(Layout) else [f"layout = {layout!r}"])
            ),
        )
