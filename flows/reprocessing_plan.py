"""A reprocessing that a flow run was asked for, planned and entered once."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from prefect import runtime

from calib.campaigns.manifest import entries_of, read_entries
from calib.errors import ConfigError
from calib.ledger.ledger import Ledger
from calib.ledger.published_contexts import usual_context
from calib.ledger.reports import Rows
from calib.ledger.reprocessing_changes import change_in_force, known_changes
from calib.ledger.reprocessing_reports import reprocessings
from calib.ledger.rows import short_reads
from calib.references.comparison import compare_contexts, context_changes
from calib.references.context import resolve_context
from calib.references.header_sources import headers_of_server
from calib.references.profile import CrdsProfile
from calib.reprocessing.current import compare_current, select_current
from calib.reprocessing.planning import Asked, Trigger, enter, plan_reprocessing
from calib.reprocessing.selection import Selection, select_datasets
from calib.reprocessing.sources import select_listed, select_queried, select_users
from calib.stages.campaign_plan import CampaignPlan
from calib.stages.recording import ledger_of
from flows.parameters import CampaignOptions, ReprocessOptions, build_request
from tasks.settings import load_settings

WHO = "reprocess"  # who enters what nobody planned by hand

# Sources that compare two contexts; the others say themselves which datasets.
_COMPARES = frozenset({"ledger", "server"})


@dataclass(frozen=True)
class Wanted:
    """The parameters of a flow run of `reprocess`."""

    old: str | None
    new: str | None
    name: str | None
    input_uri: str
    output_uri: str
    asked: ReprocessOptions
    how: CampaignOptions


def enter_wanted(wanted: Wanted) -> str:
    """Return the name of the reprocessing that is wanted; it is planned and entered if it is new.

    Raises
    ------
    ConfigError
        What is wanted is not clear, cannot work, or its name has another content.
    ContextError, Unavailable
        A context, or whoever knows the datasets, cannot be read.
    """
    settings = load_settings()
    ledger = ledger_of(settings.ledger)
    if (known := _known(ledger, wanted)) is not None:
        return known
    trigger: Trigger = "context"
    if wanted.asked.source not in _COMPARES:
        trigger = "list" if wanted.asked.source == "list" else _other(wanted)
    _refuse_lost_output(wanted.output_uri)
    plan = _plan(wanted)
    profile = plan.request.profile
    new = resolve_context(wanted.new or "hst-operational", profile)
    old = _old(ledger, wanted, new) if trigger == "context" else None
    if old == new:
        message = "nothing changes: both contexts are the same"
        raise ConfigError(message, expected="old and new", found=new)
    known = _of_change(ledger, old, new) if old else None
    if known is not None:
        return known
    name = wanted.name or _free_name(ledger, _name_of(wanted, old, new))
    selection = _select(short_reads(ledger), wanted, profile, old, new)
    plan = replace(plan, request=replace(plan.request, campaign=name))
    origin, per_type = _origin(wanted), wanted.asked.per_type
    asked = Asked(name, old, new, trigger, plan, origin, per_type)
    return enter(plan_reprocessing(asked, selection), WHO)


def _refuse_lost_output(output_uri: str) -> None:
    """Refuse a place that is relative to the folder of a deployment's run, which is removed."""
    scheme, _, place = output_uri.rpartition(":")
    if runtime.deployment.id and scheme in {"", "file"} and not Path(place).is_absolute():
        message = "a run of the deployment reprocess needs a place for its products that lasts"
        expected = "output_uri of the deployment, such as file:/data/out or s3://bucket/hst"
        raise ConfigError(message, expected=expected, found=output_uri)


def _known(ledger: Ledger, wanted: Wanted) -> str | None:
    """Return the name of what there is of this name, or for this change of context."""
    if wanted.name is not None:
        found = ledger.ask(lambda rows: reprocessings(rows, wanted.name))
        if found and wanted.new not in {None, found[0].new_context}:
            message = f"reprocessing {wanted.name} is for another context"
            raise ConfigError(message, expected=found[0].new_context, found=wanted.new)
        if found:
            return found[0].name
    if wanted.old and wanted.new and wanted.asked.source in _COMPARES:
        return _of_change(ledger, wanted.old, wanted.new)
    return None


def _of_change(ledger: Ledger, old: str, new: str) -> str | None:
    found = change_in_force(ledger.ask(known_changes), old, new)
    return found.name if found else None


def _other(wanted: Wanted) -> Trigger:
    return "query" if wanted.asked.source == "query" else "reference"


def _old(ledger: Ledger, wanted: Wanted, new: str) -> str:
    """Return what the change is from; what is current says it by itself."""
    found = wanted.old
    if found is None and wanted.asked.source == "ledger":
        found = ledger.ask(lambda rows: usual_context(rows, new))
    if found is None:
        message = "it is not said what to compare with"
        raise ConfigError(message, expected="old, such as hst_0632.pmap")
    return found


def _name_of(wanted: Wanted, old: str | None, new: str) -> str:
    """Return the name of a change of context: ``0632-0633``."""
    if old is None:
        message = f"a reprocessing of source {wanted.asked.source} needs a name"
        raise ConfigError(message, expected="name")
    return "-".join(each.removeprefix("hst_").removesuffix(".pmap") for each in (old, new))


def _free_name(ledger: Ledger, name: str) -> str:
    """Return a name that no earlier reprocessing has: ``0632-0633-2`` after a way back."""
    taken = {each.name for each in ledger.ask(known_changes)}
    return next(each for n in count(1) if (each := f"{name}-{n}" if n > 1 else name) not in taken)


def _plan(wanted: Wanted) -> CampaignPlan:
    how = wanted.how
    request = build_request(
        wanted.input_uri, wanted.output_uri, how.profile, wanted.new, how.run, wanted.asked.options
    )
    return CampaignPlan(request=request, **how.model_dump(exclude={"profile", "run"}))


def _origin(wanted: Wanted) -> dict[str, object]:
    """Return with which words it was asked for; a list is told by its length."""
    said = wanted.asked.model_dump(
        exclude={"approval", "per_type", "options", "processes"}, exclude_defaults=True
    )
    if "datasets" in said:
        said["datasets"] = len(said["datasets"])
    return {**said, "source": wanted.asked.source}


def _select(
    rows: Rows, wanted: Wanted, profile: CrdsProfile, old: str | None, new: str
) -> Selection:
    asked = wanted.asked
    if old is not None:
        return _select_changed(rows, asked, profile, old, new)
    if asked.source == "query":
        from calib.fetch.observations import parse_query  # astropy, which other sources need not
        from calib.fetch.options import options_from

        return select_queried(parse_query(str(asked.query)), options_from(os.environ), rows)
    if asked.source == "reference":
        return select_users([str(asked.reference)], rows)
    entries = entries_of(asked.datasets) if asked.datasets else []
    entries += read_entries(Path(asked.manifest)) if asked.manifest else []
    return select_listed(each.dataset for each in entries)


def _select_changed(
    rows: Rows, asked: ReprocessOptions, profile: CrdsProfile, old: str, new: str
) -> Selection:
    """Compare what the server knows on two contexts, or what is current with the new one."""
    if asked.source == "server":
        headers = headers_of_server(profile, context_changes(profile, old, new))
        affected = compare_contexts(profile, old, new, headers, processes=asked.processes)
        return select_datasets(affected, rows)
    return select_current(
        compare_current(profile, new, rows, otherwise=old, processes=asked.processes), new, rows
    )
