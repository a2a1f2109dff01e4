"""What hangs on exposures: associations that hold them, visits and skycells made from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from calib.ledger.matching import any_of
from calib.ledger.reports import Rows

# Names in one question: long statements are slow to parse, many short ones slow to send.
_AT_ONCE = 500

# Rows of visits and skycells (FLC, FLT) are no association's: those were made from what was
# made of the exposure, which is a dataset of its own.
_MEMBERS = """
SELECT rootname AS name, association AS owner FROM member
WHERE {names} AND present AND SUBSTR(type, 1, 4) <> 'PROD' AND type NOT IN ('FLC', 'FLT')
"""

# A sub-product (j8bt05021) is made with its association (j8bt05020), whose table names it.
_SUBPRODUCTS = """
SELECT rootname AS name, association AS owner FROM member
WHERE {names} AND SUBSTR(type, 1, 4) = 'PROD'
"""

_PUBLISHED = "SELECT DISTINCT dataset AS name FROM publication WHERE {names} AND removed_at IS NULL"
_PLANNED = "SELECT DISTINCT dataset AS name FROM job WHERE {names} AND state <> 'cancelled'"

# By the name of an input: its rootname is the exposure that it shows.
_FROM_FILES = """
SELECT DISTINCT input_used.rootname AS name, made.dataset AS owner
FROM input_used
  JOIN publication AS made
    ON made.attempt_id = input_used.attempt_id AND made.removed_at IS NULL
WHERE {names}
"""

# By its bytes: products of visits have other names than the exposures that they show.
_FROM_PRODUCTS = """
SELECT DISTINCT origin.dataset AS name, made.dataset AS owner
FROM publication AS origin
  JOIN product ON product.publication_id = origin.id
  JOIN input_used ON input_used.sha256 = product.sha256
  JOIN publication AS made
    ON made.attempt_id = input_used.attempt_id AND made.removed_at IS NULL
WHERE {names} AND made.dataset <> origin.dataset
"""

# Of what is current; a type that one exposure opens is opened.
_REQUIRED = """
SELECT publication.dataset AS name, reference_used.keyword AS keyword,
  MAX(CASE WHEN reference_used.required THEN 1 ELSE 0 END) AS required
FROM publication
  JOIN current_run
    ON current_run.dataset = publication.dataset AND current_run.run_id = publication.run_id
  JOIN reference_used ON reference_used.attempt_id = publication.attempt_id
WHERE {names}
GROUP BY publication.dataset, reference_used.keyword
"""

# Of other programs: they are current here, but nothing is known of what chose their references.
_WITHOUT_HEADERS = """
SELECT current_run.dataset AS name, run.context AS context
FROM current_run JOIN run ON run.id = current_run.run_id
WHERE {names} AND NOT EXISTS (
  SELECT 1 FROM exposure_header WHERE exposure_header.dataset = current_run.dataset)
"""


def associations_of(rows: Rows, exposures: Iterable[str]) -> dict[str, set[str]]:
    """Return the associations that are known to hold exposures; those in none are left out."""
    return _owners(rows, _MEMBERS, "rootname", exposures)


def associations_making(rows: Rows, names: Iterable[str]) -> dict[str, set[str]]:
    """Return the associations that make products of these names; other names are left out."""
    return _owners(rows, _SUBPRODUCTS, "rootname", names)


def known_datasets(rows: Rows, names: Iterable[str]) -> set[str]:
    """Return the names that are datasets of their own: published, or in a campaign."""
    wanted = list(dict.fromkeys(names))
    return {
        str(row["name"])
        for question in (_PUBLISHED, _PLANNED)
        for row in _asked(rows, question, "dataset", wanted)
    }


def current_without_headers(rows: Rows, names: Iterable[str]) -> dict[str, str]:
    """Return the contexts of datasets that are current and were never processed here, by name."""
    found = _asked(rows, _WITHOUT_HEADERS, "current_run.dataset", list(dict.fromkeys(names)))
    return {str(row["name"]): str(row["context"]) for row in found}


def made_from_datasets(
    rows: Rows, names: Iterable[str], *, wanted: Callable[[str], bool]
) -> dict[str, set[str]]:
    """Return what was published from files of exposures, or from products of datasets.

    Parameters
    ----------
    names
        Exposures and datasets.
    wanted
        Which datasets count: the files of an exposure are published with associations, too.
    """
    all_names = list(dict.fromkeys(names))
    found: defaultdict[str, set[str]] = defaultdict(set)
    for question, column in (
        (_FROM_FILES, "input_used.rootname"),
        (_FROM_PRODUCTS, "origin.dataset"),
    ):
        for name, owners in _owners(rows, question, column, all_names).items():
            found[name] |= {owner for owner in owners if wanted(owner)} - {name}
    return {name: owners for name, owners in found.items() if owners}


def required_keywords(rows: Rows, datasets: Iterable[str]) -> dict[str, dict[str, bool]]:
    """Return by dataset and keyword whether what is current was made with a file of the type.

    Datasets of which nothing is known are left out.
    """
    found: defaultdict[str, dict[str, bool]] = defaultdict(dict)
    names = list(dict.fromkeys(datasets))
    for row in _asked(rows, _REQUIRED, "publication.dataset", names):
        found[str(row["name"])][str(row["keyword"])] = bool(row["required"])
    return dict(found)


def _owners(rows: Rows, question: str, column: str, names: Iterable[str]) -> dict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for row in _asked(rows, question, column, list(dict.fromkeys(names))):
        found[str(row["name"])].add(str(row["owner"]))
    return dict(found)


def _asked(rows: Rows, question: str, column: str, names: list[str]) -> Iterator[dict[str, object]]:
    """Ask about names, some at a time."""
    for first in range(0, len(names), _AT_ONCE):
        parameters: dict[str, object] = {}
        some = names[first : first + _AT_ONCE]
        yield from rows(
            question.format(names=any_of(column, some, parameters, label="name")), parameters
        )
