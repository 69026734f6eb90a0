"""The default detector on one processor: quick and thorough searches, turned pictures, and the published cascade.

The lanes take turns on each picture, so that other load on the machine affects all alike; what is printed is processor
time, the best of a few runs a picture, in milliseconds: mean and median over the pictures. Pictures are decoded and
brought to 1280 pixels beforehand. The ratios count.

    python benchmarks/detector_search.py FOLDER [--runs 3] [--every 1] [--out FILE.json]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import cv2
import measuring
import numpy as np
from numpy.typing import NDArray

Photo = NDArray[np.uint8]
RESOLUTION: Final = 1280
SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp")


def photos(folder: Path, every: int) -> list[Photo]:
    """Return each `every`th picture of a folder and those below it, RGB, its longest side 1280 pixels."""
    found = []
    for path in sorted(one for one in folder.rglob("*") if one.suffix.lower() in SUFFIXES)[::every]:
        pixels = cv2.imread(str(path))
        if pixels is not None:
            factor = RESOLUTION / max(pixels.shape[:2])
            resized = cv2.resize(pixels, None, fx=factor, fy=factor)[..., ::-1]
            found.append(np.ascontiguousarray(resized, np.uint8))
    return found


def best(work: Callable[[], object], runs: int) -> float:
    """Return the least processor time of some runs, in milliseconds; the first, which may compile, does not count."""
    work()
    times = []
    for _ in range(runs):
        began = time.process_time()
        work()
        times.append((time.process_time() - began) * 1000)
    return min(times)


def main() -> None:
    """Measure all lanes and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    from rollcall_model import memory, runtime
    from rollcall_model.detection.config import DetectorConfig
    from rollcall_model.detection.detector import build

    memory.keep()
    runtime.configure(None, 1)
    cv2.setNumThreads(1)
    pictures = photos(chosen.folder, chosen.every)
    quick = build(DetectorConfig())
    lanes = {
        "from 20 pixels, quick": (quick, 0),
        "from 20 pixels, quick, turned by 90": (quick, 1),
        "from 20 pixels, quick, turned by 180": (quick, 2),
        "from 20 pixels, thorough": (build(DetectorConfig(thorough=True)), 0),
        "from 40 pixels, quick": (build(DetectorConfig(min_face=40)), 0),
        "from 20 pixels, mtcnn-2016": (build(DetectorConfig(network="mtcnn-2016")), 0),
    }
    times: dict[str, list[float]] = {name: [] for name in lanes}
    faces = dict.fromkeys(lanes, 0)
    for picture in pictures:
        for name, (detector, quarters) in lanes.items():
            turned = np.ascontiguousarray(np.rot90(picture, quarters))
            times[name].append(best(partial(detector.detect, [turned]), chosen.runs))
            faces[name] += len(detector.detect([turned])[0].scores)
    result = {
        name: {"mean": float(np.mean(values)), "median": float(np.median(values)), "faces": faces[name]}
        for name, values in times.items()
    }
    for name, values in result.items():
        print(f"{name:40s} mean {values['mean']:6.1f}  median {values['median']:6.1f}  faces {values['faces']}")
    if chosen.out:
        chosen.out.write_text(
            json.dumps({"machine": measuring.machine(), "pictures": len(pictures), **result}, indent=1)
        )


if __name__ == "__main__":
    main()
