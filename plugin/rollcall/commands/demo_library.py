"""A small library of public-domain portraits, built from pictures that come with installed packages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from rollcall.errors import RollcallError

#: By EXIF orientation: how upright pixels are transposed before they are stored with it.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def portraits() -> tuple[Image.Image, Image.Image, Image.Image]:
    """Return Grace Hopper (matplotlib), Eileen Collins (scikit-image; both public domain) and a cat.

    Raises
    ------
    RollcallError
        If the packages they come with are not installed.
    """
    try:
        from matplotlib import cbook
        from skimage import data
    except ImportError as error:
        raise RollcallError(
            f"the demonstration's pictures come with packages that are not installed ({error.name});"
            " install them with `pip install 'rollcall[demo]'`"
        ) from error
    with Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)) as file:
        hopper = file.convert("RGB")
    return hopper, Image.fromarray(data.astronaut()), Image.fromarray(data.chelsea())


def write_photo(image: Image.Image, path: Path, orientation: int = 1, taken: str = "", offset: str = "") -> None:
    """Write a JPEG as a camera would: pixels as the sensor recorded them, orientation and capture time in EXIF.

    `image` is upright; `taken` is in EXIF's format, "YYYY:MM:DD HH:MM:SS", and `offset` from UTC "+HH:MM".
    """
    turn = STORED[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    if taken:
        details = exif.get_ifd(0x8769)
        details[0x9003] = taken
        if offset:
            details[0x9011] = offset
    path.parent.mkdir(parents=True, exist_ok=True)
    (image if turn is None else image.transpose(turn)).save(path, quality=92, exif=exif)


def side_by_side(images: list[Image.Image], height: int = 700) -> Image.Image:
    """Return pictures in a row, all of one height in pixels."""
    scaled = [ImageOps.contain(image, (10_000, height)) for image in images]
    row = Image.new("RGB", (sum(image.width for image in scaled), height), (90, 90, 90))
    x = 0
    for image in scaled:
        row.paste(image, (x, 0))
        x += image.width
    return row


def scene(rng: np.random.Generator, height: int = 480, width: int = 720) -> NDArray[np.uint8]:
    """Return a drawn landscape without people, (height, width, 3): hills under a sky."""
    y, x = np.mgrid[0:height, 0:width]
    picture = np.empty((height, width, 3), np.float64)
    picture[:] = np.stack([120 + y / height * 90, 170 + y / height * 50, 235 - y / height * 20], -1)
    for shade in (0.9, 0.7, 0.5):
        ridge = height * (1.2 - 0.6 * shade) + 30 * np.sin(x / rng.uniform(40, 120) + rng.uniform(0, 6))
        picture[y > ridge] = np.array([70, 120, 60]) * shade
    return np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


def build(folder: Path) -> Path:
    """Write the library into `folder` and return it: portraits, a group, turned photos, a landscape, a broken file.

    Raises
    ------
    RollcallError
        If the packages that the portraits come with are not installed.
    """
    hopper, collins, cat = portraits()
    mirrored = ImageOps.mirror
    write_photo(hopper, folder / "navy" / "rear-admiral.jpg", 1, "1984:01:20 10:00:00")
    write_photo(hopper, folder / "navy" / "rear-admiral-turned.jpg", 6, "1984:01:20 10:01:00")
    write_photo(collins, folder / "space" / "astronaut.jpg", 1, "1999:07:23 12:30:00", "-05:00")
    write_photo(collins, folder / "space" / "astronaut-upside-down.jpg", 3, "1999:07:23 12:31:00", "-05:00")
    write_photo(side_by_side([hopper, collins]), folder / "meeting.jpg", 1, "1999:08:01 09:00:00")
    row = side_by_side([hopper, collins, mirrored(hopper), mirrored(collins), hopper], 500)
    write_photo(row, folder / "group.jpg", 8, "1999:08:01 09:05:00")
    write_photo(cat, folder / "home" / "cat.jpg", 1, "2005:05:05 05:05:05")
    write_photo(Image.fromarray(scene(np.random.default_rng(1))), folder / "travel" / "hills.jpg", 1)
    whole = (folder / "navy" / "rear-admiral.jpg").read_bytes()
    (folder / "travel" / "half-copied.jpg").write_bytes(whole[: len(whole) // 2])
    return folder
