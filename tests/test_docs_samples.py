"""What the documentation shows to copy works: Python and SQL on a library, and commands wherever they are named."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import functools
import inspect
import re
import sqlite3
import textwrap
from pathlib import Path
from typing import Any

import click
import pytest

import rollcall
from blobs import BlobAnalyzer, draw
from rollcall.cli import cli
from rollcall.storage.views import VIEWS

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
GUIDE = ROOT / "docs" / "host-guide.md"


def blocks(page: Path, language: str) -> list[str]:
    """Return the blocks of a language, those inside lists, too."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for _, block in found]


def statements(page: Path) -> list[str]:
    parts = [part.strip() for block in blocks(page, "sql") for part in block.split(";")]
    return [part for part in parts if part]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `rollcall.db`, of a photo whose tag is applied and one whose tag waits for review."""
    folder = tmp_path_factory.mktemp("library")
    draw(folder / "photos" / "IMG_20190612_101500.png", (8, 0), (40, 255))
    draw(folder / "photos" / "IMG_20200612_101500.png", (13, 255), seed=1)
    values = {"database.url": f"sqlite:///{folder / 'rollcall.db'}", "tags.suggest_above": 0.2}
    with rollcall.Plugin(values, analyzer=BlobAnalyzer()) as plugin:
        plugin.index(folder / "photos")
    return folder


@pytest.mark.parametrize("statement", statements(GUIDE))
def test_each_statement_for_hosts_gives_rows(library: Path, statement: str) -> None:
    values: dict[str, Any] = {
        "root": str(library / "photos"), "path": "IMG_20190612_101500.png", "photo_id": 1, "tag": "People/Children",
        "after": 0, "taken": "~", "before": 2**63 - 1, "probability": 1, "cursor": 0,
    }  # fmt: skip
    connection = sqlite3.connect(f"{(library / 'rollcall.db').as_uri()}?mode=ro", uri=True)
    try:
        assert connection.execute(statement, values).fetchall()
    finally:
        connection.close()


def test_a_role_that_only_reads_is_granted_every_view() -> None:
    (grant,) = [one for one in statements(ROOT / "docs" / "scale.md") if one.startswith("GRANT")]
    assert re.findall(r"v1_\w+", grant) == [view.name for view in VIEWS]


@pytest.mark.parametrize("sample", [one for page in PAGES for one in blocks(page, "toml")])
def test_each_settings_file_is_accepted(tmp_path: Path, sample: str) -> None:
    file = tmp_path / "rollcall.toml"
    file.write_text(sample, encoding="utf-8")
    assert rollcall.settings.load(file) != rollcall.settings.load(None)


def test_the_python_of_the_host_guide_runs(
    library: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(library)
    # Compiling the networks takes minutes of a processor; what the samples call is the same without them.
    plugin = rollcall.Plugin
    monkeypatch.setattr(rollcall, "Plugin", functools.partial(plugin, analyzer=BlobAnalyzer()))
    names: dict[str, Any] = {"asyncio": asyncio}
    for block in blocks(GUIDE, "python"):
        # A plugin that a block ended is started again for the next one.
        with names.get("plugin", contextlib.nullcontext()):
            code = compile(block, str(GUIDE), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            outcome = eval(code, names)
            if inspect.iscoroutine(outcome):
                asyncio.run(outcome)
    assert "IMG_20190612_101500.png" in capsys.readouterr().out
    assert names["summary"].indexed == 2
    assert names["entry"].load() is plugin


def words_after_rollcall(text: str) -> list[str]:
    """Return what is written as a command in a text: `rollcall index --force FOLDER`."""
    return re.findall(r"`rollcall ([^`{]+?)[.]*`", re.sub(r"\s+", " ", text))


def named_commands() -> list[tuple[str, str]]:
    """Return each command that a page, a message of the program or its page names, with the name of the file."""
    files = [*PAGES, *(ROOT / "plugin" / "rollcall").rglob("*.py"), *(ROOT / "plugin" / "rollcall").rglob("*.html")]
    found = {
        (file.relative_to(ROOT).as_posix(), words)
        for file in files
        for words in words_after_rollcall(file.read_text(encoding="utf-8"))
    }
    return sorted(found)


def what_does_not_exist(words: str) -> str:
    """Return the first word of a command that is no command or option; nothing if there is none."""
    command: click.Command = cli
    value = False
    for word in re.sub(r"[\[\]\"]|\.\.\.", " ", words).split():
        if word.startswith("-") and word != "-":
            options = [one for one in (*command.params, *cli.params) if word.partition("=")[0] in _spellings(one)]
            if not options and word != "--help":
                return word
            value = bool(options) and not getattr(options[0], "is_flag", False) and "=" not in word
        elif value:
            value = False
        elif isinstance(command, click.Group) and not word.isupper():
            below = [command.get_command(click.Context(command), name) for name in word.split("|")]
            if None in below:
                return word
            command = below[0] or command
    return ""


def _spellings(parameter: click.Parameter) -> list[str]:
    return [*parameter.opts, *parameter.secondary_opts]


def test_every_command_that_is_named_anywhere_exists() -> None:
    named = named_commands()
    assert len(named) > 150
    assert not [f"{file}: rollcall {words}" for file, words in named if what_does_not_exist(words)]


@pytest.mark.parametrize("words", ["indx FOLDER", "index --retries", "people rename 12", "corrections --undo"])
def test_a_command_or_an_option_that_is_not_there_is_found(words: str) -> None:
    assert what_does_not_exist(words)
