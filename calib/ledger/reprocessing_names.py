"""Names of reprocessings and of their campaigns: no two share one.

Plain SQL, as :mod:`calib.ledger.reports`.
"""

from __future__ import annotations

from calib.errors import ConfigError
from calib.ledger.reports import Rows

# Campaigns of a reprocessing, after its own name, by wave; 0 is the canaries.
SUFFIXES = ("-canary", "", "-visits", "-skycells")

_REPROCESSING = "SELECT name FROM reprocessing WHERE name = :name"
_CAMPAIGN = "SELECT name FROM campaign WHERE name = :name"


def campaigns_of(name: str) -> list[str]:
    """Return the names of all campaigns of a reprocessing, the canaries' first."""
    return [name + suffix for suffix in SUFFIXES]


def reprocessing_of_campaign(rows: Rows, campaign: str) -> str | None:
    """Return the reprocessing that a campaign's name belongs to, also before it is begun."""
    for suffix in SUFFIXES:
        name = campaign.removesuffix(suffix)
        if campaign == name + suffix and rows(_REPROCESSING, {"name": name}):
            return name
    return None


def refuse_shared_names(rows: Rows, name: str) -> None:
    """Refuse a new reprocessing that would have a campaign's name in common with another one.

    Raises
    ------
    ConfigError
        As said: each would put its datasets into the other's campaign.
    """
    for each in campaigns_of(name):
        owner = reprocessing_of_campaign(rows, each)
        if owner == name:
            raise ConfigError("there is a reprocessing of this name", found=name)
        if owner is not None:
            message = f"reprocessing {owner} has a campaign {each}, and {name} would have it too"
            raise ConfigError(message, expected="another name", found=name)


def refuse_foreign_campaigns(rows: Rows, name: str) -> None:
    """Refuse a new reprocessing where a campaign of another purpose has one of its names.

    Campaigns of reprocessings pass: :func:`refuse_shared_names`.

    Raises
    ------
    ConfigError
        As said.
    """
    for each in campaigns_of(name):
        if rows(_CAMPAIGN, {"name": each}) and reprocessing_of_campaign(rows, each) is None:
            message = "there is a campaign of this name"
            message += "" if each == name else f", which reprocessing {name} would need"
            raise ConfigError(message, expected="another name", found=each)


def refuse_campaign_of_other(rows: Rows, campaign: str, reprocessing: str | None) -> None:
    """Refuse to enter a campaign by a name that belongs to a reprocessing.

    Parameters
    ----------
    rows, campaign
        The ledger, and the campaign.
    reprocessing
        The one that enters a campaign of its own; None: it is entered by itself.

    Raises
    ------
    ConfigError
        As said.
    """
    owner = reprocessing_of_campaign(rows, campaign)
    if owner not in {None, reprocessing}:
        raise ConfigError(
            f"campaign {campaign} is one of reprocessing {owner}",
            expected=f"another name, or hstflow campaign reprocess {owner}",
            found=campaign,
        )
