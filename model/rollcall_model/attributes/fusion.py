"""From the training form of the network to the inference form, and back."""

from __future__ import annotations

from typing import Any, cast

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from rollcall_model.attributes.network import AttributeConfig, AttributeNet
from rollcall_model.nn.modules import BatchNorm, ConvBN, DepthwiseSeparableBlock, Linear


def fuse_batch_norm(net: AttributeNet) -> AttributeNet:
    """Return the inference form: the same function, every normalisation fused into the convolution before it."""
    result = AttributeNet(net.config, None, fused=True)
    targets = dict(nnx.iter_graph(result))
    for path, node in nnx.iter_graph(net):
        target = targets.get(path)
        if isinstance(node, ConvBN):
            assert isinstance(target, ConvBN) and node.norm is not None and target.bias is not None
            gain, shift = node.norm.gain_and_shift()
            target.kernel[...] = node.kernel[...] * gain
            target.bias[...] = shift
        elif isinstance(node, Linear):
            assert isinstance(target, Linear)
            target.kernel[...], target.bias[...] = node.kernel[...], node.bias[...]
    return result


class _StatisticsProbe(nnx.Module):
    """Takes the place of a normalisation to record its statistics; adds the fused form's bias."""

    def __init__(self, bias: Array) -> None:
        self.bias = nnx.Param(bias)
        self.mean = nnx.BatchStat(jnp.zeros_like(bias))
        self.var = nnx.BatchStat(jnp.ones_like(bias))

    def __call__(self, x: Array, train: bool) -> Array:
        axes = tuple(range(x.ndim - 1))
        self.mean[...], self.var[...] = x.mean(axes), x.var(axes)
        return x + self.bias[...]


def unfuse_batch_norm(
    fused: AttributeNet, crops: Float[Array, "n s s 3"], config: AttributeConfig | None = None
) -> AttributeNet:
    """Return the training form of a network in the inference form: the same function on `crops`.

    `crops` are a few hundred typical ones, RGB 0..255: the batch statistics, which fusing discards, are measured on
    them. Kernels are scaled to unit length in each channel, so that the learning rate has the same meaning as in
    training from scratch. `config` may have deeper stages than the network (default: its own); the new blocks begin
    with a residual branch of zero.
    """
    result = AttributeNet(config or fused.config, nnx.Rngs(0))
    for blocks, old in zip(result.stages, fused.stages, strict=True):
        for block in blocks[len(old) :]:
            project = cast(DepthwiseSeparableBlock, block).project
            project.kernel[...] = jnp.zeros_like(project.kernel[...])
    probed = []
    sources = dict(nnx.iter_graph(fused))
    for path, node in list(nnx.iter_graph(result)):
        source = sources.get(path)
        if source is None:
            continue
        if isinstance(node, ConvBN):
            assert isinstance(source, ConvBN) and source.bias is not None
            node.kernel[...] = source.kernel[...]
            node.norm = cast(Any, _StatisticsProbe(source.bias[...]))
            probed.append((node, source.bias[...]))
        elif isinstance(node, Linear):
            assert isinstance(source, Linear)
            node.kernel[...], node.bias[...] = source.kernel[...], source.bias[...]
    result(crops)
    for node, bias in probed:
        node.norm = _norm_of_probe(node, bias)
    return result


def _norm_of_probe(node: ConvBN, bias: Array) -> BatchNorm:
    """Scale the kernel to unit length; return the normalisation that makes the layer the same function again."""
    kernel = node.kernel[...]
    length = jnp.maximum(jnp.sqrt((kernel**2).sum(tuple(range(kernel.ndim - 1)))), 1e-6)
    probe, norm = cast(Any, node.norm), BatchNorm(len(bias))
    node.kernel[...] = kernel / length
    norm.mean[...], norm.var[...] = probe.mean[...] / length, probe.var[...] / length**2
    norm.scale[...] = length * jnp.sqrt(norm.var[...] + BatchNorm.EPSILON)
    norm.bias[...] = bias + probe.mean[...]
    return norm
