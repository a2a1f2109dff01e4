"""Forms of pages as browsers send them."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urlencode

from httpx2 import Response
from starlette.testclient import TestClient


class _Form(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.fields: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        is_ticked = given.get("type") != "checkbox" or "checked" in given
        if tag == "input" and given.get("name") and is_ticked:
            self.fields.append((str(given["name"]), given.get("value") or ""))


def fields_of(page: str) -> list[tuple[str, str]]:
    """Return the fields of the form of a page with what is in them."""
    form = _Form()
    form.feed(page)
    return form.fields


def send(client: TestClient, url: str, fields: list[tuple[str, str]], **changed: str) -> Response:
    """Send a form, with other values for some fields; redirects are not followed."""
    kept = [(name, value) for name, value in fields if name not in changed]
    return client.post(
        url.partition("?")[0],
        content=urlencode([*kept, *changed.items()]),
        headers={"content-type": "application/x-www-form-urlencoded"},
        follow_redirects=False,
    )
