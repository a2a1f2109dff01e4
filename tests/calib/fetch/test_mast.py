"""A dataset from MAST: the real clients find its files, our download brings them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from calib.errors import HstflowError, MissingMember, NotFound, Proprietary, Unavailable
from calib.fetch import FetchOptions, Patience, fetch_inputs
from calib.fetch.mast import _client
from calib.ids import parse_dataset
from calib.records import RawInputs
from calib.simulate.mast_server import Manner, MastServer

QUICK = Patience(connect=2, read=0.5, deadline=20, tries=3, backoff=0.02)
ASSOCIATION = ["jh0001010_asn.fits", "jh0001aaq_raw.fits", "jh0001abq_raw.fits"]
MISSIONS = "/search/hst/api/v0.1/post_list_products"
PORTAL = "/api/v0/invoke"
WriteRaw = Callable[..., Path]
Fetch = Callable[..., RawInputs]


@pytest.fixture
def mast(association: Path) -> Iterator[MastServer]:
    """Return a running server of the association and its neighbours, an flt among them."""
    with MastServer(association) as server:
        yield server


@pytest.fixture
def options(mast: MastServer, tmp_path: Path) -> FetchOptions:
    """Return options for that server, with little patience."""
    return FetchOptions(mast_url=mast.url, cache=tmp_path / "cache", patience=QUICK)


@pytest.fixture
def fetch(options: FetchOptions, tmp_path: Path) -> Fetch:
    """Return a function that fetches a dataset into a fresh folder."""
    folders = iter(tmp_path / f"out{number}" for number in range(100))

    def call(dataset: str, **changes: object) -> RawInputs:
        wanted = replace(options, **changes)  # type: ignore[arg-type]
        return fetch_inputs(parse_dataset(dataset), "astroquery:", next(folders), options=wanted)

    return call


def names(inputs: RawInputs) -> list[str]:
    """Return the names of the files fetched."""
    return [file.name for file in inputs.files]


def queries(mast: MastServer) -> list[str]:
    """Return the paths of the queries asked, without those about columns."""
    return [r.path for r in mast.requests if r.path in {MISSIONS, PORTAL}]


def test_exposure_comes_alone(fetch: Fetch, mast: MastServer, association: Path) -> None:
    """Two requests in all; neither the flt of the same name nor the association comes."""
    inputs = fetch("jh0001aaq")

    (file,) = inputs.files
    assert Path(file.path).read_bytes() == (association / "jh0001aaq_raw.fits").read_bytes()
    assert (file.name, file.rootname, inputs.members) == ("jh0001aaq_raw.fits", "jh0001aaq", ())
    assert inputs.source == f"astroquery:{mast.url}"
    assert [request.path for request in mast.requests] == [
        MISSIONS,
        "/search/hst/api/v0.1/retrieve_product",
    ]


@pytest.mark.parametrize("members_listed", [True, False])
def test_association_brings_its_members(
    association: Path, fetch: Fetch, members_listed: bool
) -> None:
    """Whether the list of the association shows them, or they must be asked for."""
    manner = Manner(members_listed=members_listed)
    with MastServer(association, manner=manner) as server:
        inputs = fetch("jh0001010", mast_url=server.url)

        assert names(inputs) == ASSOCIATION
        assert len(inputs.members) == 4
        assert queries(server) == [MISSIONS] * (1 if members_listed else 2)


@pytest.mark.parametrize("fault", ["503", "500", "html", "empty", "slow:3", "404"])
def test_portal_is_asked_where_missions_fail(fetch: Fetch, mast: MastServer, fault: str) -> None:
    """A service that is down, silent, talks nonsense or knows nothing is passed over."""
    mast.query_faults["missions"] = [fault]
    assert names(fetch("jh0001010")) == ASSOCIATION
    assert [path for path in queries(mast) if path == PORTAL] == [PORTAL] * 2


@pytest.mark.parametrize("fault", ["executing", "ok"])
def test_portal_may_take_its_time(fetch: Fetch, mast: MastServer, fault: str) -> None:
    """The client asks again while the portal says that it is executing."""
    mast.query_faults |= {"missions": ["503"], "observations": [fault]}
    assert names(fetch("jh0001010")) == ASSOCIATION


def test_both_are_asked_again_after_a_while(fetch: Fetch, mast: MastServer) -> None:
    """An outage of both that passes."""
    mast.query_faults |= {"missions": ["503"], "observations": ["error"]}
    assert names(fetch("jh0001aaq")) == ["jh0001aaq_raw.fits"]
    assert queries(mast) == [MISSIONS, PORTAL, MISSIONS]


@pytest.mark.parametrize(
    ("missions", "observations"), [("503", "503"), ("html", "error"), ("empty", "503")]
)
def test_outage_that_stays_is_unavailable(
    fetch: Fetch, mast: MastServer, missions: str, observations: str
) -> None:
    """Code 22, to be tried again; "nothing" from one service proves nothing alone."""
    mast.query_faults |= {"missions": [missions] * 9, "observations": [observations] * 9}
    with pytest.raises(Unavailable, match="gave up after 3 tries") as caught:
        fetch("jh0001aaq")
    assert caught.value.code == 22
    assert queries(mast) == [MISSIONS, PORTAL] * 3


def test_nobody_answers(fetch: Fetch, tmp_path: Path) -> None:
    """A port where nothing listens."""
    with pytest.raises(Unavailable, match="does not answer: ConnectionError") as caught:
        fetch("jh0001aaq", mast_url="http://127.0.0.1:9")
    assert caught.value.code == 22
    assert not (tmp_path / "out0").exists()


@pytest.mark.parametrize("dataset", ["jh0009zzq", "jh0009010"])
def test_unknown_dataset_is_not_found(fetch: Fetch, mast: MastServer, dataset: str) -> None:
    """Both services say that there is nothing: final, code 22."""
    with pytest.raises(NotFound, match="MAST has no input files") as caught:
        fetch(dataset)
    assert (caught.value.code, caught.value.dataset) == (22, dataset)
    assert queries(mast) == [MISSIONS, PORTAL]


def test_dataset_without_exposure_is_not_found(
    fetch: Fetch, association: Path, write_raw: WriteRaw
) -> None:
    """Calibrated files only: code 22, and no FLT instead, as the archive's tool does."""
    write_raw(association / "jh0001adq_flt.fits")
    with pytest.raises(NotFound) as caught:
        fetch("jh0001adq")
    assert caught.value.code == 22


def test_missing_member_has_code_22(fetch: Fetch, association: Path, mast: MastServer) -> None:
    """The table names an exposure that MAST does not have."""
    (association / "jh0001abq_raw.fits").unlink()
    with pytest.raises(MissingMember, match="jh0001abq") as caught:
        fetch("jh0001010")
    assert (caught.value.code, caught.value.path) == (22, f"astroquery:{mast.url}")


@pytest.mark.parametrize("spt", [True, False])
def test_support_files_come_on_request(
    fetch: Fetch, association: Path, write_raw: WriteRaw, spt: bool
) -> None:
    """They are wanted where the support file of an association is to be made."""
    write_raw(association / "jh0001aaq_spt.fits")
    expected = ["jh0001aaq_raw.fits", *(["jh0001aaq_spt.fits"] if spt else [])]
    assert names(fetch("jh0001aaq", spt=spt)) == expected


@pytest.mark.parametrize(("token", "works"), [(None, False), ("wrong", False), ("right", True)])
def test_exclusive_data_need_the_token(
    association: Path, fetch: Fetch, token: str | None, works: bool
) -> None:
    """401 and 403 are Proprietary, code 22, dataset and address named; the token is not."""
    manner = Manner(exclusive=("jh0001aaq",), token="right")  # noqa: S106 - a made-up token
    with MastServer(association, manner=manner) as server:
        if works:
            assert names(fetch("jh0001aaq", mast_url=server.url, token=token))
            return
        with pytest.raises(Proprietary) as caught:
            fetch("jh0001aaq", mast_url=server.url, token=token)
    assert (caught.value.code, caught.value.dataset) == (22, "jh0001aaq")
    assert "wrong" not in str(caught.value)


def test_wrong_sizes_in_the_list_do_not_matter(association: Path, fetch: Fetch) -> None:
    """The archive's data base does not know sizes reliably; files without length neither."""
    manner = Manner(wrong_sizes=True, lengths=False)
    with MastServer(association, manner=manner) as server:
        assert names(fetch("jh0001010", mast_url=server.url)) == ASSOCIATION


def test_nothing_appears_unless_all_is_there(
    fetch: Fetch, mast: MastServer, tmp_path: Path
) -> None:
    """One member of three that cannot be had leaves an absent folder, not a partial one."""
    mast.faults["jh0001abq_raw.fits"] = ["404"]
    with pytest.raises(NotFound, match="no such file"):
        fetch("jh0001010")
    assert not (tmp_path / "out0").exists()


def test_clients_say_nothing(fetch: Fetch, capfd: pytest.CaptureFixture[str]) -> None:
    """No progress bar, no warning (they are errors here), also where nothing is found."""
    fetch("jh0001010")
    with pytest.raises(NotFound):
        fetch("jh0009zzq")
    assert capfd.readouterr() == ("", "")


def test_each_thread_has_its_own_clients(options: FetchOptions) -> None:
    """The clients of astroquery keep state; one thread uses its own again."""
    here = _client("missions", options)
    there: list[object] = []
    thread = threading.Thread(target=lambda: there.append(_client("missions", options)))
    thread.start()
    thread.join()

    assert _client("missions", options) is here
    assert there[0] is not here
    assert _client("missions", replace(options, mast_url="http://127.0.0.1:9")) is not here


def test_astroquery_itself_is_left_as_it_was(fetch: Fetch, mast: MastServer) -> None:
    """Only our clients are pointed elsewhere: no class, no setting is touched."""
    mast.query_faults["missions"] = ["503"]
    fetch("jh0001aaq")
    astroquery = sys.modules["astroquery.mast"]
    fresh = (astroquery.MastMissionsClass(), astroquery.ObservationsClass())

    assert fresh[0]._service_api_connection.REQUEST_URL.startswith("https://mast.stsci.edu/")
    assert fresh[1]._portal_api_connection.MAST_REQUEST_URL.startswith("https://mast.stsci.edu/")


PLANS = [
    ["503", "503"],
    ["truncate:9000"],
    ["corrupt"],
    ["short:5760"],
    ["html"],
    ["slow:2"],
    ["no-length"],
    ["404"],
    ["403"],
    ["500"] * 9,
]


def test_ten_faults_from_eight_threads_never_end_badly(
    fetch: Fetch, mast: MastServer, association: Path, write_raw: WriteRaw
) -> None:
    """Each dataset ends with the archive's bytes, or absent with an error of ours."""
    roots = [f"jh0002a{letter}q" for letter in "abcdefghijklmnopqrst"]
    for number, root in enumerate(roots):
        path = write_raw(association / f"{root}_raw.fits", imsets=2)
        mast.faults[path.name] = list(PLANS[number % len(PLANS)])

    def outcome(root: str) -> str:
        try:
            (file,) = fetch(root).files
        except HstflowError as error:
            return type(error).__name__
        same = Path(file.path).read_bytes() == (association / file.name).read_bytes()
        return "good" if same else "bad"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(outcome, roots))

    assert outcomes == 2 * [*["good"] * 7, "NotFound", "Proprietary", "Unavailable"]
