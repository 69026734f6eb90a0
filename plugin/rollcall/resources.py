"""Files that travel with the program: in an installed package inside it, in a checkout beside it."""

from __future__ import annotations

import json
import struct
from functools import cache
from pathlib import Path
from typing import Any

from rollcall.errors import ModelError, reason_of

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

    The header of the file is read here, so that a search does not import the networks' package.

    Raises
    ------
    ModelError
        If the weights are missing or cannot be read.
    """
    try:
        with find("attributes.safetensors").open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))["__metadata__"]
        metadata: dict[str, Any] = json.loads(header["rollcall"])
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise ModelError(
            f"the weights of the attribute network cannot be read ({reason_of(error)}); reinstall Rollcall"
        ) from error
    return metadata
