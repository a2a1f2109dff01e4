"""Headers from files, JSON and a server: what is there, what is not, what is broken."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from factories import make_raw
from hypothesis import given
from hypothesis import strategies as st

from calib.errors import ConfigError, ContextError, CorruptFile, NotFound, Unavailable
from calib.references import header_sources, library
from calib.references.changes import ContextChanges, ExposureHeader, TypeChange
from calib.references.comparison import compare_contexts, context_changes
from calib.references.header_sources import (
    headers_of_files,
    headers_of_instruments,
    headers_of_json,
    headers_of_server,
    stored_result,
)
from calib.references.profile import CrdsProfile
from calib.simulate.crds_server import CrdsServer
from calib.simulate.loopback import Handler
from calib.simulate.observatory import Observatory

OLD, NEW = "hst_9001.pmap", "hst_9002.pmap"


@pytest.fixture
def server(observatory: Observatory) -> Iterator[CrdsServer]:
    """Return a server that knows the simulated raws, and 1,200 exposures of COS."""
    raws = sorted(observatory.raws.glob("*_raw.fits"))
    archive = {f"{h.dataset}:{h.exposure}": h.header for h in headers_of_files(raws)}
    cos = {"INSTRUME": "COS", "DATE-OBS": "2015-01-01", "TIME-OBS": "00:00:00"}
    archive |= {f"LZZ{n:05}Q:LZZ{n:05}Q": cos for n in range(1200)}
    with CrdsServer(observatory.crds_path, headers=archive) as running:
        yield running
    library.forget()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for all examples."""
    return tmp_path_factory.mktemp("json")


def changed(since: str | None = None, instrument: str = "acs") -> TypeChange:
    """Return a type that changed."""
    return TypeChange(instrument, "DARKFILE", "a.rmap", "b.rmap", since=since)


def calls(server: CrdsServer, method: str) -> int:
    """Return how often a method was called."""
    return sum(request.path == f"/json/{method}/" for request in server.requests)


@pytest.mark.parametrize(
    ("association", "dataset"),
    [("JSIM01010", "jsim01010"), ("NONE", "jsim01aaq"), ("", "jsim01aaq"), (None, "jsim01aaq")],
)
def test_dataset_of_a_file(tmp_path: Path, association: str | None, dataset: str) -> None:
    """The association where the header names one, else the exposure."""
    cards = {} if association is None else {"ASN_ID": association}
    path = make_raw(tmp_path, ROOTNAME="jsim01aaq", **cards)
    (found,) = headers_of_files([path])
    assert (found.dataset, found.exposure, found.context) == (dataset, "jsim01aaq", None)
    assert found.header["INSTRUME"] == "ACS"


def test_files_that_are_absent_or_broken(tmp_path: Path) -> None:
    """An absent file is refused before the first is read; a broken one is a problem."""
    good = make_raw(tmp_path)
    broken = tmp_path / "jbad01aaq_raw.fits"
    broken.write_text("no FITS")
    bad, fine = headers_of_files([broken, good])
    assert (bad.exposure, bad.header) == ("jbad01aaq", {})
    assert "jbad01aaq_raw.fits" in str(bad.problem)
    assert fine.problem is None
    with pytest.raises(NotFound, match=r"gone_raw\.fits"):
        headers_of_files([good, tmp_path / "gone_raw.fits"])
    table = tmp_path / "jsim01010_asn.fits"
    table.write_bytes(b"")
    with pytest.raises(ConfigError, match="association table"):
        headers_of_files([good, table])


HEADERS = st.dictionaries(
    st.from_regex(r"[A-Z0-9]{9}:[A-Z0-9]{9}", fullmatch=True),
    st.dictionaries(st.sampled_from(["INSTRUME", "date-obs", "CCDGAIN"]), st.text(max_size=8)),
    min_size=1,
    max_size=8,
)


@given(archive=HEADERS, form=st.sampled_from(["lines", "whole", "indented"]))
def test_json_in_both_forms(folder: Path, archive: dict[str, dict[str, str]], form: str) -> None:
    """One object a line, or one object for the file: the same headers, keywords upper case."""
    path = folder / "headers.json"
    lines = "\n\n".join(json.dumps({name: header}) for name, header in archive.items())
    text = {"lines": lines, "whole": json.dumps(archive), "indented": json.dumps(archive, indent=1)}
    path.write_text(text[form])
    found = list(headers_of_json(path))
    assert [f"{each.dataset}:{each.exposure}" for each in found] == list(archive)
    for each, header in zip(found, archive.values(), strict=True):
        assert each.header == {key.upper(): value for key, value in header.items()}


def test_json_names_and_errors(tmp_path: Path) -> None:
    """One-part names stand for themselves; text instead of a header is its problem."""
    path = tmp_path / "headers.json"
    path.write_text('{"J1": {"CCDGAIN": 2.0}}\n{"J2:J3": "no parameters in the archive"}\n')
    first, second = headers_of_json(path)
    assert first == ExposureHeader("J1", "J1", {"CCDGAIN": "2.0"})
    assert second == ExposureHeader("J2", "J3", problem="no parameters in the archive")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("not JSON", "not JSON"),
        ('{"A": {}}\nnot JSON', "line 2"),
        ("[1, 2]", "not the headers of exposures"),
        ('{"A": 3}', "not the headers of exposures"),
        (b"\xff\xfe", "not text"),
        (None, "cannot be read"),
    ],
)
def test_json_that_is_not_headers(tmp_path: Path, text: str | bytes | None, told: str) -> None:
    """The error names the file and what is wrong, the line where there are lines."""
    path = tmp_path / "headers.json"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises((CorruptFile, NotFound), match=told) as caught:
        list(headers_of_json(path))
    assert "headers.json" in str(caught.value)


def test_headers_of_the_server(server: CrdsServer, tmp_path: Path) -> None:
    """Only the instruments that changed, and the answer is that of the files."""
    profile = server.profile(tmp_path / "cache")
    changes = context_changes(profile, OLD, NEW)
    found = list(headers_of_server(profile, changes))
    assert {each.header["INSTRUME"] for each in found} == {"ACS"}
    affected = list(compare_contexts(profile, OLD, NEW, found))
    assert [c.keyword for each in affected for c in each.changes] == ["DARKFILE"] * len(affected)
    assert affected


def test_headers_come_in_parts(server: CrdsServer, tmp_path: Path) -> None:
    """The server gives 1,000 headers at once; nobody asks for what nobody looks at."""
    profile = server.profile(tmp_path / "cache")
    found = headers_of_instruments(profile, NEW, {"cos": None, "synphot": None})
    assert next(found).exposure == "LZZ00000Q"
    assert calls(server, "get_dataset_headers_by_id") == 1
    assert sum(1 for _ in found) == 1199
    assert calls(server, "get_dataset_headers_by_id") == 2
    assert calls(server, "get_dataset_ids") == 1


@pytest.mark.parametrize(
    ("dates", "number"),
    [(["2015-01-01 00:00:00"], 1200), (["2016-01-01 00:00:00"], 0), (["2016-01-01", None], 1200)],
)
def test_earliest_date_that_matters(
    server: CrdsServer, tmp_path: Path, dates: list[str | None], number: int
) -> None:
    """Exposures before the earliest date are not asked for; a type without one wants all."""
    changes = ContextChanges(OLD, NEW, tuple(changed(since, "cos") for since in dates))
    found = headers_of_server(server.profile(tmp_path / "cache"), changes)
    assert sum(1 for _ in found) == number


def test_what_the_server_computed(server: CrdsServer, tmp_path: Path) -> None:
    """Names of datasets in lower case; None where nobody computed the change."""
    profile = server.profile(tmp_path / "cache")
    server.affected[OLD, NEW] = [
        "JSIM01AAQ:JSIM01AAQ",
        "JSIM02010:JSIM02ABQ",
        "JSIM02010:JSIM02ACQ",
    ]
    found = stored_result(profile, OLD, NEW)
    assert found is not None
    assert found.datasets == ("jsim01aaq", "jsim02010")
    assert (found.status, found.errors) == (0, "")
    assert stored_result(profile, NEW, OLD) is None


def test_without_a_server(observatory: Observatory, tmp_path: Path) -> None:
    """A profile without a server is refused; one that does not answer is Unavailable."""
    with pytest.raises(ConfigError, match="no CRDS server"):
        list(headers_of_instruments(observatory.profile, NEW, {"acs": None}))
    with pytest.raises(ConfigError, match="no CRDS server"):
        stored_result(observatory.profile, OLD, NEW)
    silent = CrdsProfile("silent", "http://localhost:9", tmp_path)
    with pytest.raises(Unavailable):
        stored_result(silent, OLD, NEW)


@pytest.mark.parametrize("answer", [["no", "header"], 5])
def test_a_server_that_answers_something_else(
    server: CrdsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    """What is no answer of a CRDS server is Unavailable, not an error of Python."""
    monkeypatch.setitem(server._methods, "get_dataset_headers_by_id", lambda *_: answer)
    with pytest.raises(Unavailable, match="cannot be read"):
        list(headers_of_instruments(server.profile(tmp_path / "cache"), NEW, {"acs": None}))


def test_a_page_in_place_of_an_answer(server: CrdsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy may answer for the server."""

    def send_page(handler: Handler, _: object) -> None:
        handler.send_text(200, "<html>")

    monkeypatch.setattr(Handler, "send_json", send_page)
    with pytest.raises(Unavailable, match="cannot be read"):
        stored_result(server.profile(server.source.cache), OLD, NEW)


def test_a_server_that_refuses(
    server: CrdsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the service is told with its words."""

    def refuse(*_: Any) -> Mapping[str, Any]:
        message = "the archive is closed"
        raise ValueError(message)

    monkeypatch.setitem(server._methods, "get_dataset_ids", refuse)
    with pytest.raises(ContextError, match="the archive is closed"):
        list(headers_of_instruments(server.profile(tmp_path / "cache"), NEW, {"cos": None}))


def test_exposure_without_a_header_is_told(
    server: CrdsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a server lists and sends no header of is an exposure with a problem, not nothing."""
    profile = server.profile(tmp_path / "cache")
    names = ["LZZ00000Q", "LZZ00001Q", "LZZ99999Q"]
    monkeypatch.setattr(header_sources, "_names", lambda *_given: names)
    found = list(headers_of_instruments(profile, NEW, {"cos": None}))
    assert sorted(each.exposure for each in found) == names
    assert [each.exposure for each in found if each.problem] == ["LZZ99999Q"]
