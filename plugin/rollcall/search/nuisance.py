"""Take out of embeddings what poor faces have in common, which is not who they are.

Small, blurred and turned faces, and those that are hardly faces, lie near a few directions of the embedding: strangers
among them are as similar as pictures of one person are, and one with a name would draw all the others. What is left
without these directions is compared (nuisance attribute projection, Solomonoff et al. 2005); stored embeddings keep
them. They are fitted by `python -m rollcall_model.evaluation.nuisance`, for embeddings of the network that they name.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from rollcall.model_version import ModelVersion

#: Embeddings that are computed with at a time.
_BLOCK: Final = 1 << 14


@cache
def stored() -> str:
    """Return the directions as they are stored, with the network that they are of: JSON."""
    return resources.files(__package__).joinpath("nuisance.json").read_text("utf-8")


@cache
def directions(weights: str) -> NDArray[np.float32]:
    """Return the directions, (k, d), orthonormal, of the embeddings of some weights; none, (0, 0), of all but one."""
    found = json.loads(stored())
    return np.array(found["directions"] if found["weights"] == weights else np.zeros((0, 0)), np.float32)


def compared(vectors: NDArray[Any], model_version: str) -> NDArray[Any]:
    """Return embeddings (n, d) as they are compared, of unit length; they are stored with `model_version`."""
    return without(vectors, directions(ModelVersion.parse(model_version).attributes))


def query(vector: bytes, model_version: str) -> NDArray[np.float16]:
    """Return what stored embeddings are multiplied with to be compared with one of them, (d,).

    It has nothing of the directions, so the products have not, either, though stored embeddings keep them: what is left
    of a poor face is short, and similar to nobody's by chance.
    """
    found: NDArray[np.float16] = compared(np.frombuffer(vector, "<f2")[None], model_version)[0]
    return found


def without(vectors: NDArray[Any], some: NDArray[np.float32]) -> NDArray[Any]:
    """Return embeddings (n, d) without the directions (k, d), of unit length; the same array if there are none."""
    if not len(vectors) or vectors.shape[1:] != some.shape[1:]:
        return vectors
    found = np.empty_like(vectors)
    for start in range(0, len(vectors), _BLOCK):
        part = vectors[start : start + _BLOCK].astype(np.float32)
        # Not a product of matrices, which rounds differently with the number of rows: what is read again is the same.
        part -= np.einsum("nk,kd->nd", np.einsum("nd,kd->nk", part, some), some)
        lengths = np.sqrt(np.einsum("nd,nd->n", part, part))
        found[start : start + _BLOCK] = part / np.maximum(lengths, 1e-9)[:, None]
    return found
