"""The most memory that the page's server takes: asked for many huge pictures at once, and reloaded in a first run.

The server runs in a process of its own; measured is the resident memory of that process and of all that it started,
together, a few times a second. The first case asks 12 times at once for the thumbnail of one PNG of 81 megapixels
before it is made, the second reloads the library again and again while it is indexed for the first time, the third
asks at once for thumbnails, screens and enlargements of 6 such PNGs, of 6 HEIC and of a JPEG of 100 megapixels, and
for a ZIP file of 200 photos. The library of the third is indexed without the networks: what it asks for are pictures.
A fourth case, measured where it is named alone, is a first index with one large picture for each format in turn, of 48
to 200 megapixels, or with each of the files that are named, that 40 clients ask for at once, small and enlarged; its
figures are proportional set sizes.

    python benchmarks/page_memory.py [--side 9000] [--photos 60] [--large 4] [--huge 6] [--only CASE] [--out FOLDER]
    python benchmarks/page_memory.py --only formats --files large.heic large.avif
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import library
import measuring
import numpy as np
import psutil
from PIL import Image

from rollcall import Plugin
from rollcall.records import Face, Picture

KINDS = ("thumb.webp", "screen.webp", "large.jpg")
#: What a picture may take, in seconds: a busy machine shall give up none, since then nothing is measured.
PATIENCE = "900"


class Watched:
    """A server, and the most memory that it took."""

    def __init__(self, process: subprocess.Popen[str], folder: Path, proportional: bool = False) -> None:
        assert process.stdout is not None
        self.process = process
        origin, _, token = process.stdout.readline().strip().partition("/?token=")
        headers = {"Authorization": f"Bearer {token}"}
        self.client = httpx.Client(base_url=origin, headers=headers, timeout=300, trust_env=False)
        self.most = self.now = 0
        self.own = 0  # of the most, what the server's own process held; the rest is that of decoders
        self.folder = folder
        self._proportional = proportional
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        whole = psutil.Process(self.process.pid)
        while not self._done.wait(0.05):
            held: list[int] = []
            with suppress(psutil.NoSuchProcess):
                for one in (whole, *whole.children(recursive=True)):
                    with suppress(psutil.NoSuchProcess):
                        # Of a page that two processes share, half for each.
                        held.append(one.memory_full_info().pss if self._proportional else one.memory_info().rss)
            self.now = sum(held)
            if self.now > self.most:
                self.most, self.own = self.now, held[0]

    def end(self) -> None:
        self._done.set()
        self._thread.join()
        self.client.close()
        self.process.terminate()
        self.process.wait()


@contextmanager
def serving(folder: Path, *words: str, proportional: bool = False) -> Iterator[Watched]:
    """Serve a library of its own."""
    environment = {
        **os.environ,
        "ROLLCALL_CACHE__FOLDER": str(folder / "cache"),
        "ROLLCALL_DECODE__MAX_SECONDS": PATIENCE,
    }
    command = [sys.executable, "-m", "rollcall", "serve", "--port", "0", "--database", str(folder / "page.db"), *words]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    watched = Watched(process, folder, proportional)
    try:
        yield watched
    finally:
        watched.end()


def huge(path: Path, side: int) -> Path:
    """Write a PNG of `side` by `side` pixels that compresses a little, as a photo does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (side // 8, side // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    coarse[::3] ^= rng.integers(0, 8, coarse[::3].shape, np.uint8)
    Image.fromarray(coarse).save(path, compress_level=1)
    return path


def index(folder: Path, *words: str) -> None:
    # Compiled networks may lie elsewhere already: this makes no pictures of the page.
    environment = {"ROLLCALL_CACHE__FOLDER": str(folder / "cache"), **os.environ}
    command = [sys.executable, "-m", "rollcall", "index", *words, "--database", str(folder / "page.db"), "--quiet"]
    subprocess.run(command, check=True, env=environment)


class NoFaces:
    """An analyzer that finds no faces, at once."""

    model_version = "none-1"

    def analyze(self, pictures: Sequence[Picture]) -> list[tuple[Face, ...]]:
        """Return no faces."""
        return [() for _ in pictures]

    def describe(self, picture: Picture, boxes: Sequence[Any]) -> list[Face]:
        """Return nothing."""
        return []


def index_without_networks(folder: Path, source: Path) -> None:
    """Index photos whose faces nobody asks for: with the networks this takes several times as long as the requests."""
    values = {"database.url": f"sqlite:///{folder / 'page.db'}", "decode.max_seconds": PATIENCE}
    with Plugin(values, analyzer=NoFaces()) as plugin:
        plugin.index([source])


def one_picture(folder: Path, side: int) -> tuple[float, float]:
    """Return the most memory in MB while 12 clients ask for one thumbnail, and what is held five seconds later."""
    huge(folder / "photos" / "huge.png", side)
    index(folder, str(folder / "photos"))
    with serving(folder) as server, ThreadPoolExecutor(12) as pool:
        ask = "/pictures/photo/1/thumb.webp"
        codes = [one.status_code for one in pool.map(server.client.get, [ask] * 12)]
        assert codes == [200] * 12, codes
        time.sleep(5)
        return server.most / 1e6, server.now / 1e6


def copies(path: Path, number: int) -> list[Path]:
    """Return a picture and copies of it, no two files equal: what follows a picture's end is not read."""
    content, made = path.read_bytes(), [path]
    for one in range(1, number):
        made.append(path.with_stem(f"{path.stem}{one}"))
        made[-1].write_bytes(content + f"copy {one}".encode())
    return made


def hammer(folder: Path, side: int, number: int) -> tuple[float, float, float]:
    """Return the most memory in MB while all kinds of pictures are asked for at once, the server's own, and later."""
    source = library.build(folder / "photos", 200, distinct=4, large=0)
    wanted = copies(huge(source / "huge.png", side), number)
    with Image.open(wanted[0]) as image:
        small, large = image.resize((4000, 3000)), image.resize((11_600, 8_700))
    large.save(source / "large.jpg", quality=90)
    try:
        import pillow_heif  # of the extra `heif`
    except ImportError:
        print("without HEIC: pillow-heif is not installed", flush=True)
    else:
        # What the encoder takes its time for makes no difference to whoever reads the file.
        pillow_heif.from_pillow(small).save(source / "phone.heic", enc_params={"preset": "ultrafast"})
        wanted += copies(source / "phone.heic", number)
    del small, large
    index_without_networks(folder, source)
    with serving(folder) as server, ThreadPoolExecutor(64) as pool:
        found = server.client.get("/api/search?q=&limit=500&order=date").json()["hits"]
        numbers = {Path(one["path"]).name: one["photo_id"] for one in found}
        # On a machine that is very busy a picture may be given up while it is indexed: then it is not asked for.
        left_out = [path.name for path in wanted if path.name not in numbers]
        wanted = [path for path in wanted if path.name in numbers]
        print(f"not indexed: {', '.join(left_out) or 'none'}", flush=True)
        asked = [f"/pictures/photo/{numbers[path.name]}/{kind}" for kind in KINDS for path in wanted]
        asked += [f"/pictures/photo/{numbers['large.jpg']}/{kind}" for kind in KINDS] * 4
        chosen = [number for name, number in numbers.items() if not name.startswith("huge")][:200]
        asked.insert(0, f"/selection/zip?numbers={','.join(map(str, chosen))}")
        codes = list(pool.map(lambda address: server.client.get(address, timeout=3600).status_code, asked))
        print(f"{len(asked)} requests, refused: {sum(code != 200 for code in codes)}", flush=True)
        most, own = server.most / 1e6, server.own / 1e6
        time.sleep(5)
        return most, own, server.now / 1e6


def first_index(folder: Path, photos: int, large: int, side: int) -> tuple[float, float, float, float, int]:
    """Return the most memory in MB, of it the server's own, what is held after, seconds, and the loads of the page."""
    source = library.build(folder / "photos", photos, distinct=20, large=0.1)
    for number in range(large):
        huge(source / f"huge{number}.png", side)
    with serving(folder, str(source)) as server, ThreadPoolExecutor(12) as pool:
        began, loads = time.monotonic(), 0
        while True:
            text = server.client.get("/").text
            loads += 1
            # A reload drops what the last one still waits for.
            for address in re.findall(r'src="(/pictures/[^"]+)"', text):
                pool.submit(_fleeting, server.client, address)
            status = server.client.get("/api/status").json()
            counts = status["photos"]
            if counts.get("indexed") and not counts.get("pending") and status["state"] != "indexing":
                break
            time.sleep(0.5)
        taken = time.monotonic() - began
        time.sleep(5)
        return server.most / 1e6, server.own / 1e6, server.now / 1e6, taken, loads


def drawn(folder: Path) -> Iterator[Path]:
    """Yield one large picture after the other, of which only the last is there; formats that cannot be written not."""
    with suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    with suppress(ImportError):
        import pillow_jxl  # noqa: F401 (registers itself)
    rng = np.random.default_rng(1)
    people = list(library.demo_library.portraits()[:2])
    photo = library.photo(rng, people, 48)
    kinds: list[tuple[str, int, dict[str, Any]]] = [
        ("png", 81, {"compress_level": 1}),
        ("tif", 100, {}),
        ("tif", 100, {"compression": "tiff_adobe_deflate"}),
        ("tif", 100, {"compression": "tiff_lzw"}),
        ("heic", 100, {"enc_params": {"preset": "ultrafast"}}),
        ("avif", 100, {"speed": 10}),
        ("avif", 100, {"speed": 10, "subsampling": "4:4:4"}),
        ("jxl", 100, {"effort": 1}),
        ("jp2", 48, {"irreversible": True, "quality_layers": [10]}),
        ("jp2", 100, {"irreversible": True, "quality_layers": [10]}),
        ("webp", 100, {"method": 0}),
        ("webp", 100, {"method": 0, "lossless": True, "quality": 0}),
        ("jpg", 200, {"quality": 88}),
        ("jpg", 100, {"quality": 92, "progressive": True, "subsampling": 0}),
        ("gif", 100, {}),
        ("bmp", 100, {}),
        ("ppm", 100, {}),
    ]
    for suffix, megapixels, options in kinds:
        ratio = (megapixels * 1e6 / (photo.width * photo.height)) ** 0.5
        path = folder / f"{options.get('compression', 'large')}.{suffix}"
        try:
            photo.resize((int(photo.width * ratio), int(photo.height * ratio))).save(path, **options)
        except (ValueError, KeyError, OSError) as error:
            print(f"{path.name}: not written ({error})", flush=True)
        else:
            yield path
        path.unlink(missing_ok=True)


def copied(folder: Path, files: Sequence[Path]) -> Iterator[Path]:
    """Yield one file after the other, of which only the last is there."""
    for file in files:
        path = folder / file.name
        shutil.copyfile(file, path)
        yield path
        path.unlink()


def formats(folder: Path, photos: int, files: Sequence[Path] = ()) -> Iterator[tuple[str, float, float, float]]:
    """Yield name, most memory in MB, of it the server's own, and what is held 5 s later, for each large picture."""
    source = library.build(folder / "photos", photos, distinct=12, large=0.1)
    for number, path in enumerate(copied(source, files) if files else drawn(source)):
        (folder / str(number)).mkdir()
        with serving(folder / str(number), str(source), proportional=True) as server, ThreadPoolExecutor(80) as pool:
            name, number_of = path.name, None
            # The page lists photos once they are indexed; who knows its number sees one before.
            while number_of is None:
                time.sleep(0.1)
                number_of = _number(folder / str(number) / "page.db", name)
            asked = [f"/pictures/photo/{number_of}/{kind}" for kind in ("thumb.webp", "large.jpg") for _ in range(40)]
            codes = list(pool.map(lambda address: server.client.get(address, timeout=3600).status_code, asked))
            while (status := server.client.get("/api/status").json())["photos"].get("pending") or (
                status["state"] == "indexing"
            ):
                time.sleep(0.5)
            time.sleep(5)
            print(f"{name}: refused {sum(code != 200 for code in codes)} of {len(codes)}", flush=True)
            yield name, server.most / 1e6, server.own / 1e6, server.now / 1e6


def _number(database: Path, name: str) -> int | None:
    """Return the number of a photo, by the end of its path."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        for number, path in connection.execute("SELECT id, path FROM photos"):
            if Path(os.fsdecode(path)).name == name:
                return int(number)
    return None


def _fleeting(client: httpx.Client, address: str) -> None:
    with suppress(httpx.HTTPError):
        client.get(address, timeout=1.5)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=9000)
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--large", type=int, default=4)
    parser.add_argument("--huge", type=int, default=6, help="PNGs, and HEIC, of the third case")
    parser.add_argument(
        "--only", choices=("one", "first", "hammer", "formats"), help="Measure one case, and write no report."
    )
    parser.add_argument("--files", type=Path, nargs="+", default=[], help="Large pictures, for the case formats.")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    where = measuring.machine()
    with tempfile.TemporaryDirectory() as name:
        if given.only in (None, "hammer"):
            heavy, of_it, afterwards = hammer(Path(name) / "hammer", given.side, given.huge)
            print(f"hammer: most {heavy:.0f} MB, of it the server {of_it:.0f}, later {afterwards:.0f} MB", flush=True)
        if given.only in (None, "one"):
            most, held = one_picture(Path(name) / "one", given.side)
            print(f"one picture: most {most:.0f} MB, later {held:.0f} MB", flush=True)
        if given.only in (None, "first"):
            folder = Path(name) / "first"
            during, own, after, seconds, loads = first_index(folder, given.photos, given.large, given.side)
            print(f"first index: most {during:.0f} MB, of it the server {own:.0f}, later {after:.0f} MB", flush=True)
        if given.only == "formats":
            for file, most, own, after in formats(Path(name) / "formats", given.photos, given.files):
                print(f"{file}: most {most:.0f} MB, of it the server {own:.0f}, later {after:.0f} MB", flush=True)
    if given.only:
        return
    lines = [
        measuring.Line("12 requests for one thumbnail, most memory", (most,), "MB"),
        measuring.Line("five seconds later", (held,), "MB"),
        measuring.Line("everything at once, most memory", (heavy,), "MB"),
        measuring.Line("of it in the server's own process", (of_it,), "MB"),
        measuring.Line("five seconds later", (afterwards,), "MB"),
        measuring.Line("reloading during a first index, most memory", (during,), "MB", f"{loads} loads"),
        measuring.Line("of it in the server's own process", (own,), "MB"),
        measuring.Line("after it", (after,), "MB"),
        measuring.Line("the index", (seconds,), "seconds"),
    ]
    data = f"a PNG of {given.side}x{given.side}; {given.photos} JPEGs of benchmarks/library.py, {given.large} such PNGs"
    measuring.report("Memory of the page's server", data, lines, given.out, "page_memory", where)


if __name__ == "__main__":
    main()
