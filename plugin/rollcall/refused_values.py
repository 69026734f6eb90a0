"""What pydantic refuses, in the words of somebody who typed the value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

#: Its names of errors to what is needed instead; `ctx` fills in the limits.
_NEEDED: Final = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "literal_error": "{expected}",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
}


def needed(problem: Mapping[str, Any]) -> str:
    """Return what a value should have been, such as "a whole number"; `problem` is one of pydantic's `errors()`."""
    words = _NEEDED.get(problem["type"])
    if words is None:
        text = str(problem["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
        # A value that is repeated in it stays as it was typed.
        return text if problem["type"] == "value_error" else text.lower()
    return words.format(**problem.get("ctx", {}))
