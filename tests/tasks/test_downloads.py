"""A turn to download, from a server that comes and goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks import downloads

Slots = Callable[..., AbstractContextManager[None]]
MAST: Any = SimpleNamespace(source="astroquery:")


@pytest.fixture(autouse=True)
def server() -> Iterator[None]:
    """Point at a server; nothing asks it."""
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        yield


@contextmanager
def away_at_the_end(*_: object, **__: object) -> Iterator[None]:
    """Give a slot that cannot be given back."""
    try:
        yield
    finally:
        raise httpx.ConnectError("connection refused")


@contextmanager
def away_at_the_start(*_: object, **__: object) -> Iterator[None]:
    """Give no slot."""
    raise RuntimeError("Failed to reach API")
    yield


@pytest.mark.parametrize("slots", [away_at_the_start, away_at_the_end])
def test_server_that_is_away_fails_no_download(
    monkeypatch: pytest.MonkeyPatch, slots: Slots, caplog: pytest.LogCaptureFixture
) -> None:
    """The download goes on, and is not an error afterwards."""
    monkeypatch.setattr(downloads, "concurrency", slots)
    with downloads.download_turn(MAST):
        done = True

    assert done
    assert "turn" in caplog.text


def test_failed_download_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """What went wrong with it is told, and not that the server is away."""
    monkeypatch.setattr(downloads, "concurrency", away_at_the_end)
    with pytest.raises(ValueError, match="a broken file"), downloads.download_turn(MAST):
        raise ValueError("a broken file")


def test_own_files_need_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only MAST is asked in turns."""

    def never(*_: object, **__: object) -> AbstractContextManager[None]:
        raise AssertionError("a turn was asked for")

    monkeypatch.setattr(downloads, "concurrency", never)
    job: Any = SimpleNamespace(source="file:/data")
    with downloads.download_turn(job):
        pass
