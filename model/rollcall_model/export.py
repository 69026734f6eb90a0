"""The attribute network as ONNX, so that hosts and phones can run it without JAX.

The graph is built by hand from the form for use: patches are convolutions with their own stride, the
products over channels 1x1 convolutions, the pooling a depthwise convolution as large as the grid.
Calibration is inside: what comes out are probabilities.

- `crops`: n x 80 x 80 x 3, RGB 0..255, uint8 (or float32), cut by `align.crop`;
- `age`: n x 101 probabilities of the completed years 0..100;
- `p_female`: n probabilities;
- `embedding`: n x 128, unit length.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from rollcall_model import align, attributes
from rollcall_model.attributes import AttributeNet, Calibration, Linear, Normed
from rollcall_model.weights import PATH

#: Hard swish came with 14; later sets change nothing that is used here and shut out older runtimes.
OPSET: Final = 14
IR_VERSION: Final = 8
TERMS: Final = (
    "Trained on sets with non-commercial research terms: research use. Ages and genders are estimates from "
    "appearance, not facts; not for decisions about people, surveillance or proof of age."
)


class ExportError(Exception):
    """The network cannot be exported; says why and what to do."""


def export_model(path: Path, weights: Path | None = None, pixels: Literal["uint8", "float32"] = "uint8") -> Path:
    """Write the network of `weights` (default: the installed ones) to `path` as ONNX; return `path`.

    Raises
    ------
    ExportError
        If the package onnx is missing, or `path` cannot be written.
    WeightsError
        If the weights are missing or do not fit.
    """
    try:
        import onnx
    except ImportError as error:
        raise ExportError(
            f"{path}: cannot be exported without the package onnx; install it (pip install onnx) and try again"
        ) from error
    net, facts = attributes.load_net(weights or PATH)
    model = _model(net, facts, pixels)
    onnx.checker.check_model(model, full_check=True)
    temporary = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(model.SerializeToString())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise ExportError(f"{path}: cannot be written ({error}); name a file in a folder you own") from error
    return path


def largest_difference(path: Path, weights: Path | None = None, count: int = 8) -> float:
    """Return the largest difference of any output between the file and ours, over random crops.

    Raises
    ------
    ExportError
        If the package onnxruntime is missing.
    WeightsError
        If the weights are missing or do not fit.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ExportError(
            f"{path}: cannot be checked without the package onnxruntime; install it (pip install onnxruntime)"
        ) from error
    ours = attributes.AttributeModel(weights)
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (count, ours.size, ours.size, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    found = session.run(
        ["age", "p_female", "embedding"],
        {given.name: crops.astype(np.float32) if "float" in given.type else crops},
    )
    return max(float(np.abs(theirs - mine).max()) for theirs, mine in zip(found, ours(crops), strict=True))


class _Graph:
    """Nodes and constants as they are added; each method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, array: Any, dtype: Any = np.float32) -> str:
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array, dtype), name))
        return name

    def node(self, kind: str, *inputs: str, name: str = "", **settings: Any) -> str:
        from onnx import helper

        name = name or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **settings))
        return name

    def conv(self, x: str, kernel: np.ndarray, bias: np.ndarray, **settings: Any) -> str:
        """Convolve with an HWIO kernel."""
        turned = kernel.transpose(3, 2, 0, 1)
        return self.node("Conv", x, self.constant(turned), self.constant(bias), **settings)

    def patches(self, x: str, layer: Normed, size: int) -> str:
        """Return the product over patches of `size`: the rows of the kernel run over row, column, channel."""
        kernel, bias = _numbers(layer)
        return self.conv(x, kernel.reshape(size, size, -1, kernel.shape[-1]), bias, strides=[size, size])

    def depthwise(self, x: str, layer: Normed, padding: int) -> str:
        """Return the product of each channel by itself."""
        kernel, bias = _numbers(layer)
        return self.conv(
            x, kernel[:, :, None, :], bias, group=kernel.shape[-1], pads=[padding, padding, padding, padding]
        )

    def pointwise(self, x: str, layer: Linear | Normed) -> str:
        """Return the product over channels at every place."""
        kernel, bias = _numbers(layer)
        return self.conv(x, kernel[None, None], bias)

    def head(self, x: str, layer: Linear) -> str:
        """Return the product over a face's vector."""
        kernel, bias = _numbers(layer)
        return self.node("Gemm", x, self.constant(kernel), self.constant(bias))


def _numbers(layer: Linear | Normed) -> tuple[np.ndarray, np.ndarray]:
    assert layer.bias is not None
    return np.asarray(layer.kernel[...]), np.asarray(layer.bias[...])


def _trunk(graph: _Graph, net: AttributeNet, x: str) -> str:
    """Return the vector of each face that the heads read."""
    x = graph.patches(x, net.stem, net.config.patch)
    for number, blocks in enumerate(net.stages):
        if number:
            x = graph.patches(x, net.steps[number - 1], 2)
        for block in blocks:
            looked = graph.depthwise(x, block.look, block.look.kernel.shape[0] // 2)
            wide = graph.node("HardSwish", graph.pointwise(looked, block.widen))
            x = graph.node("Add", x, graph.pointwise(wide, block.narrow))
    x = graph.node("HardSwish", graph.pointwise(x, net.join))
    return graph.node("Flatten", graph.depthwise(x, net.pool, 0))


def _heads(graph: _Graph, net: AttributeNet, x: str, calibration: Calibration) -> None:
    """Add the three outputs, calibrated as `attributes.calibrated` does it."""
    years = np.arange(attributes.AGES, dtype=np.float32)
    logits = graph.head(x, net.age)
    expected = graph.node("MatMul", graph.node("Softmax", logits, axis=1), graph.constant(years[:, None]))
    growth = graph.node("Mul", expected, graph.constant(calibration.age_temperature_growth / 50))
    temperature = graph.node("Mul", graph.node("Exp", growth), graph.constant(calibration.age_temperature))
    place = (years - 50) / 50
    tilt = calibration.age_tilt[0] * place + calibration.age_tilt[1] * place**2
    tilted = graph.node("Add", graph.node("Div", logits, temperature), graph.constant(tilt))
    graph.node("Softmax", tilted, name="age", axis=1)

    logit = graph.node("Div", graph.head(x, net.gender), graph.constant(calibration.gender_temperature))
    shifted = graph.node("Add", logit, graph.constant(calibration.gender_shift))
    graph.node("Reshape", graph.node("Sigmoid", shifted), graph.constant([-1], np.int64), name="p_female")

    raw = graph.head(x, net.identity)
    square = graph.node("ReduceSumSquare", raw, axes=[1], keepdims=1)
    length = graph.node("Sqrt", graph.node("Add", square, graph.constant(1e-12)))
    graph.node("Div", raw, length, name="embedding")


def _model(net: AttributeNet, facts: dict[str, Any], pixels: str) -> Any:
    from onnx import TensorProto, helper

    graph, size = _Graph(), net.config.size
    x = graph.node("Cast", "crops", to=TensorProto.FLOAT) if pixels == "uint8" else "crops"
    x = graph.node("Mul", graph.node("Sub", x, graph.constant(127.5)), graph.constant(1 / 64))
    x = graph.node("Transpose", x, perm=[0, 3, 1, 2])
    _heads(graph, net, _trunk(graph, net, x), attributes.calibration_of(facts))
    kind = TensorProto.UINT8 if pixels == "uint8" else TensorProto.FLOAT
    outputs: dict[str, list[str | int]] = {
        "age": ["faces", attributes.AGES],
        "p_female": ["faces"],
        "embedding": ["faces", attributes.EMBEDDING],
    }
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "rollcall-attributes",
            [helper.make_tensor_value_info("crops", kind, ["faces", size, size, 3])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
            initializer=graph.constants,
            doc_string=__doc__,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="rollcall",
    )
    helper.set_model_props(
        model,
        {
            "version": str(facts["version"]),
            "calibration": json.dumps(attributes.calibration_of(facts)._asdict()),
            # Left eye, right eye, nose, mouth left, mouth right, as fractions of the crop's side.
            "landmarks": json.dumps(align.TEMPLATE.tolist()),
            "terms": TERMS,
        },
    )
    return model
