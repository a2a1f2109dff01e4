"""The states of a reprocessing and the changes that are legal: one table, enforced everywhere.

::

    planned ──> canary ──> review ──> approved ──> running ──> finished
     │   ^        │           │           │           │
     v   │        └───────────┼───────────┴───────────┴──> blocked (references are awaited)
    blocked                   └──> rejected

Everything that is not at an end may be cancelled; what is blocked goes on where it stood. A
person may reject what does not run yet, also before there is a report, and approve it then.
"""

from __future__ import annotations

from calib.errors import ConfigError

TRANSITIONS: dict[str, frozenset[str]] = {
    "planned": frozenset({"blocked", "canary", "approved", "rejected", "finished", "cancelled"}),
    "blocked": frozenset({"planned", "canary", "approved", "rejected", "running", "cancelled"}),
    "canary": frozenset({"blocked", "review", "cancelled"}),
    "review": frozenset({"approved", "rejected", "canary", "cancelled"}),
    "approved": frozenset({"blocked", "running", "rejected", "cancelled"}),
    "running": frozenset({"blocked", "finished", "cancelled"}),
    "finished": frozenset({"running"}),
    "rejected": frozenset(),
    "cancelled": frozenset({"planned"}),
}
STATES = tuple(TRANSITIONS)

# States in which nothing is left to do without a new word of a person.
ENDED = frozenset({"finished", "rejected", "cancelled"})


def check_transition(source: str, target: str, *, name: str) -> None:
    """Refuse a change that the table does not have.

    Raises
    ------
    ConfigError
        The change is illegal; the message names the legal ones.
    """
    legal = TRANSITIONS[source]
    if target not in legal:
        raise ConfigError(
            f"reprocessing {name} is {source} and cannot become {target}",
            expected=" or ".join(sorted(legal)) or "nothing more",
            found=target,
        )
