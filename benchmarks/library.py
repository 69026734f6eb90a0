"""Libraries of any size with the shapes of real cameras, from the packaged portraits (public domain).

12 and 48 megapixels, upright and turned (EXIF orientation), with camera, date and zone in EXIF, faces of 40 to 1500
pixels, none on some, on textures that compress like photographs. Beyond `--distinct` pictures the same are written
again with another date: other files to whoever reads them.

    python benchmarks/library.py FOLDER [--photos 200] [--distinct 40] [--large 0.1]
"""

from __future__ import annotations

import argparse
import io
from datetime import datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from rollcall.commands import demo_library

SIZES = {12: (4032, 3024), 48: (8064, 6048)}
ORIENTATIONS = (1, 1, 1, 6, 6, 8, 3)
#: Stands in every file, as long as any other date, and is replaced.
DATE = "2001:01:01 00:00:00"


def texture(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Return colours at all scales with a sensor's noise: about as many bytes a pixel as a phone's photographs."""
    picture = np.zeros((height, width, 3), np.float32)
    for side, strength in ((6, 60), (24, 30), (96, 14), (384, 8)):
        small = rng.normal(0, strength, (side * 3 // 4, side, 3)).astype(np.float32)
        picture += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    picture += cv2.resize(rng.normal(0, 9, (height // 2, width // 2, 1)).astype(np.float32), (width, height))[..., None]
    return np.clip(picture + 120, 0, 255).astype(np.uint8)


def photo(rng: np.random.Generator, people: list[Image.Image], megapixels: int) -> Image.Image:
    """Return one upright picture with no, one or several people on it."""
    width, height = SIZES[megapixels]
    if rng.random() < 0.3:
        width, height = height, width
    picture = Image.fromarray(texture(rng, width, height))
    count = int(rng.choice([0, 1, 2, 3, 6], p=[0.2, 0.4, 0.2, 0.15, 0.05]))
    for place in range(count):
        person = people[int(rng.integers(len(people)))]
        # As in albums: someone fills the picture, or stands far away.
        tall = int(height * rng.choice([0.8, 0.4, 0.2, 0.1]) / max(1, count**0.5))
        person = person.resize((max(int(person.width * tall / person.height), 1), tall), Image.Resampling.LANCZOS)
        if rng.random() < 0.5:
            person = person.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        room = width // count
        x = place * room + int(rng.integers(0, max(room - person.width, 1)))
        picture.paste(person, (x, int(rng.integers(0, max(height - tall, 1)))))
    return picture


def encoded(picture: Image.Image, orientation: int) -> bytes:
    """Return a JPEG as a camera writes it."""
    turn = demo_library.STORED[orientation]
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Rollcall", "Benchmark camera"
    exif[0x0112] = orientation
    details = exif.get_ifd(0x8769)
    details[0x9003], details[0x9011] = DATE, "+02:00"
    buffer = io.BytesIO()
    (picture if turn is None else picture.transpose(turn)).save(buffer, "JPEG", quality=90, exif=exif)
    return buffer.getvalue()


def build(folder: Path, photos: int, distinct: int = 40, large: float = 0.1, seed: int = 0) -> Path:
    """Write a library and return its folder; one that is there already is taken as it is."""
    if folder.exists() and sum(1 for _ in folder.rglob("*.jpg")) == photos:
        return folder
    rng = np.random.default_rng(seed)
    people = list(demo_library.portraits()[:2])
    day = datetime(2019, 1, 1, 10)
    made: list[bytes] = []
    for number in range(photos):
        if number < distinct:
            megapixels = 48 if large > 0 and number % max(round(1 / large), 1) == 1 else 12
            made.append(encoded(photo(rng, people, megapixels), int(rng.choice(ORIENTATIONS))))
        day += timedelta(hours=7)
        data = made[number % len(made)].replace(DATE.encode(), day.strftime("%Y:%m:%d %H:%M:%S").encode())
        file = folder / day.strftime("%Y-%m") / f"IMG_{number:06}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return folder


def main() -> None:
    """Write one library."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--distinct", type=int, default=40)
    parser.add_argument("--large", type=float, default=0.1, help="The share of 48 megapixels.")
    given = parser.parse_args()
    build(given.folder, given.photos, given.distinct, given.large)
    size = sum(file.stat().st_size for file in given.folder.rglob("*.jpg"))
    print(f"{given.folder}: {given.photos} photos, {size / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
