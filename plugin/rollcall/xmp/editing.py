"""Change a packet and nothing else in it: entries of its lists, regions, and the properties that hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from lxml import etree

from rollcall.records import Box
from rollcall.xmp import namespaces as ns
from rollcall.xmp import rdf, regions
from rollcall.xmp.geometry import Size
from rollcall.xmp.packets import Element, Packet, descriptions, rdf_of
from rollcall.xmp.regions import Found

_RDF: Final = f"{{{ns.RDF}}}"
_RESOURCE: Final = {f"{_RDF}parseType": "Resource"}


# ---- Elements


def _prefixes(*names: str) -> dict[str, str]:
    """Return the usual prefixes of the namespaces of some names, for a new element."""
    return {ns.PREFIXES[space]: space for name in names if (space := name[1:].partition("}")[0]) in ns.PREFIXES}


def _append(parent: Element, name: str, attributes: dict[str, str] | None = None, *more: str) -> Element:
    """Append a new element on a line of its own; `more` are names whose namespaces it declares as well."""
    last = parent[-1] if len(parent) else None
    element = etree.SubElement(parent, name, attributes or {}, nsmap=_prefixes(name, *more))
    outer = _indent(parent)
    if last is None:
        if not (parent.text or "").strip():
            parent.text = outer + " "
    elif not (last.tail or "").strip():
        last.tail = outer + " "
    element.tail = outer
    return element


def _indent(element: Element) -> str:
    """Return the line break and the spaces before an element."""
    before = element.getprevious()
    parent = element.getparent()
    text = (before.tail if before is not None else parent.text if parent is not None else "") or ""
    return text if text.startswith("\n") and not text.strip() else "\n"


def _remove(element: Element) -> None:
    """Remove an element, but not the text behind it, and the space that it stood in."""
    parent, before, tail = element.getparent(), element.getprevious(), element.tail or ""
    keep = tail if tail.strip() else ""
    last = element.getnext() is None
    parent.remove(element)
    if keep:
        if before is not None:
            before.tail = (before.tail or "") + keep
        else:
            parent.text = (parent.text or "") + keep
    elif last and not len(parent) and not (parent.text or "").strip():
        parent.text = None
    elif last and before is not None and not (before.tail or "").strip():
        before.tail = tail


def _description(packet: Packet) -> Element:
    """Return the description that new properties go to."""
    found = [one for one in descriptions(packet) if one.tag == f"{_RDF}Description"]
    return found[0] if found else _append(rdf_of(packet), f"{_RDF}Description", {f"{_RDF}about": ""})


# ---- Lists of keywords


def add_keywords(packet: Packet, name: str, keywords: Sequence[str]) -> None:
    """Add keywords to the end of a list, which is made as a Bag if it is not there."""
    if not keywords:
        return
    holder = _list(packet, name)
    for keyword in keywords:
        _append(holder, f"{_RDF}li").text = keyword


def remove_keywords(packet: Packet, name: str, is_removed: Callable[[str], bool]) -> None:
    """Remove keywords from a list; a list that becomes empty is removed with its property."""
    value = rdf.properties(packet).get(name)
    if value is None or not value.is_list:
        return
    holder: Any = rdf.list_element(value)
    for item in value.items:
        if is_removed(item.text):
            _remove(item.element)
    if not any(isinstance(one.tag, str) for one in holder):
        _remove(value.element)


def drop(packet: Packet, name: str) -> None:
    """Remove a property."""
    value = rdf.properties(packet).get(name)
    if value is not None and value.element.tag == name:
        _remove(value.element)


def _list(packet: Packet, name: str) -> Element:
    """Return the element of a list; a property that holds a single text becomes a list of it."""
    value = rdf.properties(packet).get(name)
    if value is None:
        return _append(_append(_description(packet), name), f"{_RDF}Bag")
    holder = rdf.list_element(value)
    if holder is not None:
        return holder
    element = value.element
    if element.tag != name:
        # It was written as an attribute, which holds no list.
        del element.attrib[name]
        element = _append(element, name)
    element.text = None
    holder = _append(element, f"{_RDF}Bag")
    if value.text:
        _append(holder, f"{_RDF}li").text = value.text
    return holder


# ---- Regions


def _number(value: float) -> str:
    return f"{value:.6f}"


class MwgList:
    """The list of regions of the Metadata Working Group in a packet."""

    _NAME: Final = f"{{{ns.MWG_REGIONS}}}Name"
    _NOTE: Final = f"{{{ns.MWG_REGIONS}}}Description"

    def __init__(self, packet: Packet) -> None:
        self.packet = packet

    def found(self) -> Iterator[Found]:
        """Yield the regions that are there."""
        return regions.mwg_items(rdf.properties(self.packet))

    def add(self, box: Box, name: str, note: str, size: Size) -> None:
        """Add a region; `box` and `size`, in pixels, are those of the stored picture."""
        holder = self._holder(size)
        item = _append(holder, f"{_RDF}li", _RESOURCE)
        if name:
            _append(item, self._NAME).text = name
        _append(item, f"{{{ns.MWG_REGIONS}}}Type").text = "Face"
        if note:
            _append(item, self._NOTE).text = note
        area = {
            f"{{{ns.AREA}}}x": _number(box.x + box.width / 2),
            f"{{{ns.AREA}}}y": _number(box.y + box.height / 2),
            f"{{{ns.AREA}}}w": _number(box.width),
            f"{{{ns.AREA}}}h": _number(box.height),
            f"{{{ns.AREA}}}unit": "normalized",
        }
        _append(item, f"{{{ns.MWG_REGIONS}}}Area", area, f"{{{ns.AREA}}}x")

    def remove(self, item: Element) -> None:
        """Remove a region; the property goes with the last one."""
        holder = item.getparent()
        _remove(item)
        if not any(isinstance(one.tag, str) for one in holder):
            drop(self.packet, ns.MWG)

    def set_name(self, item: Element, name: str) -> None:
        """Give a region a name, or take it away with ""."""
        _set_field(item, self._NAME, name)

    def _holder(self, size: Size) -> Element:
        value = rdf.properties(self.packet).get(ns.MWG)
        if value is None:
            regions_ = _append(_description(self.packet), ns.MWG, _RESOURCE)
            sides = {
                f"{{{ns.DIMENSIONS}}}w": f"{size.width:g}",
                f"{{{ns.DIMENSIONS}}}h": f"{size.height:g}",
                f"{{{ns.DIMENSIONS}}}unit": "pixel",
            }
            _append(regions_, f"{{{ns.MWG_REGIONS}}}AppliedToDimensions", sides, f"{{{ns.DIMENSIONS}}}w")
            return _append(_append(regions_, f"{{{ns.MWG_REGIONS}}}RegionList"), f"{_RDF}Bag")
        return _nested_list(value, f"{{{ns.MWG_REGIONS}}}RegionList")


class MpList:
    """The list of people tags of Microsoft's form in a packet."""

    _NAME: Final = f"{{{ns.MP_REGION}}}PersonDisplayName"

    def __init__(self, packet: Packet) -> None:
        self.packet = packet

    def found(self) -> Iterator[Found]:
        """Yield the regions that are there."""
        return regions.mp_items(rdf.properties(self.packet))

    def add(self, box: Box, name: str, note: str, size: Size) -> None:
        """Add a region; this form has no place for a note, and needs no size."""
        del note, size
        value = rdf.properties(self.packet).get(ns.MP_INFO)
        if value is None:
            info = _append(_description(self.packet), ns.MP_INFO, _RESOURCE)
            holder = _append(_append(info, f"{{{ns.MP_REGION_INFO}}}Regions"), f"{_RDF}Bag")
        else:
            holder = _nested_list(value, f"{{{ns.MP_REGION_INFO}}}Regions")
        item = _append(holder, f"{_RDF}li", _RESOURCE)
        _append(item, f"{{{ns.MP_REGION}}}Rectangle").text = ", ".join(map(_number, box))
        if name:
            _append(item, self._NAME).text = name

    def remove(self, item: Element) -> None:
        """Remove a region; the property goes with the last one."""
        holder = item.getparent()
        _remove(item)
        if not any(isinstance(one.tag, str) for one in holder):
            drop(self.packet, ns.MP_INFO)

    def set_name(self, item: Element, name: str) -> None:
        """Give a region a name, or take it away with ""."""
        _set_field(item, self._NAME, name)


RegionList = MwgList | MpList


def _nested_list(value: rdf.Value, name: str) -> Element:
    """Return the list in a field of a structure, which is made if it is not there."""
    field = value.field(name)
    holder = rdf.list_element(field) if field is not None else None
    if holder is not None:
        return holder
    if field is not None and field.element.tag == name:
        return _append(field.element, f"{_RDF}Bag")
    inner = value.element.find(f"{_RDF}Description")
    if inner is None and not len(value.element):
        value.element.attrib.update(_RESOURCE)
    return _append(_append(value.element if inner is None else inner, name), f"{_RDF}Bag")


def _set_field(item: Element, name: str, text: str) -> None:
    """Set a text of a structure, wherever it stands: as an attribute or an element, nested or not."""
    inner = item.find(f"{_RDF}Description")
    for holder in (item, inner):
        if holder is None:
            continue
        if name in holder.attrib:
            if text:
                holder.set(name, text)
            else:
                del holder.attrib[name]
            return
        found = holder.find(name)
        if found is not None:
            if text:
                found.text = text
            else:
                _remove(found)
            return
    if not text:
        return
    if inner is not None:
        inner.set(name, text)
    elif len(item) or item.attrib.get(f"{_RDF}parseType"):
        _append(item, name).text = text
    else:
        # A structure of attributes alone.
        item.set(name, text)
