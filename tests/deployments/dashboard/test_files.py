"""Products by number: what is given out, and what never is."""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from dashboard_archive import DATASET, FLT, HOSTILE, LOG, PICTURE, number_of, stock
from sqlalchemy import update

from calib.ledger.ledger import Ledger
from calib.ledger.schema import product, publication
from deployments.dashboard.opened import Opened
from tests.deployments.dashboard.conftest import Client


@pytest.fixture
def folder(ledger: Ledger, tmp_path: Path) -> Path:
    """Publish a dataset in two runs; return the folder of its current version."""
    stock(ledger, tmp_path / "archive")
    return tmp_path / "archive" / "r2" / DATASET


def test_a_picture_is_shown_and_a_product_is_saved(
    client: Client, ledger: Ledger, folder: Path
) -> None:
    """A picture comes inline, all else as a file to save; bytes and tags are those registered."""
    shown = client().get(f"/products/{number_of(ledger, PICTURE)}")
    assert shown.headers["content-type"] == "image/jpeg"
    assert shown.headers["content-disposition"].startswith("inline")
    assert shown.headers["cache-control"].startswith("private")
    saved = client().get(f"/products/{number_of(ledger, FLT)}")
    data = (folder / FLT).read_bytes()
    assert saved.content == data
    assert saved.headers["content-disposition"] == f"attachment; filename*=UTF-8''{FLT}"
    assert saved.headers["x-content-type-options"] == "nosniff"
    assert saved.headers["etag"] == f'"{hashlib.sha256(data).hexdigest()}"'


@pytest.mark.parametrize(
    ("asked", "code", "part"),
    [
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=100-", 206, slice(100, None)),
        ("bytes=-7", 206, slice(-7, None)),
        ("bytes=0-999999999", 206, slice(0, None)),
        ("bytes=9-3", 200, slice(0, None)),
        ("bytes=0-1,5-6", 200, slice(0, None)),
        ("lines=0-1", 200, slice(0, None)),
    ],
)
def test_ranges(
    client: Client, ledger: Ledger, folder: Path, asked: str, code: int, part: slice
) -> None:
    """One range is given as asked; several, or none that is one, give the whole file."""
    address = f"/products/{number_of(ledger, FLT)}"
    answer = client().get(address, headers={"range": asked})
    assert answer.status_code == code
    assert answer.content == (folder / FLT).read_bytes()[part]


def test_range_behind_the_end_and_what_the_browser_has(
    client: Client, ledger: Ledger, folder: Path
) -> None:
    """A range behind the end is refused with the size; a known tag costs no bytes."""
    address = f"/products/{number_of(ledger, FLT)}"
    size = (folder / FLT).stat().st_size
    answer = client().get(address, headers={"range": f"bytes={size}-"})
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{size}")
    head = client().head(address)
    assert (head.content, int(head.headers["content-length"])) == (b"", size)
    again = client().get(address, headers={"if-none-match": head.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_an_answer_without_bytes_hashes_none(
    client: Client, ledger: Ledger, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger tells head and tag of a file that is there, in its size; all else is said."""
    address = f"/products/{number_of(ledger, FLT)}"
    tag = client().get(address).headers["etag"]
    (folder / FLT).touch()

    def refuse(_opened: Opened) -> str:
        raise RuntimeError("hashed")

    monkeypatch.setattr("deployments.dashboard.opened._hash", refuse)
    assert client().head(address).headers["etag"] == tag
    assert client().get(address, headers={"if-none-match": f"W/{tag}"}).status_code == 304
    assert client().get(address).status_code == 500
    (folder / FLT).write_bytes(b"short")
    assert client().head(address).status_code == 410
    assert client().get(address, headers={"if-none-match": tag}).status_code == 410


def test_a_large_file_is_hashed_once_and_nobody_waits(
    client: Client, ledger: Ledger, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it takes, who asks for it is told to ask again; then all get it, hashed once."""
    assert folder.exists()
    monkeypatch.setattr("deployments.dashboard.opened._LARGE", 1_000)
    begun, go_on = threading.Event(), threading.Event()
    hashed: list[int] = []

    def wait(opened: Opened) -> str:
        hashed.append(opened.size)
        begun.set()
        assert go_on.wait(10)
        return hashlib.sha256(opened.read(0, opened.size)).hexdigest()

    monkeypatch.setattr("deployments.dashboard.opened._hash", wait)
    address = f"/products/{number_of(ledger, FLT)}"
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client().get, address)
        assert begun.wait(10)
        told = client().get(address)
        assert (told.status_code, told.headers["retry-after"]) == (503, "5")
        assert "ask again" in told.text
        go_on.set()
        assert first.result(10).status_code == 200
    assert client().get(address).status_code == 200
    assert len(hashed) == 1


@pytest.mark.parametrize(
    "address", ["/products/1/../../etc/passwd", "/products/%2e%2e%2fetc%2fpasswd", "/products/x"]
)
def test_a_path_is_no_number(client: Client, folder: Path, address: str) -> None:
    """What is no number of a row finds nothing."""
    assert folder.exists()
    assert client().get(address).status_code == 404


@pytest.mark.parametrize("number", [0, 999_999, 10**30])
def test_unknown_number(client: Client, folder: Path, number: int) -> None:
    """A number that the ledger does not have is not found, however large it is."""
    assert folder.exists()
    assert client().get(f"/products/{number}").status_code == 404


def test_a_link_out_of_the_folder_is_not_followed(
    client: Client, ledger: Ledger, folder: Path, tmp_path: Path
) -> None:
    """The same bytes behind a link out of the publication are refused, as file and as folder."""
    outside = tmp_path / "outside"
    (folder / "logs").rename(outside)
    (folder / "logs").symlink_to(outside)
    answer = client().get(f"/products/{number_of(ledger, LOG)}")
    assert answer.status_code == 404
    assert "does not lie in the folder" in answer.text
    (folder / FLT).rename(tmp_path / "other.fits")
    (folder / FLT).symlink_to(tmp_path / "other.fits")
    assert client().get(f"/products/{number_of(ledger, FLT)}").status_code == 404


def test_a_registered_path_out_of_the_folder_is_refused(
    client: Client, ledger: Ledger, folder: Path
) -> None:
    """A ledger that says ../ or names a file of elsewhere gets nothing out."""
    number = number_of(ledger, LOG)
    for uri in (f"{folder.as_uri()}/../../../secret", "file:///etc/passwd", "file:///a%00b"):
        change = update(product).where(product.c.id == number).values(uri=uri)
        (folder.parents[2] / "secret").write_text("secret")
        ledger.write(lambda c, change=change: c.execute(change))
        answer = client().get(f"/products/{number}")
        assert answer.status_code == 404
        assert "secret" not in answer.text
        assert "root:" not in answer.text


def test_a_pipe_is_no_file(client: Client, ledger: Ledger, folder: Path) -> None:
    """A pipe in place of a file does not make the reader wait."""
    (folder / FLT).unlink()
    os.mkfifo(folder / FLT)
    answer = client().get(f"/products/{number_of(ledger, FLT)}")
    assert answer.status_code == 404
    assert "no regular file" in answer.text


def test_another_file_is_not_given_out(client: Client, ledger: Ledger, folder: Path) -> None:
    """Other bytes are refused, of another size and of the same, also after the right ones."""
    number, path = number_of(ledger, LOG), folder / LOG
    right = path.read_bytes()
    assert client().get(f"/products/{number}").status_code == 200
    for other in (right[::-1], right + b"more"):
        path.write_bytes(other)
        answer = client().get(f"/products/{number}")
        assert answer.status_code == 410
        assert "another file" in answer.text


def test_missing_and_pruned(client: Client, ledger: Ledger, folder: Path) -> None:
    """A file that is not there is not found; what was pruned is gone, with the day."""
    (folder / LOG).unlink()
    number = number_of(ledger, LOG)
    assert client().get(f"/products/{number}").status_code == 404
    gone = update(publication).values(removed_at="2026-02-03T00:00:00+00:00")
    ledger.write(lambda c: c.execute(gone))
    answer = client().get(f"/products/{number}")
    assert answer.status_code == 410
    assert "2026-02-03" in answer.text


def test_hostile_names(client: Client, ledger: Ledger, folder: Path) -> None:
    """A name with quotes and marks breaks neither header nor page; a log shows no codes."""
    number = number_of(ledger, HOSTILE)
    assert (folder / HOSTILE).exists()
    said = client().get(f"/products/{number}").headers["content-disposition"]
    assert said == "attachment; filename*=UTF-8''%3Cb%3Ex%22%27.txt"
    page = client().get(f"/datasets/{DATASET}/log?file={number}").text
    assert "<b>x" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_a_picture_that_is_too_large_is_saved(
    client: Client, ledger: Ledger, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit a picture is a file like any other."""
    assert folder.exists()
    monkeypatch.setattr("deployments.dashboard.files.MOST_INLINE", 10)
    answer = client().get(f"/products/{number_of(ledger, PICTURE)}")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-type"] == "application/octet-stream"


def test_no_descriptor_stays_open(client: Client, ledger: Ledger, folder: Path) -> None:
    """Files are closed after answers of all kinds."""
    browser, number = client(), number_of(ledger, FLT)
    assert folder.exists()
    browser.get(f"/products/{number}")
    before = len([*Path("/proc/self/fd").iterdir()])
    for headers in ({}, {"range": "bytes=9999999-"}, {"if-none-match": "*"}):
        browser.get(f"/products/{number}", headers=headers)
        browser.head(f"/products/{number}", headers=headers)
    assert len([*Path("/proc/self/fd").iterdir()]) <= before


@pytest.mark.parametrize("query", ["", "?file=x", "?file=99999", "?job=1&name=../../x", "?job=999"])
def test_logs_that_are_not_there(client: Client, folder: Path, query: str) -> None:
    """A log is asked for by numbers and by names that are there."""
    assert folder.exists()
    assert client().get(f"/datasets/{DATASET}/log{query}").status_code == 404


def test_log_of_another_dataset(client: Client, ledger: Ledger, folder: Path) -> None:
    """The number of a log counts for its own dataset, and for logs alone."""
    assert folder.exists()
    assert client().get(f"/datasets/x/log?file={number_of(ledger, LOG)}").status_code == 404
    assert client().get(f"/datasets/{DATASET}/log?file={number_of(ledger, FLT)}").status_code == 404
    found = client().get(f"/datasets/{DATASET}/log?file={number_of(ledger, LOG)}").text
    assert "last line of &lt;b&gt;the log" in found
