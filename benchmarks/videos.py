"""What a minute of video takes of one processor: decoding its key frames alone, and all that an index run does.

python benchmarks/videos.py [--minutes 1] [--runs 3] [--out FOLDER] [VIDEO ...]

Without files, two drawn ones of 1920 x 1080 pixels and 30 frames a second (H.264): a landscape that moves, through
which one or the other of two people goes. One has a key frame every second, as phones write it, the other every 250
frames. Of all processes the processor time is counted, so that other work of the machine changes little.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import measuring
import numpy as np
import psutil
from PIL import Image

from rollcall.commands.demo_library import portraits, scene
from rollcall.inference import videos
from rollcall.inference.analyzer import Analyzer
from rollcall.media import decode
from rollcall.settings import Settings, load

WIDTH, HEIGHT, RATE = 1920, 1080, 30
#: How long each of the people, and nobody, is seen in turn, in seconds.
TURN = 5
#: The height of a person's picture, in pixels.
TALL = 500


def draw(path: Path, seconds: int, gop: int) -> Path:
    """Write a video with a key frame every `gop` frames."""
    ground = scene(np.random.default_rng(1), HEIGHT, WIDTH)
    people = [np.asarray(_scaled(one)) for one in portraits()[:2]]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "23", "g": str(gop)})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(seconds * RATE):
            pixels = np.roll(ground, number // 2 * 2 % WIDTH, axis=1)
            turn = number // (RATE * TURN) % (len(people) + 1)
            if turn < len(people):
                person = people[turn]
                x = int((WIDTH - person.shape[1]) * (0.5 + 0.45 * np.sin(number / RATE)))
                y = int((HEIGHT - TALL) * (0.5 + 0.3 * np.cos(1.3 * number / RATE)))
                pixels[y : y + TALL, x : x + person.shape[1]] = person
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def _scaled(image: Image.Image) -> Image.Image:
    return image.resize((round(image.width * TALL / image.height), TALL))


def processor_seconds(work: Callable[[], object]) -> float:
    """Return the processor time of this process and the decoding ones while `work` runs."""

    def now() -> float:
        ended = os.times()
        total = time.process_time() + ended.children_user + ended.children_system
        for child in psutil.Process(os.getpid()).children(recursive=True):
            used = child.cpu_times()
            total += used.user + used.system
        return total

    began = now()
    work()
    return now() - began


def key_frames(path: Path) -> int:
    """Decode the key frames of a video by PyAV alone; return how many there are."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.skip_frame = "NONKEY"
        return sum(1 for _ in container.decode(stream))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path, nargs="*")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    settings = load(overrides={"power.workers": "1"})
    analyzer = Analyzer(settings)
    analyzer.warm_up()
    with tempfile.TemporaryDirectory() as folder:
        files = {path.name: path for path in given.videos}
        if not files:
            length = round(60 * given.minutes)
            files = {
                "a key frame a second": draw(Path(folder, "second.mp4"), length, RATE),
                "one every 250 frames": draw(Path(folder, "rare.mp4"), length, 250),
            }
        lines = [line for name, path in files.items() for line in _measured(name, path, analyzer, settings, given.runs)]
    data = f"H.264 of {WIDTH} x {HEIGHT}, drawn" if not given.videos else f"{len(files)} files"
    measuring.report("Videos", data, lines, given.out, "videos", measuring.machine())


def _measured(name: str, path: Path, analyzer: Analyzer, settings: Settings, runs: int) -> Sequence[measuring.Line]:
    """Return processor seconds a minute of one video, for its key frames alone and for all that an index run does."""
    faces = 0
    minutes = 1.0

    def index() -> None:
        nonlocal faces, minutes
        picture = decode.decode(path, target=settings.detector.resolution, limits=settings.decode)
        faces = len(videos.analyze(analyzer, picture, settings, str(analyzer.model_version)).faces)
        minutes = (picture.video.seconds if picture.video else 60.0) / 60

    index()  # the process that decodes is there, and every program compiled
    plain = tuple(processor_seconds(lambda: key_frames(path)) / minutes for _ in range(runs))
    whole = tuple(processor_seconds(index) / minutes for _ in range(runs))
    unit = "s of a processor a minute of video"
    return [
        measuring.Line(f"{name}: key frames alone", plain, unit),
        measuring.Line(f"{name}: searched", whole, unit, f"{faces} people"),
    ]


if __name__ == "__main__":
    main()
