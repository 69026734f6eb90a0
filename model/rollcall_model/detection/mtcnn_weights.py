"""MTCNN's published weights, read from the wheel of `mtcnn` 1.0.0 (MIT licence).

Only the distribution's data files are read; the package itself, which would import TensorFlow, is not imported.
"""

from __future__ import annotations

import hashlib
import io
from importlib import metadata
from pathlib import Path
from typing import Final, TypeVar

import joblib
import numpy as np

from rollcall_model.checkpoint import WeightsError
from rollcall_model.detection.mtcnn import Convolution, ONet, PNet, RNet

#: SHA-256 of the weight files in the distribution `mtcnn` 1.0.0.
SHA256: Final = {
    "pnet": "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
    "rnet": "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
    "onet": "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
}

Net = TypeVar("Net", PNet, RNet, ONet)


def weights_file(name: str) -> Path:
    """Return the path of the weights of "pnet", "rnet" or "onet" in the installed distribution `mtcnn`.

    Raises
    ------
    WeightsError
        If the distribution is not installed.
    """
    try:
        distribution = metadata.distribution("mtcnn")
    except metadata.PackageNotFoundError as error:
        raise WeightsError(
            "the distribution 'mtcnn', which carries the detector's weights, is not installed; "
            "install it with `pip install mtcnn==1.0.0`"
        ) from error
    return Path(str(distribution.locate_file(f"mtcnn/assets/weights/{name}.lz4")))


def read_arrays(name: str) -> list[np.ndarray]:
    """Return the published arrays of one network, in the order of its layers, float32.

    Raises
    ------
    WeightsError
        If the file is missing or is not, byte for byte, the published one. The digest is checked before the file is
        parsed: the format can execute code.
    """
    path = weights_file(name)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"{path}: the detector's weights cannot be read ({error.strerror}); "
            "reinstall them with `pip install --force-reinstall mtcnn==1.0.0`"
        ) from error
    if hashlib.sha256(data).hexdigest() != SHA256[name]:
        raise WeightsError(
            f"{path}: the detector's weights are not the published ones (SHA-256 differs); "
            "reinstall them with `pip install --force-reinstall mtcnn==1.0.0`"
        )
    arrays: list[np.ndarray] = joblib.load(io.BytesIO(data))
    return arrays


def load(kind: type[Net]) -> Net:
    """Return a network with the published weights.

    Raises
    ------
    WeightsError
        If the weights are missing or changed.
    """
    name = kind.__name__.lower()
    arrays = iter(read_arrays(name))
    net = kind()
    convolutions = [layer for layer in vars(net).values() if isinstance(layer, Convolution)]
    for layer in convolutions:
        layer.kernel[...] = next(arrays)
        layer.bias[...] = next(arrays)
        layer.slope[...] = next(arrays).reshape(-1)
    if not isinstance(net, PNet):
        kernel = next(arrays)
        # Caffe is column-major: the rows of this matrix run over columns, then rows, then channels. Transposed once
        # here, they cost no transposition at run time.
        channels = convolutions[-1].kernel.shape[-1]
        side = int(round((kernel.shape[0] / channels) ** 0.5))
        kernel = kernel.reshape(side, side, channels, -1).transpose(1, 0, 2, 3).reshape(kernel.shape)
        net.dense.kernel[...] = kernel
        net.dense.bias[...] = next(arrays)
        net.slope[...] = next(arrays)
    heads = [net.offsets, net.landmarks, net.score] if isinstance(net, ONet) else [net.offsets, net.score]
    for head in heads:
        head.kernel[...] = next(arrays).reshape(head.kernel.shape)
        head.bias[...] = next(arrays)
    return net
