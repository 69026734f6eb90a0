"""A small host: loads the plugin from its manifest, indexes a folder, queries the views with nothing but sqlite3.

Usage: python examples/host.py FOLDER DATABASE
"""

from __future__ import annotations

import importlib
import sqlite3
import sys
import tomllib
from pathlib import Path


def load_plugin(manifest: Path) -> tuple[dict, type]:
    """Return a manifest's content and the class it names."""
    content = tomllib.loads(manifest.read_text(encoding="utf-8"))
    module, _, name = content["plugin"]["entry_point"].partition(":")
    return content, getattr(importlib.import_module(module), name)


def main(folder: Path, database: Path) -> None:
    """Index a folder and print what the views show."""
    manifest = Path(__file__).resolve().parent.parent / "plugin.toml"
    content, plugin_class = load_plugin(manifest)
    print(f"{content['plugin']['name']} {content['plugin']['version']}, contract {content['contract']['version']}")
    settings = {setting["name"]: setting["default"] for setting in content["settings"]}
    settings["database.url"] = f"sqlite:///{database.resolve()}"

    with plugin_class(settings) as plugin:
        summary = plugin.index(folder)
        print(f"{summary.photos} photos, {summary.faces} faces, {summary.failed} failed")

    connection = sqlite3.connect(f"file:{database.resolve()}?mode=ro", uri=True)
    for path, faces, women in connection.execute(
        "SELECT path, faces, p_women FROM v1_photos WHERE state = 'indexed' ORDER BY path"
    ):
        print(f"{path}: {faces} faces" + ("" if women is None else f", shows a woman with {women:.0%}"))
    for path, age, low, high in connection.execute(
        "SELECT p.path, f.age, f.age_low, f.age_high FROM v1_faces f JOIN v1_photos p USING (photo_id) ORDER BY f.age"
    ):
        print(f"{path}: about {age:.0f}, between {low:.0f} and {high:.0f}")
    connection.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
