"""Forms: only what a page of ours asked for, for that person, changes anything."""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.testclient import TestClient

from deployments.dashboard import pages
from deployments.dashboard.app import Desk
from deployments.dashboard.forms import KIND, MOST_BYTES, Form, Tokens, check_origin
from tests.deployments.dashboard.conftest import Client

WHERE = "/campaigns/spring/rescue"
OURS = {"origin": "http://localhost", "sec-fetch-site": "same-origin"}


def act(_desk: Desk, _request: Request, form: Form) -> Response:
    """Say what was sent."""
    said = "|".join(f"{name}={','.join(form.all(name))}" for name in form.fields)
    return PlainTextResponse(f"{form.person}: {said}; last {form.one('dataset', 'none')}")


def show(desk: Desk, request: Request) -> Response:
    """Give a token."""
    return PlainTextResponse(desk.token(request))


@pytest.fixture
def form_client(client: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Return a client of a dashboard that may change things and has one form."""
    monkeypatch.setattr(pages, "ANSWERS", {**pages.ANSWERS, "rescue": show})
    monkeypatch.setattr(pages, "ACTIONS", {"rescue": act})
    with client(may_change=True) as opened:
        yield opened


def test_form_of_our_page_is_taken(form_client: TestClient) -> None:
    """What was sent arrives in order, with the person and without the token."""
    token = form_client.get(WHERE).text
    sent = urlencode([("token", token), ("dataset", "a"), ("dataset", "b é"), ("why", "")])
    answer = form_client.post(WHERE, content=sent, headers={"content-type": KIND, **OURS})
    assert answer.text == "local: dataset=a,b é|why=; last b é"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:9999"}, 403),
        ({"origin": "ftp://localhost"}, 403),
        ({"origin": "http://[oops"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "multipart/form-data; boundary=x"}, 415),
    ],
)
def test_form_from_elsewhere_is_refused(
    form_client: TestClient, headers: dict[str, str], code: int
) -> None:
    """Other pages' forms, and other kinds of bodies, are refused even with a good token."""
    sent = urlencode({"token": form_client.get(WHERE).text})
    given = {"content-type": KIND, **headers}
    assert form_client.post(WHERE, content=sent, headers=given).status_code == code


@pytest.mark.parametrize("name", ["hst.example.org", "HST.Example.org"])
def test_form_behind_a_proxy_that_names_another_host(name: str) -> None:
    """A name of this dashboard is known however it was typed."""
    headers = [(b"host", b"127.0.0.1:8080"), (b"origin", b"https://hst.example.org")]
    check_origin(Request({"type": "http", "headers": headers}), (name,))


@pytest.mark.parametrize("token", ["", "x", "0.0", "zz.ff", "é.ff"])
def test_form_without_our_token_is_refused(form_client: TestClient, token: str) -> None:
    """A token that this process never gave is none."""
    answer = form_client.post(WHERE, data={"token": token}, headers=OURS)
    assert answer.status_code == 403
    assert "load it again" in answer.text


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"a=" + b"x" * MOST_BYTES, 413),
        (b"a=%ff", 400),
        (b"a=\xff", 400),
        (b"&".join([b"a=1"] * 4_001), 400),
    ],
)
def test_unreadable_form_is_refused(form_client: TestClient, body: bytes, code: int) -> None:
    """A form that is too long, has too many fields or is no text is refused before its token."""
    answer = form_client.post(WHERE, content=body, headers={"content-type": KIND, **OURS})
    assert answer.status_code == code


def test_readonly_dashboard_takes_no_form(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default nothing is changed, and the page says how that is turned on."""
    monkeypatch.setattr(pages, "ACTIONS", {"rescue": act})
    answer = client().post(WHERE, data={"token": "x"}, headers=OURS)
    assert answer.status_code == 403
    assert "--change" in answer.text


def test_token_is_of_one_person_process_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither another person nor another process nor the day after may use a token."""
    tokens = Tokens(life=60)
    token = tokens.give("ada")
    assert tokens.knows(token, "ada")
    assert not tokens.knows(token, "bob")
    assert not Tokens().knows(token, "ada")
    later = time.time() + 61
    monkeypatch.setattr("deployments.dashboard.forms.time.time", lambda: later)
    assert not tokens.knows(token, "ada")
