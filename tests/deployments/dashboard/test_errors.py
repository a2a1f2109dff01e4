"""The page of errors: classes, like reasons, what they mean, and where they lead."""

from __future__ import annotations

import pytest
from campaign_ledger import GONE, HEAVY, end, enter

from calib import errors
from calib.campaigns.likeness import common_text, group_alike
from calib.error_guide import CODES, GUIDES, guide_for
from calib.ledger.ledger import Ledger
from calib.records import Outcome
from tests.deployments.dashboard.conftest import Client


def test_each_class_has_its_count_its_meaning_and_its_links(client: Client) -> None:
    """A class shows what it means, what to do, its datasets, and links that select them."""
    text = client(may_change=True).get("/campaigns/spring/errors").text
    assert GUIDES["NotFound"].means in text
    assert GUIDES["OutOfMemory"].is_retried in text
    assert f'href="/datasets/{GONE}"' in text
    assert 'href="/campaigns/spring/rescue?state=error&amp;class=NotFound&amp;code=21"' in text
    assert 'href="/campaigns/spring/datasets?state=error&amp;class=OutOfMemory&amp;code=32"' in text


def test_read_only_shows_the_command_instead(client: Client) -> None:
    """Where nothing may be changed no page links to a form; the command is told."""
    text = client().get("/campaigns/spring/errors").text
    assert "/rescue?" not in text
    assert "hstflow campaign rescue spring --class NotFound --code 21" in text


def test_all_campaigns_are_joined(client: Client, ledger: Ledger) -> None:
    """A class that two campaigns have is shown once, with the count of each and their sum."""
    enter(ledger, "summer", (GONE,))
    end(ledger, "summer", Outcome(GONE, "error", "[no] other file", 21, "NotFound"))
    text = client().get("/errors").text
    assert text.count('<h2 id="class-1">NotFound, code 21: 2 datasets</h2>') == 1
    assert 'href="/campaigns/spring"' in text
    assert 'href="/campaigns/summer"' in text


def test_hostile_reasons_are_text(client: Client, ledger: Ledger) -> None:
    """A reason with markup is shown as it is, and is no markup."""
    enter(ledger, "evil", (GONE,))
    said = "<img src=x onerror=alert(1)> {{ 7*7 }}"
    end(ledger, "evil", Outcome(GONE, "error", said, 21, "<b>Odd</b>"))
    text = client().get("/campaigns/evil/errors").text
    assert "<img src=x" not in text
    assert "<b>Odd" not in text
    assert "{{ 7*7 }}" in text


def test_a_campaign_without_errors_says_so(client: Client, ledger: Ledger) -> None:
    """Where nothing failed there is no table."""
    enter(ledger, "calm", (HEAVY,))
    text = client().get("/campaigns/calm/errors").text
    assert "Nothing failed" in text
    assert "<table" not in text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("no file j8bt05njq_raw.fits", "no file iaaj01ivq_raw.fits"),
        ("needs 9.1 GB of 8 GB", "needs 12 GB of 8 GB"),
        ("cannot open '/data/a b.fits'", "cannot open '/x/c.fits'"),
        ("cut short (file s3://b/k1; found 12)", "cut short (file s3://b/other/k; found 7)"),
    ],
)
def test_reasons_that_differ_in_names_and_numbers_are_alike(one: str, other: str) -> None:
    """Names of datasets, files and places, and numbers, do not tell reasons apart."""
    assert common_text(one) == common_text(other)


def test_reasons_that_differ_in_words_are_not_alike() -> None:
    """Another word makes another reason; the most frequent comes first, with its datasets."""
    found = group_alike([("a1", "no file a1"), ("b2", "bad file b2"), ("c3", "bad file c3")])
    assert [(each.number, each.datasets) for each in found] == [(2, ("b2", "c3")), (1, ("a1",))]
    assert found[0].reason == "bad file b2"


def test_the_guide_has_every_class_and_code() -> None:
    """Each error that can end a dataset and each exit code has a line, and no line is left over."""
    kinds = {
        name
        for name, each in vars(errors).items()
        if isinstance(each, type) and issubclass(each, errors.HstflowError)
    }
    codes = {each for each in vars(errors).values() if isinstance(each, int)}
    assert set(GUIDES) == kinds - {"HstflowError"}
    assert set(CODES) == codes


def test_an_unknown_class_is_said_to_be_one() -> None:
    """What is not in the table is not mistaken for something else; a state speaks for itself."""
    assert "not foreseen" in guide_for("ZeroDivisionError", 1).means
    assert guide_for(None, None, "blocked").name == "ReferenceUnavailable"
    assert guide_for("NotFound", 22).remedy != guide_for("NotFound", 21).remedy
