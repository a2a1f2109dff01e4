"""Lineage: what publications were made from, and what was made from files."""

from __future__ import annotations

import pytest
from small_registry import (
    ALONE,
    ASSOCIATION,
    BIAS,
    EXPOSURES,
    RUN,
    checksum,
    fill,
    process,
    published,
)

from calib.errors import ConfigError
from calib.ledger.ledger import Ledger
from calib.ledger.lineage import Gone, Origin, Use, made_from, used_by, used_by_publication


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """Return a ledger with an association in two runs."""
    fill(ledger)
    return ledger


def uses(ledger: Ledger, *words: str) -> list[Use]:
    """Return what was made from something."""
    return ledger.ask(lambda rows: used_by(rows, *words))


def test_what_an_association_was_made_from(filled: Ledger) -> None:
    """Inputs, references and table rows of the attempt that made it, with its run's settings."""
    found = filled.ask(lambda rows: made_from(rows, "r1", ASSOCIATION))
    assert [each.name for each in found.inputs] == [f"{name}_raw.fits" for name in EXPOSURES]
    assert found.inputs[0].sha256 == checksum(f"{EXPOSURES[0]}_raw.fits")
    assert found.inputs[0].products == (), "the raw that it publishes itself is no origin"
    bias = [each for each in found.references if each.keyword == "BIASFILE"]
    assert [each.exposure for each in bias] == [each.name for each in found.inputs]
    assert (bias[0].reference, bias[0].sha1, bias[0].required) == (BIAS, "b" * 40, True)
    assert [row.type for row in found.members] == ["PROD-CRJ", "EXP-CRJ", "EXP-CRJ"]
    assert (found.engine, found.context, found.recorded) == ("native", "hst_1.pmap", True)
    assert found.parameters == {"overrides": {"switches": {"DARKCORR": "OMIT"}}}
    assert not found.is_current


def test_publication_without_an_attempt(filled: Ledger) -> None:
    """What was found again has no inputs here, and says so; its tombstones are kept."""
    found = filled.ask(lambda rows: made_from(rows, "r2", ASSOCIATION))
    assert (found.recorded, found.is_current, found.inputs, found.references) == (
        False,
        True,
        (),
        (),
    )
    assert found.tombstones == (Gone(f"{ASSOCIATION}_sfl.fits", "r1"),)


def test_input_that_is_a_product(filled: Ledger) -> None:
    """An input with the bytes of a product of another publication names that."""
    name = f"{EXPOSURES[0]}_raw.fits"
    filled.ensure_run("r3", **RUN)
    process(filled, published("r3", EXPOSURES[0], f"{EXPOSURES[0]}_flt.fits"), [name])
    found = filled.ask(lambda rows: made_from(rows, "r3", EXPOSURES[0]))
    assert found.inputs[0].products == (Origin("r1", ASSOCIATION, name),)
    (use,) = filled.ask(lambda rows: used_by_publication(rows, "r1", ASSOCIATION))
    assert (use.run, use.dataset, use.how) == ("r3", EXPOSURES[0], "input")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (BIAS, [("reference", "r1", ASSOCIATION), ("reference", "r1", ALONE)]),
        (f"jref${BIAS.upper()}", [("reference", "r1", ASSOCIATION), ("reference", "r1", ALONE)]),
        ("b" * 40, [("reference", "r1", ASSOCIATION), ("reference", "r1", ALONE)]),
        (f"{ALONE}_raw.fits", [("input", "r1", ALONE)]),
        (checksum(f"{ALONE}_raw.fits"), [("input", "r1", ALONE)]),
        (EXPOSURES[0], [("input", "r1", ASSOCIATION), ("member", "r2", ASSOCIATION)]),
        ("N/A", []),
        ("nobody", []),
    ],
)
def test_what_was_made(filled: Ledger, word: str, expected: list[tuple[str, str, str]]) -> None:
    """A name, a rootname or a checksum gives publications, each once and how it was used."""
    assert [(use.how, use.run, use.dataset) for use in uses(filled, word)] == expected


def test_use_of_a_reference_names_its_keywords(filled: Ledger) -> None:
    """Two exposures of one association are one use."""
    first = uses(filled, BIAS, "b" * 40)[0]
    assert (first.keywords, first.names) == (("BIASFILE",), (BIAS,))


def test_unknown_publication(filled: Ledger) -> None:
    """A run that does not hold the dataset is refused."""
    with pytest.raises(ConfigError, match=r"run r2 does not hold.*jbxx01abq"):
        filled.ask(lambda rows: made_from(rows, "r2", ALONE))
