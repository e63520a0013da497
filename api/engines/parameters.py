"""What requests and options say of the parameters of engines, generated from the cards."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audiostory_core.engines.card import Parameter

PARAMETERS = "parameters"  # of engines, where a request has them


def describe_engine(schema: dict[str, Any]) -> None:
    """Add the names of the engines to the JSON Schema of a field."""
    from api.engines.catalog import engines  # noqa: PLC0415 - cards are read when they are shown

    schema["enum"] = list(engines().names)


def describe_parameters(schema: dict[str, Any]) -> None:
    """Add the parameters of all engines to the JSON Schema of a request, in both places."""
    fields = schema["properties"]
    described = {
        name: {
            "anyOf": [parameter.schema_of_value() for parameter in of_engines.values()],
            "description": f"{explain(of_engines)}.",
        }
        for name, of_engines in list_parameters(()).items()
    }
    for name, parameter in described.items():
        if name not in fields:
            either = [*parameter["anyOf"], {"type": "null"}]
            fields[name] = parameter | {"anyOf": either}
    fields[PARAMETERS] |= {"properties": described, "additionalProperties": False}


def lift_parameters(values: object, fields: Collection[str]) -> object:
    """Move parameters that stand beside the fields of a request to `parameters`.

    Args:
        values: of the request, not checked yet.
        fields: names that mean something else.

    Raises:
        ValueError: if one stands in both places.
    """
    if not isinstance(values, dict):
        return values
    beside = {name: values[name] for name in list_parameters(fields) if name in values}
    if not beside:
        return values
    rest = {name: value for name, value in values.items() if name not in beside}
    inner = rest.get(PARAMETERS, {})
    beside = {name: value for name, value in beside.items() if value is not None}
    if not isinstance(inner, dict) or beside.keys() & inner.keys():
        raise ValueError("a parameter stands in the request and in its parameters; name it once")
    return rest | {PARAMETERS: inner | beside}


def list_parameters(taken: Collection[str]) -> dict[str, dict[str, Parameter]]:
    """Return the parameters of all engines by name, each by engine.

    Args:
        taken: names that mean something else.
    """
    from api.engines.catalog import engines  # noqa: PLC0415 - cards are read when they are shown

    listed: dict[str, dict[str, Parameter]] = {}
    for card in engines():
        for name, parameter in card.parameters.items():
            if name not in taken:
                listed.setdefault(name, {})[card.name] = parameter
    return listed


def explain(of_engines: dict[str, Parameter]) -> str:
    """Say what a parameter does in each engine that has it."""
    return "; ".join(
        f"{parameter.help} ({engine}: {parameter.expected}, default {parameter.default})"
        for engine, parameter in of_engines.items()
    )
