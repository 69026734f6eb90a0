"""The shape of the code: sizes of modules, names, and rooms that introduce themselves.

The layers are held by import-linter, the complexity of functions by ruff (both configured in pyproject.toml).
"""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (ROOT / "plugin" / "rollcall", ROOT / "model" / "rollcall_model")
MODULES = sorted(module for package in PACKAGES for module in package.rglob("*.py"))
ROOMS = sorted({module.parent for module in MODULES})
LONGEST = 400  # lines
MEDIAN = 150

#: Words that earlier versions used for what the field has other names for, and the field's names.
OLD_WORDS = {
    "alike": "similar",
    "census": "row counts",
    "company": "distinct people",
    "derive": "project",
    "finding": "reattach",
    "forgetting": "erasure",
    "journal": "change feed",
    "likeness": "cosine similarity",
    "look": "perceptual hash",
    "looks": "perceptual hash",
    "normed": "batch normalization",
    "pace": "throttle",
    "recipe": "composite",
    "recipes": "composites",
    "rehearse": "dry run",
    "said": "prediction, label, correction",
    "scout": "prefilter",
    "settle": "recompute",
    "spoken": "corrected",
    "standing": "effective, in use",
    "surest": "highest-scoring",
    "told": "prediction, label, soft label",
    "unflat": "load state dict",
    "who": "person filter",
    "wish": "request",
}
#: Names that users and files know.
CONTRACT = {"settle_seconds"}


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("module", MODULES, ids=shown)
def test_no_module_is_longer_than_can_be_read_in_one_go(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("package", PACKAGES, ids=shown)
def test_half_of_the_modules_are_short(package: Path) -> None:
    lines = [len(module.read_text(encoding="utf-8").splitlines()) for module in MODULES if package in module.parents]
    assert statistics.median(lines) < MEDIAN


@pytest.mark.parametrize("room", ROOMS, ids=shown)
def test_every_room_says_in_a_sentence_what_it_is_for(room: Path) -> None:
    text = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
    assert text and text.splitlines()[0].endswith(".")


def identifiers(module: Path) -> Iterator[str]:
    """Yield every name that a module defines: of modules, classes, functions, parameters, variables and attributes."""
    yield module.stem
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


def words(identifier: str) -> set[str]:
    """Return the words of an identifier in snake case or camel case."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier)}


@pytest.mark.parametrize("module", MODULES, ids=shown)
def test_names_are_the_fields_names(module: Path) -> None:
    found = {name: words(name) & OLD_WORDS.keys() for name in set(identifiers(module)) - CONTRACT}
    assert not {name: [OLD_WORDS[word] for word in old] for name, old in found.items() if old}


def test_the_names_of_a_module_are_found_wherever_they_are_defined(tmp_path: Path) -> None:
    module = tmp_path / "someLooks.py"
    module.write_text("class IsAlike:\n    def told_by(self, who): self.wish = [said for said in who]\n")
    assert {word for name in identifiers(module) for word in words(name)} >= {
        "looks", "alike", "told", "who", "wish", "said",
    }  # fmt: skip
