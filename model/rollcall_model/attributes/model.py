"""The trained attribute network, loaded and compiled."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import shard_map
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool, Float32, UInt8

from rollcall_model import checkpoint, runtime, weights
from rollcall_model.ages import AGES
from rollcall_model.attributes import animals
from rollcall_model.attributes.calibration import calibrate, read_calibration
from rollcall_model.attributes.network import AttributeConfig, AttributeNet, Outputs
from rollcall_model.nn import layers
from rollcall_model.nn.modules import ConvBN, Linear
from rollcall_model.nn.state import load_state_dict, state_dict
from rollcall_model.types import EMBEDDING, Attributes, Detections

#: Faces in a bucket for each device; on a CPU one of 16 was no quicker (5.2 ms a face of one processor, as with four)
#: and took 34 MiB more. A GPU takes as long for one face as for dozens.
BUCKETS: Final = (1, 4)
BUCKETS_GPU: Final = (8, 64, 512)
HEADS: Final = ("age", "gender", "embedding")
#: Parts of parameter names in files written before the modules had their present names.
LEGACY_NAMES: Final = {
    "look": "depthwise",
    "widen": "expand",
    "narrow": "project",
    "steps": "downsample",
    "join": "final",
}


def load_net(path: Path) -> tuple[AttributeNet, dict[str, Any]]:
    """Return the network in the inference form, without calibration, and the weights' metadata.

    Raises
    ------
    WeightsError
        If the weights are missing or do not fit the network.
    """
    arrays, metadata = checkpoint.load(path)
    try:
        config: AttributeConfig = checkpoint.configured(AttributeConfig, metadata["config"])
        companion = metadata.get("companion") and checkpoint.configured(AttributeConfig, metadata["companion"])
    except (KeyError, TypeError) as error:
        raise checkpoint.WeightsError(
            f"{path}: the weights name no configuration of the attribute network ({error}); export them again"
        ) from error
    # Random numbers that are replaced at once would take most of the start-up time.
    net = AttributeNet(config, None, fused=True, companion=companion)
    load_state_dict(net, current_names(arrays), path=path)
    return net, metadata


def halve_products(net: AttributeNet) -> None:
    """Make the kernels of all matrix products but the heads' bfloat16, for inference.

    A face took 3.3 ms instead of 5.1 (AMD EPYC, one processor). Of 480 faces of UTKFace the mean error of the age was
    3.821 years instead of 3.823, no gender changed, and the similarity of two faces by 0.0008 (at most 0.0035).
    """
    heads = ("age", "gender", "identity")
    for path, node in nnx.iter_graph(net):
        if isinstance(node, ConvBN | Linear) and path[-1] not in heads and node.kernel.ndim == 2:
            node.kernel = nnx.Param(jnp.asarray(node.kernel[...], jnp.bfloat16))


def save_net(path: Path, net: AttributeNet, metadata: dict[str, Any]) -> None:
    """Write a network in the inference form; its configuration, and its companion's, are added to the metadata."""
    companion = None if net.companion is None else net.companion.config._asdict()
    checkpoint.save(path, state_dict(net), {**metadata, "config": net.config._asdict(), "companion": companion})


def current_names(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return a state dict with the parts of `LEGACY_NAMES` replaced."""
    return {".".join(LEGACY_NAMES.get(part, part) for part in name.split(".")): arrays[name] for name in arrays}


class AttributeModel:
    """The trained network, compiled for a few batch sizes. Use from one thread at a time.

    Parameters
    ----------
    path
        The weights; None: those that come with this package.
    heads
        The `HEADS` to compute; the outputs of the others are NaN.
    quick
        Whether matrix products may be of bfloat16 where processors are faster at that (see `halve_products`).

    Raises
    ------
    WeightsError
        If the weights are missing or do not fit the network.
    """

    def __init__(self, path: Path | None = None, heads: Sequence[str] = HEADS, *, quick: bool = False) -> None:
        path = path or weights.PATH
        self._heads = tuple(name for name in HEADS if name in heads)
        net, metadata = load_net(path)
        self.size = net.config.size
        self.version: str = metadata["version"]
        self.metadata = metadata
        self.animals = animals.of_weights(metadata)
        calibration = read_calibration(metadata)
        mesh = runtime.mesh()
        self._filled = runtime.FILLED if layers.on_cpu() else runtime.FILLED_GPU
        self._buckets = [bucket * mesh.size for bucket in (BUCKETS if layers.on_cpu() else BUCKETS_GPU)]
        if quick and layers.on_cpu() and runtime.multiplies_bfloat16():
            halve_products(net)
        graph, state = nnx.split(net)

        def forward(pixels: Array) -> tuple[Array, ...]:
            out: Outputs = nnx.merge(graph, state)(pixels.astype(jnp.float32))
            results = dict(zip(HEADS, (*calibrate(out, calibration), out.embedding), strict=True))
            # XLA removes the heads whose results are not returned.
            return tuple(results[name] for name in self._heads)

        sharded = shard_map(forward, mesh=mesh, in_specs=P("batch"), out_specs=P("batch"), check_vma=False)
        companion = None if net.companion is None else net.companion.config
        made_of = (type(net), net.config, companion, self._heads, list(calibration), jax.tree.leaves(state))
        jitted = jax.jit(sharded, in_shardings=NamedSharding(mesh, P("batch")))
        self._run = runtime.Programs(jitted, made_of, runtime.OF_PRODUCTS)

    def are_animals(
        self, embeddings: Float32[np.ndarray, "n 128"], found: Sequence[Detections]
    ) -> Bool[np.ndarray, " n"]:
        """Return which faces are heads of animals; none where the embedding was not computed.

        `found` are the boxes of one picture after the other that the embeddings are of; without any, none is an animal.
        """
        if self.animals is None or not found:
            return np.zeros(len(embeddings), bool)
        return self.animals.are_animals(embeddings, Detections(*map(np.concatenate, zip(*found, strict=True))))

    def warm_up(self) -> None:
        """Compile every program, or load it from the cache on disk."""
        shapes = [(bucket, self.size, self.size, 3) for bucket in self._buckets]
        runtime.prepare([partial(self, np.zeros(shape, np.uint8)) for shape in shapes])

    def __call__(self, crops: UInt8[np.ndarray, "n s s 3"]) -> Attributes:
        """Return the predictions for aligned RGB crops (see `align.crop`)."""
        parts: list[Sequence[Any]] = []
        starts = runtime.buckets(len(crops), self._buckets, self._filled)
        for start, end in pairwise(starts):
            part = runtime.zeros((end - start, *crops.shape[1:]), np.uint8)
            part[: len(crops) - start] = crops[start:end]
            parts.append(self._run(part))
        result = Attributes(
            *(np.full((len(crops), *shape), np.nan, np.float32) for shape in ((AGES,), (), (EMBEDDING,)))
        )
        if parts:
            for column, name in enumerate(self._heads):
                values = np.concatenate([np.asarray(part[column]) for part in parts])
                result[HEADS.index(name)][:] = values[: len(crops)]
        return result
