"""One file from a server that misbehaves: whole and verified, or not at all."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import pytest

from calib.errors import CorruptFile, HstflowError, NotFound, Proprietary, Unavailable
from calib.fetch.download import Remote, Version, download
from calib.fetch.hosts import host_of, host_slot, limit_host, thread_session
from calib.fetch.options import Patience
from calib.simulate.mast_server import Manner, MastServer

NAME = "jh0001aaq_raw.fits"
QUICK = Patience(connect=2, read=0.5, deadline=20, tries=4, backoff=0.02)
WriteRaw = Callable[..., Path]


@pytest.fixture(scope="module")
def whole(write_raw: WriteRaw, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return a raw of 349 kB that has checksums."""
    path = write_raw(tmp_path_factory.mktemp("raw") / NAME, imsets=30, checksum=True)
    return path.read_bytes()


@pytest.fixture
def archive(whole: bytes, tmp_path: Path) -> Path:
    """Return a folder with one raw."""
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / NAME).write_bytes(whole)
    return tmp_path / "archive"


@pytest.fixture
def mast(archive: Path) -> Iterator[MastServer]:
    """Return a running server of that folder."""
    with MastServer(archive) as server:
        yield server


def remote_of(server: MastServer, **changes: str) -> Remote:
    """Return the raw as this server has it."""
    url = f"{server.url}/api/v0.1/Download/file?uri=mast:HST/product/{NAME}"
    return replace(Remote(url, NAME, token_host=host_of(server.url)), **changes)


def statuses(server: MastServer) -> list[int]:
    """Return the statuses of the server's answers."""
    return [request.status for request in server.requests]


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        pytest.param([], [200], id="no fault"),
        pytest.param(["503", "503"], [503, 503, 200], id="busy twice"),
        pytest.param(["429:0"], [429, 200], id="too many requests"),
        pytest.param(["truncate:200000"], [200, 206], id="cut, resumed"),
        pytest.param(["truncate:200000", "truncate:70000"], [200, 206, 206], id="cut twice"),
        pytest.param(["truncate:200000", "503", "ok"], [200, 503, 206], id="cut, then busy"),
        pytest.param(["corrupt"], [200, 200], id="first byte"),
        pytest.param(["corrupt:100000"], [200, 200], id="a byte within, seen by checksum"),
        pytest.param(["short:28800"], [200, 200], id="whole blocks missing, length agrees"),
        pytest.param(["short:50000"], [200, 200], id="cut within a block, length agrees"),
        pytest.param(["html"], [200, 200], id="a page"),
        pytest.param(["slow:5"], [200, 200], id="stalls"),
        pytest.param(["no-length"], [200], id="no Content-Length"),
        pytest.param(["head-503"], [200], id="HEAD fails"),
    ],
)
def test_faults_that_pass_end_in_the_right_bytes(
    mast: MastServer, archive: Path, tmp_path: Path, plan: list[str], expected: list[int]
) -> None:
    """Whatever happens on the way, what is there at the end is what the archive has."""
    mast.faults[NAME] = plan
    version = download(remote_of(mast), tmp_path / "parts", QUICK)

    assert version is not None
    assert (tmp_path / "parts" / NAME).read_bytes() == (archive / NAME).read_bytes()
    assert version.size == (archive / NAME).stat().st_size
    assert statuses(mast) == expected
    assert [path.name for path in (tmp_path / "parts").iterdir()] == [NAME]


@pytest.mark.parametrize(
    ("word", "kind", "tries"),
    [
        ("404", NotFound, 1),
        ("410", NotFound, 1),
        ("401", Proprietary, 1),
        ("403", Proprietary, 1),
        ("503", Unavailable, 4),
        ("500", Unavailable, 4),
        ("html", Unavailable, 4),
        ("short:28800", CorruptFile, 4),
        ("corrupt:100000", CorruptFile, 4),
        ("slow:5", Unavailable, 4),
    ],
)
def test_faults_that_stay_end_in_the_right_class(
    mast: MastServer, tmp_path: Path, word: str, kind: type[HstflowError], tries: int
) -> None:
    """Final answers are not asked for twice; every failure has code 22 and leaves no file."""
    mast.faults[NAME] = [word] * 10
    with pytest.raises(kind, match=NAME) as caught:
        download(remote_of(mast), tmp_path / "parts", QUICK)

    assert type(caught.value) is kind
    assert caught.value.code == 22
    assert len(mast.requests) == tries
    assert not (tmp_path / "parts" / NAME).exists()


def test_resuming_takes_the_missing_bytes_only(mast: MastServer, tmp_path: Path) -> None:
    """Blocks are 64 kB: of 200000 bytes 3 x 65536 are there, and the rest is asked for."""
    mast.faults[NAME] = ["truncate:200000"]
    download(remote_of(mast), tmp_path / "parts", QUICK)

    assert mast.requests[-1].range == "bytes=196608-"


def test_changed_file_is_not_resumed(mast: MastServer, archive: Path, tmp_path: Path) -> None:
    """If-Range: half of the old version and half of the new one would be neither."""
    mast.faults[NAME] = ["truncate:200000"]
    with pytest.raises(Unavailable):
        download(remote_of(mast), tmp_path / "parts", replace(QUICK, tries=1))
    content = bytearray((archive / NAME).read_bytes())
    (archive / NAME).write_bytes(content + bytes(2880))  # same beginning, another version
    (archive / NAME).write_bytes(content)
    os.utime(archive / NAME, (1, 1))

    download(remote_of(mast), tmp_path / "parts", QUICK)

    assert (tmp_path / "parts" / NAME).read_bytes() == bytes(content)
    assert mast.requests[-1].range is not None
    assert mast.requests[-1].status == 200


@pytest.mark.parametrize("manner", [Manner(entity_tags=False), Manner(ranges=False)])
def test_without_etag_or_ranges_it_begins_anew(
    archive: Path, tmp_path: Path, manner: Manner
) -> None:
    """Nothing would tell that the rest belongs to what is there."""
    with MastServer(archive, manner=manner) as server:
        server.faults[NAME] = ["truncate:200000"]
        download(remote_of(server), tmp_path / "parts", QUICK)

        assert statuses(server) == [200, 200]
    assert (tmp_path / "parts" / NAME).read_bytes() == (archive / NAME).read_bytes()


DOWNLOAD = """
import sys
from pathlib import Path
from calib.fetch.download import Remote, download
from calib.fetch.options import Patience
download(Remote(sys.argv[1], sys.argv[2]), Path(sys.argv[3]), Patience())
"""


def test_killed_download_is_resumed(mast: MastServer, archive: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle; another process goes on with a Range request."""
    mast.faults[NAME] = ["pace:0.5"]
    remote, part = remote_of(mast), tmp_path / "parts" / f"{NAME}.part"
    command = [sys.executable, "-c", DOWNLOAD, remote.url, NAME, str(part.parent)]
    with subprocess.Popen(command) as process:
        end = time.monotonic() + 30
        while time.monotonic() < end and not (part.exists() and part.stat().st_size > 65536):
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    have = part.stat().st_size

    download(remote, part.parent, QUICK)

    assert 65536 < have < (archive / NAME).stat().st_size
    assert (mast.requests[-1].range, mast.requests[-1].status) == (f"bytes={have}-", 206)
    assert part.with_suffix("").read_bytes() == (archive / NAME).read_bytes()


def test_part_that_is_whole_already_is_used(
    mast: MastServer, archive: Path, tmp_path: Path
) -> None:
    """Killed between the last byte and the renaming: the server has nothing left to send."""
    mast.faults[NAME] = ["truncate:200000"]
    with pytest.raises(Unavailable):
        download(remote_of(mast), tmp_path / "parts", replace(QUICK, tries=1))
    (tmp_path / "parts" / f"{NAME}.part").write_bytes((archive / NAME).read_bytes())

    version = download(remote_of(mast), tmp_path / "parts", QUICK)

    assert statuses(mast) == [200, 416]
    assert version is not None
    assert version.size == (archive / NAME).stat().st_size


def test_part_that_is_too_long_is_thrown_away(mast: MastServer, tmp_path: Path) -> None:
    """What is longer than the file cannot be its beginning."""
    mast.faults[NAME] = ["truncate:200000"]
    with pytest.raises(Unavailable):
        download(remote_of(mast), tmp_path / "parts", replace(QUICK, tries=1))
    (tmp_path / "parts" / f"{NAME}.part").write_bytes(bytes(1_000_000))

    download(remote_of(mast), tmp_path / "parts", QUICK)

    assert statuses(mast) == [200, 416, 200]


def test_retry_after_is_obeyed(mast: MastServer, tmp_path: Path) -> None:
    """The server asks for one second; our own wait would be 0.02 s."""
    mast.faults[NAME] = ["503:1"]
    start = time.monotonic()
    download(remote_of(mast), tmp_path / "parts", QUICK)

    assert 1 <= time.monotonic() - start < 3


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_wait_beyond_the_deadline_is_not_begun(mast: MastServer, tmp_path: Path, form: str) -> None:
    """A server that is away for longer than we may wait is unavailable now."""
    when = "100" if form == "seconds" else formatdate(time.time() + 100, usegmt=True)
    mast.faults[NAME] = [f"503:{when}"]
    start = time.monotonic()
    with pytest.raises(Unavailable, match="503; gave up after 1 tries"):
        download(remote_of(mast), tmp_path / "parts", QUICK)
    assert time.monotonic() - start < 5


def test_deadline_ends_a_trickle(mast: MastServer, tmp_path: Path) -> None:
    """Bytes that keep coming, but too slowly, never run into the read timeout."""
    mast.faults[NAME] = ["pace:0.2"] * 9
    with pytest.raises(Unavailable, match=r"longer than 0\.5 s"):
        download(remote_of(mast), tmp_path / "parts", replace(QUICK, deadline=0.5))


def test_nobody_answers(tmp_path: Path, archive: Path) -> None:
    """A port where nothing listens."""
    with MastServer(archive) as server:
        remote = remote_of(server)
    with pytest.raises(Unavailable, match="broke off: ConnectionError; gave up after 4 tries"):
        download(remote, tmp_path / "parts", QUICK)


def test_wrong_size_in_the_list_only_warns(
    mast: MastServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The data base's sizes are not reliable; the file itself says how long it is."""
    download(replace(remote_of(mast), size=5), tmp_path / "parts", QUICK)

    assert "the archive's list says 5" in caplog.text


def test_known_version_is_not_loaded_again(mast: MastServer, tmp_path: Path) -> None:
    """The server answers 304; a version that it no longer has is loaded."""
    version = download(remote_of(mast), tmp_path / "a", QUICK)
    assert version is not None

    assert download(remote_of(mast), tmp_path / "b", QUICK, version) is None
    other = replace(version, etag='"another"')
    assert download(remote_of(mast), tmp_path / "b", QUICK, other) == version
    assert statuses(mast) == [200, 304, 200]


@pytest.mark.parametrize(("size", "loaded"), [(None, False), (5, True)])
def test_without_etag_the_length_must_do(
    archive: Path, tmp_path: Path, size: int | None, loaded: bool
) -> None:
    """Equal length is taken for the same version where the server gives nothing better."""
    known = Version(None, None, size or (archive / NAME).stat().st_size, "0" * 64)
    with MastServer(archive, manner=Manner(entity_tags=False)) as server:
        version = download(remote_of(server), tmp_path / "parts", QUICK, known)
    assert (version is not None) is loaded


class TestToken:
    """The token opens exclusive data, and goes nowhere else."""

    @pytest.fixture
    def closed(self, archive: Path) -> Iterator[MastServer]:
        """Return a server that wants a token."""
        manner = Manner(exclusive=("jh0001aaq",), token="s3cret")  # noqa: S106 - a made-up token
        with MastServer(archive, manner=manner) as server:
            yield server

    def test_it_opens_exclusive_data(
        self, closed: MastServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is sent as MAST wants it, and appears in no log and no text of ours."""
        caplog.set_level(logging.DEBUG)
        remote = remote_of(closed, token="s3cret")  # noqa: S106
        assert download(remote, tmp_path / "parts", QUICK) is not None
        assert closed.authorizations == ["token s3cret"]
        assert "s3cret" not in caplog.text + repr(remote) + repr(closed.manner)

    @pytest.mark.parametrize(("token", "status"), [("", 401), ("wrong", 403)])
    def test_without_it_data_are_proprietary(
        self, closed: MastServer, tmp_path: Path, token: str, status: int
    ) -> None:
        """No token, or another one: said so, and asked once."""
        with pytest.raises(Proprietary, match=str(status)) as caught:
            download(remote_of(closed, token=token), tmp_path / "parts", QUICK)
        assert token not in str(caught.value) or not token
        assert statuses(closed) == [status]

    def test_it_does_not_follow_a_redirect(
        self, closed: MastServer, archive: Path, tmp_path: Path
    ) -> None:
        """Another host, or another port of this one, gets the request without it."""
        with MastServer(archive) as other:
            closed.faults[NAME] = [f"redirect:{remote_of(other).url}"]
            download(
                remote_of(closed, token="s3cret"),  # noqa: S106
                tmp_path / "parts",
                QUICK,
            )
            assert other.authorizations == [None]

    def test_it_goes_to_its_host_only(self, mast: MastServer, tmp_path: Path) -> None:
        """An address in a product list that names another host does not get it."""
        remote = remote_of(mast, token="s3cret", token_host="mast.stsci.edu")  # noqa: S106
        download(remote, tmp_path / "parts", QUICK)
        assert mast.authorizations == [None]

    def test_netrc_does_not_replace_it(
        self, closed: MastServer, tmp_path: Path, own_home: Path
    ) -> None:
        """The library would send a name and password of the user's .netrc instead."""
        netrc = own_home / ".netrc"
        netrc.write_text("machine 127.0.0.1 login me password pw\n")
        netrc.chmod(0o600)
        remote = remote_of(closed, token="s3cret")  # noqa: S106
        download(remote, tmp_path / "parts", QUICK)
        assert closed.authorizations == ["token s3cret"]


def test_requests_introduce_themselves() -> None:
    """A polite name, and no compression: lengths and ranges are those of the file."""
    headers = thread_session().headers
    assert str(headers["User-Agent"]).startswith("hstflow/")
    assert headers["Accept-Encoding"] == "identity"


def test_downloads_per_host_are_limited() -> None:
    """A third download waits for a place, and says so when none becomes free."""
    url = "http://archive.example/x"
    limit_host(url, 2)
    with (
        host_slot(url, 0.1),
        host_slot(url, 0.1),
        pytest.raises(Unavailable, match="at once"),
        host_slot(url, 0.1),
    ):
        pass
    with host_slot(url, 0.1), host_slot(url, 0.1):
        pass
