"""Campaigns by their names: one that is unknown is answered with those that are near."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches

from calib.errors import ConfigError, HstflowError
from calib.ids import CAMPAIGN_NAMES, is_campaign_name, parse_dataset
from calib.ledger.campaign_reports import Campaign, campaigns
from calib.ledger.location import hide_credentials, ledger_url
from calib.ledger.reading import open_reader
from calib.ledger.reports import Rows


@contextmanager
def reading() -> Iterator[Rows]:
    """Give the ledger to read from.

    Raises
    ------
    ConfigError
        There is none yet, or it cannot be read.
    """
    url = ledger_url(os.environ)
    with open_reader(url) as rows:
        if rows is None:
            message = "there are no campaigns yet: there is no ledger"
            raise ConfigError(message, path=hide_credentials(url))
        yield rows


def find_campaign(rows: Rows, name: str) -> Campaign:
    """Return the campaign of a name.

    Raises
    ------
    ConfigError
        There is none; the message has the names that are near.
    """
    found = next(iter(campaigns(rows, name)), None)
    if found is None:
        names = [row["name"] for row in rows("SELECT name FROM campaign ORDER BY name", {})]
        near = get_close_matches(name, names, n=3, cutoff=0.5)
        expected = " or ".join(near) or "a name of `hstflow campaign status`"
        raise ConfigError("there is no such campaign", expected=expected, found=name)
    return found


def planned_campaign(rows: Rows, name: str) -> Campaign:
    """Return the campaign of a name, which has a plan to go on with.

    Raises
    ------
    ConfigError
        There is none, or it is what `hstflow process` runs.
    """
    found = find_campaign(rows, name)
    if not found.plan:
        message = "this is no campaign that was submitted: `hstflow process` runs its datasets"
        raise ConfigError(message, found=name)
    return found


def check_name(name: str) -> str:
    """Refuse what cannot name a new campaign, or most likely was not meant to.

    Raises
    ------
    ConfigError
        It holds other characters than letters, digits, ``.``, ``_`` and ``-``, is the name of
        a dataset, or is one of the ledger's own.
    """
    # `overnight` has the form of a dataset's name, too: those of datasets have digits.
    if is_dataset(name) and any(map(str.isdigit, name)):
        message = "the campaign's name comes first, and this is a dataset's"
        raise ConfigError(message, expected="NAME DATASET...", found=name)
    if not is_campaign_name(name):
        raise ConfigError("not a name for a campaign", expected=CAMPAIGN_NAMES, found=repr(name))
    return name


def is_dataset(word: str) -> bool:
    """Tell whether a word is the name of a dataset."""
    try:
        parse_dataset(word)
    except HstflowError:
        return False
    return True
