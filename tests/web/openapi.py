"""A small checker of answers against an OpenAPI document: as much of JSON Schema as FastAPI writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx

Schema = dict[str, Any]
_TYPES = {"string": str, "boolean": bool, "array": list, "object": dict, "null": type(None)}
#: What the checker understands; a schema with anything else fails, so that nothing goes unchecked.
_KNOWN = frozenset(
    (
        *(
            "$ref",
            "anyOf",
            "oneOf",
            "discriminator",
            "type",
            "enum",
            "const",
            "title",
            "description",
            "default",
            "format",
        ),
        *("properties", "required", "additionalProperties", "items", "prefixItems", "minItems", "maxItems"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength"),
    )
)


class Document:
    """An OpenAPI document."""

    def __init__(self, document: Schema) -> None:
        self.document = document

    def operation(self, method: str, path: str) -> Schema:
        """Return what is declared of a path as it stands in the document."""
        operation: Schema = self.document["paths"][path][method.lower()]
        return operation

    def errors(self, method: str, path: str, answer: httpx.Response) -> list[str]:
        """Return how an answer differs from what is declared."""
        declared = self.operation(method, path)["responses"].get(str(answer.status_code))
        if declared is None:
            return [f"status {answer.status_code} is not declared"]
        if "content" not in declared:
            return ["no content is declared"] if answer.content else []
        media = answer.headers["content-type"].partition(";")[0]
        if media not in declared["content"]:
            return [f"{media} is not declared for {answer.status_code}"]
        if media != "application/json":
            return []
        return list(self.mismatches(declared["content"][media]["schema"], json.loads(answer.content)))

    def mismatches(self, schema: Schema, value: Any, at: str = "answer") -> Iterator[str]:
        """Yield where a value does not fit a schema."""
        unknown = set(schema) - _KNOWN
        if unknown:
            yield f"{at}: the checker does not know {sorted(unknown)}"
        if "$ref" in schema:
            yield from self.mismatches(self._referenced(schema["$ref"]), value, at)
        for choice in ("anyOf", "oneOf"):
            if choice in schema and all(list(self.mismatches(one, value, at)) for one in schema[choice]):
                yield f"{at}: {value!r} fits none of {[one.get('$ref', one.get('type')) for one in schema[choice]]}"
        if "type" in schema and not _has_type(schema["type"], value):
            yield f"{at}: {value!r} is no {schema['type']}"
            return
        if "enum" in schema and value not in schema["enum"]:
            yield f"{at}: {value!r} is not one of {schema['enum']}"
        if "const" in schema and value != schema["const"]:
            yield f"{at}: {value!r} is not {schema['const']!r}"
        if isinstance(value, dict):
            yield from self._object(schema, value, at)
        elif isinstance(value, list):
            yield from self._array(schema, value, at)
        elif isinstance(value, int | float) and not isinstance(value, bool) and not _in_range(schema, value):
            yield f"{at}: {value} is out of range"
        elif isinstance(value, str) and not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 1e9):
            yield f"{at}: {len(value)} characters"

    def _referenced(self, reference: str) -> Schema:
        found: Any = self.document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        return dict(found)

    def _object(self, schema: Schema, value: dict[str, Any], at: str) -> Iterator[str]:
        properties = schema.get("properties", {})
        for name in schema.get("required", []):
            if name not in value:
                yield f"{at}: {name} is missing"
        further = schema.get("additionalProperties", True)
        for name, one in value.items():
            if name in properties:
                yield from self.mismatches(properties[name], one, f"{at}.{name}")
            elif further is False:
                yield f"{at}: {name} is not declared"
            elif isinstance(further, dict):
                yield from self.mismatches(further, one, f"{at}.{name}")

    def _array(self, schema: Schema, value: list[Any], at: str) -> Iterator[str]:
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            yield f"{at}: {len(value)} items"
        first = schema.get("prefixItems", [])
        for index, one in enumerate(value):
            yield from self.mismatches(
                first[index] if index < len(first) else schema.get("items", {}), one, f"{at}[{index}]"
            )


def _has_type(name: str, value: Any) -> bool:
    if name in ("number", "integer"):
        return isinstance(value, int if name == "integer" else int | float) and not isinstance(value, bool)
    return isinstance(value, _TYPES[name])


def _in_range(schema: Schema, value: float) -> bool:
    return (
        schema.get("minimum", value) <= value <= schema.get("maximum", value)
        and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
        and ("exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"])
    )
