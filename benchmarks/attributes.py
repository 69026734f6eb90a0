"""The attribute network compared with earlier ones: parameters, multiply-adds and faces a second, in one run.

The Levi-Hassner pair (Levi & Hassner, "Age and Gender Classification using Convolutional Neural Networks",
CVPR workshops 2015) is two networks, one a task; LMTCNN-1-1 (Lee, Chan, Chen & Chen, MIPR 2018) is one
light network for both tasks with depthwise separable convolutions. Both are built here from their published
shapes, with random weights: this measures size and speed, not accuracy. Ours predicts an age by the year,
gender *and* an identity embedding; the others eight classes of age and gender.

Every network is compiled the same way and gets the same pictures at its own input size. At batch 64 each is
timed on one device with all threads and with the batch sharded over one device a processor, and the faster of
the two counts. The networks take turns, so that other load on the machine affects all equally.

    python benchmarks/attributes.py [--quick] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import shard_map
from jax.sharding import PartitionSpec as P

from rollcall_model import runtime
from rollcall_model.attributes.calibration import calibrate, read_calibration
from rollcall_model.attributes.model import load_net
from rollcall_model.nn import layers
from rollcall_model.nn.state import parameter_count
from rollcall_model.weights import PATH

SIZE = 227  # side of the others' input in pixels
AGE_CLASSES, GENDERS = 8, 2
BATCHES = (1, 64)
OURS, PAIR, LMTCNN = "ours", "Levi-Hassner pair", "LMTCNN-1-1"


class Conv(nnx.Module):
    """A convolution with a bias; `padding` pixels of zeros on every side."""

    def __init__(self, size: int, inputs: int, outputs: int, stride: int, padding: int, rngs: nnx.Rngs) -> None:
        scale = (2 / (size * size * inputs)) ** 0.5
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), (size, size, inputs, outputs)) * scale)
        self.bias = nnx.Param(jnp.zeros(outputs))
        self.stride, self.padding = stride, padding

    def __call__(self, x: jax.Array) -> jax.Array:
        edge = (self.padding, self.padding)
        padded = jnp.pad(x, ((0, 0), edge, edge, (0, 0)))
        product: jax.Array = layers.conv_direct(padded, self.kernel[...], self.stride)
        result: jax.Array = product + self.bias[...]
        return result


def max_pool(x: jax.Array) -> jax.Array:
    """Return the maximum over 3x3 windows at a stride of 2, without partial windows."""
    result: jax.Array = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "VALID")
    return result


def normalise(x: jax.Array) -> jax.Array:
    """Return local response normalisation over five channels (Krizhevsky et al. 2012), as in both papers."""
    energy = jnp.pad(x * x, ((0, 0), (0, 0), (0, 0), (2, 2)))
    near = sum(energy[..., i : i + x.shape[-1]] for i in range(5))
    return x * (1 + 1e-4 / 5 * near) ** -0.75


class LeviHassner(nnx.Module):
    """One of the pair: three convolutions, two layers of 512, and the classes of one task."""

    def __init__(self, classes: int, rngs: nnx.Rngs) -> None:
        self.convs = nnx.List([Conv(7, 3, 96, 4, 0, rngs), Conv(5, 96, 256, 1, 2, rngs), Conv(3, 256, 384, 1, 1, rngs)])
        self.full = nnx.List([nnx.Linear(7 * 7 * 384, 512, rngs=rngs), nnx.Linear(512, 512, rngs=rngs)])
        self.last = nnx.Linear(512, classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = x - 127.5
        for number, conv in enumerate(self.convs):
            # Caffe rounds the number of windows up: 96x28x28, 256x14x14, 384x7x7.
            x = layers.max_pool(jax.nn.relu(conv(x)), 3)
            x = normalise(x) if number < 2 else x
        x = x.reshape(len(x), -1)
        for layer in self.full:
            x = jax.nn.relu(layer(x))
        return jax.nn.softmax(self.last(x))


class Pair(nnx.Module):
    """A network for age and a network for gender."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.age, self.gender = LeviHassner(AGE_CLASSES, rngs), LeviHassner(GENDERS, rngs)

    def __call__(self, x: jax.Array) -> tuple[jax.Array, ...]:
        return self.age(x), self.gender(x)


class Separable(nnx.Module):
    """A depthwise 3x3 and a pointwise convolution, a rectifier after each; normalisation is fused in."""

    def __init__(self, inputs: int, outputs: int, stride: int, rngs: nnx.Rngs) -> None:
        self.depthwise = nnx.Param(jax.random.normal(rngs.params(), (3, 3, inputs)) / 3)
        self.bias = nnx.Param(jnp.zeros(inputs))
        self.pointwise = nnx.Linear(inputs, outputs, rngs=rngs)
        self.stride = stride

    def __call__(self, x: jax.Array) -> jax.Array:
        height, width = x.shape[1:3]
        # The form that is fast for ours, so that the networks are compared and not their implementations.
        kernel = self.depthwise[...]
        x = strided_depthwise(x, kernel) if self.stride == 2 else layers.depthwise(x, kernel)
        assert x.shape[1:3] == (-(-height // self.stride), -(-width // self.stride))
        return jax.nn.relu(self.pointwise(jax.nn.relu(x + self.bias[...])))


def strided_depthwise(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Return a depthwise 3x3 convolution at a stride of 2; an odd side is zero-padded by one."""
    if not layers.on_cpu():
        pads = ((1, 1), (1, 1))
        return jax.lax.conv_general_dilated(
            x,
            kernel[:, :, None],
            (2, 2),
            pads,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=x.shape[-1],
        )
    height, width = (-(-side // 2) for side in x.shape[1:3])
    padded = jnp.pad(x, ((0, 0), (1, 2), (1, 2), (0, 0)))
    total = jnp.zeros((len(x), height, width, x.shape[-1]))
    for i in range(3):
        for j in range(3):
            total = total + padded[:, i : i + 2 * height : 2, j : j + 2 * width : 2] * kernel[i, j]
    return total


class Lmtcnn(nnx.Module):
    """LMTCNN-1-1: one convolution, two separable ones, two layers of 512, both heads on the last."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.conv = Conv(7, 3, 96, 4, 0, rngs)
        self.first, self.second = Separable(96, 256, 1, rngs), Separable(256, 384, 2, rngs)
        self.full = nnx.List([nnx.Linear(6 * 6 * 384, 512, rngs=rngs), nnx.Linear(512, 512, rngs=rngs)])
        self.age, self.gender = nnx.Linear(512, AGE_CLASSES, rngs=rngs), nnx.Linear(512, GENDERS, rngs=rngs)

    def __call__(self, x: jax.Array) -> tuple[jax.Array, ...]:
        x = normalise(max_pool(jax.nn.relu(self.conv(x - 127.5))))
        x = max_pool(self.second(self.first(x)))
        x = x.reshape(len(x), -1)
        for layer in self.full:
            x = jax.nn.relu(layer(x))
        return jax.nn.softmax(self.age(x)), jax.nn.softmax(self.gender(x))


class Candidate(NamedTuple):
    """A network to be timed."""

    net: nnx.Module
    size: int
    forward: Callable[[jax.Array], Any]  # of n crops, float32 (n, size, size, 3)


def candidates(weights: Path) -> dict[str, Candidate]:
    """Return the networks by name."""
    net, metadata = load_net(weights)
    calibration = read_calibration(metadata)

    def ours(x: jax.Array) -> Any:
        out = net(x)
        return *calibrate(out, calibration), out.embedding

    pair, lmtcnn = Pair(nnx.Rngs(0)), Lmtcnn(nnx.Rngs(0))
    return {
        OURS: Candidate(net, net.config.size, ours),
        PAIR: Candidate(pair, SIZE, pair),
        LMTCNN: Candidate(lmtcnn, SIZE, lmtcnn),
    }


def multiply_adds(candidate: Candidate) -> int:
    """Return the multiply-adds of the matrix products and convolutions for one face."""
    x = jax.ShapeDtypeStruct((1, candidate.size, candidate.size, 3), jnp.float32)
    # Counted in the form for a GPU, where every convolution is one operation.
    with mock.patch.object(layers, "on_cpu", lambda: False):
        return _counted(jax.make_jaxpr(candidate.forward)(x).jaxpr)


def _counted(jaxpr: Any) -> int:
    total = 0
    for line in jaxpr.eqns:
        result = int(np.prod(line.outvars[0].aval.shape))
        if line.primitive.name == "conv_general_dilated":
            total += result * int(np.prod(line.invars[1].aval.shape[:3]))
        elif line.primitive.name == "dot_general":
            (contracted, _), _ = line.params["dimension_numbers"]
            total += result * int(np.prod([line.invars[0].aval.shape[axis] for axis in contracted]))
        elif line.primitive.name == "reduce_sum":  # the global depthwise convolution
            total += int(np.prod(line.invars[0].aval.shape))
        for inner in line.params.values():
            total += _counted(inner.jaxpr) if hasattr(inner, "jaxpr") else 0
    return total


class Lane(NamedTuple):
    """One network in one form and batch size."""

    name: str
    batch: int
    form: str
    run: Callable[[], Any]


def lanes(networks: dict[str, Candidate]) -> list[Lane]:
    """Return everything that is timed, compiled."""
    mesh, rng, found = runtime.mesh(), np.random.default_rng(0), []
    for name, network in networks.items():
        forms = {"one device": jax.jit(network.forward)}
        if mesh.size > 1:
            sharded = shard_map(network.forward, mesh=mesh, in_specs=P("batch"), out_specs=P("batch"), check_vma=False)
            forms["sharded"] = jax.jit(sharded)
        for batch in BATCHES:
            for form, run in forms.items():
                if form == "sharded" and batch % mesh.size:
                    continue
                crops = rng.integers(0, 256, (batch, network.size, network.size, 3)).astype(np.float32)

                def once(run: Any = run, crops: np.ndarray = crops) -> None:
                    jax.block_until_ready(run(crops))

                once()
                found.append(Lane(name, batch, form, once))
    return found


def measure(turns: list[Lane], rounds: int, duration: float) -> dict[tuple[str, int, str], list[float]]:
    """Return the faces a second of every lane in each round; a lane runs for `duration` seconds in its turn."""
    speeds: dict[tuple[str, int, str], list[float]] = {(t.name, t.batch, t.form): [] for t in turns}
    for _ in range(rounds):
        for turn in turns:
            count, began = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - began) < duration:
                turn.run()
                count += 1
            speeds[turn.name, turn.batch, turn.form].append(count * turn.batch / elapsed)
    return speeds


def summary(networks: dict[str, Candidate], speeds: dict[tuple[str, int, str], list[float]]) -> dict[str, Any]:
    """Return the results of every network; at each batch size those of its faster form."""
    result: dict[str, Any] = {}
    for name, network in networks.items():
        result[name] = {
            "parameters": parameter_count(network.net),
            "multiply_adds": multiply_adds(network),
            "input": network.size,
            "speed": {},
        }
        for batch in BATCHES:
            mine = {form: s for (n, b, form), s in speeds.items() if (n, b) == (name, batch)}
            best = max(mine, key=lambda form: statistics.median(mine[form]))
            values = mine[best]
            result[name]["speed"][str(batch)] = {
                "form": best,
                "median": statistics.median(values),
                "min": min(values),
                "max": max(values),
            }
    return result


def ratios(found: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return how many times smaller and faster ours is than each of the others, by the medians."""
    ours = found[OURS]
    return {
        name: {
            "parameters": other["parameters"] / ours["parameters"],
            "multiply_adds": other["multiply_adds"] / ours["multiply_adds"],
            **{
                f"speed_{batch}": ours["speed"][str(batch)]["median"] / other["speed"][str(batch)]["median"]
                for batch in BATCHES
            },
        }
        for name, other in found.items()
        if name != OURS
    }


def show(found: dict[str, Any], compared: dict[str, dict[str, float]]) -> None:
    """Print the results."""
    for name, line in found.items():
        print(f"{name:18} {line['parameters']:>11,} parameters {line['multiply_adds'] / 1e6:8.1f} M multiply-adds")
        for batch, speed in line["speed"].items():
            print(
                f"{'':18} batch {batch:>2}: {speed['median']:8.0f} faces/s "
                f"(min {speed['min']:.0f}, max {speed['max']:.0f}; {speed['form']})"
            )
    for name, line in compared.items():
        print(
            f"ours against {name}: {line['parameters']:.1f} times fewer parameters, "
            f"{line['multiply_adds']:.1f} times fewer multiply-adds, "
            + ", ".join(f"{line[f'speed_{batch}']:.1f} times the speed at batch {batch}" for batch in BATCHES)
        )


def draw(found: dict[str, Any], path: Path) -> None:
    """Plot size and speed; without matplotlib, an extra, print a note instead."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no plot: it needs matplotlib (pip install matplotlib)")
        return
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    panels = {"parameters, M": "parameters", "multiply-adds a face, M": "multiply_adds"}
    for place, (title, key) in enumerate(panels.items()):
        axes = figure.add_subplot(1, 4, place + 1)
        axes.bar(list(found), [line[key] / 1e6 for line in found.values()])
        axes.set(title=title)
    for place, batch in enumerate(BATCHES):
        axes = figure.add_subplot(1, 4, place + 3)
        speeds = [line["speed"][str(batch)] for line in found.values()]
        errors = [[s["median"] - s["min"] for s in speeds], [s["max"] - s["median"] for s in speeds]]
        axes.bar(list(found), [s["median"] for s in speeds], yerr=errors)
        axes.set(title=f"faces a second, batch {batch}")
    for axes in figure.axes:
        axes.tick_params(axis="x", rotation=20, labelsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="Three short rounds instead of nine longer ones.")
    parser.add_argument("--out", type=Path, help="Folder for attributes.json and attributes.png.")
    parser.add_argument("--weights", type=Path, default=PATH, help="Ours; default: the installed ones.")
    options = parser.parse_args()
    runtime.configure()
    networks = candidates(options.weights)
    rounds, duration = (3, 0.2) if options.quick else (9, 0.8)
    found = summary(networks, measure(lanes(networks), rounds, duration))
    compared = ratios(found)
    show(found, compared)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        where = {
            "processors": runtime.processors(),
            "machine": platform.machine(),
            "device": jax.devices()[0].device_kind,
            "jax": jax.__version__,
            "rounds": rounds,
        }
        whole = {"where": where, "networks": found, "ours_against": compared}
        (options.out / "attributes.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
        draw(found, options.out / "attributes.png")


if __name__ == "__main__":
    main()
