"""Keywords in forms that are read and never written: of Windows, Expression Media, ACDSee and the MWG.

Each becomes a path with a slash between its levels, as in digiKam's list. A slash within a level is told apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from lxml import etree

from rollcall.xmp import namespaces as ns
from rollcall.xmp.rdf import Value

#: Stands for a slash within a level, which separates levels in the names of tags.
SLASH: Final = "\u2215"
#: More keywords than this, deeper ones, and longer texts of categories are not read.
_MOST: Final = 2000
_DEEPEST: Final = 20
_LONGEST: Final = 200_000


def read(properties: Mapping[str, Value]) -> tuple[str, ...] | None:
    """Return the paths of all these forms together, each once; None where none of the forms is there."""
    if not any(name in properties for name in (ns.WINDOWS, ns.CATALOG_SETS, ns.CATEGORIES, ns.MWG_KEYWORDS)):
        return None
    found = [
        *map(unescaped, _texts(properties.get(ns.WINDOWS))),
        *("/".join(map(level, text.split("|"))) for text in _texts(properties.get(ns.CATALOG_SETS))),
        *_categories(properties.get(ns.CATEGORIES)),
        *_mwg(properties.get(ns.MWG_KEYWORDS)),
    ]
    return tuple(dict.fromkeys(path for path in found[:_MOST] if path))


def unescaped(path: str) -> str:
    r"""Return a path whose levels have a slash written as `\/`, with these told apart from those between levels."""
    return path.replace("\\/", SLASH)


def level(text: str) -> str:
    """Return a level of a path, in which a slash is none between levels."""
    return text.strip().replace("/", SLASH)


def _texts(value: Value | None) -> list[str]:
    if value is None:
        return []
    return [item.text for item in value.items] if value.is_list else [value.text]


def _categories(value: Value | None) -> Iterator[str]:
    """Yield the paths of ACDSee's categories: a document in a text, whose elements say whether they are assigned."""
    text = value.text if value is not None else ""
    if not text or len(text) > _LONGEST or "<!" in text:
        return
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(text, parser)
    except etree.XMLSyntaxError:
        return
    yield from _assigned(root, ())


def _assigned(element: etree._Element, above: Sequence[str]) -> Iterator[str]:
    for child in element.iterchildren("Category"):
        path = (*above, level(child.text or ""))
        inner = list(_assigned(child, path)) if len(path) < _DEEPEST else []
        yield from inner
        # Some versions mark what is above an assigned category as assigned, too.
        if child.get("Assigned") == "1" and not inner:
            yield "/".join(path)


def _mwg(value: Value | None) -> Iterator[str]:
    """Yield the paths of the hierarchical keywords of the Metadata Working Group (its guidelines 2.0, 5.3)."""
    hierarchy = value.field(f"{{{ns.MWG_KW}}}Hierarchy") if value is not None else None
    if hierarchy is not None:
        yield from _applied(hierarchy, ())


def _applied(nodes: Value, above: Sequence[str]) -> Iterator[str]:
    for node in nodes.items:
        text = level(node.text_of(f"{{{ns.MWG_KW}}}Keyword"))
        if not text:
            continue
        path = (*above, text)
        children = node.field(f"{{{ns.MWG_KW}}}Children")
        inner = list(_applied(children, path)) if children is not None and len(path) < _DEEPEST else []
        yield from inner
        # What has children is a keyword of the picture itself only if it is said to be applied.
        if node.text_of(f"{{{ns.MWG_KW}}}Applied").lower() in (("true",) if inner else ("", "true")):
            yield "/".join(path)
