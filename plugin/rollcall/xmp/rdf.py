"""RDF as XMP uses it, read as values: structures, lists and texts, in all forms that the standard allows.

A structure may be written as attributes, as elements, by `rdf:parseType="Resource"`, or as a nested `rdf:Description`;
a list as Bag, Seq or Alt (ISO 16684-1, 7; W3C RDF/XML Syntax).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from rollcall.xmp.namespaces import RDF, XML
from rollcall.xmp.packets import Element, Packet, descriptions

_LISTS: Final = (f"{{{RDF}}}Bag", f"{{{RDF}}}Seq", f"{{{RDF}}}Alt")
_DESCRIPTION: Final = f"{{{RDF}}}Description"
_ITEM: Final = f"{{{RDF}}}li"
_VALUE: Final = f"{{{RDF}}}value"
_RESOURCE: Final = f"{{{RDF}}}resource"
_DEEPEST: Final = 12


class Value(NamedTuple):
    """A value of a property: a text, a structure's fields, or a list's items, each with its element."""

    element: Element
    text: str = ""
    fields: Mapping[str, Value] = {}
    items: tuple[Value, ...] = ()
    is_list: bool = False

    def field(self, name: str) -> Value | None:
        """Return a field of a structure by its full name."""
        return self.fields.get(name)

    def text_of(self, name: str) -> str:
        """Return the text of a field; of a list the first item's; "" where there is none."""
        found = self.fields.get(name)
        if found is None:
            return ""
        return found.items[0].text if found.items else found.text

    def number_of(self, name: str) -> float | None:
        """Return a field as a number, also with a decimal comma; None where it is none."""
        try:
            return float(self.text_of(name).strip().replace(",", "."))
        except ValueError:
            return None


def properties(packet: Packet) -> dict[str, Value]:
    """Return the properties of the picture by their full names; of one that is given twice the first."""
    found: dict[str, Value] = {}
    for one in descriptions(packet):
        for name, value in _fields(one, 0).items():
            found.setdefault(name, value)
    return found


def list_element(value: Value) -> Element | None:
    """Return the element Bag, Seq or Alt of a list."""
    return next((one for one in value.element if one.tag in _LISTS), None)


def _fields(element: Element, depth: int) -> dict[str, Value]:
    """Return the fields that attributes and child elements of an element give."""
    found: dict[str, Value] = {}
    for name, text in element.attrib.items():
        if not name.startswith((f"{{{RDF}}}", f"{{{XML}}}")) and name.startswith("{"):
            found[name] = Value(element, text.strip())
    if depth <= _DEEPEST:
        for child in element:
            if isinstance(child.tag, str) and child.tag not in (*_LISTS, _DESCRIPTION, _VALUE):
                found.setdefault(child.tag, _value(child, depth + 1))
    return found


def _value(element: Element, depth: int) -> Value:
    """Return the value of a property's element or of a list's item."""
    children = [one for one in element if isinstance(one.tag, str)]
    if not children:
        fields = _fields(element, depth)
        # Comments are nodes too: the text is what stands before, between and behind them.
        parts = [element.text or "", *(one.tail or "" for one in element)]
        text = element.get(_RESOURCE) or "".join(parts).strip()
        return Value(element, text, fields)
    first = children[0]
    if first.tag in _LISTS:
        items = tuple(_value(one, depth + 1) for one in first if one.tag == _ITEM) if depth <= _DEEPEST else ()
        return Value(element, items=items, is_list=True)
    fields = _fields(element, depth)
    text = ""
    for child in children:
        if child.tag == _DESCRIPTION:
            fields |= _fields(child, depth + 1)
            text = text or (child.findtext(_VALUE) or "").strip()
        elif child.tag == _VALUE:
            text = (child.text or "").strip()
    return Value(element, text, fields)
