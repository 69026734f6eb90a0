"""One light network for age, gender and identity: a shared trunk, three heads.

Depthwise separable residual blocks on the landmark-aligned crop. The
first layer and the steps down in resolution are products over patches, which cost least where a network
of this size spends most of its time: in moving large, shallow arrays. The last pooling is a depthwise
product over the whole grid (Chen et al. 2018): on an aligned face every place has its meaning.

Two forms share their names: the one that is trained, with batch normalisation, and the one that is
used, with every normalisation folded into the product before it (`fold`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import shard_map
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, UInt8

from rollcall_model import checkpoint, layers, runtime, weights
from rollcall_model.types import Attributes

AGES: Final = 101
EMBEDDING: Final = 128


class AttributeConfig(NamedTuple):
    """The shape of the network; the defaults are those of the committed weights."""

    size: int = 80  # side of the crop in pixels
    patch: int = 4  # side of the first layer's patches
    widths: tuple[int, ...] = (48, 96, 160)
    depths: tuple[int, ...] = (3, 5, 3)
    kernels: tuple[int, ...] = (3, 3, 3)
    expansion: int = 3
    features: int = 256  # of the vector that the heads read


class Outputs(NamedTuple):
    """What the network gives for n crops, before calibration."""

    age: Float[Array, "n 101"]  # logits
    female: Float[Array, " n"]  # logit
    embedding: Float[Array, "n 128"]  # unit length


class Norm(nnx.Module):
    """Batch normalisation over all axes but the last; remembers running statistics for later use."""

    EPSILON = 1e-3
    MOMENTUM = 0.95

    def __init__(self, channels: int, gain: float = 1.0) -> None:
        self.scale = nnx.Param(jnp.full(channels, gain))
        self.bias = nnx.Param(jnp.zeros(channels))
        self.mean = nnx.BatchStat(jnp.zeros(channels))
        self.var = nnx.BatchStat(jnp.ones(channels))

    def __call__(self, x: Float[Array, "*b c"], train: bool) -> Float[Array, "*b c"]:
        """Normalise by the batch's own statistics in training, by the remembered ones otherwise."""
        if train:
            axes = tuple(range(x.ndim - 1))
            mean = x.mean(axes)
            # E[x^2] - E[x]^2 lets both sums be taken in one pass over memory.
            var = jnp.maximum((x * x).mean(axes) - mean * mean, 0)
            self.mean[...] = self.MOMENTUM * self.mean[...] + (1 - self.MOMENTUM) * mean
            self.var[...] = self.MOMENTUM * self.var[...] + (1 - self.MOMENTUM) * var
        else:
            mean, var = self.mean[...], self.var[...]
        gain = self.scale[...] * jax.lax.rsqrt(var + self.EPSILON)
        return x * gain + (self.bias[...] - mean * gain)

    def gain_and_shift(self) -> tuple[Array, Array]:
        """Return the factor and the summand that this normalisation amounts to after training."""
        gain = self.scale[...] * jax.lax.rsqrt(self.var[...] + self.EPSILON)
        return gain, self.bias[...] - self.mean[...] * gain


class Normed(nnx.Module):
    """A product followed by normalisation; folded, a product and a bias."""

    def __init__(self, kernel: Array, folded: bool, gain: float = 1.0) -> None:
        self.kernel = nnx.Param(kernel)
        channels = kernel.shape[-1]
        self.norm = None if folded else Norm(channels, gain)
        self.bias = nnx.Param(_zeros(channels)) if folded else None

    def product(self, x: Array) -> Array:
        """Return the product alone: pointwise by a matrix, depthwise by a 3x3 kernel."""
        kernel = self.kernel[...]
        return layers.pointwise(x, kernel) if kernel.ndim == 2 else layers.depthwise(x, kernel)

    def __call__(self, x: Array, train: bool) -> Array:
        """Return the normalised product."""
        x = self.product(x)
        if self.norm is not None:
            return self.norm(x, train)
        assert self.bias is not None
        return x + self.bias[...]


class GridPool(Normed):
    """Weighs every place of the grid in each channel by itself, and sums."""

    def product(self, x: Array) -> Array:
        """Return one vector a face."""
        return (x * self.kernel[...]).sum((1, 2))


class Block(nnx.Module):
    """Look at the neighbours channel by channel, widen, narrow, add.

    The depthwise product stands before the widening and not inside it (as in Liu et al. 2022): the wide
    arrays are then touched only by the two matrix products, which is what a CPU is quick at; training
    went twice as fast.
    """

    def __init__(self, channels: int, kernel: int, expansion: int, folded: bool, rngs: nnx.Rngs | None) -> None:
        self.look = Normed(drawn(rngs, (kernel, kernel, channels), kernel**2), folded)
        self.widen = Linear(channels, channels * expansion, rngs, gain=1.4)
        # Beginning as next to nothing, a block cannot disturb the ones before it while all are untrained.
        self.narrow = Linear(channels * expansion, channels, rngs, gain=0.2)

    def __call__(self, x: Float[Array, "n h w c"], train: bool) -> Float[Array, "n h w c"]:
        """Return x and what the block adds."""
        return x + self.narrow(layers.hard_swish(self.widen(self.look(x, train))))


class AttributeNet(nnx.Module):
    """The network; `folded` is the form for use. Without `rngs` it is all zeros, to be filled at once."""

    def __init__(self, config: AttributeConfig, rngs: nnx.Rngs | None, folded: bool = False) -> None:
        self.config = config
        inputs = 3 * config.patch**2
        self.stem = Normed(drawn(rngs, (inputs, config.widths[0]), inputs), folded)
        stages, steps = [], []
        for number, (width, depth) in enumerate(zip(config.widths, config.depths, strict=True)):
            if number:
                before = 4 * config.widths[number - 1]
                steps.append(Normed(drawn(rngs, (before, width), before), folded))
            stages.append(
                nnx.List([Block(width, config.kernels[number], config.expansion, folded, rngs) for _ in range(depth)])
            )
        self.stages = nnx.List(stages)
        self.steps = nnx.List(steps)
        last = config.widths[-1]
        self.join = Normed(drawn(rngs, (last, config.features), last), folded)
        grid = config.size // config.patch // 2 ** (len(config.widths) - 1)
        mean = np.full((grid, grid, config.features), 1 / grid**2, np.float32)
        self.pool = GridPool(cast(Array, mean), folded)
        self.age = Linear(config.features, AGES, rngs)
        self.gender = Linear(config.features, 1, rngs)
        self.identity = Linear(config.features, EMBEDDING, rngs)

    def features(self, x: Float[Array, "n s s 3"], train: bool = False) -> Float[Array, "n f"]:
        """Return what the heads read, for crops of RGB values 0..255."""
        x = layers.hard_swish(self.join(self.trunk(x, train), train))
        pooled: Array = self.pool(x, train)
        return pooled

    def trunk(self, x: Float[Array, "n s s 3"], train: bool = False) -> Float[Array, "n g g c"]:
        """Return what the last stage gives, for crops of RGB values 0..255."""
        x = (x - 127.5) * (1 / 64)
        x = self.stem(layers.patchify(x, self.config.patch), train)
        for number, blocks in enumerate(self.stages):
            if number:
                x = self.steps[number - 1](layers.patchify(x, 2), train)
            for block in blocks:
                x = block(x, train)
        return x

    def __call__(self, x: Float[Array, "n s s 3"], train: bool = False) -> Outputs:
        """Return the outputs for crops of RGB values 0..255."""
        x = self.features(x, train)
        raw = self.identity(x)
        return Outputs(
            self.age(x), self.gender(x)[:, 0], raw * jax.lax.rsqrt((raw * raw).sum(-1, keepdims=True) + 1e-12)
        )


class Linear(nnx.Module):
    """A product and a bias."""

    def __init__(self, inputs: int, outputs: int, rngs: nnx.Rngs | None, gain: float = 0.5) -> None:
        self.kernel = nnx.Param(drawn(rngs, (inputs, outputs), inputs) * gain)
        self.bias = nnx.Param(_zeros(outputs))

    def __call__(self, x: Float[Array, "*b i"]) -> Float[Array, "*b o"]:
        """Return the weighted sums."""
        return layers.pointwise(x, self.kernel[...]) + self.bias[...]


def drawn(rngs: nnx.Rngs | None, shape: tuple[int, ...], fan_in: int) -> Array:
    """Return normal numbers that keep the size of what is summed over `fan_in`; without `rngs` zeros."""
    if rngs is None:
        return _zeros(*shape)
    return jax.random.normal(rngs.params(), shape) * (1 / fan_in) ** 0.5


def _zeros(*shape: int) -> Array:
    # NumPy's: JAX compiles a program for every shape of zeros, a second in all.
    return cast(Array, np.zeros(shape, np.float32))


def fold(net: AttributeNet) -> AttributeNet:
    """Return the form for use: the same function, every normalisation folded into the product before it."""
    result = AttributeNet(net.config, None, folded=True)
    targets = dict(nnx.iter_graph(result))
    for path, node in nnx.iter_graph(net):
        target = targets.get(path)
        if isinstance(node, Normed):
            assert isinstance(target, Normed) and node.norm is not None and target.bias is not None
            gain, shift = node.norm.gain_and_shift()
            target.kernel[...] = node.kernel[...] * gain
            target.bias[...] = shift
        elif isinstance(node, Linear):
            assert isinstance(target, Linear)
            target.kernel[...], target.bias[...] = node.kernel[...], node.bias[...]
    return result


class _Measure(nnx.Module):
    """Stands in for a normalisation while its statistics are taken; adds what the folded form adds."""

    def __init__(self, shift: Array) -> None:
        self.shift = nnx.Param(shift)
        self.mean = nnx.BatchStat(jnp.zeros_like(shift))
        self.var = nnx.BatchStat(jnp.ones_like(shift))

    def __call__(self, x: Array, train: bool) -> Array:
        axes = tuple(range(x.ndim - 1))
        self.mean[...], self.var[...] = x.mean(axes), x.var(axes)
        return x + self.shift[...]


def unfold(folded: AttributeNet, crops: Float[Array, "n s s 3"], config: AttributeConfig | None = None) -> AttributeNet:
    """Return the form for training of a network in the form for use: the same function on `crops`.

    `config` may have deeper stages than the network (default: its own); blocks that are new begin by adding nothing.

    Folding forgets what the normalisations had seen; it is taken again from a few hundred typical crops. Kernels are
    given unit length in each channel, as training began with: the rate of learning means the same again.
    """
    result = AttributeNet(config or folded.config, nnx.Rngs(0))
    for blocks, old in zip(result.stages, folded.stages, strict=True):
        for block in blocks[len(old) :]:
            block.narrow.kernel[...] = jnp.zeros_like(block.narrow.kernel[...])
    pairs = []
    sources = dict(nnx.iter_graph(folded))
    for path, node in list(nnx.iter_graph(result)):
        source = sources.get(path)
        if source is None:
            continue
        if isinstance(node, Normed):
            assert isinstance(source, Normed) and source.bias is not None
            kernel = source.kernel[...]
            length = jnp.maximum(jnp.sqrt((kernel**2).sum(tuple(range(kernel.ndim - 1)))), 1e-6)
            node.kernel[...] = kernel
            node.norm = cast(Any, _Measure(source.bias[...]))
            pairs.append((node, source.bias[...], length))
        elif isinstance(node, Linear):
            assert isinstance(source, Linear)
            node.kernel[...], node.bias[...] = source.kernel[...], source.bias[...]
    result(crops)
    for node, shift, length in pairs:
        seen, norm = cast(Any, node.norm), Norm(len(shift))
        node.kernel[...] = node.kernel[...] / length
        norm.mean[...], norm.var[...] = seen.mean[...] / length, seen.var[...] / length**2
        norm.scale[...] = length * jnp.sqrt(norm.var[...] + Norm.EPSILON)
        norm.bias[...] = shift + seen.mean[...]
        node.norm = norm
    return result


def flat(net: nnx.Module, kind: Any = nnx.Param) -> dict[str, np.ndarray]:
    """Return the network's variables of one kind by their dotted names."""
    state = nnx.state(net, kind)
    return {".".join(str(part) for part in path): np.asarray(leaf[...]) for path, leaf in nnx.to_flat_state(state)}


def unflat(net: nnx.Module, arrays: dict[str, np.ndarray], kind: Any = nnx.Param, path: Path | str = "") -> None:
    """Put arrays, by their dotted names, into the network.

    Raises
    ------
    WeightsError
        Naming each array that is missing, extra, or of another shape.
    """
    state = nnx.state(net, kind)
    leaves = {".".join(str(part) for part in name): leaf for name, leaf in nnx.to_flat_state(state)}
    checkpoint.check(path, {name: leaf[...].shape for name, leaf in leaves.items()}, arrays)
    # All at once: one by one they take five times as long.
    placed = jax.device_put({name: arrays[name] for name in leaves})
    for name, leaf in leaves.items():
        leaf[...] = placed[name]
    nnx.update(net, state)


def parameter_count(net: nnx.Module) -> int:
    """Return how many numbers are trained."""
    return sum(leaf.size for leaf in flat(net).values())


class Calibration(NamedTuple):
    """What makes the probabilities mean what they say, fitted on validation data; the defaults change nothing."""

    age_temperature: float = 1.0  # that the ages' logits are divided by, where the expected age is 0
    age_temperature_growth: float = 0.0  # by how much the temperature's logarithm grows over 50 expected years
    #: a x + b x^2 with x = (year - 50) / 50 is added to the logits: training sees rare ages more often
    #: than they occur, and this takes back what that makes of the common ones.
    age_tilt: tuple[float, float] = (0.0, 0.0)
    gender_temperature: float = 1.0
    gender_shift: float = 0.0


def calibration_of(facts: Mapping[str, Any]) -> Calibration:
    """Return the calibration that the weights' facts hold, or one that changes nothing."""
    stored = facts.get("calibration", {})
    known = {name: stored[name] for name in Calibration._fields if name in stored}
    return Calibration(**{name: tuple(v) if isinstance(v, list) else v for name, v in known.items()})  # type: ignore[arg-type]


def calibrated(out: Outputs, calibration: Calibration) -> tuple[Float[Array, "n 101"], Float[Array, " n"]]:
    """Return the probabilities of the ages and of female."""
    years = jnp.arange(AGES, dtype=jnp.float32)
    expected = jax.nn.softmax(out.age) @ years
    temperature = calibration.age_temperature * jnp.exp(calibration.age_temperature_growth * expected / 50)
    x = (years - 50) / 50
    tilt = calibration.age_tilt[0] * x + calibration.age_tilt[1] * x * x
    return (
        jax.nn.softmax(out.age / temperature[:, None] + tilt),
        jax.nn.sigmoid(out.female / calibration.gender_temperature + calibration.gender_shift),
    )


def load_net(path: Path) -> tuple[AttributeNet, dict[str, Any]]:
    """Return the network in the form for use, without calibration, and the weights' facts.

    Raises
    ------
    WeightsError
        If the weights are missing or do not fit.
    """
    arrays, facts = checkpoint.load(path)
    config = AttributeConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in facts["config"].items()})  # type: ignore[arg-type]
    # Drawing numbers that are replaced at once would take most of the time to start.
    net = AttributeNet(config, None, folded=True)
    unflat(net, arrays, path=path)
    return net, facts


#: Faces in a bucket for each device.
BUCKETS: Final = (1, 4, 16)
HEADS: Final = ("age", "gender", "embedding")


class AttributeModel:
    """The trained network, compiled for a few sizes of batch. Use from one thread at a time.

    `calibration` in the weights' facts holds what was fitted on validation data (see `Calibration`).

    Parameters
    ----------
    path
        The weights; None: those that come with this package.
    heads
        Which of `HEADS` are computed; what the others would say is NaN.

    Raises
    ------
    WeightsError
        If the weights are missing or do not fit.
    """

    def __init__(self, path: Path | None = None, heads: Sequence[str] = HEADS) -> None:
        path = path or weights.PATH
        self._heads = tuple(name for name in HEADS if name in heads)
        net, facts = load_net(path)
        self.size = net.config.size
        self.version: str = facts["version"]
        self.facts = facts
        calibration = calibration_of(facts)
        mesh = runtime.mesh()
        self._devices = mesh.size
        graph, state = nnx.split(net)

        def forward(pixels: Array) -> tuple[Array, ...]:
            out: Outputs = nnx.merge(graph, state)(pixels.astype(jnp.float32))
            found = dict(zip(HEADS, (*calibrated(out, calibration), out.embedding), strict=True))
            # What does not leave the program is not computed: XLA removes the heads that nobody asked for.
            return tuple(found[name] for name in self._heads)

        spread = shard_map(forward, mesh=mesh, in_specs=P("batch"), out_specs=P("batch"), check_vma=False)
        self._run: Callable[[Any], Any] = jax.jit(spread, in_shardings=NamedSharding(mesh, P("batch")))

    def warm_up(self) -> None:
        """Compile every program, or fetch it from the cache on disk."""
        for bucket in BUCKETS:
            self(np.zeros((bucket * self._devices, self.size, self.size, 3), np.uint8))

    def __call__(self, crops: UInt8[np.ndarray, "n s s 3"]) -> Attributes:
        """Return what the network says of aligned crops (see `align.crop`)."""
        parts: list[Sequence[Any]] = []
        starts = runtime.buckets(len(crops), [bucket * self._devices for bucket in BUCKETS])
        for start, end in pairwise(starts):
            part = crops[start:end]
            if len(part) < end - start:
                part = np.concatenate([part, np.zeros((end - start - len(part), *part.shape[1:]), np.uint8)])
            parts.append(self._run(part))
        found = Attributes(
            *(np.full((len(crops), *shape), np.nan, np.float32) for shape in ((AGES,), (), (EMBEDDING,)))
        )
        if parts:
            for row, name in enumerate(self._heads):
                found[HEADS.index(name)][:] = np.concatenate([np.asarray(part[row]) for part in parts])[: len(crops)]
        return found
