"""The whole run, photos to committed rows, beside decoding alone and beside the same job from usual parts.

The usual parts: OpenCV decodes whole pictures and reduces them, facenet-pytorch's MTCNN finds faces, its
InceptionResnetV1 describes them (random weights: the time is the same), one insert a face. They are left out, and a
line says so, where facenet-pytorch is not installed. The page cache is warm; programs are compiled before. Of both the
processor time of a photo is given, too: its share of decoding's holds on a busy machine. With `--stages` it is told on
what that goes (`stages.py`).

    python benchmarks/index.py [--photos 64] [--runs 3] [--min-face 20 40] [--stages] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import decode as decoding
import library
import measuring
import stages

from rollcall import Plugin
from rollcall.indexing.profile import Profile
from rollcall.inference.analyzer import Analyzer, keep_memory
from rollcall.media import decode
from rollcall.settings import DatabaseSettings, Settings, load

RESOLUTION = 1280


def ours(photos: Path, database: Path, analyzer: Analyzer, settings: Settings) -> tuple[float, Profile, int]:
    """Index a library into a new database; return photos a second, where the time went, and faces."""
    own = settings.model_copy(update={"database": DatabaseSettings(url=str(database))})
    with Plugin(settings=own, analyzer=analyzer) as plugin:
        summary = plugin.index(photos)
    assert summary.failed == 0
    return summary.indexed / summary.seconds, plugin.profile, summary.faces


def usual(min_face: int) -> Callable[[list[Path], Path], tuple[float, int]] | None:
    """Return the job from usual parts, or None where they are not installed."""
    try:
        import torch
        from facenet_pytorch import MTCNN, InceptionResnetV1
    except ImportError:
        return None
    finder = MTCNN(keep_all=True, min_face_size=min_face, post_process=True)
    describer = InceptionResnetV1(pretrained=None).eval()

    def run(files: list[Path], database: Path) -> tuple[float, int]:
        began, faces = time.perf_counter(), 0
        with sqlite3.connect(database) as connection, torch.no_grad():
            connection.execute("CREATE TABLE faces (path, x, y, width, height, score, embedding)")
            for file in files:
                picture = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
                ratio = RESOLUTION / max(picture.shape[:2])
                picture = cv2.resize(picture, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
                boxes, scores = finder.detect(picture)
                if boxes is not None:
                    vectors = describer(finder.extract(picture, boxes, None)).numpy()
                    for (x0, y0, x1, y1), score, vector in zip(boxes.tolist(), scores.tolist(), vectors, strict=True):
                        row = (str(file), x0, y0, x1 - x0, y1 - y0, score, vector.tobytes())
                        connection.execute("INSERT INTO faces VALUES (?, ?, ?, ?, ?, ?, ?)", row)
                        faces += 1
                connection.commit()
        return len(files) / (time.perf_counter() - began), faces

    return run


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=64)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--min-face", type=int, nargs="+", default=[20, 40])
    parser.add_argument("--stages", action="store_true", help="Also print what the processor time goes on.")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    keep_memory()  # as `rollcall index` does
    cv2.setNumThreads(1)
    where = measuring.machine()
    lines: list[measuring.Line] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = library.build(folder / "library", given.photos, distinct=min(given.photos, 32), large=0)
        files = sorted(photos.rglob("*.jpg"))
        for least in given.min_face:
            settings = load(None, {"detector.min_face": least, "detector.resolution": RESOLUTION})
            analyzer = Analyzer(settings)
            analyzer.warm_up()
            peer = usual(least)
            if peer is None:
                print("facenet-pytorch is not installed: the job from usual parts is left out")
            found: dict[str, list[float]] = {"decoding alone": [], "rollcall index": [], "usual parts": []}
            spent: dict[str, list[float]] = {"decoding alone": [], "rollcall index": []}
            faces: dict[str, Any] = {}
            shares: dict[str, float] = {}
            for run in range(given.runs):
                began = time.process_time()
                found["decoding alone"].append(decoding.per_second(files, settings.workers, RESOLUTION))
                spent["decoding alone"].append((time.process_time() - began) * 1000 / given.photos)
                began = time.process_time()
                speed, profile, faces["rollcall index"] = ours(photos, folder / f"{least}-{run}.db", analyzer, settings)
                spent["rollcall index"].append((time.process_time() - began) * 1000 / given.photos)
                found["rollcall index"].append(speed)
                whole = given.photos / speed
                shares = {work: seconds / whole for work, seconds in profile.seconds.items()}
                if peer is not None:
                    speed, faces["usual parts"] = peer(files, folder / f"usual-{least}-{run}.db")
                    found["usual parts"].append(speed)
            print(f"faces from {least} px, seconds of work over seconds of the last run:")
            for work, share in sorted(shares.items(), key=lambda item: -item[1]):
                print(f"  {work:24} {share:5.0%}")
            if given.stages:
                pictures = [decode.decode(file, target=RESOLUTION) for file in files[:64]]
                stages.show(
                    stages.of_run(photos, folder / f"stages-{least}.db", analyzer, settings),
                    stages.of_analysis(pictures, analyzer, settings.detector.batch),
                )
            lines += [
                measuring.Line(
                    f"{what}, faces from {least} px",
                    tuple(values),
                    "photos a second",
                    f"{faces[what]} faces" if what in faces else "",
                )
                for what, values in found.items()
                if values
            ]
            lines += [
                measuring.Line(f"{what}, faces from {least} px", tuple(values), "ms of a processor a photo")
                for what, values in spent.items()
            ]
    data = f"{given.photos} JPEGs of 12 megapixels from benchmarks/library.py at {RESOLUTION} px"
    base = f"decoding alone, faces from {given.min_face[0]} px"
    measuring.report("The whole index", data, lines, given.out, "index", where, peer=base)


if __name__ == "__main__":
    main()
