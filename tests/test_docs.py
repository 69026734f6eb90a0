"""The documentation agrees with the code, and its shell lines are valid commands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from rollcall import search
from rollcall.cli import COMMANDS, cli
from rollcall.settings import describe

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def test_generated_parts_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "write_docs.py"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, f"run scripts/write_docs.py: {done.stdout}{done.stderr}"


def shell_lines() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            found += [(page.name, line) for line in block.splitlines() if "rollcall" in line]
    return found


@pytest.mark.parametrize(("page", "line"), shell_lines())
def test_every_shell_line_is_a_command_that_exists(page: str, line: str) -> None:
    program, name, *arguments = shlex.split(re.split(r"&&|\|", line)[-1].replace("uv run ", ""))
    assert program == "rollcall"
    command = cli.get_command(click.Context(cli, info_name="rollcall"), name)
    assert command is not None, line
    parsed = command.make_context(name, arguments, resilient_parsing=False)
    if name == "search":
        search.parse(" ".join(parsed.params["words"]))


def test_every_command_and_setting_is_documented() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for name in COMMANDS:
        assert f"### `rollcall {name}`" in text
    for setting in describe():
        assert f"`{setting.name}`" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_have_targets(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
