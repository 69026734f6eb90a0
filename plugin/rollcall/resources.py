"""Files that travel with the program: in an installed package inside it, in a checkout beside it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from rollcall.errors import ModelError

_PACKAGE = Path(__file__).resolve().parent
_PLACES = (
    _PACKAGE,
    _PACKAGE.parent.parent,
    # The weights, and files of measurements made with them.
    _PACKAGE.parent / "rollcall_model" / "weights",
    _PACKAGE.parent.parent / "model" / "rollcall_model" / "weights",
)


def find(name: str) -> Path:
    """Return the path of `migrations`, `plugin.toml` or a file beside the weights: the installed package comes first.

    Raises
    ------
    FileNotFoundError
        If the installation is broken.
    """
    for place in _PLACES:
        if (place / name).exists():
            return place / name
    raise FileNotFoundError(f"{_PACKAGE / name}: missing from the installation; reinstall Rollcall")


@cache
def weights_metadata() -> dict[str, Any]:
    """Return the metadata of the attribute network's weights: version, similarity calibration, tag thresholds.

    Raises
    ------
    ModelError
        If the weights are missing or cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(find("attributes.safetensors")), framework="numpy") as file:
            found = file.metadata() or {}
            if "rollcall" not in found:  # temporary
                return {
                    "similarity": {"midpoint": 0.755, "steepness": 44.0},
                    "tag_thresholds": json.loads(find("tag_thresholds.json").read_text(encoding="utf-8")),
                }
            metadata: dict[str, Any] = json.loads(found["rollcall"])
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise ModelError(
            f"the weights of the attribute network cannot be read ({error}); reinstall Rollcall"
        ) from error
    return metadata
