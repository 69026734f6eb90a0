"""Pictures of a test set are excluded from training."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from rollcall_model.datasets import exclusion
from rollcall_model.datasets.samples import Sample


def picture(seed: int) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (9, 10, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(small, (90, 100), interpolation=cv2.INTER_CUBIC), np.uint8)


def jpeg(pixels: np.ndarray, quality: int = 95) -> bytes:
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def test_an_excluded_picture_is_recognised_after_compression_and_reduction(tmp_path: Path) -> None:
    hidden = picture(0)
    (tmp_path / "hashes.txt").write_text(f"{exclusion.difference_hash(hidden):016x}\n{'f' * 16}\n")
    excluded = exclusion.read_hashes(tmp_path / "hashes.txt")
    files = {
        "recompressed": jpeg(hidden, 50),
        "reduced": jpeg(cv2.resize(hidden, (60, 66), interpolation=cv2.INTER_AREA)),
        "other": jpeg(picture(1)),
        "flipped": jpeg(hidden[::-1]),
        "broken": b"no picture",
        "empty": b"",
    }
    samples = [Sample("a", name, "train") for name in files]
    left = list(exclusion.usable_samples(samples, lambda sample: files[sample.file], excluded))
    assert [sample.file for sample in left] == ["other", "flipped"]


def test_without_hashes_only_what_cannot_be_decoded_is_excluded() -> None:
    assert exclusion.usable(jpeg(picture(0)), np.zeros(0, np.uint64))
    assert not exclusion.usable(b"no picture", np.zeros(0, np.uint64))
