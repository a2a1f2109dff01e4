"""What an operator asks of a deployment beside prefect.yaml: values for parameters."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from calib.errors import ConfigError
from deployments.deploying.described import Described, check_parameters, flow_of

# Where products go: a value of the server that is left out would send them elsewhere.
OUTPUT = "output_uri"


@dataclass(frozen=True)
class Wishes:
    """Options of `hstflow deploy`.

    Attributes
    ----------
    values
        By deployment, then by parameter with its parts: ``("how", "runner")``. The deployment
        ``*`` means each that has such a parameter.
    schedules
        Whether the schedules of prefect.yaml run; None: as they do on the server, and new ones as
        prefect.yaml says.
    at_once
        By deployment: how many runs at the same time.
    """

    values: Mapping[str, Mapping[tuple[str, ...], Any]] = field(default_factory=dict)
    schedules: bool | None = None
    at_once: Mapping[str, int] = field(default_factory=dict)

    def is_active(self, schedule: Mapping[str, Any], known: Mapping[str, Any] | None) -> bool:
        """Tell whether a schedule of prefect.yaml is to run.

        Parameters
        ----------
        schedule, known
            As prefect.yaml and as the server has it; None: it is new.
        """
        told = bool(schedule["active"])
        if self.schedules is not None:
            return told and self.schedules
        return told if known is None else bool(known["active"])


# Options for all deployments at once, and where each flow has them.
PLACES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "input_uri": (("input_uri",),),
    "output_uri": (("output_uri",),),
    "profile": (("profile",), ("how", "profile")),
    "runner": (("how", "runner"),),
    "workers": (("how", "workers"),),
}


def parse_settings(texts: Iterable[str]) -> dict[str, dict[tuple[str, ...], Any]]:
    """Read ``NAME.parameter=VALUE``; a VALUE that is JSON is read so, else it is text.

    Raises
    ------
    ConfigError
        A text is not of this form.
    """
    found: dict[str, dict[tuple[str, ...], Any]] = {}
    for text in texts:
        place, equals, value = text.partition("=")
        name, *parts = place.split(".")
        if not (equals and name and parts and all(parts)):
            raise ConfigError("not a setting", expected="NAME.parameter=VALUE", found=text)
        found.setdefault(name, {})[tuple(parts)] = _value(value)
    return found


def parse_variables(texts: Iterable[str]) -> dict[str, Any]:
    """Read ``NAME=VALUE``; a VALUE that is JSON is read so, else it is text.

    Raises
    ------
    ConfigError
        A text is not of this form.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (equals and name.isidentifier()):
            raise ConfigError("not a variable", expected="NAME=VALUE", found=text)
        found[name] = _value(value)
    return found


def parse_limits(texts: Iterable[str]) -> dict[str, int]:
    """Read ``NAME=N``, N a number from 1.

    Raises
    ------
    ConfigError
        A text is not of this form.
    """
    found: dict[str, int] = {}
    for text in texts:
        name, _, number = text.partition("=")
        if not (name and number.isascii() and number.isdigit() and int(number)):
            raise ConfigError("not a limit", expected="NAME=N with N from 1", found=text)
        found[name] = int(number)
    return found


def wished_for(described: Described, wishes: Wishes) -> dict[str, Any]:
    """Return the values that were asked for a deployment, nested as its parameters are.

    Raises
    ------
    ConfigError
        The flow has no such parameter, or does not take the value.
    """
    found: dict[str, Any] = {}
    for parts, value in wishes.values.get("*", {}).items():
        for place in PLACES[parts[0]]:
            if _has(described.schema, place):
                found = _put(found, place, value)
                break
    for parts, value in wishes.values.get(described.name, {}).items():
        found = _put(found, parts, value)
    check_parameters(described.name, flow_of(described.entrypoint), found)
    return found


def with_parameters(
    described: Described, known: Mapping[str, Any], asked: Mapping[str, Any]
) -> tuple[Described, tuple[str, ...]]:
    """Return a deployment with what the server has kept, prefect.yaml says, and is asked now.

    The later of the three wins. What the server has kept and the flow does not take any more
    is left out, each value alone.

    Returns
    -------
    Described
        The deployment.
    tuple of str
        What is left out and why, for people.

    Raises
    ------
    ConfigError
        The flow does not take a value of prefect.yaml or of now, or the output_uri that was
        kept: without it products would go elsewhere.
    """
    later = _merged(described.parameters, asked)
    merged, lost = _merged(known, later), tuple[str, ...]()
    try:
        _check(described, merged)
    except ConfigError:
        kept, lost = _still_taken(described, known, later)
        merged = _merged(kept, later)
        _check(described, merged)
    return replace(described, parameters=merged), lost


def _check(described: Described, values: Mapping[str, Any]) -> None:
    check_parameters(described.name, flow_of(described.entrypoint), values)


def _still_taken(
    described: Described, known: Mapping[str, Any], later: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return those of the kept values that the flow takes, each tried beside the later ones."""
    taken: dict[str, Any] = {}
    lost: list[str] = []
    for parts, value in leaves(known):
        more = _put(taken, parts, value)
        try:
            _check(described, _merged(more, later))
        except ConfigError as error:
            if parts == (OUTPUT,) and OUTPUT in described.schema.get("properties", {}):
                raise
            lost.append(f"{'.'.join(parts)}={value!r} is left out: {error}")
        else:
            taken = more
    return taken, tuple(lost)


def leaves(values: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the values of nested parameters, each with the names that lead to it."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from (((key, *parts), each) for parts, each in leaves(value))
        else:
            yield (key,), value


def _merged(first: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(first)
    for key, value in later.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = _merged(old, value) if both and old is not None else value
    return result


def _put(values: dict[str, Any], parts: tuple[str, ...], value: Any) -> dict[str, Any]:
    nested: Any = value
    for part in reversed(parts):
        nested = {part: nested}
    return _merged(values, nested)


def _has(schema: Mapping[str, Any], place: tuple[str, ...]) -> bool:
    """Tell whether a flow has a parameter, or an option in a group of them."""
    top = schema.get("properties", {}).get(place[0])
    if top is None:
        return False
    if len(place) == 1:
        return True
    named = [each["$ref"] for each in [top, *top.get("anyOf", [])] if "$ref" in each]
    groups = (schema.get("definitions", {}).get(each.rsplit("/", 1)[-1], {}) for each in named)
    return any(place[1] in group.get("properties", {}) for group in groups)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
