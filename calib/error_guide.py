"""What each error and exit code means, and what a person does about it: one table.

The dashboard shows it beside what failed, and the reference in the documentation is made of it.
Every class of :mod:`calib.errors` that can end a dataset, and every exit code, has a line; a test
holds the table to that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Guide:
    """What is said of an error.

    Attributes
    ----------
    name
        The class.
    means
        What has happened.
    remedy
        What a person does about it.
    is_retried
        What a campaign has tried by itself before it gave up; empty: nothing.
    may_rescue
        Whether a rescue alone, without a change, may help.
    """

    name: str
    means: str
    remedy: str
    is_retried: str = ""
    may_rescue: bool = False


_AGAIN = "up to three times, after 1, 5 and 15 minutes"
_RUNGS = "on each larger memory rung of the campaign"

_MEMORY = (
    "Look at the highest peak on the page of workers. It failed on the largest rung that the "
    "campaign has: submit it with larger --rungs, or give workers with more memory."
)

GUIDES: Mapping[str, Guide] = {
    each.name: each
    for each in (
        Guide(
            "ConfigError",
            "A name, address, option or setting cannot work; nothing was started.",
            "Mend what the reason names, then rescue.",
        ),
        Guide(
            "ContextError",
            "The CRDS context does not exist, or its rules cannot be read.",
            "hstflow context sync fetches it; hstflow context verify says what is missing. "
            "Then rescue.",
        ),
        Guide(
            "Unavailable",
            "A service, a store or a disk did not answer.",
            "Look whether it answers again, then rescue: nothing of the data is wrong.",
            _AGAIN,
            may_rescue=True,
        ),
        Guide(
            "TransientError",
            "Something failed that may pass by itself.",
            "Rescue it once what the reason names is back.",
            _AGAIN,
            may_rescue=True,
        ),
        Guide(
            "InOtherHands",
            "Another live process is at work on it.",
            "Wait until that one has ended; rescue only if it did not finish the dataset.",
            may_rescue=True,
        ),
        Guide(
            "ReferenceUnavailable",
            "A reference file that the rules name is not in the cache.",
            "hstflow context sync fetches it, or --reference KEYWORD=PATH gives another one. "
            "Then rescue.",
            "by the stage; the dataset is then blocked",
            may_rescue=True,
        ),
        Guide(
            "Interrupted",
            "The process was stopped, by a person or the system.",
            "Rescue: it goes on where it stopped.",
            "up to three times",
            may_rescue=True,
        ),
        Guide(
            "Cancelled",
            "An operator cancelled the dataset or its campaign.",
            "Rescue it where it is wanted after all.",
            may_rescue=True,
        ),
        Guide(
            "DataError",
            "Something about this dataset that no retry changes.",
            "Read the reason and the log; mend the input, then rescue.",
        ),
        Guide(
            "NotFound",
            "There is no such dataset, or no input files for it.",
            "Check the name and the source of inputs; put the file there, then rescue.",
        ),
        Guide(
            "Proprietary",
            "The data are not public yet, and no token that opens them was given.",
            "Set MAST_API_TOKEN for the workers, or wait for the release date. Then rescue.",
        ),
        Guide(
            "CorruptFile",
            "A file does not open, is cut short, or is not what its name says.",
            "Replace the file that the reason names by a whole one (fetch it again), then rescue.",
        ),
        Guide(
            "MissingMember",
            "A member that the association names is not among the inputs.",
            "Put the member there, or process the exposures alone. Then rescue.",
        ),
        Guide(
            "UnsupportedMode",
            "No engine at hand calibrates this mode completely.",
            "hstflow engines list says which programs are here and how to get others. Then rescue.",
        ),
        Guide(
            "MissingReference",
            "A reference that a switch asks for is not named, does not match, or is unusable.",
            "Give --reference KEYWORD=PATH, or rescue with the switch set to OMIT.",
        ),
        Guide(
            "EngineError",
            "A calibration program or recipe failed.",
            "Read the last lines of the log. Rescue with other settings where one is at fault, or "
            "with another engine; report it where it is a bug.",
        ),
        Guide("OutOfMemory", "Memory ran out, or would have.", _MEMORY, _RUNGS),
        Guide(
            "WorkerLost",
            "The worker was killed or lost: most often for its memory.",
            _MEMORY + " Look also whether the host or the batch system ended it.",
            _RUNGS,
        ),
        Guide(
            "TimedOut",
            "A stage went over its time limit and was ended.",
            "Rescue with a larger time scale, such as 4.",
            "once, with twice the time",
        ),
        Guide(
            "PreviewError",
            "A preview failed, and previews are required.",
            "Read the log; --previews normal makes it a warning. Then rescue.",
        ),
        Guide(
            "ArchiveError",
            "Products could not be published or verified.",
            "Make room or rights where the reason says, then rescue: it goes on with the archive "
            "stage.",
            may_rescue=True,
        ),
    )
}

# What an exit code adds to its class: where the fault was.
CODES: Mapping[int, str] = {
    0: "done, nothing to do, or nothing viable",
    1: "anything that has no code of its own",
    2: "bad command, name, address or setting",
    21: "input: a file or tar is missing, partial or corrupt",
    22: "input from MAST",
    23: "stage 1 calibration",
    24: "stage 2, drizzling",
    25: "archive: publication of products",
    26: "input from S3",
    27: "context, best references, or a reference file",
    28: "previews",
    31: "a program ran out of memory",
    32: "our own process ran out of memory, or would have",
    33: "the worker or its container was killed or lost",
    34: "the system refused memory",
    40: "a visit (SVM)",
    41: "a skycell (MVM)",
    130: "interrupted",
    137: "over its time limit",
    143: "terminated or cancelled",
}

_UNKNOWN = Guide(
    "",
    "An error that was not foreseen.",
    "Read the reason and the log. If it is a bug, report it with both.",
)

# A state in which a job rests without an error of its own.
_STATES = {
    "blocked": GUIDES["ReferenceUnavailable"],
    "cancelled": GUIDES["Cancelled"],
}

# The input lies elsewhere, and so does what mends it.
_BY_CODE: Mapping[tuple[str, int], str] = {
    ("NotFound", 22): "MAST has no such files: check the name, or whether it is there yet. "
    "Then rescue.",
    ("NotFound", 26): "Check bucket, prefix and rights of the input address. Then rescue.",
    ("CorruptFile", 22): "The download was not whole: rescue fetches it again.",
    ("ConfigError", 24): "Install drizzlepac, or submit with --stage2 auto or never.",
}


def guide_for(error_class: str | None, code: int | None, state: str = "error") -> Guide:
    """Return what is said of an error; of one that is not known, that.

    Parameters
    ----------
    error_class, code
        As the ledger has them; None: it has none.
    state
        Of the job.
    """
    found = GUIDES.get(error_class or "")
    if found is None:
        found = _STATES.get(state) or replace(_UNKNOWN, name=error_class or "")
    remedy = _BY_CODE.get((found.name, code or 0))
    return found if remedy is None else replace(found, remedy=remedy)
