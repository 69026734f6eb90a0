"""The files for containers and services agree with the program: settings, commands, ports, users."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from rollcall.cli import COMMANDS, cli
from rollcall.server_settings import SECRETS
from rollcall.settings import ServeSettings, describe, load

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "docs" / "deploy"
COMPOSES = sorted(DEPLOY.glob("compose.*.yaml"))
_COMMAND = re.compile(r"\brollcall ((?:bridge|serve) [^;\"\n]*)")
NAMES = {info.name for info in describe()}


def services(file: Path) -> dict[str, Any]:
    """Return the services that run Rollcall; a file may have its database's server too."""
    found: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))["services"]
    return {name: one for name, one in found.items() if one["image"] == "rollcall"}


def setting(variable: str) -> str:
    return variable.removeprefix("ROLLCALL_").lower().replace("__", ".")


@pytest.mark.parametrize("file", [*COMPOSES, DEPLOY / "Dockerfile"], ids=lambda file: file.name)
def test_every_variable_is_a_setting(file: Path) -> None:
    used = set(re.findall(r"ROLLCALL_[A-Z]+__[A-Z_]+", file.read_text(encoding="utf-8")))
    assert used and {setting(one) for one in used} <= NAMES


@pytest.mark.parametrize("file", COMPOSES, ids=lambda file: file.name)
def test_photos_are_read_only_and_keys_come_from_outside(file: Path) -> None:
    for service in services(file).values():
        mounts = {one.split(":")[1] if "$" not in one else one.rsplit(":", 2)[1]: one for one in service["volumes"]}
        assert mounts["/photos"].endswith(":/photos:ro")
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        for variable, value in service["environment"].items():
            if setting(variable) in SECRETS:
                assert re.fullmatch(r"\$\{[A-Z_]+\}", value), "a key does not stand in the file"


@pytest.mark.parametrize("file", COMPOSES, ids=lambda file: file.name)
def test_the_settings_of_a_compose_file_let_nobody_in_without_the_token(file: Path, tmp_path: Path) -> None:
    from rollcall.web import login

    (tmp_path / "token").write_text("0123456789-abcdefghijkl")
    environment = services(file)["rollcall"]["environment"]
    values = {
        setting(one): re.sub(r"\$\{\w+(?::-([^}]*))?\}", r"\1", str(value))
        for one, value in environment.items()
        if one.startswith("ROLLCALL_")  # the driver of the database has variables of its own
    }
    values["serve.token_file"] = str(tmp_path / "token")
    access = login.access_of(load(None, values).serve)
    assert access is not None and access.secure and access.token
    assert services(file)["rollcall"]["expose"] == [str(ServeSettings().port)]
    assert "ports" not in services(file)["rollcall"], "only the reverse proxy reaches it"


def commands() -> list[str]:
    texts = [file.read_text(encoding="utf-8") for file in (*COMPOSES, *DEPLOY.glob("*.service"))]
    return sorted(
        {one.strip() for text in texts for one in re.findall(r"\brollcall ((?:bridge|serve) [^;\"\n]*)", text)}
    )


@pytest.mark.parametrize("line", commands())
def test_every_command_exists(line: str) -> None:
    name, *arguments = shlex.split(line.replace("%i", "immich").replace("%h", "/home/jo"))
    command = cli.get_command(click.Context(cli), name)
    assert name in COMMANDS and command is not None
    command.make_context(name, arguments)


def test_the_image_runs_as_an_ordinary_user_and_is_checked() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    stages = re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]
    assert len(stages) == 2
    assert re.search(r"^USER rollcall$", stages[1], re.MULTILINE) and "--uid 1000" in stages[1]
    assert "/healthz" in stages[1] and "VOLUME /data" in stages[1]
    assert f"EXPOSE {ServeSettings().port}" in stages[1]
    extras = re.search(r"\[([a-z,0-9]+)\]\"", stages[0])
    assert extras is not None
    import tomllib

    known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(extras[1].split(",")) <= known.keys()
