"""Which function answers which page.

Each module of this package has two layers: functions that make a :class:`Page` of the ledger's
rows (the static report uses them too), and answers, which read a request and show one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from deployments.dashboard.files import answer_product
from deployments.dashboard.pages.approve import act_approve, answer_approve
from deployments.dashboard.pages.campaigns import answer_campaign, answer_campaigns
from deployments.dashboard.pages.canary import answer_canary, answer_canary_picture
from deployments.dashboard.pages.contexts import answer_contexts
from deployments.dashboard.pages.control import act_control, answer_control
from deployments.dashboard.pages.dataset import answer_dataset
from deployments.dashboard.pages.difference import answer_difference, answer_picture
from deployments.dashboard.pages.errors import answer_all_errors, answer_errors
from deployments.dashboard.pages.gallery import answer_gallery
from deployments.dashboard.pages.logs import answer_log
from deployments.dashboard.pages.matrix import answer_matrix
from deployments.dashboard.pages.metrics import answer_metrics
from deployments.dashboard.pages.references import answer_reference, answer_references
from deployments.dashboard.pages.reprocessings import answer_reprocessing, answer_reprocessings
from deployments.dashboard.pages.rescue import act_rescue, answer_rescue, answer_rescued
from deployments.dashboard.pages.workers import answer_workers

if TYPE_CHECKING:
    from deployments.dashboard.app import Desk
    from deployments.dashboard.forms import Form

Answer = Callable[["Desk", Request], Response]
Action = Callable[["Desk", Request, "Form"], Response]


# Page -> what answers it, and the names in its path (as in links.PATHS).
ANSWERS: Mapping[str, Answer] = {
    "campaigns": answer_campaigns,
    "campaign": answer_campaign,
    "gallery": answer_gallery,
    "log": answer_log,
    "difference": answer_difference,
    "picture": answer_picture,
    "product": answer_product,
    "references": answer_references,
    "reference": answer_reference,
    "errors": answer_errors,
    "all_errors": answer_all_errors,
    "rescue": answer_rescue,
    "rescue_all": answer_rescue,
    "rescued": answer_rescued,
    "control": answer_control,
    "workers": answer_workers,
    "contexts": answer_contexts,
    "reprocessings": answer_reprocessings,
    "reprocessing": answer_reprocessing,
    "approve": answer_approve,
    "canary": answer_canary,
    "canary_picture": answer_canary_picture,
    "matrix": answer_matrix,
    "dataset": answer_dataset,
    "metrics": answer_metrics,
}

# Page -> what its form does, called after the checks of forms.read_form; the GET of the same page
# shows the form.
ACTIONS: Mapping[str, Action] = {
    "rescue": act_rescue,
    "rescue_all": act_rescue,
    "control": act_control,
    "approve": act_approve,
}

NAMES: Mapping[str, tuple[str, ...]] = {
    "campaign": ("campaign",),
    "matrix": ("campaign",),
    "errors": ("campaign",),
    "gallery": ("campaign",),
    "workers": ("campaign",),
    "rescue": ("campaign",),
    "control": ("campaign",),
    "dataset": ("dataset",),
    "log": ("dataset",),
    "difference": ("dataset",),
    "picture": ("old:int", "new:int", "version:int", "side"),
    "product": ("product:int",),
    "reference": ("reference",),
    "reprocessing": ("reprocessing",),
    "canary": ("reprocessing", "dataset"),
    "canary_picture": ("reprocessing", "dataset", "number:int"),
    "approve": ("reprocessing",),
}
