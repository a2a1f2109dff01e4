"""References on demand: from a server into an empty cache, checked on the way."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from calib.errors import ReferenceUnavailable, Unavailable
from calib.records import References
from calib.references.bestrefs import best_references
from calib.references.context import resolve_context
from calib.references.files import sha1_of
from calib.references.profile import CrdsProfile
from calib.simulate.crds_server import CrdsServer
from calib.simulate.observatory import Observatory
from calib.stages.planning import Request, plan_jobs
from calib.stages.sequence import process_dataset


def required(_: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the references that are opened."""
    return "BIASFILE", "DARKFILE"


def choose(raws: list[Path], profile: CrdsProfile) -> References:
    """Ask for the server's context and the best references on it."""
    context = resolve_context(None, profile)
    return best_references(raws, context=context, profile=profile, required=required)


def loaded(server: CrdsServer) -> list[str]:
    """Return the names of the files that were asked for."""
    return [
        request.path.rpartition("/")[2] for request in server.requests if "files" in request.path
    ]


def test_empty_cache_is_filled_with_what_is_chosen(
    server: CrdsServer, profile: CrdsProfile, raws: list[Path], observatory: Observatory
) -> None:
    """Rules and chosen references come, equal to the server's; others stay away."""
    chosen = choose(raws[:1], profile)
    uses = [use for use in chosen.exposures[0].references if use.path]

    assert {use.keyword for use in uses} >= {"BIASFILE", "DARKFILE", "PFLTFILE"}
    for use in uses:
        original = observatory.profile.references / use.name
        assert Path(str(use.path)).read_bytes() == original.read_bytes()
        assert use.sha1 == sha1_of(original)
    references = {path.name for path in profile.references.rglob("*.fits")}
    assert references == {use.name for use in uses}
    assert references < {path.name for path in observatory.profile.references.glob("*.fits")}


def test_filled_cache_is_used_again(
    server: CrdsServer, profile: CrdsProfile, raws: list[Path]
) -> None:
    """The server is asked which context, and for no file."""
    first = choose(raws[:1], profile)
    server.requests.clear()

    assert choose(raws[:1], profile) == first
    assert loaded(server) == []


@pytest.mark.parametrize("fault", ["drop", "corrupt"])
def test_reference_that_cannot_be_had_is_awaited(
    server: CrdsServer, profile: CrdsProfile, raws: list[Path], fault: str, observatory: Observatory
) -> None:
    """Cut off, or damaged on the way: nothing bad stays, and the next attempt gets it."""
    name = next(observatory.profile.references.glob("*_bia.fits")).name
    server.faults[name] = [fault] * 9
    with pytest.raises(ReferenceUnavailable, match=name) as caught:
        choose(raws[:1], profile)
    assert caught.value.code == 27
    assert not list(profile.references.rglob(name))

    server.faults.clear()
    assert choose(raws[:1], profile).exposures[0].path("BIASFILE")


def test_dataset_is_processed_with_an_empty_cache(
    server: CrdsServer, profile: CrdsProfile, observatory: Observatory, tmp_path: Path
) -> None:
    """All six stages; the context, the rules and the references come on demand."""
    request = Request(
        source=f"file:{observatory.raws}",
        output=f"file:{tmp_path / 'out'}",
        profile=profile,
        work=str(tmp_path / "work"),
        ledger=f"sqlite:///{tmp_path / 'ledger.db'}",
    )
    (job,) = plan_jobs(request, observatory.datasets[:1])

    outcome = process_dataset(job)

    assert (outcome.state, outcome.context) == ("processed", observatory.contexts[0])


def test_server_that_is_gone_is_unavailable(
    server: CrdsServer, profile: CrdsProfile, caplog: pytest.LogCaptureFixture
) -> None:
    """With an empty cache nothing is known: code 27, to be tried again."""
    server.stop()
    caplog.set_level(logging.CRITICAL)
    with pytest.raises(Unavailable, match="does not answer") as caught:
        resolve_context(None, profile)
    assert caught.value.code == 27
