"""Finds texts in the page's scripts that are not marked for translation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from web.marked import LETTER, MARKED, READ, WORDS

#: What takes a text that is shown.
SINKS = {"textContent", "innerText", "innerHTML", "title", "alt", "placeholder", "ariaLabel"}
#: What takes a selector.
SELECTORS = {"getElementById", "querySelector", "querySelectorAll", "closest", "matches", "each"}
#: Texts that nobody sees.
UNSEEN = {"use strict", "what is known?", "text/plain"}


class Token(NamedTuple):
    """A part of a script; of a template string, a part between two expressions."""

    kind: str  # "text", "name" or "sign"
    value: str  # of a text, what stands between its quotes


_PART = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)|(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<name>[\w$]+)"""
    r"""|(?P<sign>===|!==|=>|.)""",
    re.DOTALL,
)
_PATTERN = re.compile(r"/(?![/*])(?:[^/\\\[\n]|\\.|\[(?:[^\]\\]|\\.)*\])+/[a-z]*")
_TEMPLATE = re.compile(r"((?:[^`\\$]|\\.|\$(?!\{))*)(`|\$\{)", re.DOTALL)
_DEPTHS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


def _tokens(source: str, at: int = 0, *, inside: bool = False) -> Iterator[tuple[Token, int]]:
    """Yield the tokens of a script, each with where it ends; `inside` a template string until its expression ends."""
    before, depth = Token("sign", ""), 0
    while at < len(source):
        pattern = _PATTERN.match(source, at)
        if pattern and before.kind == "sign" and before.value not in (")", "]", "}"):
            before, at = Token("name", "pattern"), pattern.end()
            continue
        match = _PART.match(source, at)
        assert match is not None
        at = match.end()
        if match.lastgroup == "space":
            continue
        before = Token(str(match.lastgroup), match[0][1:-1] if match.lastgroup == "text" else match[0])
        if before == ("sign", "`"):
            for token, end in _template(source, at):
                yield token, end
                at = end
            before = Token("text", "")
            continue
        depth += _DEPTHS.get(before.value, 0) if before.kind == "sign" else 0
        yield before, at
        if inside and depth < 0:
            return


def _template(source: str, at: int) -> Iterator[tuple[Token, int]]:
    """Yield the parts of a template string, after its first sign, and what its expressions consist of."""
    while True:
        match = _TEMPLATE.match(source, at)
        assert match is not None
        at = match.end()
        yield Token("text", match[1]), at
        if match[2] == "`":
            return
        yield Token("sign", "{"), at
        for token, end in _tokens(source, at, inside=True):
            yield token, end
            at = end


def in_script(source: str) -> list[str]:
    """Return the texts of a script that are not marked."""
    tokens = [token for token, _ in _tokens(source)]
    marked, selectors = _arguments(tokens, MARKED), _arguments(tokens, SELECTORS)
    found = []
    for place, token in enumerate(tokens):
        compared = tokens[place - 1].value in ("===", "!==")
        if token.kind != "text" or place in marked or place in selectors or compared:
            continue
        shown = _is_shown(tokens, place) and LETTER.search(token.value)
        sentence = WORDS.search(token.value) and not re.search(r"[\[\]=:#]", token.value)
        if token.value not in UNSEEN and (shown or sentence):
            found.append(token.value)
    return found


def _arguments(tokens: list[Token], functions: set[str]) -> set[int]:
    """Return the places of what is given directly to some functions."""
    found: set[int] = set()
    for place, token in enumerate(tokens):
        if token.kind != "name" or token.value not in functions or tokens[place + 1].value != "(":
            continue
        depth, at = 0, place + 1
        while at < len(tokens):
            depth += _DEPTHS.get(tokens[at].value, 0) if tokens[at].kind == "sign" else 0
            if depth == 0:
                break
            if depth == 1:
                found.add(at)
            at += 1
    return found


def _is_shown(tokens: list[Token], place: int) -> bool:
    """Return whether a string is in a statement that shows it, after what it shows it by."""
    for at in range(place - 1, -1, -1):
        value = tokens[at].value
        if value == ";":
            return False
        if value in SINKS and tokens[at + 1].value == "=":
            return True
        if tokens[at].kind == "text" and value in READ and tokens[at - 2].value == "setAttribute":
            return True
        if value == "Error" and tokens[at - 1].value == "new":
            return True
    return False
