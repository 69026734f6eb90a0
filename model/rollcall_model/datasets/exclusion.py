"""Exclusion of pictures that a test set contains too, however they were compressed or reduced."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from jaxtyping import UInt8, UInt64

from rollcall_model import runtime
from rollcall_model.datasets.samples import Sample

#: Pictures whose difference hashes differ in at most this many of 64 bits count as one picture.
SAME_BITS: Final = 4
_BATCH: Final = 256


def read_hashes(file: Path) -> UInt64[np.ndarray, " h"]:
    """Return the difference hashes in a file, hexadecimal, separated by white space."""
    return np.array([int(text, 16) for text in file.read_text(encoding="utf-8").split()], np.uint64)


def difference_hash(picture: UInt8[np.ndarray, "h w 3"]) -> int:
    """Return 64 bits, row by row, of a BGR picture: whether each of 9 x 8 grey means is below its right neighbour."""
    grey = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), (9, 8), interpolation=cv2.INTER_AREA)
    return int.from_bytes(np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes(), "big")


def usable(encoded: bytes, excluded: UInt64[np.ndarray, " h"]) -> bool:
    """Return whether a picture can be decoded and matches none of the excluded hashes."""
    picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR) if encoded else None
    if picture is None:
        return False
    distances = np.bitwise_count(excluded ^ np.uint64(difference_hash(np.asarray(picture, np.uint8))))
    return not len(distances) or int(distances.min()) > SAME_BITS


def usable_samples(
    samples: Sequence[Sample], read: Callable[[Sample], bytes], excluded: UInt64[np.ndarray, " h"]
) -> Iterator[Sample]:
    """Yield the samples whose picture is `usable`, in order; `read` is called from one thread."""
    with ThreadPoolExecutor(runtime.processors()) as threads:
        for start in range(0, len(samples), _BATCH):
            part = samples[start : start + _BATCH]
            pictures = [read(sample) for sample in part]
            for sample, good in zip(part, threads.map(lambda one: usable(one, excluded), pictures), strict=True):
                if good:
                    yield sample
