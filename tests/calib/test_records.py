"""Records between stages: frozen, and the same after a trip through JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from calib import grants, records
from calib.records import (
    ExposureReferences,
    InputFile,
    Member,
    RawInputs,
    References,
    ReferenceUse,
    from_json,
    to_json,
)

KINDS = [
    records.InputFile,
    records.DataId,
    records.Member,
    records.RawInputs,
    records.ReferenceUse,
    records.ExposureReferences,
    records.References,
    records.ProductFile,
    records.Products,
    records.Previews,
    records.Archived,
    grants.Grant,
    grants.Retry,
    records.Outcome,
]


def raw(name: str) -> InputFile:
    """Return an input file of this name."""
    root, _, suffix = name.removesuffix(".fits").partition("_")
    return InputFile(name, f"/w/{name}", "ab", 2880, suffix, root)


def test_all_records_are_tested() -> None:
    """A new record class must join the round-trip test."""
    ours = {
        kind
        for module in (records, grants)
        for kind in vars(module).values()
        if dataclasses.is_dataclass(kind) and kind.__module__ == module.__name__
    }
    assert ours == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_every_record_survives_json(kind: type[Any], data: st.DataObject) -> None:
    """What a work folder stores is what the next attempt reads; equal records, equal bytes."""
    record = data.draw(st.from_type(kind).filter(_no_nan))

    text = to_json(record)

    assert from_json(kind, text) == record
    assert to_json(from_json(kind, text)) == text


def _no_nan(record: Any) -> bool:
    return not any(
        isinstance(value, float) and not math.isfinite(value)
        for value in dataclasses.asdict(record).values()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_records_are_frozen(kind: type[Any]) -> None:
    """A stage cannot change what another handed to it."""
    assert kind.__dataclass_params__.frozen


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"name": "x", "type": "EXP-CRJ"}', '{"name": 1, "type": "x", "present": 1}'],
)
def test_damaged_json_is_refused(text: str) -> None:
    """A cut or foreign record is an error, never a record with holes."""
    with pytest.raises(ValidationError):
        from_json(Member, text)


def test_paths_become_text_and_other_objects_are_refused() -> None:
    """JSON has no place for arbitrary objects: nothing is pickled or stringified by chance."""
    odd: Any = Path("/w/x")
    assert json.loads(to_json(dataclasses.replace(raw("a_raw.fits"), path=odd)))["path"] == "/w/x"
    with pytest.raises(TypeError, match="object has no place in a record"):
        to_json(dataclasses.replace(raw("a_raw.fits"), path=object()))  # type: ignore[arg-type]


def test_raw_inputs_sort_files_by_what_they_are() -> None:
    """Files are found by suffix; whatever begins with raw is an exposure."""
    names = ("l1_asn.fits", "l1_rawtag_a.fits", "l1_rawtag_b.fits", "l1_spt.fits")
    inputs = RawInputs("l1", "file:x", tuple(map(raw, names)))
    assert [f.name for f in inputs.of("asn")] == ["l1_asn.fits"]
    assert [f.name for f in inputs.exposures] == list(names[1:3])
    assert inputs.of("wav") == ()


def test_references_are_found_by_file_and_keyword() -> None:
    """A missing file or keyword gives None; N/A has no path and is not present."""
    uses = (ReferenceUse("BIASFILE", "b.fits", "/r/b.fits"), ReferenceUse("FLSHFILE", "N/A"))
    found = References("hst_0729.pmap", "14", (ExposureReferences("x_raw.fits", uses),))

    exposure = found.of("x_raw.fits")

    assert exposure is not None
    assert found.of("y_raw.fits") is None
    assert [exposure.path(k) for k in ("BIASFILE", "FLSHFILE", "X")] == ["/r/b.fits", None, None]
    assert [use.present for use in uses] == [True, False]
