"""What datasets are expected to need, from what the ledger knows of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from calib.campaigns.model import Prediction, predict
from calib.cost_model import Model
from calib.ids import DatasetId
from calib.ledger.predictions import last_costs, last_features, load_model
from calib.ledger.reports import Rows
from calib.stages.recording import ledger_of

# A model that is trained while a campaign runs counts from the next minute on.
_FRESH_SECONDS = 60.0

_ANY_FEATURE = "SELECT feature.id AS id FROM feature LIMIT 1"


@dataclass
class Needs:
    """Predicts from the state of a ledger at one moment.

    Attributes
    ----------
    model
        What was learned; None: nothing.
    has_history
        Whether any dataset was looked at before.
    by_name
        What was predicted from names alone, by what they tell.
    """

    model: Model | None
    has_history: bool
    by_name: dict[tuple[str, str, bool], Prediction] = field(default_factory=dict)

    def of(self, rows: Rows, datasets: Sequence[DatasetId]) -> Iterable[Prediction]:
        """Yield the prediction of each dataset, in order."""
        names = [each.name for each in datasets] if self.has_history else []
        looks, costs = last_features(rows, names), last_costs(rows, names)
        for each in datasets:
            if each.name in looks or each.name in costs:
                yield predict(looks.get(each.name), self.model, each, costs.get(each.name))
            else:
                yield self.of_name(each)

    def of_name(self, dataset: DatasetId) -> Prediction:
        """Predict from the name alone, which tells no more than these three things."""
        key = (dataset.kind, dataset.instrument, dataset.is_association)
        if key not in self.by_name:
            self.by_name[key] = predict(None, self.model, dataset)
        return self.by_name[key]


def read_needs(rows: Rows) -> Needs:
    """Read what the ledger has learned."""
    return Needs(load_model(rows), bool(rows(_ANY_FEATURE, {})))


_known: dict[str, tuple[float, Needs]] = {}


def need_of(ledger: str, dataset: DatasetId) -> Prediction:
    """Return the prediction of one dataset; what was learned is read once a minute."""
    now = time.monotonic()
    read_at, needs = _known.get(ledger, (0.0, None))
    opened = ledger_of(ledger)
    if needs is None or now - read_at > _FRESH_SECONDS:
        needs = opened.ask(read_needs)
        _known[ledger] = (now, needs)
    if not needs.has_history:
        return needs.of_name(dataset)
    return next(iter(opened.ask(lambda rows: list(needs.of(rows, [dataset])))))
