"""Where files lie below a folder or bucket, and what their paths say.

A template is a path with fields, such as ``{instrument}/{visit}/{root}_{suffix}.fits``. It is
compiled to one anchored expression in which every field has its own closed alphabet: nothing
that a user writes in a template, and nothing that a path holds, is ever run as an expression.
No field holds a separator, and paths with ``..``, a leading slash, a control character or a
part that begins with a dot match no template.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import PurePosixPath

from calib.archive.layout import LONGEST_FILE, MANIFEST, Role, check_run_name, relative_name
from calib.errors import ArchiveError, ConfigError
from calib.ids import INSTRUMENT_BY_LETTER, parse_dataset, rootname_of

# Names of exposures and associations, visits and skycells: the patterns of calib.ids.
_ROOT = "[ijlo][a-z0-9]{8}"
_DATASET = (
    rf"{_ROOT}|(?:acs|wfc3)_[a-z0-9]{{3}}_[a-z0-9]{{2}}|skycell-p[0-9]{{4}}x[0-9]{{2}}y[0-9]{{2}}"
)


@dataclass(frozen=True)
class _Kind:
    """What a field may hold.

    Attributes
    ----------
    pattern
        Expression of a value; it begins no group.
    alphabet
        One character of a value of free length, empty where the length is fixed: the text
        after such a field must begin with another one, so that a path has one meaning.
    """

    pattern: str
    alphabet: str = ""


_FILE_CHARACTER = "[A-Za-z0-9._+=@-]"
FIELDS: dict[str, _Kind] = {
    "dataset": _Kind(_DATASET),
    "root": _Kind(_ROOT),
    "suffix": _Kind("[a-z0-9]+(?:_[a-z0-9]+)*", "[a-z0-9_]"),
    "name": _Kind(rf"[A-Za-z0-9_]{_FILE_CHARACTER}{{0,{LONGEST_FILE - 1}}}", _FILE_CHARACTER),
    "instrument": _Kind("|".join([*INSTRUMENT_BY_LETTER.values(), "mvm"])),
    "program": _Kind("[a-z0-9]{3}"),
    "visit": _Kind("[a-z0-9]{2}"),
    "proposal": _Kind("[0-9]{1,6}", "[0-9]"),
    "detector": _Kind("[A-Za-z0-9-]{1,32}", "[A-Za-z0-9-]"),
    "filter": _Kind("[A-Za-z0-9;-]{1,64}", "[A-Za-z0-9;-]"),
    "run": _Kind("[a-z0-9][a-z0-9._-]*", "[a-z0-9._-]"),
    "any": _Kind("[^/]+"),
}

# Fields whose case has no meaning; they are kept in lower case.
_LOWERED = ("dataset", "root", "suffix", "instrument", "program", "visit", "run")

# Folders whose files have a role of their own (CALDP's layout, and ours).
_ROLE_BY_FOLDER: dict[str, Role] = {"previews": "preview", "logs": "log", "env": "env"}
_PICTURES = (".jpg", ".jpeg", ".png")

_TOKEN = re.compile(
    r"\{(?P<field>[^{}]*)\}|(?P<folders>\*\*/)|(?P<text>[^{}*]+)|(?P<bad>.)", re.DOTALL
)


def _with_folders(place: str) -> tuple[str, ...]:
    return (f"{place}/{{name}}", *(f"{place}/{name}/{{name}}" for name in _ROLE_BY_FOLDER))


# Layouts that have a name. A dataset's own folder in CALDP's may be anywhere: outputs/ID of
# CALDP, data/INSTRUMENT/ID of its documentation, ID alone.
LAYOUTS: dict[str, tuple[str, ...]] = {
    "auto": (
        "**/{dataset}.tar.gz",
        "**/{root}_{suffix}.fits",
        "**/{root}_{suffix}.fits.gz",
        "**/{root}.tra",
        "**/{root}_{suffix}.jpg",
        "**/{root}_{suffix}.png",
    ),
    "flat": ("{name}",),
    "caldp": ("**/{dataset}.tar.gz", *_with_folders("**/{dataset}")),
    "mast": ("**/HST/{dataset}/{name}", "**/public/{any}/{dataset}/{name}"),
    "hstflow": _with_folders("runs/{run}/{instrument}/{dataset}"),
}


@dataclass(frozen=True)
class Placed:
    """What a path says of a file.

    Attributes
    ----------
    key
        The path.
    dataset
        The dataset that it belongs to: the field of that name, else the exposure or
        association that its name begins with.
    name
        Name of the file.
    role
        ``product``, ``preview``, ``log`` or ``env``.
    fields
        What was read from the path, ids in lower case.
    """

    key: str
    dataset: str
    name: str
    role: Role
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def rootname(self) -> str:
        """The exposure or association that the file shows."""
        return rootname_of(self.name, self.dataset)

    @property
    def archived_name(self) -> str:
        """Where it lies below the folder of its dataset."""
        return relative_name(self.role, self.name)

    @property
    def is_tarball(self) -> bool:
        """Whether it is CALDP's archive of a whole dataset."""
        return self.name.lower() == f"{self.dataset}.tar.gz"


@dataclass(frozen=True)
class Template:
    """A compiled template.

    Attributes
    ----------
    text
        As it was written.
    expression
        What it was compiled to.
    """

    text: str
    expression: re.Pattern[str]

    def parse(self, key: str) -> dict[str, str] | None:
        """Return the fields of a path; None where it does not match as a whole."""
        found = self.expression.fullmatch(key) if is_plain_key(key) else None
        if found is None:
            return None
        values = {name: value for name, value in found.groupdict().items() if value is not None}
        return {n: v.lower() if n in _LOWERED else v for n, v in values.items()}

    def format(self, fields: Mapping[str, str]) -> str:
        """Return the path that has these fields, without further folders.

        Raises
        ------
        ConfigError
            A field is missing, or its value is not one that it may have.
        """
        parts = []
        for match in _TOKEN.finditer(self.text):
            name = match["field"]
            if name is None:
                parts.append(match["text"] or "")
                continue
            value = fields.get(name, "")
            if not re.fullmatch(FIELDS[name].pattern, value, re.IGNORECASE):
                message = f"no value for {{{name}}} of the template"
                raise ConfigError(message, expected=FIELDS[name].pattern, found=repr(value))
            parts.append(value)
        return "".join(parts)


def compile_template(text: str) -> Template:
    """Read a template.

    Parameters
    ----------
    text
        Text and fields: ``{dataset} {root} {suffix} {name} {instrument} {program} {visit}
        {proposal} {detector} {filter} {run} {any}``. ``**/`` stands for any folders, or none.
        A field that occurs twice has the same value in both places; ``{any}`` need not.

    Raises
    ------
    ConfigError
        An unknown field, a brace or star that stands alone, two fields that cannot be told
        apart, no field that names a dataset, or a path that leaves its folder. The message
        says at which character.
    """
    tokens = [*_TOKEN.finditer(text)]
    _refuse_bad_tokens(text, tokens)
    _refuse_bad_path(text)
    names = {match["field"] for match in tokens}
    if not names & {"dataset", "root", "name"}:
        raise _fault(text, 0, "no field names the dataset", "{dataset}, {root} or {name}")
    pieces, seen = [], set[str]()
    for number, match in enumerate(tokens):
        following = tokens[number + 1] if number + 1 < len(tokens) else None
        if match["field"]:
            _refuse_ambiguous(text, match, following)
        pieces.append(_piece(match, seen))
    return Template(text, re.compile("".join(pieces), re.IGNORECASE | re.ASCII))


@cache
def open_layout(name_or_text: str) -> tuple[Template, ...]:
    """Return the templates of a named layout, or the one that is written out.

    Raises
    ------
    ConfigError
        Neither a layout nor a template.
    """
    if name_or_text in LAYOUTS:
        return tuple(compile_template(text) for text in LAYOUTS[name_or_text])
    if not set("{/") & set(name_or_text):
        expected = ", ".join([*LAYOUTS, "or a template such as {instrument}/{root}_{suffix}.fits"])
        raise ConfigError("no layout of this name", expected=expected, found=repr(name_or_text))
    return (compile_template(name_or_text),)


def place(layout: tuple[Template, ...], key: str) -> Placed | None:
    """Return what a path says, by the first template that matches it.

    None where no template matches, where what the path says contradicts itself (an exposure
    of ACS below ``wfc3/``), or where the archive would not take the name.
    """
    for template in layout:
        fields = template.parse(key)
        if fields is not None and (placed := _placed(key, fields)):
            return placed
    return None


def is_plain_key(key: str) -> bool:
    """Tell whether a path stays where it is: no empty, hidden or parent part, all printable."""
    return key.isprintable() and all(part and part[0] != "." for part in key.split("/"))


def _placed(key: str, fields: Mapping[str, str]) -> Placed | None:
    path = PurePosixPath(key)
    root = fields.get("root") or rootname_of(path.name, "")
    dataset = fields.get("dataset") or root or path.name.lower().removesuffix(".tar.gz")
    role = _role(path)
    try:
        _refuse_contradiction(dataset, fields)
        relative_name(role, path.name)
    except (ConfigError, ArchiveError):
        return None
    return None if path.name == MANIFEST else Placed(key, dataset, path.name, role, dict(fields))


def _refuse_contradiction(dataset: str, fields: Mapping[str, str]) -> None:
    """Raise where folders and names do not say the same."""
    check_run_name(fields.get("run", "r"))
    known = parse_dataset(dataset)
    shown = parse_dataset(fields.get("root", dataset))
    said = {"program": shown.program, "visit": shown.visit, "instrument": known.instrument}
    for name, expected in said.items():
        if fields.get(name, expected) != expected:
            raise ConfigError("the path contradicts itself", expected=expected, found=fields[name])


def _role(path: PurePosixPath) -> Role:
    name = path.name.lower()
    if (parent := path.parent.name) in _ROLE_BY_FOLDER:
        return _ROLE_BY_FOLDER[parent]
    if name.endswith((*_PICTURES, "_prev.fits")):
        return "preview"
    if name.endswith("_cal_env.txt"):
        return "env"
    return "log" if name.endswith((".txt", ".log")) else "product"


def _piece(match: re.Match[str], seen: set[str]) -> str:
    name = match["field"]
    if match["folders"]:
        return "(?:[^/]+/)*"
    if name is None:
        return re.escape(match["text"])
    if name == "any":
        return FIELDS[name].pattern
    if name in seen:
        return f"(?P={name})"
    seen.add(name)
    return f"(?P<{name}>{FIELDS[name].pattern})"


def _refuse_bad_tokens(text: str, tokens: list[re.Match[str]]) -> None:
    for match in tokens:
        name = match["field"]
        if match["bad"]:
            raise _fault(text, match.start(), f"{match['bad']!r} stands alone", "{field} or **/")
        if name is not None and name not in FIELDS:
            raise _fault(text, match.start(), "unknown field", " ".join(FIELDS), name)
        if match["folders"] and match.start() > 0 and text[match.start() - 1] != "/":
            raise _fault(text, match.start(), "**/ begins a folder", "FOLDER/**/...")
    # More than one, or two {any} in one part, match a path in more ways than are worth trying.
    again = [match.start() for match in tokens if match["folders"]][1:]
    if again:
        raise _fault(text, again[0], "**/ occurs twice", "one **/")


def _refuse_bad_path(text: str) -> None:
    start = 0
    for part in text.split("/"):
        if part != "**" and (not part.isprintable() or part.startswith(".") or not part):
            raise _fault(text, start, "not the name of a folder or file", "a relative path", part)
        if part.count("{any}") > 1:
            raise _fault(text, start, "{any} occurs twice in one name", "one {any}", part)
        start += len(part) + 1


def _refuse_ambiguous(text: str, match: re.Match[str], following: re.Match[str] | None) -> None:
    """Refuse a field of free length before something that it could hold as well."""
    alphabet = FIELDS[match["field"]].alphabet
    if not alphabet or following is None:
        return
    then = following["text"]
    if then is None or re.match(alphabet, then, re.IGNORECASE):
        message = f"where {{{match['field']}}} ends cannot be told"
        raise _fault(text, match.end(), message, f"a character that is not {alphabet}")


def _fault(
    text: str, position: int, message: str, expected: str, found: str | None = None
) -> ConfigError:
    return ConfigError(
        f"not a template: {message}, at character {position + 1}",
        expected=expected,
        found=repr(text if found is None else found),
    )
