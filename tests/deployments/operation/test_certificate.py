"""The key of a Dask cluster: made once, for its owner; who does not have it gets nowhere."""

from __future__ import annotations

import datetime as dt
import os
import socket
import ssl
import stat
import threading
from pathlib import Path

import dask
import pytest
from cryptography import x509
from distributed.security import Security

from calib.errors import ConfigError
from deployments.operation.certificate import CA_FILE, NAME, PREFIX, certificate_of, encrypted
from deployments.operation.roles import roles_of
from deployments.operation.session import plan_layout
from deployments.operation.wishes import Ports
from flows.runners import make_runner

PORTS = Ports(4300, 8180, 8886, 8887, 8890)
LONG_AGO, FAR = dt.datetime(1971, 1, 1, tzinfo=dt.UTC), dt.datetime(9999, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """Return the file of a home of our own."""
    return certificate_of(tmp_path / "up")


def security(path: Path) -> Security:
    """Return what Dask makes of our variables."""
    given = encrypted({}, path.parent)
    read = {name.removeprefix("DASK_").lower().replace("__", "."): given[name] for name in given}
    with dask.config.set(read):
        return Security(require_encryption=True)


def test_it_is_made_once_for_its_owner(pem: Path, tmp_path: Path) -> None:
    """Mode 600, the same the next time, another for another home, and nothing beside it."""
    text = pem.read_text()
    assert stat.S_IMODE(pem.stat().st_mode) == 0o600
    assert certificate_of(tmp_path / "up").read_text() == text
    assert certificate_of(tmp_path / "other").read_text() != text
    assert [each.name for each in pem.parent.iterdir()] == [NAME]


def test_no_clock_ends_it(pem: Path) -> None:
    """Valid since long ago and without an end, as RFC 5280 writes it."""
    found = x509.load_pem_x509_certificate(pem.read_bytes())
    assert found.not_valid_before_utc < LONG_AGO
    assert found.not_valid_after_utc > FAR


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(mode: int, pem: Path) -> None:
    """It is no secret any more; the message says what to do."""
    pem.chmod(mode)
    with pytest.raises(ConfigError, match=r"remove the file.*dask\.pem"):
        certificate_of(pem.parent)


@pytest.mark.parametrize("text", ["", "nonsense", "-----BEGIN CERTIFICATE-----\n"])
def test_a_file_without_both_is_refused(text: str, pem: Path) -> None:
    """Before Dask says something about OpenSSL."""
    pem.write_text(text)
    with pytest.raises(ConfigError, match="no certificate: remove the file"):
        certificate_of(pem.parent)


def test_certificates_of_the_operator_are_used(tmp_path: Path) -> None:
    """His variables stay as they are, and nothing is made."""
    mine = {CA_FILE: "/ca.pem", f"{PREFIX}CLIENT__CERT": "/c.pem", "PATH": "/bin"}
    found = encrypted(mine, tmp_path / "up")
    assert found == {CA_FILE: "/ca.pem", f"{PREFIX}CLIENT__CERT": "/c.pem"}
    assert not (tmp_path / "up").exists()


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> bytes:
    """Return what a client hears from a server that lets it in."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as line:
                line.sendall(b"welcome")
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours) as line:
            return line.recv(10)
    finally:
        ours.close()
        thread.join()


def test_who_has_the_key_is_let_in_and_nobody_else(pem: Path, tmp_path: Path) -> None:
    """A worker or client of the same home; not one of another home, nor one without any key."""
    ours, other = security(pem), security(certificate_of(tmp_path / "other"))
    scheduler = ours.get_listen_args("scheduler")["ssl_context"]
    for role in ("worker", "client"):
        assert shake_hands(scheduler, ours.get_connection_args(role)["ssl_context"]) == b"welcome"
    nobody = ssl.create_default_context()
    nobody.check_hostname, nobody.verify_mode = False, ssl.CERT_NONE
    for stranger in (other.get_connection_args("client")["ssl_context"], nobody):
        with pytest.raises(OSError, match=r"SSL|reset|EOF"):
            shake_hands(scheduler, stranger)


def test_scheduler_and_workers_talk_in_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Encryption is asked of them; a campaign's own cluster in the same variables is free."""
    for name in [each for each in os.environ if each.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    words = {"workers": 1, "limit": 1, "may_change": False, "is_open": True}
    layout = plan_layout(frozenset({"dask", "dashboard"}), PORTS, **words)
    roles = {role.name: role for role in roles_of(layout)}
    made = str(tmp_path / "up" / NAME)
    for name in ("dask-scheduler", "dask-workers", "dashboard"):
        found = dask.config.collect_env(roles[name].environment)["distributed"]["comm"]
        assert found["tls"]["ca_file"] == found["tls"]["client"]["cert"] == made
        assert found.get("require_encryption") is (None if name == "dashboard" else True)
    assert "tls://127.0.0.1:8886" in roles["dask-workers"].command
    assert set(layout.certificates.values()) == {made}


def test_a_scheduler_without_certificates_is_refused_in_our_words() -> None:
    """The message has the variables that are missing."""
    none = {"distributed.comm.tls.ca-file": None, "distributed.comm.tls.client.cert": None}
    with (
        dask.config.set(none),
        pytest.raises(ConfigError, match=f"{CA_FILE}, {PREFIX}CLIENT__CERT"),
    ):
        make_runner("tls://127.0.0.1:1", 1, Path("/nowhere"))
