"""The documentation agrees with the code, and its shell lines are valid commands."""

from __future__ import annotations

import importlib.util
import inspect
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest

import rollcall
from rollcall import corrections, errors, search
from rollcall.cli import COMMANDS, cli
from rollcall.host.base import PluginBase
from rollcall.settings import describe

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])

#: Parameters whose name and type leave nothing to describe.
OBVIOUS = {"accepted", "face_id", "photo_id", "photo_ids", "limit"}


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = load_script("api_reference")
API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
#: Every public function, method and property, by its name in the reference.
PUBLIC: dict[str, Any] = {
    "Plugin": rollcall.Plugin,
    **{f"Plugin.{name}": member for name, member in reference.plugin_members().items()},
    **{
        f"corrections.{name}": getattr(corrections, name)
        for name in corrections.__all__
        if inspect.isfunction(getattr(corrections, name))
    },
    "settings.load": rollcall.settings.load,
}


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


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_files_and_folders_that_the_pages_for_developers_name_exist(page: str) -> None:
    places = (ROOT, ROOT / "plugin" / "rollcall", ROOT / "model" / "rollcall_model")
    places += (places[2] / "training",)
    named = re.findall(r"`([a-z_/.]*(?:/|\.py|\.toml|\.md))`", (ROOT / page).read_text(encoding="utf-8"))
    assert named
    assert not [name for name in named if not any((place / name).exists() for place in places)]


@pytest.mark.parametrize(
    "room",
    [
        room
        for package in ("plugin/rollcall", "model/rollcall_model")
        for room in sorted((ROOT / package).iterdir())
        if (room / "__init__.py").exists()
    ],
    ids=lambda room: room.name,
)
def test_every_room_is_in_the_tour(room: Path) -> None:
    assert f"| `{room.name}/` |" in (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_have_targets(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_reference_names_everything_public() -> None:
    names = [*rollcall.__all__, *(name.rpartition(".")[2] for name in PUBLIC)]
    found = [*reference.all_events(), *reference.all_errors(), *reference.records()]
    missing = [name for name in [*names, *(one.__name__ for one in found)] if f"`{name}`" not in API]
    assert not missing
    assert len(reference.all_events()) == len({one.__name__ for one in reference.all_events()}) >= 11
    assert {one.__name__ for one in reference.records()} >= {
        "Hit", "HitFace", "PhotoDetails", "FaceDetails", "TagDetails", "LogEntry", "CorrectionResult", "Question",
        "ErasureReport", "AdaptationReport", "Status", "RunSummary", "TagCount", "TagChange", "FileAnalysis",
    }  # fmt: skip


@pytest.mark.parametrize("name", PUBLIC)
def test_everything_public_is_described_with_its_parameters(name: str) -> None:
    member = PUBLIC[name]
    text = inspect.getdoc(member) or ""
    assert text, "it has no docstring"
    if isinstance(member, property):
        return
    if name == "Plugin":
        text += f"\n\n{inspect.getdoc(PluginBase)}"
    parts = reference.parse(text)
    described = {one.strip() for names in parts.parameters for one in names.split(",")}
    parameters = set(inspect.signature(member).parameters) - {"self"} - OBVIOUS
    assert described <= set(inspect.signature(member).parameters), "a parameter is described that is not there"
    assert not [one for one in parameters - described if not re.search(rf"\b{one}\b", text)]


@pytest.mark.parametrize("name", PUBLIC)
def test_errors_that_are_documented_exist(name: str) -> None:
    member = PUBLIC[name]
    for names in reference.parse(inspect.getdoc(member)).raises:
        for one in names.split(", "):
            assert issubclass(getattr(errors, one), errors.RollcallError)


def test_every_error_is_documented_where_it_can_be_raised() -> None:
    named = {
        one
        for member in PUBLIC.values()
        for names in reference.parse(inspect.getdoc(member)).raises
        for one in names.split(", ")
    }
    # A picture that cannot be used is a result or an event; the roots are raised as what is made of them.
    roots = {"RollcallError", "RequestError"}
    pictures = {one.__name__ for one in reference.all_errors() if issubclass(one, errors.PictureError)}
    below = {"NewerDatabaseError"}  # a `StoreError` of `start`
    assert {one.__name__ for one in reference.all_errors()} - roots - pictures - below <= named


def test_a_docstring_is_taken_apart_into_text_parameters_and_errors() -> None:
    parts = reference.parse(
        """Do this.

        More.

        Parameters
        ----------
        a, b
            The first
            and the second.

        Raises
        ------
        ValueError
            If not.
        """
    )
    assert parts == ("Do this.\n\nMore.", {"a, b": "The first and the second."}, {"ValueError": "If not."})
