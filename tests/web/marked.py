"""Finds texts of the page that are not marked for translation: in templates and in modules.

A template is laid out as the HTML that all its branches together would give, with every text that an expression can
put there in its place. What then stands as a text or in an attribute that is read out is one that nobody translates.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser

from jinja2 import Environment, nodes

MARKED = {"_", "gettext", "ngettext", "pgettext"}
#: Filters whose results are translated, or no text.
FILTERS = {"group", "gender", "relation", "coverage", "translated", "urlencode", "tojson"}
#: Attributes that people read or hear.
READ = {
    *("alt", "aria-description", "aria-label", "aria-roledescription", "aria-valuetext", "hx-confirm", "hx-prompt"),
    *("label", "placeholder", "title"),
}
#: What is the same in every language.
SAME = {"Rollcall", "×", "tags.precision"}
LETTER = re.compile(r"[^\W\d_]")
WORDS = re.compile(r"[^\W\d_]{2,} [^\W\d_]{2,}")


# ---- Templates


class _Layout(HTMLParser):
    """Collects the texts of HTML, and of its attributes that are read."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style", "kbd", "code", "pre"):
            self._inside.append(tag)
        for name, value in attributes:
            # A word of a script may stand there, a sentence may not.
            sentence = name.startswith("data-") and len(set((value or "").split())) > 1 and WORDS.search(value or "")
            if value and (name in READ or sentence):
                self._add(value)

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self._add(data)

    def _add(self, text: str) -> None:
        for word in SAME:
            text = text.replace(word, "")
        if LETTER.search(text):
            self.found.append(" ".join(text.split()))


def in_template(environment: Environment, source: str) -> list[str]:
    """Return the texts of a template that are not marked."""
    layout = _Layout()
    layout.feed(_laid_out(environment.parse(source).body, {}))
    layout.close()
    return layout.found


def _laid_out(body: Iterable[nodes.Node], names: dict[str, str]) -> str:
    return "".join(_of_node(node, names) for node in body)


def _of_node(node: nodes.Node, names: dict[str, str]) -> str:
    match node:
        case nodes.Output():
            return "".join(
                one.data if isinstance(one, nodes.TemplateData) else _texts(one, names) for one in node.nodes
            )
        case nodes.If():
            return _laid_out([*node.body, *node.elif_, *node.else_], names)
        case nodes.For():
            return _laid_out([*node.body, *node.else_], names | _bound(node.target, node.iter, names))
        case nodes.Assign():
            names |= _bound(node.target, node.node, names)
        case nodes.With():
            for target, value in zip(node.targets, node.values, strict=True):
                names = names | _bound(target, value, names)
            return _laid_out(node.body, names)
        case nodes.Block() | nodes.Scope() | nodes.ScopedEvalContextModifier():
            return _laid_out(node.body, names)
    return ""


def _bound(target: nodes.Node, value: nodes.Node, names: dict[str, str]) -> dict[str, str]:
    """Return what the names of a loop or an assignment can hold as a text."""
    if isinstance(target, nodes.Name):
        items = value.items if isinstance(value, nodes.Tuple | nodes.List) else [value]
        return {target.name: " ".join(_texts(one, names) for one in items)}
    found: dict[str, str] = {}
    if isinstance(target, nodes.Tuple) and isinstance(value, nodes.Tuple | nodes.List):
        for place, name in enumerate(target.items):
            column = [row.items[place] for row in value.items if isinstance(row, nodes.Tuple)]
            found |= _bound(name, nodes.List(column), names)
    return found


def _texts(node: nodes.Node, names: dict[str, str]) -> str:
    """Return every text that an expression can give and that is not marked."""
    match node:
        case nodes.Const():
            return node.value if isinstance(node.value, str) else ""
        case nodes.Name():
            return names.get(node.name, "")
        case nodes.Mod():
            return re.sub(r"%[.\d]*[a-z]", "", _texts(node.left, names))
        case nodes.Filter():
            return "" if node.name in FILTERS or node.node is None else _texts(node.node, names)
        case nodes.Call():
            return _of_call(node, names)
    return " ".join(_texts(one, names) for one in _parts(node))


def _parts(node: nodes.Node) -> list[nodes.Expr]:
    """Return the parts of an expression of which one, or all, are its text."""
    match node:
        case nodes.CondExpr():
            return [one for one in (node.expr1, node.expr2) if one is not None]
        case nodes.BinExpr():
            return [node.left, node.right]
        case nodes.Concat():
            return node.nodes
        case nodes.Tuple() | nodes.List():
            return node.items
        case nodes.Getitem(node=nodes.Dict() as choice):
            return [pair.value for pair in choice.items]
        case nodes.MarkSafe():
            return [node.expr]
    return []


def _of_call(node: nodes.Call, names: dict[str, str]) -> str:
    if isinstance(node.node, nodes.Name) and node.node.name in MARKED:
        return " ".join(_texts(one.value, names) for one in node.kwargs)
    if isinstance(node.node, nodes.Getattr):
        return re.sub(r"{[^}]*}", "", _texts(node.node.node, names))
    return ""


# ---- Modules


def in_module(source: str) -> Iterator[str]:
    """Yield the texts of two words or more that a module has, and that are neither marked nor documentation."""
    tree = ast.parse(source)
    inside: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (*MARKED, "Sentence"):
            inside.update(one for argument in node.args for one in ast.walk(argument))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            inside.add(node.value)
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside
        if is_text and WORDS.search(node.value):
            yield node.value
