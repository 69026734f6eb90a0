"""ONNX files: graphs built node by node, written, and opened again for comparison. Needs the package onnx."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

#: The first operator set with HardSwish; later ones change nothing used here and exclude older runtimes.
OPSET: Final = 14
IR_VERSION: Final = 8


class ExportError(Exception):
    """The network cannot be exported; the message gives the reason and a remedy."""


class Graph:
    """Nodes and constants in the order they are added; each method returns the name of its result."""

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
        """Add a convolution with an HWIO kernel."""
        oihw = kernel.transpose(3, 2, 0, 1)
        return self.node("Conv", x, self.constant(oihw), self.constant(bias), **settings)


def require(path: Path) -> None:
    """Raise where nothing can be exported to `path`.

    Raises
    ------
    ExportError
        If the package onnx is missing.
    """
    try:
        import onnx  # noqa: F401  whether it is there
    except ImportError as error:
        raise ExportError(
            f"{path}: cannot be exported without the package onnx; install it (pip install onnx) and try again"
        ) from error


def model(graph: Graph, name: str, inputs: Sequence[Any], outputs: Sequence[Any], description: str) -> Any:
    """Return the model of a graph, with its inputs and outputs (`ValueInfoProto`)."""
    from onnx import helper

    return helper.make_model(
        helper.make_graph(
            graph.nodes, name, list(inputs), list(outputs), initializer=graph.constants, doc_string=description
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="rollcall",
    )


def save(model: Any, path: Path) -> Path:
    """Check a model and write it to `path`, whole or not at all; return `path`.

    Raises
    ------
    ExportError
        If `path` cannot be written.
    """
    import onnx

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


def session(path: Path) -> Any:
    """Return a session of ONNX Runtime over a file, on the CPU.

    Raises
    ------
    ExportError
        If the package onnxruntime is missing.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ExportError(
            f"{path}: cannot be checked without the package onnxruntime; install it (pip install onnxruntime)"
        ) from error
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
