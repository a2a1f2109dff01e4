"""What an exposure shows, from its primary header."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from calib.ids import DatasetId, parse_dataset
from calib.records import DataId, Member

# Keywords that name what is in the beam, by instrument: ACS has two filter wheels (ACS
# Instrument Handbook 5.1), WFC3 one keyword, the spectrographs their gratings and prisms.
_BEAM = {
    "acs": ("FILTER1", "FILTER2"),
    "wfc3": ("FILTER",),
    "cos": ("OPT_ELEM",),
    "stis": ("OPT_ELEM", "FILTER"),
}

# Values that say that a wheel lets all light pass (ACS: CLEAR1L, CLEAR2S...; STIS: Clear).
_EMPTY = ("CLEAR", "N/A", "MIRVIS", "MIRNUV", "MIRFUV")

# What members of an association may share.
_SHARED = ("detector", "filter", "proposal", "target")


def data_id_of(rootname: str, header: Mapping[str, Any]) -> DataId:
    """Return what an exposure shows.

    Parameters
    ----------
    rootname
        Its name.
    header
        Its primary header. Keywords that are absent or blank give None.

    Raises
    ------
    ConfigError
        The name is not that of a dataset.
    """
    dataset = parse_dataset(rootname)
    return _data_id(dataset, dataset.instrument, header)


def data_id_of_image(dataset: DatasetId, header: Mapping[str, Any]) -> DataId:
    """Return what one image of a visit or skycell shows, under the name of the whole.

    Parameters
    ----------
    dataset
        The visit or skycell.
    header
        Primary header of the image, which says its instrument: skycells mix them.
    """
    return _data_id(dataset, (_text(header, "INSTRUME") or dataset.instrument).lower(), header)


def _data_id(dataset: DatasetId, instrument: str, header: Mapping[str, Any]) -> DataId:
    return DataId(
        rootname=dataset.name,
        instrument=dataset.instrument,
        program=dataset.program,
        visit=dataset.visit,
        detector=_text(header, "DETECTOR"),
        filter=_filter(instrument, header),
        proposal=_number(header, "PROPOSID", int),
        target=_text(header, "TARGNAME"),
        observed_at=_time(header),
        exptime=_number(header, "EXPTIME", float),
    )


def shared_data_id(association: str, members: Sequence[DataId]) -> DataId:
    """Return what an association shows: what its members share.

    It begins with its first member, and has the exposure time of all together.

    Raises
    ------
    ConfigError
        The name is not that of a dataset.
    """
    dataset = parse_dataset(association)
    found = DataId(dataset.name, dataset.instrument, dataset.program, dataset.visit)
    shared = {name: {getattr(each, name) for each in members} for name in _SHARED}
    begins = [each.observed_at for each in members if each.observed_at is not None]
    times = [each.exptime for each in members if each.exptime is not None]
    return replace(
        found,
        **{name: values.pop() for name, values in shared.items() if len(values) == 1},
        observed_at=min(begins, default=None),
        exptime=sum(times) if times else None,
    )


def product_data_ids(members: Iterable[Member], exposures: Sequence[DataId]) -> list[DataId]:
    """Return what the products within an association show: what their exposures share.

    The type of a row says which exposures a product is made of: PROD-CR1 of EXP-CR1 (ACS Data
    Handbook, table of exposure types in association tables).

    Parameters
    ----------
    members
        The rows of the association table.
    exposures
        What its exposures show.

    Raises
    ------
    ConfigError
        The name of a product is not that of a dataset.
    """
    types = {row.name.lower(): row.type.upper().partition("-") for row in members}
    made_of: dict[str, list[DataId]] = {}
    for each in exposures:
        role, _, kind = types.get(each.rootname, ("", "", ""))
        if role == "EXP":
            made_of.setdefault(kind, []).append(each)
    return [
        shared_data_id(name, made_of[kind])
        for name, (role, _, kind) in types.items()
        if role == "PROD" and kind in made_of
    ]


def _filter(instrument: str, header: Mapping[str, Any]) -> str | None:
    values = [_text(header, keyword) for keyword in _BEAM.get(instrument, ())]
    given = [value for value in values if value is not None]
    if not given:
        return None
    return ";".join(v for v in given if not v.upper().startswith(_EMPTY)) or "CLEAR"


def _text(header: Mapping[str, Any], keyword: str) -> str | None:
    value = header.get(keyword)
    text = "" if value is None else str(value).strip()
    return text or None


def _number(header: Mapping[str, Any], keyword: str, kind: type) -> Any:
    value = header.get(keyword)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return kind(value) if is_number else None


def _time(header: Mapping[str, Any]) -> str | None:
    date, time = _text(header, "DATE-OBS"), _text(header, "TIME-OBS")
    return None if date is None else f"{date}T{time or '00:00:00'}"
