"""A teacher of identity read from an ONNX file and run by JAX, so that it is asked about pictures on the device.

Only the operators of plain convolutional recognisers are known. The file's own runtime would need every picture on the
host. Needs the package onnx.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from rollcall_model import geometry
from rollcall_model.attributes import align
from rollcall_model.checkpoint import WeightsError
from rollcall_model.datasets.faces import CROP
from rollcall_model.types import EMBEDDING

#: Eyes, nose and corners of the mouth that recognisers of ArcFace's family are aligned to, in pixels of a side of 112.
TEMPLATE: Final = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
SIDE: Final = 112
#: ImageNet's mean and standard deviation of RGB values 0..1.
_MEAN: Final = np.array([0.485, 0.456, 0.406], np.float32)
_STD: Final = np.array([0.229, 0.224, 0.225], np.float32)

_Values = dict[str, Any]


class _Node(NamedTuple):
    kind: str
    inputs: tuple[str, ...]
    output: str
    settings: dict[str, Any]


class OnnxTeacher:
    """A recogniser of crops of 112 pixels, RGB normalised by ImageNet's mean and standard deviation.

    Raises
    ------
    WeightsError
        If the file cannot be read, has an operator that is not known, or gives no 128 numbers a face.
    """

    def __init__(self, path: Path) -> None:
        graph = _read(path)
        from onnx import helper, numpy_helper

        self._constants: dict[str, np.ndarray] = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        self._nodes: list[_Node] = []
        for node in graph.node:
            settings = {one.name: helper.get_attribute_value(one) for one in node.attribute}
            if node.op_type == "Constant" and "value" in settings:
                self._constants[node.output[0]] = numpy_helper.to_array(settings["value"])
            elif node.op_type in _OPERATORS:
                self._nodes.append(_Node(node.op_type, tuple(node.input), node.output[0], settings))
            else:
                known = ", ".join(sorted(_OPERATORS))
                raise WeightsError(f"{path}: the operator {node.op_type} is not known; use a network of {known}")
        self._input = next(one.name for one in graph.input if one.name not in self._constants)
        self._output = graph.output[0].name
        try:
            shape = jax.eval_shape(self, jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), jnp.float32)).shape
        except (TypeError, ValueError, KeyError) as error:
            raise WeightsError(f"{path}: the network does not run on faces of {SIDE} pixels ({error})") from error
        if shape != (1, EMBEDDING):
            raise WeightsError(f"{path}: the network gives {shape} for one face; use one of {EMBEDDING} numbers")

    def __call__(self, x: Float[Array, "n 112 112 3"], precision: Any = jnp.float32) -> Float[Array, "n 128"]:
        """Return the embeddings, of unit length, of crops of RGB values 0..255, computed in `precision`."""
        values: _Values = {
            name: array.astype(precision) if array.dtype == np.float32 and array.ndim else array
            for name, array in self._constants.items()
        }
        values[self._input] = ((x / 255 - _MEAN) / _STD).transpose(0, 3, 1, 2).astype(precision)
        for node in self._nodes:
            inputs = [values[name] if name else None for name in node.inputs]
            values[node.output] = _OPERATORS[node.kind](node.settings, *inputs)
        y: Array = values[self._output].astype(jnp.float32)
        return y / jnp.maximum(jnp.linalg.norm(y, axis=1, keepdims=True), 1e-9)


def stored_matrix(side: int) -> Float32[np.ndarray, "2 3"]:
    """Return the matrix from pixels of the teacher's crop to those of a stored crop of `side` pixels.

    Pixel centres are whole numbers. What lies outside of the stored crop repeats its border.
    """
    target = ((align.TEMPLATE - 0.5) * (CROP / side) + 0.5) * side - 0.5
    return geometry.similarity(TEMPLATE - 0.5, target).astype(np.float32)


def _read(path: Path) -> Any:
    try:
        import onnx
    except ImportError as error:
        raise WeightsError(f"{path}: cannot be read without the package onnx; install it (pip install onnx)") from error
    try:
        return onnx.load(str(path)).graph
    except Exception as error:  # protobuf's own errors have no common class
        raise WeightsError(f"{path}: is no readable ONNX file ({error}); download it again") from error


def _conv(settings: dict[str, Any], x: Array, kernel: Any, bias: Any = None) -> Array:
    top, left, bottom, right = settings.get("pads", (0, 0, 0, 0))
    pads = [(top, bottom), (left, right)]
    strides, dilations = (tuple(settings.get(name, (1, 1))) for name in ("strides", "dilations"))
    group = settings.get("group", 1)
    if group == x.shape[1] == kernel.shape[0] and dilations == (1, 1):
        y = _depthwise(x, kernel, strides, pads)
    else:
        y = jax.lax.conv_general_dilated(
            x,
            jnp.asarray(kernel),
            strides,
            pads,
            rhs_dilation=dilations,
            feature_group_count=group,
            dimension_numbers=("NCHW", "OIHW", "NCHW"),
        )
    return y if bias is None else y + bias[None, :, None, None]


def _depthwise(x: Array, kernel: Any, strides: tuple[int, ...], pads: list[tuple[int, int]]) -> Array:
    """Convolve each channel by itself as shifted multiply-adds, which XLA fuses; its grouped form is slow."""
    x = jnp.pad(x, ((0, 0), (0, 0), *pads))
    sides = [(x.shape[axis + 2] - kernel.shape[axis + 2]) // strides[axis] + 1 for axis in (0, 1)]
    spans = [(side - 1) * stride + 1 for side, stride in zip(sides, strides, strict=True)]
    parts = [
        x[:, :, i : i + spans[0] : strides[0], j : j + spans[1] : strides[1]] * kernel[None, :, 0, i, j, None, None]
        for i in range(kernel.shape[2])
        for j in range(kernel.shape[3])
    ]
    return functools.reduce(jnp.add, parts)


def _reshape(_: dict[str, Any], x: Array, shape: Any) -> Array:
    # The file may fix the number of faces to one; here the first axis is always theirs.
    return x.reshape(x.shape[0], *(int(size) for size in shape[1:]))


def _gemm(settings: dict[str, Any], x: Array, kernel: Any, bias: Any = 0.0) -> Array:
    matrix = kernel.T if settings.get("transB") else kernel
    return settings.get("alpha", 1.0) * (x @ matrix) + settings.get("beta", 1.0) * bias


_OPERATORS: Final[dict[str, Callable[..., Any]]] = {
    "Conv": _conv,
    "Clip": lambda _, x, low=None, high=None: jnp.clip(x, low, high).astype(x.dtype),
    "Relu": lambda _, x: jax.nn.relu(x),
    "PRelu": lambda _, x, slope: jnp.where(x >= 0, x, slope * x),
    "Add": lambda _, a, b: a + b,
    "Mul": lambda _, a, b: a * b,
    "Reshape": _reshape,
    "Flatten": lambda _, x: x.reshape(x.shape[0], -1),
    "Gemm": _gemm,
}
