"""How much of a machine's processors and accelerator one index run uses, in a few minutes on a bare machine.

Measured one after another, in one process: decoding alone on all processors; the detector on pictures in memory, by the
size of the batch; the attribute network on crops in memory, by the size of the batch; and the whole index run, whose
share of decoding alone is what counts. The same script runs on processors alone: with `--small`, once over few photos
and in small batches, which shows that it works from end to end and measures nothing that counts.

    python benchmarks/gpu.py [--photos 256] [--runs 3] [--min-face 20] [--out FOLDER]
    JAX_PLATFORMS=cpu python benchmarks/gpu.py --small
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import decode as decoding
import index as indexing
import library
import measuring
import numpy as np
from numpy.typing import NDArray

from rollcall.inference.analyzer import Analyzer, keep_memory
from rollcall.inference.detectors import build
from rollcall.media import decode
from rollcall.settings import Settings, load

RESOLUTION = 1280
PICTURES = (1, 8, 32, 128)
CROPS = (64, 512, 2048, 8192)
#: With `--small`.
FEW_PHOTOS, FEW_PICTURES, FEW_CROPS = 8, (1, 4), (8,)


def measured(name: str, values: tuple[float, ...], unit: str, note: str = "") -> measuring.Line:
    """Return a line, and print it at once: what a machine that is lent for minutes has measured is known if it goes."""
    print(f"  {name}: {', '.join(f'{one:.4g}' for one in values)} {unit} {note}", flush=True)
    return measuring.Line(name, values, unit, note)


def detection(
    settings: Settings, pictures: list[NDArray[np.uint8]], batches: Sequence[int], runs: int
) -> list[measuring.Line]:
    """Measure the detector on pictures in memory."""
    detector = build(settings.detector)
    detector.warm_up()
    lines = []
    for batch in batches:
        some = [pictures[at % len(pictures)] for at in range(batch)]
        faces = sum(len(found.scores) for found in detector.detect(some))
        values = tuple(batch / time for time in measuring.seconds(lambda some=some: detector.detect(some), runs))
        lines.append(measured(f"detection, batches of {batch}", values, "photos a second", f"{faces} faces"))
    return lines


def attributes(batches: Sequence[int], runs: int) -> list[measuring.Line]:
    """Measure the attribute network on crops in memory."""
    from rollcall_model.attributes.model import AttributeModel

    model = AttributeModel()
    rng = np.random.default_rng(0)
    lines = []
    for batch in batches:
        crops = rng.integers(0, 256, (batch, model.size, model.size, 3), dtype=np.uint8)
        values = tuple(batch / time for time in measuring.seconds(lambda crops=crops: model(crops), runs))
        lines.append(measured(f"attributes, batches of {batch}", values, "faces a second"))
    return lines


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=256)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--min-face", type=int, default=20)
    parser.add_argument("--small", action="store_true", help="Show that it works, without a GPU, in little time.")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    batches, crops = (FEW_PICTURES, FEW_CROPS) if given.small else (PICTURES, CROPS)
    if given.small:
        given.photos, given.runs = min(given.photos, FEW_PHOTOS), 1
    keep_memory()  # as `rollcall index` does
    cv2.setNumThreads(1)
    where = measuring.machine()
    settings = load(None, {"detector.min_face": given.min_face, "detector.resolution": RESOLUTION})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = library.build(folder / "library", given.photos, distinct=min(given.photos, 32), large=0)
        files = sorted(photos.rglob("*.jpg"))
        alone = tuple(decoding.per_second(files, settings.workers, RESOLUTION) for _ in range(given.runs))
        lines = [measured("decoding alone", alone, "photos a second")]
        analyzer = Analyzer(settings)
        analyzer.warm_up()
        import jax

        where["devices"] = ", ".join(sorted({device.device_kind for device in jax.devices()}))
        pictures = [decode.decode(file, target=RESOLUTION).pixels for file in files[:32]]
        lines += detection(settings, pictures, batches, given.runs)
        lines += attributes(crops, given.runs)
        whole, shares = [], {}
        for run in range(-1, given.runs):  # the first round compiles, and is not counted
            speed, profile, faces = indexing.ours(photos, folder / f"{run}.db", analyzer, settings)
            if run >= 0:
                whole.append(speed)
            shares = {work: seconds * speed / given.photos for work, seconds in profile.seconds.items()}
        lines.append(measured("rollcall index", tuple(whole), "photos a second", f"{faces} faces"))
        print("seconds of work over seconds of the last run:")
        for work, share in sorted(shares.items(), key=lambda item: -item[1]):
            print(f"  {work:24} {share:5.0%}")
    data = f"{given.photos} JPEGs of 12 megapixels from benchmarks/library.py at {RESOLUTION} px"
    measuring.report("One machine's devices", data, lines, given.out, "gpu", where, peer="decoding alone")


if __name__ == "__main__":
    main()
