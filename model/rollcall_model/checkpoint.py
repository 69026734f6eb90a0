"""Parameters to disk and back, as safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialise


class WeightsError(Exception):
    """Weights are missing, changed, or do not fit the network; says which and what to do."""


Tree = dict[str, np.ndarray]


def save(path: Path, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
    """Write named arrays and JSON-able facts to `path`; a reader sees the old file or the new, never a part."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(
        serialise(
            {name: np.ascontiguousarray(array) for name, array in arrays.items()},
            metadata={"facts": json.dumps(dict(facts), sort_keys=True)},
        )
    )
    temporary.replace(path)


def load(path: Path) -> tuple[Tree, dict[str, Any]]:
    """Return the named arrays and the facts of `path`.

    Raises
    ------
    WeightsError
        If the file is missing or is not a whole safetensors file.
    """
    return _opened(path, arrays=True)


def _opened(path: Path, arrays: bool) -> tuple[Tree, dict[str, Any]]:
    try:
        with safe_open(str(path), framework="numpy") as file:
            found: dict[str, Any] = json.loads((file.metadata() or {}).get("facts", "{}"))
            # The package wants the file's own method: the handle is no mapping.
            names = file.keys() if arrays else ()
            return {name: file.get_tensor(name) for name in names}, found
    except (OSError, SafetensorError, ValueError) as error:
        raise WeightsError(
            f"{path}: the weights cannot be read ({error}); reinstall Rollcall or train them again"
        ) from error


def facts(path: Path) -> dict[str, Any]:
    """Return the facts of `path` alone; the arrays stay on the disk.

    Raises
    ------
    WeightsError
        If the file is missing or is not a whole safetensors file.
    """
    return _opened(path, arrays=False)[1]


def check(path: Path | str, expected: Mapping[str, tuple[int, ...]], found: Mapping[str, np.ndarray]) -> None:
    """Demand that `found` holds just the arrays of `expected`, by name and shape.

    Raises
    ------
    WeightsError
        Naming each array that is missing, extra, or of another shape.
    """
    faults = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    faults += [f"{name} is not of this network" for name in sorted(found.keys() - expected.keys())]
    faults += [
        f"{name} is {found[name].shape} and should be {tuple(shape)}"
        for name, shape in sorted(expected.items())
        if name in found and found[name].shape != tuple(shape)
    ]
    if faults:
        raise WeightsError(f"{path}: the weights do not fit the network: {'; '.join(faults)}")
