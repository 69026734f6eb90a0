"""Export of the attribute network to ONNX, so that hosts and phones can run it without JAX.

The graph is built by hand from the inference form: patches become strided convolutions, products over channels 1x1
convolutions, the pooling a depthwise convolution as large as the grid. Calibration is part of the graph, whose outputs
are probabilities.

- `crops`: n x s x s x 3 (s = 96 for the committed weights), RGB 0..255, uint8 (or float32), cut by `align.crop`;
- `age`: n x 101 probabilities of completed years 0..100;
- `p_female`: n probabilities;
- `embedding`: n x 128, unit length.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from rollcall_model.ages import AGE_CENTRE, AGE_SCALE, AGES
from rollcall_model.attributes import align
from rollcall_model.attributes.calibration import Calibration, read_calibration
from rollcall_model.attributes.model import AttributeModel, load_net
from rollcall_model.attributes.network import INPUT_MEAN, INPUT_SCALE, AttributeNet
from rollcall_model.nn import layers, onnx_graph
from rollcall_model.nn.modules import ConvBN, DepthwiseSeparableBlock, Linear
from rollcall_model.types import EMBEDDING
from rollcall_model.weights import PATH

#: The network cannot be exported; also for those who know this module alone.
ExportError = onnx_graph.ExportError
TERMS: Final = (
    "Trained on sets with non-commercial research terms: research use. Ages and genders are estimates from "
    "appearance, not facts; not for decisions about people, surveillance or proof of age."
)
#: Added to probabilities before their logarithm; the smallest that matter are larger.
_TINY: Final = 1e-30


def export_model(path: Path, weights: Path | None = None, pixels: Literal["uint8", "float32"] = "uint8") -> Path:
    """Write the network of `weights` (default: the installed ones) to `path` as ONNX; return `path`.

    Raises
    ------
    ExportError
        If the package onnx is missing, or `path` cannot be written.
    WeightsError
        If the weights are missing or do not fit.
    """
    onnx_graph.require(path)
    net, metadata = load_net(weights or PATH)
    return onnx_graph.save(_model(net, metadata, pixels), path)


def largest_difference(path: Path, weights: Path | None = None, count: int = 8) -> float:
    """Return the largest absolute difference between the file's outputs and JAX's, over `count` random crops.

    Raises
    ------
    ExportError
        If the package onnxruntime is missing.
    WeightsError
        If the weights are missing or do not fit.
    """
    session = onnx_graph.session(path)
    model = AttributeModel(weights)
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (count, model.size, model.size, 3), dtype=np.uint8)
    crops_input = session.get_inputs()[0]
    outputs = session.run(
        ["age", "p_female", "embedding"],
        {crops_input.name: crops.astype(np.float32) if "float" in crops_input.type else crops},
    )
    return max(
        float(np.abs(onnx_output - output).max()) for onnx_output, output in zip(outputs, model(crops), strict=True)
    )


class _Graph(onnx_graph.Graph):
    """A graph with the layers of the attribute network."""

    def patches(self, x: str, layer: ConvBN, size: int) -> str:
        """Add a product over patches of `size`; the kernel's rows run over row, column, channel."""
        kernel, bias = _kernel_and_bias(layer)
        return self.conv(x, kernel.reshape(size, size, -1, kernel.shape[-1]), bias, strides=[size, size])

    def depthwise(self, x: str, layer: ConvBN, padding: int) -> str:
        """Add a depthwise convolution."""
        kernel, bias = _kernel_and_bias(layer)
        return self.conv(
            x, kernel[:, :, None, :], bias, group=kernel.shape[-1], pads=[padding, padding, padding, padding]
        )

    def pointwise(self, x: str, layer: Linear | ConvBN) -> str:
        """Add a 1x1 convolution."""
        kernel, bias = _kernel_and_bias(layer)
        return self.conv(x, kernel[None, None], bias)

    def head(self, x: str, layer: Linear) -> str:
        """Add a fully connected layer."""
        kernel, bias = _kernel_and_bias(layer)
        return self.node("Gemm", x, self.constant(kernel), self.constant(bias))


def _kernel_and_bias(layer: Linear | ConvBN) -> tuple[np.ndarray, np.ndarray]:
    assert layer.bias is not None
    return np.asarray(layer.kernel[...]), np.asarray(layer.bias[...])


def _trunk(graph: _Graph, net: AttributeNet, x: str) -> str:
    """Add the trunk and return the name of the heads' input."""
    x = graph.patches(x, net.stem, net.config.patch)
    for number, blocks in enumerate(net.stages):
        if number:
            x = graph.patches(x, net.downsample[number - 1], 2)
        for block in blocks:
            assert isinstance(block, DepthwiseSeparableBlock) and isinstance(block.depthwise, ConvBN)
            depthwise = graph.depthwise(x, block.depthwise, block.depthwise.kernel.shape[0] // 2)
            expanded = graph.node("HardSwish", graph.pointwise(depthwise, block.expand))
            x = graph.node("Add", x, graph.pointwise(expanded, block.project))
    x = graph.node("HardSwish", graph.pointwise(x, net.final))
    return graph.node("Flatten", graph.depthwise(x, net.pool, 0))


def _attributes(graph: _Graph, net: AttributeNet, pixels: str, features: str) -> tuple[str, str]:
    """Add the logits of age and gender, with the companion's as by `AttributeNet`; return their names."""
    age, female = graph.head(features, net.age), graph.head(features, net.gender)
    if net.companion is None:
        return age, female
    length, size = net.config.size, net.companion.config.size
    last = np.iinfo(np.int64).min
    ends = [graph.constant([value], np.int64) for value in (-1, last, 3, -1)]
    small = graph.node("Slice", pixels, *ends)
    if size != length:
        share = layers.area_shares(length, size)
        small = graph.node("MatMul", graph.node("MatMul", graph.constant(share), small), graph.constant(share.T))
    other, other_female = _attributes(graph, net.companion, small, _trunk(graph, net.companion, small))
    total = graph.node("Add", *(graph.node("Softmax", logits, axis=1) for logits in (age, other)))
    mean = graph.node("Log", graph.node("Add", graph.node("Mul", total, graph.constant(0.5)), graph.constant(_TINY)))
    return mean, graph.node("Mul", graph.node("Add", female, other_female), graph.constant(0.5))


def _heads(graph: _Graph, net: AttributeNet, pixels: str, calibration: Calibration) -> None:
    """Add the three outputs, calibrated as by `calibration.calibrate`."""
    years = np.arange(AGES, dtype=np.float32)
    x = _trunk(graph, net, pixels)
    logits, female = _attributes(graph, net, pixels, x)
    expected = graph.node("MatMul", graph.node("Softmax", logits, axis=1), graph.constant(years[:, None]))
    growth = graph.node("Mul", expected, graph.constant(calibration.age_temperature_growth / AGE_SCALE))
    temperature = graph.node("Mul", graph.node("Exp", growth), graph.constant(calibration.age_temperature))
    normalised = (years - AGE_CENTRE) / AGE_SCALE
    tilt = calibration.age_tilt[0] * normalised + calibration.age_tilt[1] * normalised**2
    tilted = graph.node("Add", graph.node("Div", logits, temperature), graph.constant(tilt))
    graph.node("Softmax", tilted, name="age", axis=1)

    logit = graph.node("Div", female, graph.constant(calibration.gender_temperature))
    shifted = graph.node("Add", logit, graph.constant(calibration.gender_shift))
    graph.node("Reshape", graph.node("Sigmoid", shifted), graph.constant([-1], np.int64), name="p_female")

    if net.identity is None:
        raise ExportError("the network has no head for embeddings: export the one that it is a companion of")
    raw = graph.head(x, net.identity)
    square = graph.node("ReduceSumSquare", raw, axes=[1], keepdims=1)
    length = graph.node("Sqrt", graph.node("Add", square, graph.constant(1e-12)))
    graph.node("Div", raw, length, name="embedding")


def _model(net: AttributeNet, metadata: dict[str, Any], pixels: str) -> Any:
    from onnx import TensorProto, helper

    graph, size = _Graph(), net.config.size
    x = graph.node("Cast", "crops", to=TensorProto.FLOAT) if pixels == "uint8" else "crops"
    x = graph.node("Mul", graph.node("Sub", x, graph.constant(INPUT_MEAN)), graph.constant(INPUT_SCALE))
    x = graph.node("Transpose", x, perm=[0, 3, 1, 2])
    _heads(graph, net, x, read_calibration(metadata))
    kind = TensorProto.UINT8 if pixels == "uint8" else TensorProto.FLOAT
    outputs: dict[str, list[str | int]] = {
        "age": ["faces", AGES],
        "p_female": ["faces"],
        "embedding": ["faces", EMBEDDING],
    }
    inputs = [helper.make_tensor_value_info("crops", kind, ["faces", size, size, 3])]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
    model = onnx_graph.model(graph, "rollcall-attributes", inputs, results, str(__doc__))
    helper.set_model_props(
        model,
        {
            "version": str(metadata["version"]),
            "calibration": json.dumps(read_calibration(metadata)._asdict()),
            # Left eye, right eye, nose, mouth left, mouth right, as fractions of the crop's side.
            "landmarks": json.dumps(align.TEMPLATE.tolist()),
            "terms": TERMS,
        },
    )
    return model
