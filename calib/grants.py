"""What an attempt of a job may use, and whether another one follows a failed one."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Grant:
    """What one attempt of a job may use, and how often the job was tried again so far.

    The default grants everything and retries nothing: a single dataset on a laptop.

    Attributes
    ----------
    memory, disk
        Bytes of memory of the process tree, and of the work folder; None: not limited.
    limits
        Seconds by stage; a stage that is not named has none.
    time_scale
        Factor on the limits.
    rungs
        The sizes of memory that a campaign has, bytes, ascending.
    retries
        How often the job was tried again, by kind of retry.
    most
        How often it may be, by kind, where that is not what the retry table says.
    is_supervised
        Whether a failed attempt is followed by another one where the retry table says so.
    delay_scale
        Factor on the waits of the retry table.
    """

    memory: int | None = None
    disk: int | None = None
    limits: dict[str, float] = field(default_factory=dict)
    time_scale: float = 1.0
    rungs: tuple[int, ...] = ()
    retries: dict[str, int] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)
    is_supervised: bool = False
    delay_scale: float = 1.0


@dataclass(frozen=True)
class Retry:
    """That a failed attempt is followed by another one.

    Attributes
    ----------
    kind
        ``memory``, ``time`` or ``again``: the line of the retry table.
    reason
        For people: ``next rung, 8 GB``.
    delay
        Seconds to wait before.
    grant
        What the next attempt may use.
    """

    kind: str
    reason: str
    delay: float
    grant: Grant
