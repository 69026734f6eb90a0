"""Pack aligned crops into small files, to train elsewhere: `python -m rollcall_model.training.pack --crops CROPS`.

A machine with an accelerator is often lent for minutes and reached by a slow line. The pictures are WebP: of 124 pixels
about 1.5 kB at quality 75, a thirtieth of the stored crops.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import click
import cv2
import numpy as np
from jaxtyping import Int

from rollcall_model import runtime
from rollcall_model.datasets import faces as stored
from rollcall_model.datasets.faces import STORED, Faces
from rollcall_model.datasets.sources import DatasetError

_QUALITY: Final = 75
_MIB: Final = 2**20
#: Crops that are encoded, or decoded, before the next are read.
_BATCH: Final = 4096


def pack(faces: Faces, rows: Int[np.ndarray, " n"], out: Path, at_most: int, quality: int = _QUALITY) -> int:
    """Write some faces to the parts `faces-00.bin` and `faces-00.jsonl` and so on of `out`; return how many parts.

    A part's pictures take at most `at_most` bytes. A line of the second file is the sample, whether the detector found
    its face, and the length of its picture in bytes.
    """
    out.mkdir(parents=True, exist_ok=True)
    parts: list[tuple[list[bytes], list[str]]] = [([], [])]
    size = 0

    def encode(row: int) -> bytes:
        _, encoded = cv2.imencode(".webp", faces.crops[row][..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])
        return encoded.tobytes()

    with ThreadPoolExecutor(runtime.processors()) as threads:
        for row, encoded in zip(rows.tolist(), threads.map(encode, rows.tolist(), chunksize=256), strict=True):
            if size + len(encoded) > at_most and size:
                parts.append(([], []))
                size = 0
            parts[-1][0].append(encoded)
            parts[-1][1].append(json.dumps([*faces.samples[row], bool(faces.detected[row]), len(encoded)]) + "\n")
            size += len(encoded)
    for number, (pictures, lines) in enumerate(parts):
        (out / f"faces-{number:02}.bin").write_bytes(b"".join(pictures))
        (out / f"faces-{number:02}.jsonl").write_text("".join(lines), encoding="utf-8")
    return len(parts)


def unpack(folder: Path, crops: Path) -> int:
    """Write the faces of all parts in `folder` to `crops`, as `faces.prepare` does; return how many.

    Raises
    ------
    DatasetError
        If there are no parts, or a part is not whole.
    """
    tables = sorted(folder.glob("faces-*.jsonl"))
    if not tables:
        raise DatasetError(f"{folder}: holds no parts of packed faces; write some with --crops")
    rows = {table: [json.loads(line) for line in table.read_text(encoding="utf-8").splitlines()] for table in tables}
    count = sum(map(len, rows.values()))
    crops.mkdir(parents=True, exist_ok=True)
    pixels = np.lib.format.open_memmap(crops / "crops.npy", "w+", np.uint8, (count, STORED, STORED, 3))
    place = 0
    with ThreadPoolExecutor(runtime.processors()) as threads, (crops / "samples.jsonl.part").open("w") as lines:
        for table, samples in rows.items():
            pictures = _pictures(table.with_suffix(".bin"), [row[-1] for row in samples])
            for start in range(0, len(samples), _BATCH):
                decoded = list(threads.map(stored.decode, pictures[start : start + _BATCH]))
                pixels[place : place + len(decoded)] = decoded
                place += len(decoded)
            lines.writelines(json.dumps(row[:-1]) + "\n" for row in samples)
    pixels.flush()
    (crops / "samples.jsonl.part").replace(crops / "samples.jsonl")
    return count


def _pictures(file: Path, lengths: Sequence[int]) -> list[bytes]:
    content = file.read_bytes() if file.exists() else b""
    if len(content) != sum(lengths):
        raise DatasetError(f"{file}: has {len(content):,} bytes instead of {sum(lengths):,}; copy the part again")
    ends = np.cumsum(lengths)
    return [content[end - length : end] for end, length in zip(ends.tolist(), lengths, strict=True)]


_FILE: Final = click.Path(path_type=Path, exists=True)


@click.command()
@click.option("--crops", type=_FILE, help="Pack the faces of this folder, from prepare.")
@click.option("--packed", type=_FILE, help="Unpack the parts in this folder instead.")
@click.option("--split", type=click.Choice(["train", "val"]), default="train", show_default=True)
@click.option("--at-most", default=48.0, show_default=True, metavar="MIB", help="Size of a part.")
@click.option("--quality", default=_QUALITY, show_default=True, help="Quality of WebP.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the parts, or for the crops.")
def main(crops: Path | None, packed: Path | None, split: str, at_most: float, quality: int, out: Path) -> None:
    """Pack aligned crops of training faces into small files, or unpack them."""
    if (crops is None) == (packed is None):
        raise click.UsageError("give either --crops, to pack, or --packed, to unpack")
    try:
        if packed is not None:
            click.echo(f"{out}: {unpack(packed, out):,} faces")
        elif crops is not None:
            faces = stored.load(crops)
            rows = faces.where(split=split)
            count = pack(faces, rows, out, int(at_most * _MIB), quality)
            click.echo(f"{out}: {len(rows):,} faces in {count} parts")
    except DatasetError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
