"""Parameters and their metadata on disk, as safetensors.

The file's header holds one entry, `rollcall`: JSON with the version, the configuration of the network, the calibration
of its probabilities, and what else was measured with these parameters (`similarity`, `tag_thresholds`). Older files
hold the same entry under the name `facts`.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialise

KEY: Final = "rollcall"
LEGACY_KEY: Final = "facts"
_DIGEST_LENGTH: Final = 12
_CHUNK: Final = 1 << 20


class WeightsError(Exception):
    """Weights are missing, damaged, or do not fit the network; the message names the file and a remedy."""


StateDict = dict[str, np.ndarray]


def save(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
    """Write named arrays and JSON-serialisable metadata to `path`, atomically."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    _replace(path, serialise(contiguous, metadata={KEY: json.dumps(dict(metadata), sort_keys=True)}))


def load(path: Path) -> tuple[StateDict, dict[str, Any]]:
    """Return the named arrays and the metadata of `path`.

    Raises
    ------
    WeightsError
        If the file is missing or is not a complete safetensors file.
    """
    return _open(path, arrays=True)


def metadata(path: Path) -> dict[str, Any]:
    """Return the metadata of `path`; the arrays are not read.

    Raises
    ------
    WeightsError
        If the file is missing or is not a complete safetensors file.
    """
    return _open(path, arrays=False)[1]


def update_metadata(path: Path, **changes: Any) -> None:
    """Replace entries of the metadata of `path`, atomically; the arrays' bytes, and the digest, stay as they are.

    Raises
    ------
    WeightsError
        If the file is missing or is not a complete safetensors file.
    """
    merged = {**metadata(path), **changes}
    data = path.read_bytes()
    start = _data_start(data)
    header = json.loads(data[8:start])
    header["__metadata__"] = {KEY: json.dumps(merged, sort_keys=True)}
    text = json.dumps(header, separators=(",", ":")).encode()
    # The format wants the arrays to begin at a multiple of eight bytes.
    text += b" " * (-len(text) % 8)
    _replace(path, struct.pack("<Q", len(text)) + text + data[start:])


def digest(path: Path) -> str:
    """Return the first 12 hex digits of BLAKE2b over the arrays' bytes, without the header.

    Raises
    ------
    WeightsError
        If the file is missing or is not a complete safetensors file.
    """
    metadata(path)  # refuses a file that is cut off
    found = hashlib.blake2b()
    with path.open("rb") as file:
        file.seek(_data_start(file.read(8)))
        while part := file.read(_CHUNK):
            found.update(part)
    return found.hexdigest()[:_DIGEST_LENGTH]


def check(path: Path | str, expected: Mapping[str, tuple[int, ...]], found: Mapping[str, np.ndarray]) -> None:
    """Check that `found` holds exactly the arrays of `expected`, by name and shape.

    Raises
    ------
    WeightsError
        Naming each array that is missing, unexpected, or of another shape.
    """
    faults = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    faults += [f"{name} is unexpected" for name in sorted(found.keys() - expected.keys())]
    faults += [
        f"{name} is {found[name].shape} and should be {tuple(shape)}"
        for name, shape in sorted(expected.items())
        if name in found and found[name].shape != tuple(shape)
    ]
    if faults:
        raise WeightsError(f"{path}: the weights do not fit the network: {'; '.join(faults)}")


def configured(kind: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    """Return a NamedTuple of stored values; lists, which is how JSON and TOML hold tuples, become tuples."""
    return kind(**{name: _as_tuples(value) for name, value in values.items()})


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


def _open(path: Path, arrays: bool) -> tuple[StateDict, dict[str, Any]]:
    try:
        with safe_open(str(path), framework="numpy") as file:
            header = file.metadata() or {}
            stored: dict[str, Any] = json.loads(header.get(KEY) or header.get(LEGACY_KEY) or "{}")
            # The handle is no mapping: `in` and iteration do not work on it.
            names = file.keys() if arrays else ()
            return {name: file.get_tensor(name) for name in names}, stored
    except (OSError, SafetensorError, ValueError) as error:
        raise WeightsError(
            f"{path}: the weights cannot be read ({error}); reinstall Rollcall or train them again"
        ) from error


def _data_start(data: bytes) -> int:
    """Return the offset of the arrays' bytes: the header follows its own length, a little-endian uint64."""
    length: int = struct.unpack("<Q", data[:8])[0]
    return 8 + length


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(data)
    temporary.replace(path)
