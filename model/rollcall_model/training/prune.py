"""Make a trained network smaller: `python -m rollcall_model.training.prune`.

Of each block's wide arrays the channels are kept that the others cannot stand in for, and the projection is fitted
again to give what the whole network gave at that place (He et al. 2017, "Channel pruning"). What is lost, a short
training brings back (`training.train --begin`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, cast

import click
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float64, Int

from rollcall_model import runtime
from rollcall_model.attributes.model import load_net, save_net
from rollcall_model.attributes.network import AttributeConfig, AttributeNet
from rollcall_model.checkpoint import WeightsError
from rollcall_model.datasets import faces as stored
from rollcall_model.datasets.faces import central_crops
from rollcall_model.nn.modules import DepthwiseSeparableBlock
from rollcall_model.nn.state import load_state_dict, parameter_count, state_dict

#: Places of the grids that a block is fitted on.
_PLACES: Final = 24_000
#: Ridge penalty, as a ratio of the channels' mean energy; and the ratio of channels removed between two fits.
_RIDGE: Final = 1e-4
_STEP: Final = 1 / 16


class Fit(NamedTuple):
    """The channels of a block that are kept, and the projection from them."""

    kept: Int[np.ndarray, " k"]
    kernel: Float64[np.ndarray, "k o"]
    error: float  # of the target's variance


def choose(inputs: Float64[np.ndarray, "n i"], target: Float64[np.ndarray, "n o"], count: int) -> Fit:
    """Return `count` of the inputs, and the least-squares map from them to the target, both centred.

    Inputs are removed a few at a time, each time those whose loss raises the error least.
    """
    gram, cross, energy = inputs.T @ inputs, inputs.T @ target, float((target**2).sum())
    ridge = _RIDGE * np.trace(gram) / len(gram)
    kept = np.arange(len(gram))
    while True:
        inverse = np.linalg.inv(gram[np.ix_(kept, kept)] + ridge * np.eye(len(kept)))
        kernel = inverse @ cross[kept]
        if len(kept) <= count:
            left = energy - 2 * (kernel * cross[kept]).sum() + (kernel * (gram[np.ix_(kept, kept)] @ kernel)).sum()
            return Fit(kept, kernel, float(left) / max(energy, 1e-12))
        # By the block inverse: what the error grows by if this input goes and the others are fitted again.
        cost = (kernel**2).sum(1) / np.diag(inverse)
        removed = min(max(int(len(kept) * _STEP), 1), len(kept) - count)
        kept = np.delete(kept, np.argsort(cost)[:removed])


def prune(net: AttributeNet, crops: Float[np.ndarray, "n s s 3"], hidden: tuple[int, ...]) -> AttributeNet:
    """Return a network in the inference form with `hidden` channels in each stage's wide arrays and no identity head.

    `crops` are a few hundred typical ones, RGB 0..255. Blocks are fitted in order, each on what the pruned ones before
    it give, to what the whole network gives after it.
    """
    config = net.config._replace(hidden=hidden, identity=False)
    result = AttributeNet(config, None, fused=True)
    _copy(net, result)
    whole = np.asarray(jax.jit(net.first)(crops))
    pruned = whole
    for number, (blocks, new_blocks) in enumerate(zip(net.stages, result.stages, strict=True)):
        if number:
            whole, pruned = (np.asarray(jax.jit(net.reduce, static_argnums=0)(number, x)) for x in (whole, pruned))
        pairs = cast("Iterator[tuple[DepthwiseSeparableBlock, ...]]", zip(blocks, new_blocks, strict=True))
        for block, new in pairs:
            whole = np.asarray(jax.jit(block)(whole))
            _fit_block(block, new, pruned, whole, hidden[number])
            pruned = np.asarray(jax.jit(new)(pruned))
    return result


def _copy(net: AttributeNet, result: AttributeNet) -> None:
    """Copy the arrays whose shapes are the same."""
    arrays, own = state_dict(net), state_dict(result)
    load_state_dict(
        result, {name: arrays[name] if arrays[name].shape == own[name].shape else own[name] for name in own}
    )


def _fit_block(
    block: DepthwiseSeparableBlock, new: DepthwiseSeparableBlock, before: np.ndarray, after: np.ndarray, count: int
) -> None:
    wide = np.asarray(jax.jit(block.wide)(before))
    inputs, target = _places(wide), _places(after - before)
    centre, middle = inputs.mean(0), target.mean(0)
    fit = choose(inputs - centre, target - middle, count)
    new.expand.kernel[...] = block.expand.kernel[...][:, fit.kept]
    new.expand.bias[...] = block.expand.bias[...][fit.kept]
    new.project.kernel[...] = jnp.asarray(fit.kernel, jnp.float32)
    new.project.bias[...] = jnp.asarray(middle - centre[fit.kept] @ fit.kernel, jnp.float32)
    click.echo(f"kept {count} of {wide.shape[-1]} channels; {fit.error:.1%} of the branch's variance is lost")


def _places(x: np.ndarray) -> Float64[np.ndarray, "n c"]:
    flat = x.reshape(-1, x.shape[-1])
    return flat[:: max(len(flat) // _PLACES, 1)].astype(np.float64)


@click.command()
@click.option("--crops", type=click.Path(path_type=Path, exists=True), required=True, help="Folder of aligned crops.")
@click.option("--weights", type=click.Path(path_type=Path, exists=True), required=True, help="In the inference form.")
@click.option("--hidden", type=int, multiple=True, required=True, help="Channels kept, once for each stage.")
@click.option("--count", default=700, show_default=True, help="Training faces to fit on.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File for the smaller network.")
def main(crops: Path, weights: Path, hidden: tuple[int, ...], count: int, out: Path) -> None:
    """Remove channels of the wide arrays, and the identity head."""
    runtime.configure()
    try:
        net, metadata = load_net(weights)
    except WeightsError as error:
        raise click.ClickException(str(error)) from error
    _check(net.config, hidden)
    faces = stored.load(crops)
    labelled = faces.with_age(faces.where(split="train"))
    rows = np.sort(np.random.default_rng(0).choice(labelled, min(count, len(labelled)), replace=False))
    result = prune(net, central_crops(faces, rows, net.config.size).astype(np.float32), hidden)
    save_net(out, result, {"version": f"{metadata['version']}, pruned"})
    click.echo(f"{parameter_count(net):,} parameters before, {parameter_count(result):,} after")


def _check(config: AttributeConfig, hidden: tuple[int, ...]) -> None:
    wide = config.wide
    if len(hidden) != len(wide) or not all(0 < new <= old for new, old in zip(hidden, wide, strict=True)):
        raise click.BadParameter(
            f"{' '.join(map(str, hidden))}: give a number for each of the {len(wide)} stages, at most"
            f" {', '.join(map(str, wide))}",
            param_hint="--hidden",
        )


if __name__ == "__main__":
    main()
