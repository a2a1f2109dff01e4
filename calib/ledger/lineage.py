"""Where publications came from, and what was made from a file: lineage, both ways.

What an attempt read hangs on the attempt. Publications that no attempt of this ledger made
(ingested, or found again by a rebuild) have no inputs and references here: their manifest may
say them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from calib.errors import ConfigError
from calib.ledger.matching import any_of
from calib.ledger.reports import Rows

How = Literal["input", "reference", "member"]

# CRDS names a reference in a header behind the variable of its folder: jref$x_bia.fits.
_FOLDER = re.compile(r"[a-z_]+\$", re.IGNORECASE)


@dataclass(frozen=True)
class Origin:
    """A product of the registry, in a publication."""

    run: str
    dataset: str
    name: str


@dataclass(frozen=True)
class UsedInput:
    """An input file.

    Attributes
    ----------
    name, type, rootname, sha256, size
        The file as it was read.
    source
        Where it came from.
    products
        Products of other publications with the same bytes.
    """

    name: str
    type: str
    rootname: str
    sha256: str
    size: int
    source: str
    products: tuple[Origin, ...] = ()


@dataclass(frozen=True)
class UsedReference:
    """A reference keyword of an exposure; `reference` is ``N/A`` where none is needed."""

    exposure: str
    keyword: str
    reference: str
    sha1: str | None
    required: bool
    present: bool


@dataclass(frozen=True)
class TableRow:
    """A row of an association table."""

    rootname: str
    type: str
    present: bool


@dataclass(frozen=True)
class Gone:
    """A product that is not made any more, and the last run that made it."""

    name: str
    last_run: str


@dataclass(frozen=True)
class Lineage:
    """How a publication was made.

    Attributes
    ----------
    run, dataset
        Which publication.
    kind, context, engine, engine_version, parameters
        Of the run: ``processed`` or ``ingested``, the CRDS context, what made it, what was set.
    uri, fingerprint, manifest_sha256, transfer, published_at, removed_at, is_current
        Of the publication; `removed_at` is set for one that was pruned.
    recorded
        Whether an attempt of this ledger made it: else inputs and references are not known here.
    inputs, references, members, tombstones
        What it was made from and with, its association table, and what it does not have any
        more.
    """

    run: str
    dataset: str
    kind: str
    context: str
    engine: str
    engine_version: str
    parameters: dict[str, Any]
    uri: str
    fingerprint: str | None
    manifest_sha256: str | None
    transfer: str
    published_at: str
    removed_at: str | None
    is_current: bool
    recorded: bool
    inputs: tuple[UsedInput, ...]
    references: tuple[UsedReference, ...]
    members: tuple[TableRow, ...]
    tombstones: tuple[Gone, ...]


@dataclass(frozen=True)
class Use:
    """A publication that was made from a file, or with a reference.

    Attributes
    ----------
    how
        ``input``, ``reference``, or ``member``: an association whose table names the exposure,
        of which it is not known what it was made from.
    run, dataset
        The publication.
    names
        The files that were used, or the rootname of the member.
    keywords
        The reference keywords; empty for others.
    published_at, removed_at, is_current
        As in :class:`Lineage`.
    """

    how: How
    run: str
    dataset: str
    names: tuple[str, ...]
    keywords: tuple[str, ...]
    published_at: str
    removed_at: str | None
    is_current: bool


_PUBLICATION = """
SELECT run.name AS run, publication.dataset AS dataset, run.kind AS kind,
  run.context AS context, run.engine AS engine, run.engine_version AS engine_version,
  run.parameters AS parameters, publication.uri AS uri,
  publication.fingerprint AS fingerprint, publication.manifest_sha256 AS manifest_sha256,
  publication.transfer AS transfer, publication.published_at AS published_at,
  publication.removed_at AS removed_at,
  CASE WHEN current_run.run_id = run.id THEN 1 ELSE 0 END AS is_current,
  CASE WHEN publication.attempt_id IS NULL THEN 0 ELSE 1 END AS recorded
FROM publication JOIN run ON run.id = publication.run_id
  LEFT JOIN current_run ON current_run.dataset = publication.dataset
WHERE run.name = :run AND publication.dataset = :dataset
"""
_INPUTS = """
SELECT input AS name, type, rootname, sha256, size, source FROM inputs
WHERE run = :run AND dataset = :dataset ORDER BY input
"""
_REFERENCES = """
SELECT exposure, keyword, reference, sha1, required, present FROM references_used
WHERE run = :run AND dataset = :dataset ORDER BY exposure, keyword
"""
_MEMBERS = """
SELECT rootname, type, present FROM members WHERE association = :dataset ORDER BY rootname
"""
_TOMBSTONES = """
SELECT name, last_run FROM tombstones WHERE run = :run AND dataset = :dataset ORDER BY name
"""

# One question per way to name a file, so that each has its index.
_STATE = """publications.run AS run, publications.dataset AS dataset,
  publications.published_at AS published_at, publications.removed_at AS removed_at,
  publications.is_current AS is_current"""
_USES_OF_INPUT = """
SELECT 'input' AS how, inputs.input AS name, NULL AS keyword, {state}
FROM inputs
  JOIN publications ON publications.run = inputs.run AND publications.dataset = inputs.dataset
WHERE inputs.{column} = :value
"""
_USES_OF_REFERENCE = """
SELECT 'reference' AS how, used.reference AS name, used.keyword AS keyword, {state}
FROM references_used AS used
  JOIN publications ON publications.run = used.run AND publications.dataset = used.dataset
WHERE used.{column} = :value AND used.present
"""
_ASSOCIATIONS = """
SELECT 'member' AS how, members.rootname AS name, NULL AS keyword, {state}
FROM members JOIN publications ON publications.dataset = members.association
WHERE members.rootname = :value
"""
_USES = (
    *(
        _USES_OF_INPUT.format(column=column, state=_STATE)
        for column in ("input", "rootname", "sha256")
    ),
    *(_USES_OF_REFERENCE.format(column=column, state=_STATE) for column in ("reference", "sha1")),
    _ASSOCIATIONS.format(state=_STATE),
)


def made_from(rows: Rows, run: str, dataset: str) -> Lineage:
    """Return how a publication was made.

    Raises
    ------
    ConfigError
        The run does not hold this dataset, and never did.
    """
    which = {"run": run, "dataset": dataset}
    found = next(iter(rows(_PUBLICATION, which)), None)
    if found is None:
        message = f"run {run} does not hold this dataset"
        raise ConfigError(message, dataset=dataset)
    truths = {name: bool(found[name]) for name in ("is_current", "recorded")}
    return Lineage(
        **{**found, **truths, "parameters": json.loads(found["parameters"])},
        inputs=_inputs(rows, which),
        references=tuple(
            UsedReference(**{**row, **{n: bool(row[n]) for n in ("required", "present")}})
            for row in rows(_REFERENCES, which)
        ),
        members=tuple(
            TableRow(**{**row, "present": bool(row["present"])})
            for row in rows(_MEMBERS, {"dataset": dataset})
        ),
        tombstones=tuple(Gone(**row) for row in rows(_TOMBSTONES, which)),
    )


def used_by(rows: Rows, *words: str) -> list[Use]:
    """Return the publications that were made from a file or with a reference.

    Parameters
    ----------
    words
        Names of input or reference files (also as ``jref$NAME``), rootnames of exposures, or
        checksums: sha256 of an input, sha1 of a reference. A publication is listed once for
        each way in which it used them.
    """
    found: dict[tuple[str, str, How], list[dict[str, Any]]] = {}
    for word in dict.fromkeys(words):
        value = plain_name(word)
        for question in _USES:
            for row in rows(question, {"value": value}):
                found.setdefault((row["dataset"], row["run"], row["how"]), []).append(row)
    return [
        _use(found[key])
        for key in sorted(found)
        if key[2] != "member" or (key[0], key[1], "input") not in found
    ]


def plain_name(word: str) -> str:
    """Return a name as the ledger has it: ``n3o_drk.fits`` of ``jref$N3O_DRK.fits``."""
    return _FOLDER.sub("", word, count=1).lower()


def used_by_publication(rows: Rows, run: str, dataset: str) -> list[Use]:
    """Return the publications that were made from the files of one, by their checksums."""
    mine = rows(
        "SELECT DISTINCT sha256 FROM products"
        " WHERE run = :run AND dataset = :dataset AND sha256 IS NOT NULL",
        {"run": run, "dataset": dataset},
    )
    uses = used_by(rows, *(row["sha256"] for row in mine)) if mine else []
    return [use for use in uses if (use.run, use.dataset) != (run, dataset)]


def _inputs(rows: Rows, which: dict[str, str]) -> tuple[UsedInput, ...]:
    inputs = rows(_INPUTS, which)
    if not inputs:
        return ()
    parameters: dict[str, Any] = {}
    same = any_of("sha256", (row["sha256"] for row in inputs), parameters)
    query = f"SELECT sha256, run, dataset, name FROM products WHERE {same} ORDER BY id"  # noqa: S608 - the condition has parameters only
    products: dict[str, list[Origin]] = {}
    for row in rows(query, parameters):
        if {"run": row["run"], "dataset": row["dataset"]} != which:
            origin = Origin(row["run"], row["dataset"], row["name"])
            products.setdefault(row["sha256"], []).append(origin)
    return tuple(
        UsedInput(**row, products=tuple(products.get(row["sha256"], ()))) for row in inputs
    )


def _use(rows: list[dict[str, Any]]) -> Use:
    """Make one of all rows of a publication."""
    first = rows[0]
    return Use(
        how=first["how"],
        run=first["run"],
        dataset=first["dataset"],
        names=tuple(sorted({row["name"] for row in rows})),
        keywords=tuple(sorted({row["keyword"] for row in rows} - {None})),
        published_at=first["published_at"],
        removed_at=first["removed_at"],
        is_current=bool(first["is_current"]),
    )
