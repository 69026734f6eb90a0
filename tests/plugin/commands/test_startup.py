"""Commands import only what they need, so that they start quickly."""

from __future__ import annotations

import subprocess
import sys

import pytest


def imported_by(code: str) -> set[str]:
    """Return the top-level modules that are loaded after some code ran in a fresh process."""
    script = f"{code}\nimport sys\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    return set(
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    )


@pytest.mark.parametrize("command", ["search", "settings", "corrections"])
def test_commands_that_read_no_pictures_load_no_networks(command: str) -> None:
    assert not {"jax", "flax", "optax"} & imported_by(f"import rollcall.cli, rollcall.commands.{command}")


def test_keeping_memory_loads_no_networks_for_a_run_that_finds_nothing_new() -> None:
    code = "import rollcall.commands.index, rollcall.inference.analyzer; rollcall.inference.analyzer.keep_memory()"
    assert not {"jax", "flax", "optax"} & imported_by(code)


def test_analysing_without_a_database_loads_no_database_library() -> None:
    assert not {"sqlalchemy", "alembic", "watchdog"} & imported_by("import rollcall.cli, rollcall.commands.analyze")
