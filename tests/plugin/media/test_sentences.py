"""What is wrong with a file is one plain sentence with its path, and nothing else on the terminal."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from damaged import WHOLE
from drawn import FORMATS, encoded, need
from rollcall.errors import PictureError
from rollcall.media import decode

#: Words of decoders and of Python, which say nothing to the owner of a photo.
INTERNAL = re.compile(
    r"b'|Error\b|errno|decoder error|broken data stream|libjxl|libheif|libraw|libtiff|opencv|cv2|pillow|cannot identify"
    r"|traceback|0x|\bNone\b|struct|unpack|buffer|IDAT|chunk|MAX_TEXT|not RAW|Generic",
    re.IGNORECASE,
)
KINDS = [*FORMATS, "GIF", "BMP", "PPM", "JPEG2000"]


def mutations(data: bytes, count: int) -> Iterator[bytes]:
    """Yield files with bytes changed, removed and cut off, the same ones every time."""
    chance = random.Random(len(data))
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(chance.randint(1, 12)):
            place = int(len(changed) * chance.random() ** 2)
            if chance.random() < 0.3:
                del changed[place : place + chance.randint(1, 40)]
            else:
                changed[place : place + 2] = bytes([chance.randrange(256), chance.randrange(256)])
        yield bytes(changed[: int(len(changed) * chance.choice((1, 1, chance.random()))) + 1])


@pytest.mark.parametrize("format_name", KINDS)
def test_a_refusal_is_one_sentence_with_the_path(format_name: str, tmp_path: Path) -> None:
    need(format_name)
    path = tmp_path / f"a{FORMATS.get(format_name, ('.bin', 0))[0]}"
    refused = 0
    for data in mutations(encoded(WHOLE, format_name), 25):
        path.write_bytes(data)
        try:
            picture = decode.decode(path, max_megapixels=4)
        except PictureError as error:
            refused += 1
            text = str(error)
            assert text.startswith(f"{path}: ")
            assert not INTERNAL.search(text.removeprefix(f"{path}: "))
            assert "\n" not in text
            assert 10 < len(error.reason) < 120
        else:
            assert all(not INTERNAL.search(warning) for warning in picture.warnings)
    assert refused > 0


PROGRAM = """
import sys
from pathlib import Path
from rollcall.errors import PictureError
from rollcall.media import decode
if sys.argv[1] == "as the command line":
    from rollcall.commands import interrupts, logs
    interrupts.interrupts.install()
    logs.configure("text", verbose=False)
for path in map(Path, sys.argv[2:]):
    try:
        decode.decode(path, max_megapixels=4)
    except PictureError:
        pass
print("done", file=sys.stderr)
"""


def printed(folder: Path, files: list[bytes], how: str) -> str:
    paths = []
    for number, data in enumerate(files):
        paths.append(folder / f"{number}.bin")
        paths[-1].write_bytes(data)
    done = subprocess.run([sys.executable, "-c", PROGRAM, how, *paths], capture_output=True, text=True, check=True)
    return done.stderr


@pytest.mark.parametrize("format_name", ["PNG", "WEBP", "TIFF", "GIF", "BMP", "JPEG2000", "AVIF", "HEIF", "JXL"])
def test_nothing_is_printed_on_damaged_files(format_name: str, tmp_path: Path) -> None:
    need(format_name)
    options = {"compression": "tiff_lzw"} if format_name == "TIFF" else {}
    files = list(mutations(encoded(WHOLE, format_name, **options), 15))
    assert printed(tmp_path, files, "as a library") == "done\n"


@pytest.mark.skipif(sys.platform == "win32", reason="the error output is left alone there")
def test_what_libjpeg_prints_does_not_reach_the_terminal_of_the_command_line(tmp_path: Path) -> None:
    """OpenCV offers no way to stop it, so a host that uses the library may see it."""
    files = list(mutations(encoded(WHOLE, "JPEG"), 30))
    assert "Corrupt JPEG data" in printed(tmp_path, files, "as a library")
    assert printed(tmp_path, files, "as the command line") == "done\n"
