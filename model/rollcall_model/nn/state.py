"""State dicts: a module's variables by dotted name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from flax import nnx

from rollcall_model import checkpoint
from rollcall_model.checkpoint import StateDict

C = TypeVar("C")
M = TypeVar("M", bound=nnx.Module)
T = TypeVar("T")


def state_dict(net: nnx.Module, kind: Any = nnx.Param) -> StateDict:
    """Return the module's variables of one kind by their dotted names."""
    state = nnx.state(net, kind)
    return {".".join(str(part) for part in path): np.asarray(leaf[...]) for path, leaf in nnx.to_flat_state(state)}


def load_state_dict(net: nnx.Module, arrays: StateDict, kind: Any = nnx.Param, path: Path | str = "") -> None:
    """Set the module's variables of one kind; `path` is named in errors.

    Raises
    ------
    WeightsError
        Naming each array that is missing, unexpected, or of another shape.
    """
    state = nnx.state(net, kind)
    leaves = {".".join(str(part) for part in name): leaf for name, leaf in nnx.to_flat_state(state)}
    checkpoint.check(path, {name: leaf[...].shape for name, leaf in leaves.items()}, arrays)
    # One transfer: array by array takes five times as long.
    placed = jax.device_put({name: arrays[name] for name in leaves})
    for name, leaf in leaves.items():
        leaf[...] = placed[name]
    nnx.update(net, state)


def parameter_count(net: nnx.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(leaf.size for leaf in state_dict(net).values())


def load_network(
    path: Path, what: str, configuration: type[C], build: Callable[[C], M], read: Callable[[dict[str, Any]], T]
) -> tuple[M, T]:
    """Return a network from its weights file, and what `read` returns of the file's metadata.

    Parameters
    ----------
    what
        Whose weights they are to be, for errors, such as "the detector's".
    configuration
        The NamedTuple that the metadata's `config` holds.
    build
        Makes the network of a configuration, all zeros.
    read
        May raise KeyError, TypeError, ValueError or AttributeError where the metadata are of something else.

    Raises
    ------
    WeightsError
        If the weights are missing or do not fit the network.
    """
    arrays, metadata = checkpoint.load(path)
    try:
        config: C = checkpoint.configured(configuration, metadata["config"])
        found = read(metadata)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise checkpoint.WeightsError(f"{path}: these are not {what} weights ({error})") from error
    net = build(config)
    load_state_dict(net, arrays, path=path)
    return net, found
