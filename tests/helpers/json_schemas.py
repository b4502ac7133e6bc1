"""Compares a value with its JSON schema. This is the part of JSON Schema that zcloop uses.

An unknown keyword in a schema is an error, so that no rule is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
    "null": type(None),
}
_KNOWN = {
    "$schema", "title", "description", "type", "properties", "required", "additionalProperties",
    "items", "enum", "const",
}  # fmt: skip


def errors(value: Any, schema: dict[str, Any], path: str = "$") -> Iterator[str]:
    """Return a sentence for each thing that the schema does not allow."""
    assert set(schema) <= _KNOWN, f"{path}: unknown keywords {set(schema) - _KNOWN}"
    if "type" in schema and not _is_of(value, schema["type"]):
        yield f"{path} is {value!r}, not of type {schema['type']}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path} is {value!r}, not one of {schema['enum']}"
    if "const" in schema and value != schema["const"]:
        yield f"{path} is {value!r}, not {schema['const']!r}"
    if isinstance(value, dict):
        yield from _of_object(value, schema, path)
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from errors(item, schema.get("items", {}), f"{path}[{index}]")


def _is_of(value: Any, names: str | list[str]) -> bool:
    listed = [names] if isinstance(names, str) else names
    if isinstance(value, bool):  # which is an int to Python
        return "boolean" in listed
    return any(isinstance(value, _TYPES[name]) for name in listed)


def _of_object(value: dict[str, Any], schema: dict[str, Any], path: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    more = schema.get("additionalProperties", True)
    for name in schema.get("required", []):
        if name not in value:
            yield f"{path} has no {name}"
    for name, member in value.items():
        if name in properties:
            yield from errors(member, properties[name], f"{path}.{name}")
        elif more is False:
            yield f"{path} has {name}, which the schema does not know"
        elif isinstance(more, dict):
            yield from errors(member, more, f"{path}.{name}")
