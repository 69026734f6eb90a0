"""The form of the detector for a GPU, computed on the devices that there are: it finds what the other form finds."""

from __future__ import annotations

import os
import subprocess
import sys

#: In a process of its own: it has two devices, of which the last one gets what fills a bucket up.
_PROGRAM = """
import cv2, jax, numpy as np
from rollcall.commands.demo_library import portraits
from rollcall_model import runtime
from rollcall_model.detection import detector, picture_programs, single_pass_detector, single_pass_runner
from rollcall_model.detection.config import DetectorConfig
from rollcall_model.nn import layers

runtime.configure(cpu_devices=2)
person = cv2.resize(np.asarray(portraits()[0]), (170, 203), interpolation=cv2.INTER_AREA)
def picture(height, width, *places):
    pixels = np.full((height, width, 3), 128, np.uint8)
    for top, left in places:
        pixels[top : top + 203, left : left + 170] = person
    return pixels
pictures = [picture(240, 320, (20, 40)), np.zeros((3, 3, 3), np.uint8), picture(240, 320), picture(320, 240, (90, 30))]
pictures += [picture(230, 300, (9, 9), (20, 120)), np.ascontiguousarray(np.rot90(pictures[0]))]
expected = detector.build(DetectorConfig(thorough=True)).detect(pictures)
layers.on_cpu = lambda: False
picture_programs.BUCKETS, picture_programs._MOST_PLACES = (1, 2), 3
single_pass_detector._AT_ONCE = 4  # two threads share the pictures
single_pass_detector.REFINER_BUCKETS_GPU, single_pass_runner._VIEW_BUCKETS_GPU = (8,), (8,)
found = detector.build(DetectorConfig()).detect(pictures)
assert len(jax.devices()) == 2
assert [len(one.scores) for one in found] == [1, 0, 0, 1, 2, 1], found
for one, other in zip(found, expected, strict=True):
    np.testing.assert_allclose(one.boxes, other.boxes, atol=0.01)
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
    np.testing.assert_allclose(one.landmarks, other.landmarks, atol=0.5)  # the refiner's products are of bfloat16
"""


def test_the_form_for_a_gpu_finds_the_same_faces_also_where_more_places_count_than_usually_come_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        capture_output=True,
        text=True,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
    )
    assert done.returncode == 0, done.stderr
