"""The right to write to one place of a store: one owner at a time, also between hosts.

A store has no rename, so what makes a publication whole is its manifest, put last; the claim
keeps a second writer from mixing its files in before that. It is an object of its own, made
under the condition that there is none, renewed while its owner lives, and taken over when the
owner is known to be dead, or has not renewed it for :data:`LEASE` seconds by the store's clock.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from calib.archive.staging import is_owner_dead, owner_name
from calib.errors import ARCHIVE, HstflowError, Unavailable
from calib.stores.store import Content, Store

log = logging.getLogger(__name__)

# Long beside a hiccup of the network, short beside a person's patience. Seconds.
LEASE = 90.0
_RENEW = LEASE / 6
# An owner stops writing this long before others may begin.
_MARGIN = LEASE / 6
# Waiting for a living owner: longer than a lease, so that a dead one elsewhere is outlived.
_PATIENCE = LEASE + 30.0
_POLL = 0.25


class Claim:
    """A claim that is held, and renewed by a thread of its own."""

    def __init__(self, store: Store, key: str, owner: str, tag: str) -> None:
        self._store = store
        self._key = key
        self._owner = owner
        self._tag = tag
        self._renewed = _now()
        self._is_lost = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"claim {owner}", daemon=True)
        self._thread.start()

    @property
    def is_held(self) -> bool:
        """Whether nobody else may be writing."""
        return not self._is_lost and _now() - self._renewed < LEASE - _MARGIN

    def check(self) -> None:
        """Raise where the claim may have passed to another: before everything that writes.

        Raises
        ------
        Unavailable
            The process stood still, or the store could not be reached, for too long.
        """
        if not self.is_held:
            raise Unavailable(
                "the claim on this place was lost while writing; nothing was published",
                path=self._store.uri_of(self._key),
                code=ARCHIVE,
            )

    def release(self) -> None:
        """Stop renewing, and give the claim back if it is still ours."""
        self._stop.set()
        self._thread.join()
        if not self.is_held:
            return
        try:
            self._store.delete(self._key)
        except HstflowError as error:
            log.warning("a claim is left, for %g seconds: %s", LEASE, error)

    def _renew(self) -> None:
        beat = 0
        while not self._stop.wait(_RENEW):
            beat, begun = beat + 1, _now()
            try:
                tag = self._store.replace(self._key, _content(self._owner, beat), self._tag)
            except HstflowError as error:
                log.warning("cannot renew a claim: %s", error)
                continue
            if tag is None:
                self._is_lost = True
                return
            self._tag, self._renewed = tag, begun


@contextmanager
def claimed(
    store: Store, key: str, label: str, *, is_needless: Callable[[], bool]
) -> Iterator[Claim | None]:
    """Hold a claim while the block runs.

    Parameters
    ----------
    store, key
        Where the claim lies.
    label
        What it is about, for people who look; no ``+``.
    is_needless
        Tells, while somebody else holds it, that they have done the work.

    Yields
    ------
    Claim or None
        None where the work was done meanwhile.

    Raises
    ------
    Unavailable
        Another process holds it, and went on for two minutes.
    """
    owner = owner_name(label)
    tag = _acquire(store, key, owner, is_needless)
    claim = None if tag is None else Claim(store, key, owner, tag)
    try:
        yield claim
    finally:
        if claim is not None:
            claim.release()


def clear_abandoned(store: Store, key: str) -> None:
    """Remove the claim that a dead owner left on a place that needs none any more.

    The work is done there, so whoever takes the claim over meanwhile has nothing to write. To
    fail is a warning.
    """
    try:
        held = store.read(key)
        if held is not None and is_abandoned(held):
            log.info("removing the claim of %s, which ended", _owner_of(held))
            store.delete(key)
    except HstflowError as error:
        log.warning("a claim is left: %s", error)


def _acquire(store: Store, key: str, owner: str, is_needless: Callable[[], bool]) -> str | None:
    content, deadline = _content(owner, 0), _now() + _PATIENCE
    while not is_needless():
        if tag := store.put_if_absent(key, content):
            return tag
        held = store.read(key)
        if held is None:
            continue
        if is_abandoned(held):
            if tag := store.replace(key, content, held.tag):
                log.info("taking over from %s, which ended", _owner_of(held))
                return tag
        elif _now() > deadline:
            raise Unavailable(
                "another process is publishing this dataset now",
                path=store.uri_of(key),
                found=_owner_of(held),
                code=ARCHIVE,
            )
        else:
            time.sleep(_POLL)
    return None


def is_abandoned(held: Content) -> bool:
    """Tell whether the owner of a claim is known to be dead, or has not renewed it."""
    return held.age > LEASE or is_owner_dead(_owner_of(held))


def _owner_of(held: Content) -> str:
    """Return the owner's name; an empty one where the claim is not ours to read."""
    try:
        return str(json.loads(held.data)["owner"])
    except (ValueError, KeyError, TypeError):
        return ""


def _content(owner: str, beat: int) -> bytes:
    return json.dumps({"owner": owner, "beat": beat}).encode()


def _now() -> float:
    """Return seconds that go on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
