"""The wheel, the manifest, the pinned versions, and text that no file may contain."""

from __future__ import annotations

import importlib
import re
import subprocess
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import rollcall

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MANIFEST = tomllib.loads((ROOT / "plugin.toml").read_text(encoding="utf-8"))


def test_there_is_one_version() -> None:
    assert PROJECT["project"]["version"] == rollcall.__version__ == MANIFEST["plugin"]["version"]


def test_the_entry_point_is_that_of_the_manifest() -> None:
    module, _, name = MANIFEST["plugin"]["entry_point"].partition(":")
    plugin = getattr(importlib.import_module(module), name)
    found = [entry.load() for entry in entry_points(group="photo_manager.plugins", name="rollcall")]
    assert found == [plugin]


def test_the_manifest_names_the_contracts_views() -> None:
    from rollcall.storage import views

    assert MANIFEST["contract"]["version"] == views.VERSION
    assert MANIFEST["contract"]["views"] == [view.name for view in views.VIEWS]


def test_the_manifest_has_the_programs_defaults() -> None:
    from rollcall.settings import describe

    defaults = {
        info.name: list(info.default) if isinstance(info.default, tuple) else info.default for info in describe()
    }
    assert {setting["name"]: setting["default"] for setting in MANIFEST["settings"]} == defaults


def test_every_direct_dependency_is_pinned() -> None:
    pins = {re.split(r"[=<>~; ]", pin)[0].lower() for pin in PROJECT["tool"]["uv"]["constraint-dependencies"]}
    wanted = [
        *PROJECT["project"]["dependencies"],
        *(one for extra in PROJECT["project"]["optional-dependencies"].values() for one in extra),
        *PROJECT["dependency-groups"]["dev"],
    ]
    names = {re.split(r"[=<>~\[; ]", one)[0].lower() for one in wanted} - {"rollcall"}
    assert names <= pins


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("this is no checkout")
    return [ROOT / name for name in done.stdout.decode().split("\0") if name]


def test_no_file_names_a_registrys_host_or_a_machines_path() -> None:
    forbidden = ["py" + "pi.org", "python" + "hosted", "npm" + "js.org", "/ro" + "ot/", "/wo" + "rk/"]
    for path in tracked():
        if path.suffix in {".jpg", ".png", ".safetensors"} or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not [one for one in forbidden if one in text], path


def test_nothing_large_is_committed() -> None:
    for path in tracked():
        assert not path.is_file() or path.stat().st_size < 10 << 20, path


def test_pictures_are_committed_where_they_belong_alone() -> None:
    places = [ROOT / "docs", ROOT / "tests" / "web" / "appearance"]
    for path in tracked():
        if path.suffix.lower() in {".png", ".jpg", ".jpeg", ".webp", ".heic", ".avif", ".gif", ".tif", ".tiff"}:
            assert any(place in path.parents for place in places), path


def test_data_files_are_found() -> None:
    from rollcall import resources
    from rollcall_model import weights

    assert (resources.find("migrations") / "versions").is_dir()
    assert resources.find("plugin.toml").is_file()
    assert weights.PATH.is_file()


def test_the_wheel_contains_all_data_files(tmp_path: Path) -> None:
    import zipfile

    hatchling = pytest.importorskip("hatchling.builders.wheel")
    (built,) = hatchling.WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = set(zipfile.ZipFile(built).namelist())
    assert {
        "rollcall/plugin.toml",
        "rollcall/migrations/env.py",
        "rollcall/migrations/newest.sql",
        "rollcall/search/languages/de.toml",
        *(f"rollcall/web/locales/{code}/LC_MESSAGES/page.po" for code in ("de", "es", "fr")),
        "rollcall/migrations/versions/0001_the_first_tables.py",
        "rollcall_model/weights/attributes.safetensors",
    } <= names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "scripts/"))]
