"""Whether the service of solutions answers, and who remembers it."""

from __future__ import annotations

import time

import pytest

from calib.engines import astrometry
from calib.simulate.loopback import Handler, LoopbackServer


def service(status: int) -> LoopbackServer:
    """Return a server that gives one answer."""

    class Service(Handler):
        def do_GET(self) -> None:  # noqa: N802 - the base class' name
            self.send_text(status if self.path == "/db/availability" else 404, "")

    class Server(LoopbackServer):
        handler = Service

    return Server()


@pytest.mark.parametrize(("status", "answers"), [(200, True), (503, False), (404, False)])
def test_service(status: int, answers: bool) -> None:
    """A host that takes connections says by its answer whether the service is there."""
    with service(status) as server:
        assert astrometry.is_reachable(f"{server.url}/db/") is answers


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9/x", "no address", "http://127.0.0.1:port", ""]
)
def test_no_service(address: str) -> None:
    """A port where nobody listens, and what is no address, are no service."""
    assert not astrometry.is_reachable(address)


def test_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of datasets ask once, and again after ten minutes: the network may be back."""
    asked = []

    def answer(address: str) -> bool:
        asked.append(address)
        return len(asked) > 1

    monkeypatch.setattr(astrometry, "is_reachable", answer)
    environ = {astrometry.SERVICE_VARIABLE: "http://stars.example/db/"}

    found = [astrometry.astrometry_of("auto", environ)[0].name for _ in range(3)]
    assert found == ["off"] * 3
    assert asked == ["http://stars.example/db/"]

    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 601)
    assert astrometry.astrometry_of("auto", environ)[0].name == "full"
    assert astrometry.astrometry_of("auto", {})[0].name == "full"
    assert asked[1:] == ["http://stars.example/db/", astrometry.SERVICE]
