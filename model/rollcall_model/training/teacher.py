"""The teacher of identity: dlib's 29-layer residual network, read from its own file. Used in training only.

The network (King 2017, public domain) comes with the distribution `face_recognition_models`, in dlib's own
serialisation. Here it embeds exactly the picture that the student is shown: an embedding of the same composite is
worth more than embeddings of the original pictures (Beyer et al. 2022, "Knowledge distillation: a good teacher is
patient and consistent").
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from jax import shard_map
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Float32, UInt8

from rollcall_model import geometry, runtime
from rollcall_model.attributes import align
from rollcall_model.checkpoint import WeightsError
from rollcall_model.types import EMBEDDING

DISTRIBUTION: Final = "face_recognition_models"
FILE: Final = "dlib_face_recognition_resnet_model_v1.dat"
SHA256: Final = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"
#: Side of the network's input, a "chip", in pixels.
CHIP: Final = 150
#: Eyes, nose and corners of the mouth in a chip, in pixels: dlib's mean face with a margin of a quarter on each side.
TEMPLATE: Final = np.array([[47.5, 46.6], [100.5, 46.6], [74.0, 76.6], [50.4, 103.0], [97.6, 103.0]])
_MEAN: Final = np.array([122.782, 117.001, 104.298], np.float32)
#: Channels and stride of the residual blocks, in order.
BLOCKS: Final = (
    *[(32, 1)] * 3,
    (64, 2),
    *[(64, 1)] * 3,
    (128, 2),
    *[(128, 1)] * 2,
    (256, 2),
    *[(256, 1)] * 2,
    (256, 2),
)


def find() -> Path:
    """Return the path of the network in the installed distribution.

    Raises
    ------
    WeightsError
        If it is not installed, or is another file.
    """
    try:
        files = metadata.files(DISTRIBUTION) or []
    except metadata.PackageNotFoundError as error:
        raise WeightsError(
            f"the teacher's network is not installed; install {DISTRIBUTION}, or train without composites"
        ) from error
    path = next((Path(str(file.locate())) for file in files if file.name == FILE), None)
    if path is None or not path.exists():
        raise WeightsError(f"{DISTRIBUTION} is installed without {FILE}; install it again")
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise WeightsError(f"{path}: this is not the expected network; install {DISTRIBUTION} 0.3.0")
    return path


def tensors(data: bytes) -> Iterator[Float32[np.ndarray, " n"]]:
    """Yield all non-empty tensors of a network in dlib's serialisation, in order.

    A tensor is the version 2, four sizes (each a byte with the number of bytes that follow, then these), and its values
    as little-endian float32. Everything between tensors (names, strides, learning rates) is skipped.
    """
    at = 0
    while (at := data.find(b"\x01\x02", at)) >= 0:
        sizes, place = [], at + 2
        for _ in range(4):
            width = data[place] if place < len(data) else 0
            if not 1 <= width <= 4:
                break
            sizes.append(int.from_bytes(data[place + 1 : place + 1 + width], "little"))
            place += 1 + width
        count = int(np.prod(sizes, dtype=np.int64)) if len(sizes) == 4 else 0
        if count >= 32 and place + 4 * count <= len(data):
            values = np.frombuffer(data, "<f4", count, place)
            if np.isfinite(values).all() and 1e-8 < np.abs(values).max() < 1e4:
                yield values
                at = place + 4 * count
                continue
        at += 1


def parameters(path: Path | None = None) -> list[dict[str, np.ndarray]]:
    """Return kernel (HWIO) and bias of each convolution, its affine layer fused in, and last the final matrix.

    Raises
    ------
    WeightsError
        If the file is missing, or does not hold this network.
    """
    path = path or find()
    found = list(tensors(path.read_bytes()))
    shapes = [(32, 3, 7)]
    before = 32
    for width, _ in BLOCKS:
        shapes += [(width, before, 3), (width, width, 3)]
        before = width
    sizes = [size for o, i, k in shapes for size in (o * i * k * k + o, 2 * o)] + [256 * 128]
    if [len(one) for one in found] != sizes:
        raise WeightsError(f"{path}: the file does not hold the expected network; install {DISTRIBUTION} 0.3.0")
    layers = []
    for number, (o, i, k) in enumerate(shapes):
        product, affine = found[2 * number], found[2 * number + 1]
        kernel = product[: o * i * k * k].reshape(o, i, k, k).transpose(2, 3, 1, 0)
        gain, shift = affine[:o], affine[o:]
        layers.append({"kernel": kernel * gain, "bias": product[o * i * k * k :] * gain + shift})
    return [*layers, {"kernel": found[-1].reshape(256, 128)}]


def embed(layers: list[dict[str, Any]], x: Float[Array, "n 150 150 3"]) -> Float[Array, "n 128"]:
    """Return the embeddings of chips of RGB values 0..255; not of unit length."""

    def convolve(layer: dict[str, Any], x: Array, stride: int, pad: int) -> Array:
        y = jax.lax.conv_general_dilated(
            x,
            layer["kernel"],
            (stride, stride),
            [(pad, pad)] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return y + layer["bias"]

    def window(x: Array, start: float, step: Any, size: int) -> Array:
        return jax.lax.reduce_window(x, start, step, (1, size, size, 1), (1, 2, 2, 1), "VALID")

    x = jax.nn.relu(convolve(layers[0], (x - _MEAN) / 256, 2, 0))
    x = window(x, -jnp.inf, jax.lax.max, 3)
    for number, (width, stride) in enumerate(BLOCKS):
        first, second = layers[1 + 2 * number], layers[2 + 2 * number]
        y = convolve(second, jax.nn.relu(convolve(first, x, stride, 1 if stride == 1 else 0)), 1, 1)
        if stride == 2:
            x = window(x, 0.0, jax.lax.add, 2) / 4
        # dlib adds tensors of different shapes by padding with zeros.
        shape = [max(a, b) for a, b in zip(x.shape[1:3], y.shape[1:3], strict=True)]
        x, y = (
            jnp.pad(z, ((0, 0), (0, shape[0] - z.shape[1]), (0, shape[1] - z.shape[2]), (0, width - z.shape[3])))
            for z in (x, y)
        )
        x = jax.nn.relu(x + y)
    return x.mean((1, 2)) @ layers[-1]["kernel"]


def chip_matrix(side: int, zoom: float) -> Float32[np.ndarray, "2 3"]:
    """Return the matrix from pixels of a canonical crop of `side` pixels to pixels of the teacher's chip.

    `zoom` is that of the crop (see `align.crop`). Pixel centres are whole numbers, as in OpenCV.
    """
    source = ((align.TEMPLATE - 0.5) * zoom + 0.5) * side - 0.5
    return geometry.similarity(source, TEMPLATE - 0.5).astype(np.float32)


class Teacher:
    """dlib's network, compiled for one batch size. Use from one thread at a time.

    Raises
    ------
    WeightsError
        If the network is not installed.
    """

    def __init__(self, batch: int = 32) -> None:
        mesh = runtime.mesh()
        self.batch = batch * mesh.size
        layers = parameters()
        forward = shard_map(
            lambda x: embed(layers, x.astype(jnp.float32)),
            mesh=mesh,
            in_specs=P("batch"),
            out_specs=P("batch"),
            check_vma=False,
        )
        self._run = jax.jit(forward)

    def __call__(self, crops: UInt8[np.ndarray, "n s s 3"], zoom: float) -> Float32[np.ndarray, "n 128"]:
        """Return the embeddings of canonical RGB crops made with `zoom`; not of unit length."""
        matrix = chip_matrix(crops.shape[1], zoom)
        chips = np.zeros((len(crops), CHIP, CHIP, 3), np.uint8)
        for crop, chip in zip(crops, chips, strict=True):
            cv2.warpAffine(crop, matrix, (CHIP, CHIP), dst=chip, borderMode=cv2.BORDER_REPLICATE)
        result = np.zeros((len(crops), EMBEDDING), np.float32)
        for start in range(0, len(crops), self.batch):
            part = chips[start : start + self.batch]
            full = np.zeros((self.batch, CHIP, CHIP, 3), np.uint8)
            full[: len(part)] = part
            result[start : start + len(part)] = np.asarray(self._run(full))[: len(part)]
        return result
