"""How one sees that a program ended because its disk was full, or a quota used up."""

from __future__ import annotations

# What the C library says (strerror of ENOSPC and EDQUOT), and with it Python and the shell; what
# CFITSIO and drizzlepac pass on is the same.
SIGNS = ("no space left on device", "disk quota exceeded")


def why_disk_full(log_tail: str) -> str | None:
    """Return the line in which a failed program says that a disk is full; None: it does not.

    Parameters
    ----------
    log_tail
        Its last lines.
    """
    lines = reversed(log_tail.splitlines())
    return next((line.strip() for line in lines if _says_so(line.lower())), None)


def _says_so(line: str) -> bool:
    return any(sign in line for sign in SIGNS)
