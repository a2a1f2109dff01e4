"""The states of a job and the changes that are legal: one table, enforced everywhere.

::

    planned ──> submitted ──> processing ──> processed ──> synced ──> archived
                    ^  ^          │
                    │  └──────────┤ its owner died: to be resumed
                    │             ├──> skipped | blocked | error | cancelled
                    └── rescue ───┘ (a repeat is legal from every state of rest)

The names are those of CALDP and CALCLOUD where they have one: ``submitted`` (submit-ID),
``processing``, ``processed`` (processed-ID.trigger), ``synced`` and ``archived`` (the folders
dataset-synced and dataset-archived), ``error``, ``cancelled`` (terminated-ID).
"""

from __future__ import annotations

from calib.errors import ConfigError

# Legal next states by state; the order is the one in which people want to read counts.
TRANSITIONS: dict[str, frozenset[str]] = {
    "planned": frozenset({"submitted", "skipped", "cancelled"}),
    "submitted": frozenset({"processing", "skipped", "blocked", "error", "cancelled"}),
    "processing": frozenset({"processed", "skipped", "blocked", "error", "cancelled", "submitted"}),
    "processed": frozenset({"synced", "archived", "error", "submitted"}),
    "synced": frozenset({"archived", "error", "submitted"}),
    "archived": frozenset({"submitted"}),
    "skipped": frozenset({"submitted"}),
    "blocked": frozenset({"submitted", "cancelled"}),
    "error": frozenset({"submitted"}),
    "cancelled": frozenset({"submitted"}),
}
STATES = tuple(TRANSITIONS)

# States in which there is nothing left to do for a job: a campaign does not submit it again.
FINISHED = frozenset({"processed", "synced", "archived", "skipped"})

# What the reason of a finished job ends with that asked for stage 2 and has none.
NOT_DRIZZLED = "; not drizzled"

# States in which an attempt may end.
OUTCOMES = frozenset({"processed", "skipped", "blocked", "error", "cancelled"})

# States of a stage run: reused is a finished stage of an earlier attempt, interrupted one
# whose owner was lost.
STAGE_STATES = frozenset({"running", "done", "reused", "skipped", "error", "interrupted"})


def check_transition(source: str, target: str, *, dataset: str) -> None:
    """Refuse a change that the table does not have.

    Raises
    ------
    ConfigError
        The change is illegal, or the target is no state; the message names the legal ones.
    """
    legal = TRANSITIONS[source]
    if target not in legal:
        raise ConfigError(
            f"a job that is {source} cannot become {target}",
            dataset=dataset,
            expected=" or ".join(sorted(legal)),
            found=target,
        )


def check_stage_state(state: str) -> None:
    """Refuse a word that is not the end of a stage run.

    Raises
    ------
    ConfigError
        The state is unknown, or ``running``.
    """
    ends = STAGE_STATES - {"running"}
    if state not in ends:
        message = "a stage run cannot end in this state"
        raise ConfigError(message, expected=", ".join(sorted(ends)), found=state)
