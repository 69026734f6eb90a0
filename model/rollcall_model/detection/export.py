"""Export of the single-pass detector to ONNX, for pictures of one size.

- `pixels`: n x height x width x 3, RGB 0..255, uint8; a smaller picture lies at the top left, the rest is black;
- `scores`: n x a, the network's scores 0..1 (not the probability; the file's metadata has the calibration);
- `boxes`: n x a x 4, left, top, right, bottom in pixels, not suppressed;
- `landmarks`: n x a x 5 x 2, x and y in pixels: left eye, right eye, nose, mouth left, mouth right.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from rollcall_model.detection import single_pass
from rollcall_model.detection.single_pass import SinglePass, Unit
from rollcall_model.nn import onnx_graph
from rollcall_model.nn.onnx_graph import Graph
from rollcall_model.weights import SINGLE_PASS

#: Height and width of the pictures, in pixels.
SHAPE: Final = (640, 640)
TERMS: Final = "Trained on sets with research terms: research use. Finding faces says nothing of who somebody is."


def export_detector(path: Path, shape: tuple[int, int] = SHAPE, weights: Path = SINGLE_PASS) -> Path:
    """Write the network to `path` as ONNX, for pictures of this height and width; return `path`.

    Raises
    ------
    ValueError
        If height or width is no multiple of 32.
    ExportError
        If the package onnx is missing, or `path` cannot be written.
    WeightsError
        If the weights are missing or do not fit.
    """
    if any(side % single_pass.MULTIPLE for side in shape):
        raise ValueError(f"{shape[0]} x {shape[1]}: sides must be multiples of {single_pass.MULTIPLE} pixels")
    onnx_graph.require(path)
    net, calibration = single_pass.load(weights)
    return onnx_graph.save(_model(net, calibration, shape), path)


def largest_difference(path: Path, shape: tuple[int, int] = SHAPE, weights: Path = SINGLE_PASS) -> float:
    """Return the largest absolute difference between the file's outputs and JAX's, over random pictures, in pixels.

    Raises
    ------
    ExportError
        If the package onnxruntime is missing.
    WeightsError
        If the weights are missing or do not fit.
    """
    session = onnx_graph.session(path)
    net, _ = single_pass.load(weights)
    pixels = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), dtype=np.uint8)
    expected = jax.jit(lambda x: _decoded_by_jax(net, x, shape))(pixels)
    found = session.run(["scores", "boxes", "landmarks"], {"pixels": pixels})
    return max(float(np.abs(ours - np.asarray(theirs)).max()) for ours, theirs in zip(found, expected, strict=True))


def _decoded_by_jax(net: SinglePass, pixels: jax.Array, shape: tuple[int, int]) -> tuple[jax.Array, ...]:
    outputs, places = net(pixels), jnp.asarray(single_pass.anchors(*shape))
    return (
        single_pass.scores(outputs),
        single_pass.decode_boxes(outputs, places),
        single_pass.decode_landmarks(outputs, places),
    )


def _unit(graph: Graph, unit: Unit, x: str) -> str:
    """Add a unit: a pointwise and a depthwise convolution, then a rectifier."""
    x = graph.conv(x, np.asarray(unit.pointwise.kernel[...])[None, None], np.asarray(unit.pointwise.bias[...]))
    kernel = np.asarray(unit.kernel[...])
    x = graph.conv(x, kernel[:, :, None, :], np.asarray(unit.bias[...]), group=kernel.shape[-1], pads=[1, 1, 1, 1])
    return graph.node("Relu", x) if unit.rectified else x


def _halved(graph: Graph, x: str) -> str:
    return graph.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])


def _outputs(graph: Graph, net: SinglePass, x: str) -> str:
    """Add the network and return the name of its outputs, n x a x 16; the mirror of `SinglePass`."""
    x = graph.conv(x, np.asarray(net.first[...]), np.asarray(net.first_bias[...]), strides=[2, 2], pads=[1, 1, 1, 1])
    x = _halved(graph, _unit(graph, net.second, graph.node("Relu", x)))
    for unit in net.stem_units:
        x = _unit(graph, unit, x)
    features = []
    for units in net.stages:
        x = _halved(graph, x)
        for unit in units:
            x = _unit(graph, unit, x)
        features.append(x)
    above, grids = "", []
    shape = graph.constant([0, -1, single_pass.OUTPUTS], np.int64)
    doubled = graph.constant([1, 1, 2, 2])
    for feature, lateral, head, output in zip(
        reversed(features), reversed(net.laterals), reversed(net.heads), reversed(net.outputs), strict=True
    ):
        if above:
            larger = graph.node(
                "Resize", above, "", doubled, coordinate_transformation_mode="asymmetric", nearest_mode="floor"
            )
            above = graph.node("Add", feature, larger)
        above = _unit(graph, lateral, above or feature)
        grid = graph.node("Transpose", _unit(graph, output, _unit(graph, head, above)), perm=[0, 2, 3, 1])
        grids.append(graph.node("Reshape", grid, shape))
    return graph.node("Concat", *reversed(grids), axis=1)


def _decoded(graph: Graph, outputs: str, places: np.ndarray) -> None:
    """Add the three outputs, decoded as by `single_pass.decode_boxes` and the functions beside it."""

    def columns(first: int, end: int) -> str:
        ends = [graph.constant([number], np.int64) for number in (first, end, 2)]
        return graph.node("Slice", outputs, *ends)

    centre, stride = graph.constant(places[:, :2]), graph.constant(places[:, 2:])
    product = graph.node("Mul", *(graph.node("Sigmoid", columns(k, k + 1)) for k in (0, 1)))
    graph.node("Reshape", graph.node("Sqrt", product), graph.constant([0, -1], np.int64), name="scores")
    middle = graph.node("Add", graph.node("Mul", columns(2, 4), stride), centre)
    bounded = graph.node("Clip", columns(4, 6), graph.constant(-6), graph.constant(6))
    half = graph.node("Mul", graph.node("Exp", bounded), graph.constant(places[:, 2:] / 2))
    graph.node("Concat", graph.node("Sub", middle, half), graph.node("Add", middle, half), name="boxes", axis=-1)
    points = graph.node("Mul", columns(6, single_pass.OUTPUTS), stride)
    points = graph.node("Add", points, graph.constant(np.tile(places[:, :2], 5)))
    graph.node("Reshape", points, graph.constant([0, -1, 5, 2], np.int64), name="landmarks")


def _model(net: SinglePass, calibration: single_pass.Calibration, shape: tuple[int, int]) -> Any:
    from onnx import TensorProto, helper

    graph, places = Graph(), single_pass.anchors(*shape)
    x = graph.node("Cast", "pixels", to=TensorProto.FLOAT)
    x = graph.node("Transpose", graph.node("Mul", x, graph.constant(1 / 255)), perm=[0, 3, 1, 2])
    _decoded(graph, _outputs(graph, net, x), places)
    results: dict[str, list[str | int]] = {
        "scores": ["pictures", len(places)],
        "boxes": ["pictures", len(places), 4],
        "landmarks": ["pictures", len(places), 5, 2],
    }
    model = onnx_graph.model(
        graph,
        "rollcall-detector",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["pictures", *shape, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name, sides in results.items()],
        str(__doc__),
    )
    helper.set_model_props(model, {"calibration": json.dumps(calibration._asdict()), "terms": TERMS})
    return model
