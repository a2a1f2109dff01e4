"""The pictures of a campaign, in portions: dataset by dataset, without a look at all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple

from calib.ledger.matching import any_of
from calib.ledger.reports import Rows
from calib.ledger.states import FINISHED, STATES


@dataclass(frozen=True)
class GalleryJob:
    """A dataset of a campaign in a run; `uri` is where its products are, if anywhere."""

    id: int
    dataset: str
    run: str
    instrument: str
    state: str
    reason: str | None
    uri: str | None


class GalleryPlace(NamedTuple):
    """A place in the list: a dataset, and which of its jobs (it may have several runs)."""

    dataset: str
    id: int


# Before all of them.
NOWHERE = GalleryPlace("", 0)


@dataclass(frozen=True)
class Picture:
    """A preview of a product, by its number in the ledger."""

    id: int
    dataset: str
    uri: str
    name: str
    size: int


# States in which there is something to see.
WITH_PICTURES = tuple(state for state in STATES if state in FINISHED)

# A state and instrument at a time, so that each is read in the order of an index and no more of it
# than is shown. The first condition on the dataset is the index's.
_JOBS = """
SELECT id, dataset, run, instrument, state, reason, uri FROM job
WHERE campaign_id = :campaign_id AND state = :state AND instrument = :instrument
  AND dataset {sign}= :place AND (dataset {sign} :place OR id {sign} :place_id)
ORDER BY dataset {order}, id {order} LIMIT :number
"""

# One step in the same index: all instruments are found without a look at all jobs.
_NEXT_INSTRUMENT = """
SELECT MIN(instrument) AS name FROM job
WHERE campaign_id = :campaign_id AND state = :state AND instrument > :after
"""

# The sign keeps a database without statistics from the index on types: half of all files are
# previews.
_PICTURES = """
SELECT product.id AS id, publication.dataset AS dataset, publication.uri AS uri,
  product.name AS name, product.size AS size
FROM publication JOIN product ON product.publication_id = publication.id
WHERE {datasets} AND {places} AND publication.removed_at IS NULL
  AND product.type || '' = 'preview'
ORDER BY publication.dataset, product.name
"""


@dataclass(frozen=True)
class GalleryWanted:
    """Which jobs of a campaign are wanted.

    Attributes
    ----------
    states
        Those of the jobs.
    instrument
        Theirs; None: any.
    after
        Jobs behind this place.
    before
        In place of `after`: the last ones before this place.
    number
        How many at most.
    """

    states: Sequence[str] = WITH_PICTURES
    instrument: str | None = None
    after: GalleryPlace = NOWHERE
    before: GalleryPlace | None = None
    number: int = 48


def gallery_jobs(rows: Rows, campaign_id: int, wanted: GalleryWanted) -> list[GalleryJob]:
    """Return jobs of a campaign by dataset; those of one dataset as they were entered."""
    place = wanted.after if wanted.before is None else wanted.before
    asked = {
        "campaign_id": campaign_id,
        "number": wanted.number,
        "place": place.dataset,
        "place_id": place.id,
    }
    backwards = wanted.before is not None
    sign, order = ("<", "DESC") if backwards else (">", "ASC")
    query = _JOBS.format(sign=sign, order=order)
    found = [
        [GalleryJob(**row) for row in rows(query, {**asked, "state": state, "instrument": name})]
        for state in wanted.states
        for name in instruments_in(rows, campaign_id, (state,))
        if wanted.instrument in {None, name}
    ]
    ordered = merge(*found, key=lambda job: (job.dataset, job.id), reverse=backwards)
    chosen = list(islice(ordered, wanted.number))
    return chosen[::-1] if backwards else chosen


def instruments_in(rows: Rows, campaign_id: int, states: Sequence[str]) -> list[str]:
    """Return the instruments of a campaign's jobs in some states."""
    found: set[str] = set()
    for state in states:
        asked = {"campaign_id": campaign_id, "state": state, "after": ""}
        while (name := rows(_NEXT_INSTRUMENT, asked)[0]["name"]) is not None:
            found.add(name)
            asked["after"] = name
    return sorted(found)


def pictures_of(rows: Rows, jobs: Sequence[GalleryJob]) -> dict[tuple[str, str], list[Picture]]:
    """Return the previews of what jobs published, by dataset and place."""
    placed = [job for job in jobs if job.uri is not None]
    if not placed:
        return {}
    parameters: dict[str, Any] = {}
    datasets = [job.dataset for job in placed]
    query = _PICTURES.format(
        datasets=any_of("publication.dataset", datasets, parameters, label="dataset"),
        places=any_of("publication.uri", [str(job.uri) for job in placed], parameters, label="uri"),
    )
    found: dict[tuple[str, str], list[Picture]] = {}
    for row in rows(query, parameters):
        found.setdefault((row["dataset"], row["uri"]), []).append(Picture(**row))
    return found
