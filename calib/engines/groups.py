"""Which exposures of an association are combined, and what they become.

The rules are those of calacs: rows EXP-CRn are combined into the row PROD-CRn (`_crj`), rows
EXP-RPn into PROD-RPn (`_sfl`), each position by itself; EXP-DTH rows are calibrated one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calib.association import Association, Position
from calib.errors import CorruptFile, DataError, MissingMember, UnsupportedMode
from calib.records import InputFile, Member, RawInputs
from calib.switches import Switch, read_switch

# Switch and suffix of what is made of exposures of a kind; DTH is nobody's here.
SWITCHES = {"CR": "CRCORR", "RP": "RPTCORR"}
SUFFIXES = {"CR": "crj", "RP": "sfl"}
FEWEST = 2


@dataclass(frozen=True)
class Group:
    """Exposures that are combined.

    Attributes
    ----------
    files
        Raw exposures in the order of the table: the first one's header decides.
    product, member_type
        Name of what they become, lower case, and its row's type, such as ``PROD-CRJ``.
    suffix
        ``crj`` or ``sfl``.
    switch
        ``CRCORR`` or ``RPTCORR``.
    """

    files: tuple[InputFile, ...]
    product: str
    member_type: str
    suffix: str
    switch: str

    @property
    def file_name(self) -> str:
        """Name of the combined product."""
        return f"{self.product}_{self.suffix}.fits"


def combines(members: Sequence[Member]) -> bool:
    """Whether rows of an association are combined with each other."""
    return any(p.kind in SWITCHES for p in Association("", tuple(members)).positions)


def find_groups(inputs: RawInputs) -> tuple[Group, ...]:
    """Find the exposures to combine among the inputs; none without an association.

    Raises
    ------
    MissingMember
        An exposure that the table marks as present is not among the inputs.
    DataError
        A position has fewer than two exposures.
    CorruptFile
        A position has no product, or two positions have one.
    """
    association = Association(inputs.dataset, inputs.members)
    positions = [p for p in association.positions if p.kind in SWITCHES]
    groups = tuple(_group(inputs, position) for position in positions)
    counts = Counter(group.product for group in groups)
    if twice := sorted(name for name, count in counts.items() if count > 1):
        raise CorruptFile(
            "two positions of the association make one product", dataset=inputs.dataset, found=twice
        )
    return groups


def alone(inputs: RawInputs, groups: Sequence[Group]) -> Iterator[InputFile]:
    """Return the exposures that are not combined with others."""
    grouped = {file.name for group in groups for file in group.files}
    return (file for file in inputs.calibrated if file.name not in grouped)


def _group(inputs: RawInputs, position: Position) -> Group:
    by_name = {file.rootname.lower(): file for file in inputs.calibrated}
    what = f"{position.kind}{position.label}"
    if absent := [name for name in position.exposures if name not in by_name]:
        raise MissingMember(
            f"exposures of position {what} are not among the inputs",
            dataset=inputs.dataset,
            expected=", ".join(position.exposures),
            found=f"all but {', '.join(absent)}",
        )
    if len(position.exposures) < FEWEST:
        raise DataError(
            f"position {what} has too few exposures to combine",
            dataset=inputs.dataset,
            expected=f"at least {FEWEST}",
            found=", ".join(position.exposures) or "none",
        )
    if position.product is None:
        raise CorruptFile(
            "the association names no product for its exposures",
            dataset=inputs.dataset,
            expected=f"a row PROD-{what}",
            found=", ".join(member.type for member in inputs.members),
        )
    row = next(m for m in inputs.members if m.name == position.product)
    return Group(
        files=tuple(by_name[name] for name in position.exposures),
        product=position.product,
        member_type=row.type,
        suffix=SUFFIXES[position.kind],
        switch=SWITCHES[position.kind],
    )


def check_headers(group: Group, headers: Sequence[Mapping[str, Any]], alike: Sequence[str]) -> None:
    """Compare the headers of a group with the table, and with each other.

    Raises
    ------
    UnsupportedMode
        The switches of the first exposure say something else than the table (calacs stops
        there too), or the exposures differ in mode.
    """
    found = {name for name in SWITCHES.values() if _performs(headers[0], name)}
    if found != {group.switch}:
        raise UnsupportedMode(
            "switches and association table disagree on what is combined",
            dataset=group.product,
            path=group.files[0].path,
            expected=f"{group.switch} PERFORM alone, as the table has {group.member_type}",
            found=" and ".join(f"{name} PERFORM" for name in sorted(found)) or "neither PERFORM",
        )
    for keyword in alike:
        values = [_shown(header, keyword) for header in headers]
        if len(set(values)) > 1:
            pairs = zip(group.files, values, strict=True)
            raise UnsupportedMode(
                f"exposures that are to be combined differ in {keyword}",
                dataset=group.product,
                expected=f"one {keyword}",
                found=", ".join(f"{file.rootname} {value}" for file, value in pairs),
            )


def _performs(header: Mapping[str, Any], switch: str) -> bool:
    return read_switch(header, switch) is Switch.PERFORM


def _shown(header: Mapping[str, Any], keyword: str) -> str:
    """Return a value so that equal ones look equal: 2 and 2.0, blanks at the end."""
    value = header.get(keyword, "")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:g}"
    return str(value).strip().upper() or "absent"
