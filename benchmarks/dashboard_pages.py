"""The pages that ``dashboard.py`` asks for: how the address of each is drawn."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from dashboard_files import Files
from dashboard_ledger import CAMPAIGN, FAILURES, INSTRUMENTS, REPROCESSING, STAGES, dataset_of

from calib.ledger.matrix_question import ORDERS
from calib.ledger.states import STATES

Draw = Callable[[random.Random], str]

RESCUED = 200  # rows of the history in which a rescue is looked for


def drawn_pages(number: int, files: Files, last_change: int) -> Mapping[str, Draw]:
    """Return how the address of each page is drawn, of so many datasets."""
    return {
        "campaigns": lambda _: "/",
        "campaign": _of_campaign(""),
        "matrix": _of_campaign("/datasets"),
        "matrix, filtered": lambda chance: _filtered(chance, number),
        "dataset": lambda chance: f"/datasets/{_name(chance, number)}",
        "errors": _of_campaign("/errors"),
        "all_errors": lambda _: "/errors",
        "rescue": _of_campaign("/rescue?state=error"),
        "rescue_all": lambda _: "/rescue?state=error",
        "rescued": lambda _: f"/rescued?{_rescue(last_change)}",
        "control": _of_campaign("/control?wish=pause"),
        "gallery": _of_campaign("/gallery"),
        "workers": _of_campaign("/workers"),
        "references": lambda _: "/references",
        "reference": lambda chance: f"/references/3{chance.randrange(50):02d}1234j_bia.fits",
        "contexts": lambda _: "/contexts",
        "reprocessings": lambda _: "/reprocessings",
        "reprocessing": lambda _: f"/reprocessings/{REPROCESSING}",
        "approve": lambda _: f"/reprocessings/{REPROCESSING}/approve",
        "metrics": lambda _: "/metrics",
        **_on_disk(files),
    }


def _on_disk(files: Files) -> Mapping[str, Draw]:
    """Return pages that read files."""
    canaries = f"/reprocessings/{REPROCESSING}/canary"
    return {
        "log": lambda chance: "/datasets/{}/log?file={}".format(*chance.choice(files.logs)),
        "file": lambda chance: f"/products/{chance.choice(files.products)}",
        "picture": lambda chance: f"/products/{chance.choice(files.pictures)}",
        "difference": lambda chance: f"/datasets/{chance.choice(files.datasets)}/difference",
        "canary": lambda chance: f"{canaries}/{chance.choice(files.datasets)}",
        "canary_picture": lambda chance: (
            f"{canaries}/{chance.choice(files.datasets)}/pictures/{chance.randrange(3)}"
        ),
    }


def _of_campaign(word: str) -> Draw:
    return lambda _: f"/campaigns/{CAMPAIGN}{word}"


def _name(chance: random.Random, number: int) -> str:
    return dataset_of(chance.randrange(number)).name


def _rescue(last: int) -> str:
    return f"after={max(0, last - RESCUED)}&upto={last}&by=demo&number=3"


def _filtered(chance: random.Random, number: int) -> str:
    """Return one or two filters, and an order."""
    error = chance.choice(FAILURES)
    name = _name(chance, number)
    words = [
        f"state={chance.choice(STATES)}",
        f"instrument={chance.choice(INSTRUMENTS)[1]}",
        f"class={error[0]}",
        f"code={error[1]}",
        f"stage=failed:{error[2]}",
        f"stage=at-work:{chance.choice(STAGES[:4])}",
        f"name={name[: chance.randrange(1, 6)]}",
        f"name=*{name[2:5]}*",
        "again=1",
    ]
    some = {each.partition("=")[0]: each for each in chance.sample(words, 2)}.values()
    words = [*[*some][: chance.choice((1, 1, 2))], f"sort={chance.choice(tuple(ORDERS))}"]
    return f"/campaigns/{CAMPAIGN}/datasets?{'&'.join(words)}"
