"""Who is answered, what is refused, and that nothing of a page runs in a browser."""

from __future__ import annotations

import base64
import logging
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from calib.errors import ArchiveError, ConfigError
from calib.ledger.ledger import Ledger
from calib.records import Outcome
from deployments.dashboard import pages
from deployments.dashboard.access import check_access, is_loopback
from deployments.dashboard.app import Desk
from deployments.dashboard.security import MOST_PATH, MOST_QUERY, POLICY, host_name
from deployments.dashboard.settings import DashboardSettings
from tests.campaign_ledger import DONE, end, enter
from tests.deployments.dashboard.conftest import Client

PASSWORD = "ada:correct horse"  # noqa: S105 - of these tests
HOSTILE = "<script>alert(1)</script>\x1b[31m\"'&{{7*7}}\n" + "x" * 5_000


def basic(said: str) -> dict[str, str]:
    """Return the header of basic authentication."""
    return {"authorization": f"Basic {base64.b64encode(said.encode()).decode()}"}


@pytest.mark.parametrize("path", ["/", "/nothing", "/static/style.css", "/health"])
def test_every_answer_has_the_headers(client: Client, path: str) -> None:
    """No answer may be framed, sniffed, kept by others, or run a script of elsewhere."""
    answer = client().get(path)
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "unsafe" not in POLICY


@pytest.mark.parametrize("path", ["/", "/campaigns/spring"])
def test_page_has_no_inline_script_or_style(client: Client, path: str) -> None:
    """The policy would block them: a page has none."""
    text = client().get(path).text
    assert "<style" not in text
    assert " style=" not in text
    assert " onclick" not in text
    assert "<script>" not in text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"])
def test_other_methods_are_refused(client: Client, method: str) -> None:
    """What no page of ours does is refused, with what is allowed."""
    answer = client().request(method, "/")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"


def test_head_is_answered_without_a_body(client: Client) -> None:
    """HEAD gives the code and headers of GET, and nothing else."""
    answer = client().head("/")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/" + "a" * MOST_PATH, 414),
        ("/?q=" + "a" * MOST_QUERY, 414),
        ("/campaigns/a%00b", 400),
        ("/campaigns/a%0d%0ab", 400),
        ("/?page=%00", 400),
        ("/?page=-1", 400),
        ("/?page=1e9", 400),
        ("/?page=99999999999999999999", 400),
        ("/static/../app.py", 404),
        ("/static/%2e%2e/app.py", 404),
        ("/static/%2e%2e%2f%2e%2e%2fetc/passwd", 404),
    ],
)
def test_odd_addresses_are_refused(client: Client, path: str, code: int) -> None:
    """Long, coded and climbing addresses end before any work, and show nothing of ours."""
    answer = client().get(path)
    assert answer.status_code == code
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("localhost:8080", 200),
        ("[::1]:8080", 200),
        ("hst.example.org", 200),
        ("HST.example.org:443", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("", 421),
    ],
)
def test_only_known_names_are_answered(client: Client, host: str, code: int) -> None:
    """A page of elsewhere that points its own name at us (DNS rebinding) learns nothing."""
    answer = client(hosts=("hst.example.org",)).get("/", headers={"host": host})
    assert answer.status_code == code


def test_probes_need_no_name_and_no_password(client: Client) -> None:
    """Whoever looks whether the process lives calls it by its number."""
    asked = client(password=PASSWORD)
    for path in ("/health", "/ready"):
        assert asked.get(path, headers={"host": "10.1.2.3"}).status_code == 200


def test_host_names_are_read_with_and_without_port() -> None:
    """An address in brackets keeps its colons."""
    assert [host_name(each) for each in ("a:1", "A", "[::1]:80", "[::1]")] == [
        "a",
        "a",
        "::1",
        "::1",
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("ada:wrong horse"),
        basic("bob:correct horse"),
        basic("ada"),
        {"authorization": "Basic ***"},
        {"authorization": "Basic /w=="},
        {"authorization": "Bearer ada:correct horse"},
    ],
)
def test_wrong_password_is_asked_again(client: Client, headers: dict[str, str]) -> None:
    """Without the password not even a style is given, and the browser is told what to ask for."""
    answer = client(password=PASSWORD).get("/static/style.css", headers=headers)
    assert answer.status_code == 401
    assert 'realm="hstflow"' in answer.headers["www-authenticate"]


def test_password_lets_in(client: Client) -> None:
    """The right password shows the page."""
    assert client(password=PASSWORD).get("/", headers=basic(PASSWORD)).status_code == 200


def test_proxy_names_the_person(client: Client) -> None:
    """A name lets in; none, an empty one, two, or one with control characters does not."""
    asked = client(proxy_header="X-Forwarded-User")
    given: list[list[tuple[str, str]]] = [
        [("x-forwarded-user", "ada")],
        [],
        [("x-forwarded-user", "")],
        [("x-forwarded-user", "ada"), ("x-forwarded-user", "root")],
        [("x-forwarded-user", "a" * 256)],
    ]
    codes = [asked.get("/", headers=headers).status_code for headers in given]
    assert codes == [200, 403, 403, 403, 403]


@pytest.mark.parametrize(("proxies", "code"), [(("testclient",), 200), (("10.0.0.2",), 403)])
def test_only_the_proxy_may_name_a_person(
    client: Client, proxies: tuple[str, ...], code: int
) -> None:
    """The same header from another address lets nobody in."""
    asked = client(proxy_header="X-Forwarded-User", proxies=proxies)
    assert asked.get("/", headers={"x-forwarded-user": "ada"}).status_code == code


def test_token_of_metrics_opens_metrics_alone(client: Client) -> None:
    """A collector has a token of its own, which opens nothing else."""
    asked = client(password=PASSWORD, metrics_token="t0ken")  # noqa: S106
    bearer = {"authorization": "Bearer t0ken"}
    assert asked.get("/metrics", headers=bearer).status_code == 200
    assert asked.get("/", headers=bearer).status_code == 401
    assert asked.get("/metrics", headers=basic(PASSWORD)).status_code == 401


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"host": "0.0.0.0"}, "--without-password"),  # noqa: S104
        ({"host": "::", "is_open": True, "may_change": True}, "could change"),
        ({"host": "hst.example.org"}, "HSTFLOW_DASHBOARD_PASSWORD"),
        ({"password": "ada"}, "USER:PASSWORD"),
        ({"password": ":longenough"}, "USER:PASSWORD"),
        ({"password": "ada:short"}, "8 characters"),
        ({"proxy_header": "a b"}, "name of a header"),
        ({"proxy_header": "X-User", "password": PASSWORD}, "not both"),
        ({"proxy_header": "X-User", "host": "0.0.0.0"}, "PROXIES"),  # noqa: S104
        ({"prefect": "javascript:alert(1)"}, "Prefect"),
        ({"dask": "host:8787"}, "Dask"),
        ({"root": "hst"}, "path below"),
    ],
)
def test_settings_that_let_in_too_many_are_refused(given: dict[str, Any], said: str) -> None:
    """Nothing listens to others by mistake: the message says what to do; no password is shown."""
    with pytest.raises(ConfigError) as caught:
        check_access(DashboardSettings(ledger="x", **given))
    assert said in str(caught.value)
    assert "short" not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"host": "::1", "may_change": True},
        {"host": "0.0.0.0", "is_open": True},  # noqa: S104
        {"host": "0.0.0.0", "password": PASSWORD, "may_change": True},  # noqa: S104
        {"host": "10.0.0.1", "proxy_header": "X-Forwarded-User", "proxies": ("10.0.0.2",)},
    ],
)
def test_settings_that_are_meant_pass(given: dict[str, Any]) -> None:
    """A loopback address, a password, a proxy or the operator's word are enough."""
    check_access(DashboardSettings(ledger="x", **given))


def test_loopback_is_told_from_other_addresses() -> None:
    """A name is not looked up: it may change."""
    names = ("localhost", "127.0.0.53", "::1", "0.0.0.0", "::", "example.org", "")  # noqa: S104
    assert [is_loopback(each) for each in names] == [True] * 3 + [False] * 4


def test_password_is_not_in_the_words_of_settings() -> None:
    """A log that has the settings has no secret."""
    shown = repr(DashboardSettings(ledger="x", password=PASSWORD, metrics_token="t0ken"))  # noqa: S106
    assert "horse" not in shown
    assert "t0ken" not in shown


@pytest.mark.parametrize("error", [RuntimeError("/secret/path"), ArchiveError("/secret/path")])
def test_unexpected_failure_is_a_number_that_the_log_has(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    """The page shows neither the words nor the traceback of what nobody expected."""

    def fail(_desk: Desk, _request: Request) -> Response:
        raise error

    monkeypatch.setattr(pages, "ANSWERS", {"campaigns": fail})
    with caplog.at_level(logging.ERROR):
        answer = client().get("/")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["content-security-policy"] == POLICY
    (record,) = caplog.records
    number = record.getMessage().split()[1].rstrip(":")
    assert f"failure {number}" in answer.text
    assert record.exc_info is not None


def test_hostile_names_are_text(client: Client, ledger: Ledger) -> None:
    """Scripts, escapes and templates in names and reasons are shown, and never run."""
    name = '<script>alert("x")'
    enter(ledger, name, (DONE,))
    end(ledger, name, Outcome(DONE, "error", HOSTILE, 23, "<img src=x>"))
    asked = client()
    for path in ("/", f"/campaigns/{quote(name, safe='')}"):
        text = asked.get(path).text
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "{{7*7}}" in text or path == "/"
        assert "x" * 5_000 not in text


@pytest.fixture
def fuzzed(client: Client) -> TestClient:
    """Return one client for many examples."""
    return client()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    path=st.sampled_from(["", "campaigns/", "campaigns/spring/", "datasets/", "products/"]),
    name=st.text(max_size=40),
    query=st.dictionaries(
        st.sampled_from(["page", "state", "class", "code", "x"]), st.text(max_size=20), max_size=3
    ),
)
def test_no_address_makes_it_fail(
    fuzzed: TestClient, path: str, name: str, query: dict[str, str]
) -> None:
    """Whatever is asked for, the answer is a page or a refusal, never a failure."""
    asked = f"/{path}{quote(name.encode('utf-8', 'replace'), safe='')}"
    words = {key: value.encode("utf-8", "replace").decode() for key, value in query.items()}
    answer = fuzzed.get(asked, params=words)
    assert answer.status_code < 500
    assert "Traceback" not in answer.text
