"""Render the Python API as Markdown, from signatures and docstrings: the generated parts of docs/api.md."""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
import typing
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import ModuleType
from typing import Any, NamedTuple

from pydantic import BaseModel

import rollcall
from rollcall import corrections, errors, events, search, settings
from rollcall.corrections import kinds
from rollcall.host import (
    Plugin,
    albums,
    base,
    bridging,
    correcting,
    guests,
    people,
    people_questions,
    people_reading,
    plugin,
    reading,
    searching,
    sidecars,
)
from rollcall.indexing.run import PictureAnalyzer
from rollcall.records import Box, Face, Picture
from rollcall.settings import Settings

#: Where the methods of `Plugin` are defined, in the order of the reference, and what they are for.
ROOMS: dict[ModuleType, str] = {
    base: "Life and listeners",
    plugin: "Indexing and analysis",
    searching: "Searching",
    reading: "Photos and faces",
    correcting: "Corrections, erasure, learning, tags",
    people: "People",
    people_reading: "People as pages show them",
    people_questions: "Questions about people",
    albums: "Albums",
    guests: "Guests in the home network",
    sidecars: "Sidecars (XMP)",
    bridging: "Bridges to other photo managers",
}
WIDTH = 110  # characters of a signature on one line
#: Names of types in the signatures that are no classes.
ALIASES: dict[str, Any] = {
    "Correction": kinds.Correction,
    "Kind": kinds.Kind,
    "Listener": events.Listener,
    "Order": search.Order,
    "State": base.State,
    "Unsubscribe": events.Unsubscribe,
}
ALIAS_TEXTS = {
    "Listener": "Callable[[Event], None]",
    "Unsubscribe": "Callable[[], None]",
}


# ---- Docstrings in numpydoc's form


class Docstring(NamedTuple):
    """A docstring in parts."""

    text: str
    parameters: dict[str, str]  # names, as they stand there, and their descriptions
    raises: dict[str, str]


def parse(text: str | None) -> Docstring:
    """Return the parts of a docstring in numpydoc's form."""
    lines = inspect.cleandoc(text or "").splitlines()
    starts = [n for n in range(len(lines) - 1) if lines[n + 1] and not lines[n + 1].strip("-")]
    sections = {lines[start]: _entries(lines[start + 2 : end]) for start, end in pairwise([*starts, len(lines)])}
    body = "\n".join(lines[: starts[0]] if starts else lines).strip()
    return Docstring(body, sections.get("Parameters", {}), sections.get("Raises", {}))


def _entries(lines: list[str]) -> dict[str, str]:
    """Return a section's entries: a name on a line, its description indented below it."""
    found: dict[str, str] = {}
    for line in filter(str.strip, lines):
        if line.startswith(" "):
            name = list(found)[-1]
            found[name] = f"{found[name]} {line.strip()}".strip()
        else:
            found[line.strip()] = ""
    return found


def _markdown(text: str) -> str:
    """Return a docstring's text as Markdown: reStructuredText's double backquotes become single ones."""
    return text.replace("``", "`")


def _docstring(documented: Any) -> list[str]:
    return [_markdown(parse(inspect.getdoc(documented)).text), "", *_sections(documented)]


def _sections(documented: Any) -> list[str]:
    """Return parameters and errors as one list."""
    parts = parse(inspect.getdoc(documented))
    found = [f"- {_names(names)}: {_lowered(_markdown(text))}" for names, text in parts.parameters.items()]
    found += [f"- raises {_names(names)} {_lowered(_markdown(text))}" for names, text in parts.raises.items()]
    return [*found, ""] if found else []


def _names(names: str) -> str:
    return ", ".join(f"`{name}`" for name in names.split(", "))


def _lowered(text: str) -> str:
    # What is written in capitals stays so: YYYY, JPEG.
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


# ---- Signatures


def signature(name: str, function: Callable[..., Any]) -> str:
    """Return a function's signature, without `self`, on one line or with a line for each parameter."""
    found = inspect.signature(function)
    parameters = [one for one in found.parameters.values() if one.name != "self"]
    returns = "" if found.return_annotation in (inspect.Signature.empty, "None", None) else found.return_annotation
    line = str(found.replace(parameters=parameters, return_annotation=inspect.Signature.empty))
    # Annotations are texts, which `inspect` shows in quotes.
    line = name + re.sub(r"(: |-> )'([^']*)'", r"\1\2", line) + (f" -> {returns}" if returns else "")
    if len(line) <= WIDTH:
        return line
    rows = ",\n".join("    " + row for row in _rows(found.replace(parameters=parameters)))
    return f"{name}(\n{rows},\n)" + (f" -> {returns}" if returns else "")


def _rows(found: inspect.Signature) -> Iterator[str]:
    keyword_only = False
    for one in found.parameters.values():
        if one.kind is one.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            if not any(other.kind is other.VAR_POSITIONAL for other in found.parameters.values()):
                yield "*"
        yield re.sub(r"^([^:]*: )'([^']*)'", r"\1\2", str(one))


def _entry(name: str, documented: Any) -> str:
    if isinstance(documented, property):
        head = [f"#### `{name}` (property)\n"]
    else:
        head = [f"#### `{name}`\n", f"```python\n{signature(name, documented)}\n```\n"]
    return "\n".join([*head, *_docstring(documented)]).rstrip() + "\n"


# ---- The parts


def members_by_room() -> dict[ModuleType, dict[str, Any]]:
    """Return the public methods and properties of `Plugin` by module and name, in the order of the reference.

    Raises
    ------
    ValueError
        If a class that defines some is in no module of the reference.
    """
    found: dict[ModuleType, dict[str, Any]] = {room: {} for room in ROOMS}
    rooms = {room.__name__: room for room in ROOMS}
    for cls in reversed(Plugin.__mro__):
        members = {
            name: member
            for name, member in vars(cls).items()
            if not name.startswith("_") and (callable(member) or isinstance(member, property))
        }
        if members and cls.__module__ not in rooms:
            raise ValueError(f"the reference has no part for {cls.__module__}: add it to ROOMS")
        if members:
            found[rooms[cls.__module__]] |= members
    return found


def plugin_members() -> dict[str, Any]:
    """Return the public methods and properties of `Plugin` by name, in the order of the reference."""
    return {name: member for members in members_by_room().values() for name, member in members.items()}


def plugin_reference() -> str:
    """Return the reference of `Plugin`."""
    parts = ["```python", signature("Plugin", Plugin.__init__), "```\n", *_docstring(Plugin)]
    parts += _sections(base.PluginBase)
    for room, members in members_by_room().items():
        parts.append(f"### {ROOMS[room]}\n")
        parts += [_entry(name, member) for name, member in members.items()]
    return "\n".join(parts).rstrip()


def corrections_reference() -> str:
    """Return the reference of the functions that make corrections."""
    found = [getattr(corrections, name) for name in sorted(corrections.__all__)]
    return "\n".join(_entry(one.__name__, one) for one in found if inspect.isfunction(one)).rstrip()


def all_events() -> list[type[events.Event]]:
    """Return every event."""
    # Not `__subclasses__`: a dataclass with slots is made twice, and both stand there until one is collected.
    named = (one for one in vars(events).values() if inspect.isclass(one))
    return [one for one in named if issubclass(one, events.Event) and one is not events.Event]


def events_reference() -> str:
    """Return the reference of the events."""
    rows = ["| event | fields | when |", "|---|---|---|"]
    for event in all_events():
        fields = ", ".join(f"`{one.name}: {one.type}`".replace("|", "\\|") for one in dataclasses.fields(event))
        rows.append(f"| `{event.__name__}` | {fields} | {_first_line(event)} |")
    return "\n".join(rows)


def all_errors() -> list[type[errors.RollcallError]]:
    """Return every error, each above those that are made from it."""

    def below(error: type[errors.RollcallError]) -> Iterator[type[errors.RollcallError]]:
        yield error
        for one in error.__subclasses__():
            if one.__module__ == errors.__name__:
                yield from below(one)

    return list(below(errors.RollcallError))


def errors_reference() -> str:
    """Return the tree of errors as a table, with exit codes, HTTP statuses and attributes."""
    rows = ["| error | exit code | HTTP status | attributes | when |", "|---|---|---|---|---|"]
    for error in all_errors():
        depth = len(error.__mro__) - len(errors.RollcallError.__mro__)
        own = "__init__" in vars(error)
        names = re.findall(r"self\.(\w+) = ", inspect.getsource(error)) if own else []
        rows.append(
            f"| {'&emsp;' * depth}`{error.__name__}` | {error.exit_code} | {error.status}"
            f" | {', '.join(f'`{name}`' for name in names)} | {_first_line(error)} |"
        )
    rows.append("")
    for error in all_errors():
        more = inspect.cleandoc(error.__doc__ or "").split("\n\n")[1:]
        rows += [f"- `{error.__name__}`: {_markdown(' '.join(more))}".replace("\n", " ")] if more else []
    return "\n".join(rows)


def _first_line(documented: Any) -> str:
    return _markdown(inspect.cleandoc(documented.__doc__).split("\n\n")[0].replace("\n", " ")).replace("|", "\\|")


# ---- Records: what methods return


def records() -> list[type]:
    """Return the classes of values that the methods of `Plugin` take and return, and those inside them."""
    found: dict[type, None] = dict.fromkeys((Box, Face, Picture, PictureAnalyzer))
    waiting = []
    for member in plugin_members().values():
        function = member.fget if isinstance(member, property) else member
        waiting += list(typing.get_type_hints(function).values())
    while waiting:
        hint = waiting.pop(0)
        waiting += typing.get_args(hint)
        if _is_record(hint) and hint not in found:
            found[hint] = None
            waiting += list(typing.get_type_hints(hint).values())
    return sorted(found, key=lambda one: one.__name__)


def _is_record(hint: Any) -> bool:
    if not inspect.isclass(hint) or not hint.__module__.startswith("rollcall") or issubclass(hint, Settings):
        return False
    return dataclasses.is_dataclass(hint) or hasattr(hint, "_fields") or issubclass(hint, BaseModel)


def records_reference() -> str:
    """Return the reference of the records: fields with types and meanings, methods and properties."""
    return "\n".join(_record(one) for one in records()).rstrip()


def _record(cls: type) -> str:
    parts = [f"#### `{cls.__name__}`\n", f"`{cls.__module__}`. {_markdown(inspect.getdoc(cls) or '')}\n"]
    comments = _comments(cls)
    for name, annotation in _annotations(cls).items():
        comment = f": {comments[name]}" if name in comments else ""
        parts.append(f"- `{name}: {annotation}`{comment}")
    for name, member in vars(cls).items():
        if name.startswith("_") or not (inspect.isfunction(member) or isinstance(member, property)):
            continue
        shown = name if isinstance(member, property) else signature(name, member)
        parts.append(f"- `{shown}`: {_lowered(_first_line(member))}")
    return "\n".join(parts) + "\n"


def _annotations(cls: type) -> dict[str, str]:
    """Return the fields of a record with their types, as they stand in the code."""
    found = inspect.get_annotations(cls)
    if issubclass(cls, BaseModel):
        # Without the limits, which the functions that make corrections check.
        hints = typing.get_type_hints(cls)
        return {name: re.sub(r"\b(?:\w+\.)+(\w)", r"\1", _name(hints[name])) for name in found}
    # What stands in a NamedTuple is a reference that is not yet resolved.
    return {name: str(getattr(one, "__forward_arg__", one)) for name, one in found.items()}


def _name(hint: Any) -> str:
    if hint is type(None):
        return "None"
    return str(hint.__name__) if inspect.isclass(hint) else str(hint)


def _comments(cls: type) -> dict[str, str]:
    """Return what the comments beside or above a class's fields say, by field."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in textwrap.dedent(inspect.getsource(cls)).splitlines():
        field = re.match(r" {4}(\w+): [^#]*?(?:  # (.*))?$", line)
        comment = re.match(r" {4}# (.*)", line)
        if field is not None:
            text = field[2] or " ".join(above)
            if text:
                found[field[1]] = text
        above = [*above, comment[1]] if comment is not None else []
    return found


def settings_reference() -> str:
    """Return how settings are loaded, and what they offer besides their values."""
    parts = [_entry("load", settings.load)]
    for name, member in vars(Settings).items():
        if isinstance(member, property):
            parts.append(f"- `Settings.{name}`: {_lowered(_first_line(member))}")
    return "\n".join(parts)


def aliases_reference() -> str:
    """Return what the names of types in the signatures stand for."""
    rows = ["| name | what it stands for |", "|---|---|"]
    for name, alias in ALIASES.items():
        values = typing.get_args(alias)
        if typing.get_origin(alias) is typing.Literal:
            shown = ", ".join(f'`"{value}"`' for value in values)
        elif typing.get_origin(alias) is typing.Annotated:
            shown = " or ".join(f"`{one.__name__}`" for one in typing.get_args(values[0]))
        else:
            shown = f"`{ALIAS_TEXTS[name]}`"
        rows.append(f"| `{name}` | {shown} |")
    return "\n".join(rows)


def names_reference() -> str:
    """Return everything that `rollcall` exports, with where it is described."""
    rows = ["| name | what it is |", "|---|---|"]
    for name in rollcall.__all__:
        member = getattr(rollcall, name)
        if isinstance(member, str):
            rows.append(f"| `{name}` | The version of Rollcall. |")
            continue
        rows.append(f"| `{name}` | {_first_line(member)} |")
    return "\n".join(rows)
