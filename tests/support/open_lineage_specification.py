"""Check OpenLineage events against JSON Schema that is derived from the client's classes, which follow the specification.

So each event is checked against the version that its `schemaURL` and each facet's `_schemaURL` name, without a network.
"""

import importlib
import pkgutil
import types
import typing
from enum import Enum
from typing import Any

import attr
from jsonschema import Draft202012Validator, FormatChecker
from openlineage.client import generated
from openlineage.client.generated import base

FORMATS = {"runId": {"format": "uuid"}, "_producer": {"format": "uri"}, "_schemaURL": {"format": "uri"}}
FORMATS |= {"producer": {"format": "uri"}, "schemaURL": {"format": "uri"}, "eventTime": {"format": "date-time"}}
REQUIRED = {"_producer", "_schemaURL", "producer", "schemaURL"}
"""The classes fill these in by themselves; on the wire they must be there."""
OWN = base.RunFacet._get_schema()
"""What a facet without a published schema of its own names."""

checker = FormatChecker()


@checker.checks("uri")
def _uri(value: object) -> bool:
    scheme, colon, rest = str(value).partition(":")
    return bool(colon and rest) and scheme.replace("+", "").isalnum() and " " not in str(value)


@checker.checks("date-time", raises=ValueError)
def _moment(value: object) -> bool:
    from datetime import datetime

    return datetime.fromisoformat(str(value)).tzinfo is not None


def faults(event: dict[str, Any]) -> list[str]:
    """List everything in which an event differs from the specification."""
    found = [error.message for error in _validator(base.RunEvent).iter_errors(event)]
    if event.get("schemaURL") != base.RunEvent._get_schema():
        found.append(f"schemaURL {event.get('schemaURL')}")
    for name, facet in _facets(event):
        known = _published().get(facet.get("_schemaURL", ""))
        if known is None:
            found.append(f"{name}: no such schema: {facet.get('_schemaURL')}")
        else:
            found += [f"{name}: {error.message}" for error in _validator(known).iter_errors(facet)]
    return found


def _facets(tree: Any) -> typing.Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key in ("facets", "inputFacets", "outputFacets"):
                yield from value.items()
            yield from _facets(value)
    elif isinstance(tree, list):
        for part in tree:
            yield from _facets(part)


def _published() -> dict[str, type]:
    modules = [
        importlib.import_module(f"{generated.__name__}.{each.name}")
        for each in pkgutil.iter_modules(generated.__path__)
    ]
    classes = [item for module in modules for item in vars(module).values() if attr.has(item)]
    return {item._get_schema(): item for item in classes if hasattr(item, "_get_schema")} | {OWN: base.RunFacet}


def _validator(described: type) -> Draft202012Validator:
    return Draft202012Validator(_object(described), format_checker=checker)


def _object(described: type) -> dict[str, Any]:
    hints = typing.get_type_hints(described)
    fields = attr.fields(described)
    wanted = [field.name for field in fields if field.default is attr.NOTHING or field.name in REQUIRED]
    properties = {field.name: _type(hints[field.name]) | FORMATS.get(field.name, {}) for field in fields}
    # Facets may say more than their schema does; nothing else may.
    return {
        "type": "object",
        "properties": properties,
        "required": wanted,
        "additionalProperties": issubclass(described, base.BaseFacet),
    }


def _type(hint: Any) -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    simple: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
    if hint in simple:
        return {"type": simple[hint]}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_type(argument) for argument in arguments]}
    if origin is list:
        return {"type": "array", "items": _within(arguments[0])}
    if origin is dict:
        return {"type": "object"}  # facets, which are checked one by one
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [member.value for member in hint]}
    return _object(hint) if attr.has(hint) else {}


def _within(hint: Any) -> dict[str, Any]:
    """Fields of a schema hold fields: one level is enough here, each deeper one is checked as an object."""
    if attr.has(hint) and any(field.name == "fields" for field in attr.fields(hint)):
        return {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "type": {"type": "string"}},
        }
    return _type(hint)
