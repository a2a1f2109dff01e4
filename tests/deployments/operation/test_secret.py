"""The password of an `hstflow up`: made once, read by its owner alone, asked for everywhere."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from calib.errors import ConfigError
from deployments.cli.campaign.session import start_server
from deployments.cli.up import _words_to_enter
from deployments.dashboard.access import check_access
from deployments.dashboard.settings import DashboardSettings
from deployments.operation.place import Place, Standing, this_standing
from deployments.operation.roles import Layout, roles_of
from deployments.operation.secret import NAME, guarded, is_made, password_of
from deployments.operation.session import plan_layout
from deployments.operation.wishes import PARTS, Ports

PORTS = Ports(4300, 8180, 8886, 8887, 8890)
MINE = "ada:correct horse"
ASKED = {"HSTFLOW_DASHBOARD_PASSWORD", "PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home of our own, without variables of the operator."""
    for name in (*ASKED, "PREFECT_API_URL", "HSTFLOW_DASHBOARD_PROXY_HEADER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    return tmp_path


def planned(*, is_open: bool = False) -> Layout:
    """Return all that is started."""
    words = {"workers": 1, "limit": 1, "may_change": True}
    return plan_layout(frozenset(PARTS), PORTS, is_open=is_open, **words)


def test_it_is_made_once_for_its_owner(home: Path) -> None:
    """Mode 600 whatever the umask is, the same the next time, and another for another home."""
    before = os.umask(0)
    try:
        found = password_of(home / "up")
    finally:
        os.umask(before)
    path = home / "up" / NAME
    assert re.fullmatch(r"[^:]+:[\w-]{24}", found)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert password_of(home / "up") == found != password_of(home / "other")
    assert [each.name for each in path.parent.iterdir()] == [NAME]
    check_access(DashboardSettings(ledger="x", password=found))


@pytest.mark.parametrize(("text", "mode"), [("a:b", 0o640), ("a:b", 0o604), ("", 0o600)])
def test_what_is_no_secret_is_refused(text: str, mode: int, home: Path) -> None:
    """Others can read it, or there is none in it: the message says what to do."""
    path = home / NAME
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="remove the file"):
        password_of(home)


def test_dashboard_and_prefect_ask_for_it_and_ours_know_it(home: Path) -> None:
    """Every program that is started has it in its variables, and none in its words."""
    made = password_of(home / "up")
    roles = {role.name: role for role in roles_of(planned())}
    assert roles["server"].environment["PREFECT_SERVER_API_AUTH_STRING"] == made
    assert roles["dashboard"].environment["HSTFLOW_DASHBOARD_PASSWORD"] == made
    for name in ("deploy", "worker", "dask-workers", "dashboard"):
        assert roles[name].environment["PREFECT_API_AUTH_STRING"] == made
    assert not any(made in word for role in roles.values() for word in role.command)


def test_dashboard_and_worker_are_told_of_each_other(home: Path) -> None:
    """The dashboard has the work folder and the server; runs have the dashboard, for links."""
    roles = {role.name: role.environment for role in roles_of(planned())}
    assert roles["dashboard"]["PREFECT_API_URL"] == "http://127.0.0.1:4300/api"
    assert Path(roles["dashboard"]["HSTFLOW_WORK"]).is_absolute()
    assert roles["worker"]["HSTFLOW_DASHBOARD_URL"] == "http://127.0.0.1:8180"


def test_whoever_wants_no_password_says_so(home: Path) -> None:
    """--without-password: nothing is made, and nobody asks."""
    for role in roles_of(planned(is_open=True)):
        assert not ASKED & set(role.environment)
    assert not (home / "up" / NAME).exists()


def test_what_the_operator_has_set_stays() -> None:
    """Passwords of one's own, a proxy that names people, a server of somebody else."""
    mine = {"HSTFLOW_DASHBOARD_PASSWORD": MINE, "PREFECT_SERVER_API_AUTH_STRING": "me:word"}
    both = {**mine, "PREFECT_API_AUTH_STRING": "me:word"}
    assert guarded(mine, "a:b", has_server=True) == both
    client = guarded({"PREFECT_API_AUTH_STRING": "me:word"}, "a:b", has_server=True)
    assert client["PREFECT_SERVER_API_AUTH_STRING"] == "me:word"
    proxy = {"HSTFLOW_DASHBOARD_PROXY_HEADER": "X-User"}
    assert guarded(proxy, "a:b", has_server=False) == proxy


def test_a_campaign_of_another_terminal_knows_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is led to the server that is up together with its password."""
    from flows import private_server

    for name in private_server.DEFAULTS:
        monkeypatch.setenv(name, private_server.DEFAULTS[name])
    for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING"):
        monkeypatch.setenv(name, "")
    place = Place(home)
    api = "http://127.0.0.1:4200/api"
    with place.held():
        own = vars(this_standing(place))
        place.say(Standing(**{**own, "prefect": api, "auth": MINE, "ready": True}))
        start_server()
    assert os.environ["PREFECT_API_URL"] == api
    assert os.environ["PREFECT_API_AUTH_STRING"] == MINE


def test_it_is_shown_to_a_person_and_to_no_log(home: Path) -> None:
    """On a terminal the words to enter; elsewhere the file, where it is the one of the file."""
    place = Place(home)
    made = password_of(place.folder)
    user, _, word = made.partition(":")
    assert is_made(made, place.folder)
    assert not is_made(MINE, place.folder)
    shown = _words_to_enter(made, made, place, shows_secrets=True)
    assert shown == [f"dashboard: user {user}, password {word}", f"Prefect: password {made}"]
    told = _words_to_enter(made, made, place, shows_secrets=False)
    assert told == [f"user:password in {place.folder / NAME}"]
    assert _words_to_enter(MINE, None, place, shows_secrets=False) == []
    assert _words_to_enter(None, None, place, shows_secrets=True) == []
