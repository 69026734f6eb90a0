"""Which frames of a video are looked at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blobs import BlobAnalyzer
from filmed import film
from rollcall.inference import videos
from rollcall.media import decode
from rollcall.settings import Settings

pytest.importorskip("av")
RATE = 10
LOSSLESS = {"codec": "libx264rgb", "options": {"qp": "0", "preset": "ultrafast"}, "rate": RATE}


def frame(number: int, face: tuple[int, int] | None) -> np.ndarray:
    """Return a frame with a face of (age, side in pixels), or none, before a ground that stays."""
    pixels = np.full((120, 200, 3), 30, np.uint8)
    pixels[:20] = np.random.default_rng(5).integers(0, 60, (20, 200, 3))
    if face is not None:
        age, side = face
        left = 10 + number // 2 % 100
        pixels[40 : 40 + side, left : left + side] = (255, age, 0)
    return pixels


def searched(path: Path, frames: list[np.ndarray], gop: int) -> tuple[videos.VideoFaces, BlobAnalyzer]:
    analyzer, settings = BlobAnalyzer(), Settings()
    film(path, frames, gop=gop, **LOSSLESS)  # type: ignore[arg-type]
    return videos.analyze(analyzer, decode.decode(path), settings, "blobs-1"), analyzer


@pytest.mark.parametrize("gop", [10, 250])
def test_who_is_there_for_two_seconds_is_found_once_whenever_they_come(tmp_path: Path, gop: int) -> None:
    """Twenty people of all sizes come in turn, each a tenth of a second later in the two seconds between samples.

    The analyzer's faces are not sharp: one sighting of them is none.
    """
    visits = {4 * k * RATE + k: (5 + 4 * k, 12 + 3 * (7 * k % 20)) for k in range(20)}
    people: list[tuple[int, int] | None] = [None] * (84 * RATE)
    for start, face in visits.items():
        people[start : start + 2 * RATE] = [face] * (2 * RATE)
    found, _ = searched(tmp_path / "a.mp4", [frame(n, face) for n, face in enumerate(people)], gop)
    ages = sorted(round(float(np.dot(face.age_distribution, np.arange(101)))) for face in found.faces)
    assert ages == [5 + 4 * k for k in range(20)]


@pytest.mark.parametrize("gop", [10, 250])
@pytest.mark.parametrize("start", [189, 201])
def test_who_comes_after_a_long_stillness_is_found(tmp_path: Path, gop: int, start: int) -> None:
    there = range(start, start + 2 * RATE)
    found, _ = searched(tmp_path / "a.mp4", [frame(n, (30, 20) if n in there else None) for n in range(300)], gop)
    assert len(found.faces) == 1


@pytest.mark.parametrize("gop", [10, 250])
def test_while_nobody_comes_or_goes_every_second_sample_is_enough(tmp_path: Path, gop: int) -> None:
    found, analyzer = searched(tmp_path / "a.mp4", [frame(n, (30, 40)) for n in range(20 * RATE)], gop)
    assert len(found.faces) == 1
    assert 10 <= analyzer.seen <= 12
