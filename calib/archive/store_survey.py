"""What lies in a store: every publication, and everything that is none.

The same as :mod:`calib.archive.survey` for a bucket, from one listing of its keys. Keys come
sorted, so all of one dataset come together and nothing is kept in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from calib.archive.claim import is_abandoned
from calib.archive.layout import MANIFEST
from calib.archive.survey import LEFT, NOT_A_DATASET, NOT_A_RUN, Place, dataset_of, orphan, shown
from calib.archive.verification import Problem
from calib.ids import DatasetId, is_run_name
from calib.stores.store import Store

_CLAIMS = ".claims"

# runs/RUN/INSTRUMENT/ID: what lies below is of one dataset.
_DEPTH = 4


def survey_runs(store: Store, only: str | None = None) -> Iterator[Place | Problem]:
    """Yield all that lies below ``runs/``, or in one run: publications, and what is none.

    Raises
    ------
    HstflowError
        The store does not answer, or cannot be read.
    """
    keys = (stored.key for stored in store.list_keys(f"runs/{only}/" if only else "runs/"))
    for parts, those in groupby(keys, lambda key: tuple(key.split("/")[:_DEPTH])):
        yield from _survey_place(store, parts, those)


def survey_pointers(store: Store) -> Iterator[DatasetId | Problem]:
    """Yield every dataset that has a pointer below ``data/``, and whatever else is there."""
    for stored in store.list_keys("data/"):
        _, instrument, name, *rest = [*stored.key.split("/"), "", ""]
        dataset = dataset_of(instrument, name)
        if dataset is None:
            yield orphan(_uri(store, stored.key), NOT_A_DATASET)
        elif [part for part in rest if part] != ["current.json"]:
            yield orphan(_uri(store, stored.key), "not a pointer to a current version")
        else:
            yield dataset


def claim_key(run: str, dataset: DatasetId) -> str:
    """Return the key of the claim on a place: ``runs/RUN/.claims/INSTRUMENT/ID.json``."""
    return f"runs/{run}/{_CLAIMS}/{dataset.instrument}/{dataset.name}.json"


def _survey_place(
    store: Store, parts: tuple[str, ...], keys: Iterator[str]
) -> Iterator[Place | Problem]:
    """Judge the keys that begin alike; a publication is one that has a manifest."""
    place, (_, run, folder, name) = "/".join(parts), (*parts, "", "", "")[:_DEPTH]
    dataset = dataset_of(folder, name)
    if not is_run_name(run):
        yield orphan(_uri(store, place), NOT_A_RUN)
    elif folder == _CLAIMS:
        yield from _left_claims(store, keys)
    elif dataset is None or place == (first := next(keys)):
        yield orphan(_uri(store, place), NOT_A_DATASET)
    elif f"{place}/{MANIFEST}" in (first, *keys):
        yield Place(run, dataset, store.uri_of(place))
    elif not _is_claimed(store, claim_key(run, dataset)):
        yield Problem("missing", store.uri_of(place), "files of a dataset without a manifest")


def _left_claims(store: Store, keys: Iterator[str]) -> Iterator[Problem]:
    return (orphan(_uri(store, key), LEFT) for key in keys if not _is_claimed(store, key))


def _is_claimed(store: Store, key: str) -> bool:
    """Tell whether a living process works under this claim."""
    held = store.read(key) if shown(key) == key else None
    return held is not None and not is_abandoned(held)


def _uri(store: Store, key: str) -> str:
    """Return where a key is that may not be allowed."""
    return f"{store.uri}/{key}"
