"""Resolve all dependencies anew and write the exact versions into pyproject.toml (constraint-dependencies).

uv's own lock file names the registry it was made with, which differs from place to place; these pins do not,
and `uv run` keeps to them all the same. Run with: uv run --no-project python scripts/pin.py
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
BLOCK = re.compile(r"constraint-dependencies = \[\n.*?^\]\n", re.DOTALL | re.MULTILINE)


def main() -> None:
    """Resolve without the old pins, and write the new ones."""
    text = BLOCK.sub("constraint-dependencies = [\n]\n", PROJECT.read_text(encoding="utf-8"))
    PROJECT.write_text(text, encoding="utf-8")
    subprocess.run(["uv", "lock", "--upgrade"], cwd=PROJECT.parent, check=True)
    command = ["uv", "export", "--all-extras", "--all-groups", "--no-hashes", "--no-emit-project", "--no-annotate"]
    done = subprocess.run(
        [*command, "--no-header", "-q"], cwd=PROJECT.parent, check=True, capture_output=True, text=True
    )
    pins = [line.strip().replace('"', "'") for line in done.stdout.splitlines() if "==" in line]
    block = "constraint-dependencies = [\n" + "".join(f'    "{pin}",\n' for pin in pins) + "]\n"
    PROJECT.write_text(BLOCK.sub(lambda _: block, text), encoding="utf-8")
    subprocess.run(["uv", "lock"], cwd=PROJECT.parent, check=True)
    print(f"{len(pins)} packages pinned")


if __name__ == "__main__":
    main()
