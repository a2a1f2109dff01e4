"""Fingerprints: equal exactly where nothing that decides pixels differs."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.archive.fingerprint import fingerprint
from calib.errors import ConfigError
from calib.ids import parse_dataset

BASE: dict[str, Any] = {
    "dataset": "j8bt05njq",
    "inputs": ("aa", "bb"),
    "context": "hst_0729.pmap",
    "references": ("BIASFILE cc", "DARKFILE dd"),
    "engine": "native",
    "numbers_version": "1",
    "parameters": {"DARKCORR": "OMIT", "bias": {"clip": 4.0, "order": [1, 2]}},
}


def test_known_value() -> None:
    """The recipe does not change by accident: published results would all look new."""
    canonical = (
        '{"context":"hst_0729.pmap","dataset":"j8bt05njq","engine":"native","inputs":["aa","bb"],'
        '"numbers_version":"1","parameters":{"DARKCORR":"OMIT","bias":{"clip":4.0,"order":[1,2]}},'
        '"references":["BIASFILE cc","DARKFILE dd"],"schema":1}'
    )

    assert fingerprint(**BASE) == hashlib.sha256(canonical.encode()).hexdigest()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dataset", "j8bt05nkq"),
        ("inputs", ("aa",)),
        ("inputs", ("aa", "bb", "bb")),
        ("inputs", ("aabb",)),
        ("context", "hst_0730.pmap"),
        ("references", ("BIASFILE dd", "DARKFILE cc")),
        ("references", ()),
        ("engine", "hstcal"),
        ("numbers_version", "2"),
        ("parameters", {}),
        ("parameters", {"DARKCORR": "OMIT", "bias": {"clip": 4.0, "order": [2, 1]}}),
        ("parameters", {"DARKCORR": "OMIT", "bias": {"clip": 4.5, "order": [1, 2]}}),
    ],
)
def test_everything_counts(name: str, value: object) -> None:
    """Any change of what decides a product is another fingerprint."""
    assert fingerprint(**{**BASE, name: value}) != fingerprint(**BASE)


@given(data=st.data())
def test_order_without_meaning(data: st.DataObject) -> None:
    """Inputs and references come in any order, parameters in any order of keys."""
    inputs = data.draw(st.lists(st.text(max_size=5), max_size=5))
    references = data.draw(st.lists(st.text(max_size=5), max_size=5))
    parameters = data.draw(st.dictionaries(st.text(max_size=5), st.integers(), max_size=5))
    items = data.draw(st.permutations([*parameters.items()]))

    plain = fingerprint(
        **BASE | {"inputs": inputs, "references": references, "parameters": parameters}
    )
    shuffled = fingerprint(
        **BASE
        | {
            "inputs": data.draw(st.permutations(inputs)),
            "references": iter(data.draw(st.permutations(references))),
            "parameters": dict(items),
        }
    )

    assert plain == shuffled
    assert len(plain) == 64


@given(
    first=st.tuples(st.lists(st.text(max_size=3)), st.lists(st.text(max_size=3)), st.text()),
    second=st.tuples(st.lists(st.text(max_size=3)), st.lists(st.text(max_size=3)), st.text()),
)
def test_no_two_records_meet(
    first: tuple[list[str], list[str], str], second: tuple[list[str], list[str], str]
) -> None:
    """Fingerprints are equal exactly where inputs, references and engine are."""

    def of(record: tuple[list[str], list[str], str]) -> str:
        inputs, references, engine = record
        return fingerprint(**BASE | {"inputs": inputs, "references": references, "engine": engine})

    def canonical(record: tuple[list[str], list[str], str]) -> object:
        return sorted(record[0]), sorted(record[1]), record[2]

    assert (of(first) == of(second)) == (canonical(first) == canonical(second))


def test_same_in_another_process() -> None:
    """Hash randomisation, which differs by process, has no say."""
    code = f"from calib.archive.fingerprint import fingerprint; print(fingerprint(**{BASE!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )

    assert done.stdout.strip() == fingerprint(**BASE)


def test_dataset_may_be_parsed() -> None:
    """A parsed dataset and its name are the same."""
    parsed = parse_dataset("J8BT05NJQ")

    assert fingerprint(**BASE | {"dataset": parsed}) == fingerprint(**BASE)


@pytest.mark.parametrize(
    "parameters",
    [{"x": float("nan")}, {"x": {1, 2}}, {1: "x"}, {"x": [{True: 1}]}, {1: 1, "1": 1}],
)
def test_parameters_must_be_json(parameters: dict[Any, Any]) -> None:
    """What has no one JSON text has no fingerprint: different values could share it."""
    with pytest.raises(ConfigError, match="parameter"):
        fingerprint(**BASE | {"parameters": parameters})
