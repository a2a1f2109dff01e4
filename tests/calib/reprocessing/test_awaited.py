"""References that a reprocessing waits for."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from databases import ledger, template, url
from reprocessed import Twice, canary
from small_registry import ALONE, ASSOCIATION, BIAS, fill

from calib.ids import parse_dataset
from calib.ledger.ledger import Ledger
from calib.ledger.reading import open_reader
from calib.ledger.reprocessings import NewMark
from calib.references.profile import CrdsProfile
from calib.reprocessing.awaited import awaited_references

__all__ = ["ledger", "template", "url"]

NEW = "hst_9002.pmap"
FILLED = CrdsProfile("filled", "http://localhost:9", Path("/absent"))


def marked(name: str, wave: int = 1, left_out: str | None = None) -> NewMark:
    """Return a mark: another bias, two other darks, and a flat that is not needed any more."""
    changes = {
        "BIASFILE": (BIAS, "y_bia.fits"),
        "DARKFILE": (None, "y_drk.fits"),
        "DARKFILE 2": (None, "Z_DRK.fits"),
        "PFLTFILE": ("x_pfl.fits", "N/A"),
        "MDRIZTAB": ("x_mdz.fits", "NOT FOUND n/a"),
        "CRREJTAB": ("x_crr.fits", "OMIT"),
        "IDCTAB/stage 2": ("x_idc.fits", "y_idc.fits"),
    }
    return NewMark(parse_dataset(name), wave, changes, left_out=left_out)


def test_only_what_is_opened_is_awaited(ledger: Ledger) -> None:
    """The exposure was calibrated with a bias and without a dark: its new darks are not awaited.

    Of the association nothing is known (its current run was found again): all of its are.
    """
    fill(ledger)
    alone = ledger.ask(lambda rows: awaited_references(FILLED, NEW, [marked(ALONE)], rows))
    assert alone == {"y_bia.fits"}
    every = ledger.ask(lambda rows: awaited_references(FILLED, NEW, [marked(ASSOCIATION)], rows))
    assert every == {"y_bia.fits", "y_drk.fits", "z_drk.fits"}
    assert awaited_references(FILLED, NEW, [marked(ALONE)], None) == every


def test_references_of_the_user_are_not_awaited() -> None:
    """Where a person gives the dark, that of the rules is not opened."""
    assert awaited_references(FILLED, NEW, [marked(ALONE)], None, ["darkfile"]) == {"y_bia.fits"}


def test_what_is_not_run_awaits_nothing() -> None:
    """Neither datasets that are left out nor visits, whose members name the references."""
    every = [marked("l8bt05njq", left_out="no engine"), marked("acs_8bt_05", 2)]
    assert awaited_references(FILLED, NEW, every, None) == set()


def test_cache_that_cannot_be_filled_needs_what_did_not_change_too(
    twice: Twice, tmp_path: Path
) -> None:
    """What calibrating opened before is asked for, whether it is there or not; nothing else is."""
    old, new = twice.contexts
    name = twice.datasets[0]
    twice.process("before", old, name)
    cache = Path(shutil.copytree(twice.request.profile.cache / "mappings", tmp_path / "c/mappings"))
    profile = dataclasses.replace(twice.request.profile, cache=cache.parent)
    marks = [canary(name), canary("j8bt99zzq")]
    with open_reader(twice.ledger) as rows:
        assert rows is not None
        every = awaited_references(profile, new, marks, rows)
        own = awaited_references(profile, new, marks, rows, ["biasfile"])
        filled = dataclasses.replace(profile, server_url="http://localhost:9")
        assert awaited_references(filled, new, marks, rows) == {"b_drk.fits"}
        kinds = {each.rpartition("_")[2].removesuffix(".fits") for each in every}
        assert kinds >= {"bia", "drk", "pfl", "bpx", "ccd"}
        assert not kinds & {"idc", "mdz", "npl", "dxy"}
        assert {each for each in every - own if not each.endswith("_bia.fits")} == set()
        assert len(every - own) == 1
        (cache / "hst" / new).unlink()
        assert awaited_references(profile, new, marks, rows) == {"b_drk.fits"}
