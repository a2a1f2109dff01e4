"""Names of campaigns, as the command line takes them."""

from __future__ import annotations

import pytest

from calib.errors import ConfigError
from calib.ids import IMPLICIT
from deployments.cli.campaign.lookup import check_name


@pytest.mark.parametrize("name", [*IMPLICIT, "", "a b", "-x", "x" * 101, "j8bt05njq"])
def test_names_that_no_campaign_has(name: str) -> None:
    """What the ledger refuses is refused before a manifest is read, and so is a dataset."""
    with pytest.raises(ConfigError):
        check_name(name)


@pytest.mark.parametrize("name", ["spring", "overnight", "2026-11_a.b"])
def test_names_of_campaigns(name: str) -> None:
    """A word that has the form of a dataset's name without digits is a campaign's."""
    assert check_name(name) == name
