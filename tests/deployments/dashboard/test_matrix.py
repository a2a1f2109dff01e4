"""The matrix of a campaign: what it shows, its filters, its pages, and the same for programs."""

from __future__ import annotations

import csv
import io
import json
import re
from html import unescape

import pytest
from campaign_ledger import BUSY, DONE, EVERY, GONE, HEAVY, WAITING
from hypothesis import given
from hypothesis import strategies as st

from calib.errors import ConfigError
from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger
from calib.ledger.matrix_question import ORDERS, Place, Wanted
from calib.ledger.matrix_standing import STAGES
from calib.ledger.states import STATES
from deployments.dashboard.pages.matrix_query import SIZES, View, place_text, read_view
from tests.deployments.dashboard.conftest import Client

MATRIX = "/campaigns/spring/datasets"


def shown(text: str) -> list[str]:
    """Return the datasets of a page, in order."""
    return re.findall(r'href="/datasets/([a-z0-9]+)"', text)


def test_every_dataset_has_its_state_and_stages(client: Client) -> None:
    """All five are there by name, with states; the one at work says at which stage."""
    answer = client().get(MATRIX)
    assert answer.status_code == 200
    assert shown(answer.text) == sorted(EVERY)
    assert "<b>5</b>" in answer.text
    row = answer.text[answer.text.index(f"/datasets/{BUSY}") :].partition("</tr>")[0]
    assert '<span class="state running">running</span>' in row
    assert " style=" not in answer.text


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("state=error", [GONE, HEAVY]),
        ("state=error,planned", [GONE, HEAVY, WAITING]),
        ("state=error&state=planned", [GONE, HEAVY, WAITING]),
        ("class=OutOfMemory", [HEAVY]),
        ("code=21", [GONE]),
        ("instrument=wfc3", [GONE, BUSY]),
        ("name=j8bt", [HEAVY, DONE, WAITING]),
        ("name=*05*", [DONE]),
        ("stage=at-work:calibrate", [BUSY]),
        ("stage=failed:calibrate", []),
        ("again=1", []),
    ],
)
def test_filters(client: Client, query: str, expected: list[str]) -> None:
    """Each filter leaves what it says, and says how many of all."""
    answer = client().get(f"{MATRIX}?{query}")
    assert shown(answer.text) == sorted(expected)
    assert f"<b>{len(expected)}</b> of 5 datasets" in answer.text


def test_pages_follow_each_other_and_keep_the_filter(client: Client) -> None:
    """Next and Previous go through all that are wanted, two at a time, and back again."""
    opened = client()
    page = opened.get(f"{MATRIX}?rows=2&state=error,planned,processed").text
    found = shown(page)
    while following := re.search(r'href="([^"]+)" rel="next"', page):
        page = opened.get(unescape(following[1])).text
        found += shown(page)
    assert found == sorted({*EVERY} - {BUSY})
    back = re.search(r'href="([^"]+)" rel="prev"', page)
    assert back is not None
    assert shown(opened.get(unescape(back[1])).text) == sorted({*EVERY} - {BUSY})[:2]


@pytest.mark.parametrize(
    "query",
    [
        "state=odd",
        "stage=calibrate",
        "stage=failed:odd",
        "sort=odd",
        "code=x",
        "code=9999999",
        "rows=0",
        "rows=201",
        "after=nowhere",
        "after=x~1&sort=duration",
        "after=nan~1&sort=duration",
        "after=x~99999999999999999999",
        "name=a%00b",
        f"name={'a' * 300}",
        "format=xml",
    ],
)
def test_words_that_are_none_are_refused(client: Client, query: str) -> None:
    """A query that means nothing is answered with 400 and what there is, not with a page."""
    assert client().get(f"{MATRIX}?{query}").status_code == 400


def test_hostile_texts_are_escaped(client: Client, ledger: Ledger) -> None:
    """What a person or a header says stays text."""
    text = client().get(MATRIX, params={"name": '"><script>', "class": "<b>"}).text
    assert "<script>" not in text
    assert "<b>&#34;" not in text
    assert "No dataset is like that." in text


def test_json_says_the_same(client: Client) -> None:
    """Programs get each dataset with its stages, how many there are, and the next page."""
    answer = client().get(f"{MATRIX}?format=json&rows=4&instrument=acs,wfc3")
    found = json.loads(answer.text)
    assert [each["dataset"] for each in found["datasets"]] == sorted(EVERY)[:4]
    assert (found["number"], found["more_than"]) == (5, None)
    assert f'<{found["next"]}>; rel="next"' in answer.headers["link"]
    rest = client().get(found["next"]).json()
    assert [each["dataset"] for each in rest["datasets"]] == sorted(EVERY)[4:]
    (busy,) = client().get(f"{MATRIX}?format=json&state=processing").json()["datasets"]
    assert busy["stages"]["calibrate"]["state"] == "running"


def test_csv_says_the_same(client: Client) -> None:
    """A table has one line for each dataset, and a column for the state of each stage."""
    answer = client().get(f"{MATRIX}?format=csv&rows=1000")
    assert answer.headers["content-type"].startswith("text/csv")
    lines = [*csv.DictReader(io.StringIO(answer.text))]
    assert [line["dataset"] for line in lines] == sorted(EVERY)
    assert {line["dataset"]: line["calibrate"] for line in lines}[BUSY] == "running"


def test_unknown_campaign_is_not_found(client: Client) -> None:
    """There is no matrix of nothing."""
    assert client().get("/campaigns/summer/datasets").status_code == 404
    assert client().get("/campaigns/summer/datasets?format=json").status_code == 404


def test_stage_that_failed_is_counted_on_top(client: Client, ledger: Ledger) -> None:
    """A dataset that fails in preview is counted there, and found by that link."""
    from calib.ledger.ledger import current_owner
    from calib.records import Outcome

    job = ledger.submit("spring", parse_dataset(WAITING), "spring", context="hst_0001.pmap")
    attempt = ledger.begin_attempt(job, current_owner())
    ledger.close_stage(ledger.open_stage(attempt, "preview"), "error", error="no <WCS>")
    ledger.finish_attempt(attempt, Outcome(WAITING, "error", "no <WCS>", 28, "EngineError"))
    text = client().get(MATRIX).text
    assert 'href="/campaigns/spring/datasets?stage=failed%3Apreview">1</a>' in text
    assert "no &lt;WCS&gt;" in text
    found = client().get(f"{MATRIX}?stage=failed:preview").text
    assert shown(found) == [WAITING]


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0,"), max_size=20).map(str.strip)


@given(
    wanted=st.builds(
        Wanted,
        states=st.lists(st.sampled_from(STATES), unique=True, max_size=3).map(tuple),
        failed=st.one_of(st.none(), st.sampled_from(STAGES)),
        error_class=NAMES.map(lambda text: text or None),
        code=st.one_of(st.none(), st.integers(0, 999_999)),
        name=NAMES.map(lambda text: text or None),
        again=st.booleans(),
        sort=st.just("duration"),
    ),
    place=st.one_of(
        st.none(),
        st.builds(
            Place, st.floats(0, allow_infinity=False), st.integers(0, 10**17), is_back=st.booleans()
        ),
    ),
    size=st.sampled_from(SIZES),
)
def test_a_link_means_what_it_was_made_of(wanted: Wanted, place: Place | None, size: int) -> None:
    """A view as words of a query, read again, is the same view."""
    view = View(wanted, place, size)
    words = view.filters() | (place_text(place) if place else {})
    given_words = {key: str(value) for key, value in words.items() if value not in {None, ""}}
    assert read_view(given_words) == view


@pytest.mark.parametrize("sort", [*ORDERS])
def test_orders(client: Client, sort: str) -> None:
    """Each order is a page; by duration only those that have ended are listed."""
    found = shown(client().get(f"{MATRIX}?sort={sort}").text)
    assert len(found) == (3 if sort == "duration" else 5)


def test_size_is_limited() -> None:
    """Nobody asks for all at once."""
    with pytest.raises(ConfigError, match="1 to 200"):
        read_view({"rows": "500"})
