"""Data sets on disk: labels in one of the formats, pictures in a folder or a tar."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np

from rollcall_model.datasets.readers import FORMATS
from rollcall_model.datasets.samples import Sample


class DatasetError(Exception):
    """A data set cannot be read; the message names it and a remedy."""


class DatasetSource(NamedTuple):
    """Where a data set lies; paths may be relative to a folder of data sets."""

    name: str
    format: str  # one of `readers.FORMATS`
    labels: str
    images: str  # a folder, or a tar with one folder of the set's name
    max_side: int = 0  # larger pictures are reduced to this many pixels before faces are detected; 0: none is

    def within(self, folder: Path) -> DatasetSource:
        """Return the same with its paths taken relative to `folder`."""
        return self._replace(labels=str(folder / self.labels), images=str(folder / self.images))


#: The sets that the committed weights were trained on.
DEFAULT_SOURCES: Final = tuple(
    DatasetSource(name, "csv", f"{name}-dev.csv", f"{name}-dev.tar") for name in ("utkface", "lfw", "celeba")
)


def read_samples(sources: Sequence[DatasetSource]) -> list[Sample]:
    """Return the samples of all data sets, in order.

    Raises
    ------
    DatasetError
        If a format is unknown, or labels are missing or empty.
    """
    result: list[Sample] = []
    for source in sources:
        if source.format not in FORMATS:
            raise DatasetError(f"{source.name}: the format {source.format!r} is none of {', '.join(FORMATS)}")
        try:
            samples = list(FORMATS[source.format](Path(source.labels), source.name))
        except (OSError, KeyError) as error:
            raise DatasetError(f"{source.name}: its labels {source.labels} cannot be read ({error})") from error
        if not samples:
            raise DatasetError(f"{source.name}: there are no labels of the format {source.format} in {source.labels}")
        result += samples
    return result


class Pictures:
    """Reads the files of samples; call it with a sample, from one thread at a time. A context manager."""

    def __init__(self, sources: Sequence[DatasetSource]) -> None:
        self._images = {source.name: Path(source.images) for source in sources}
        self._max_sides = {source.name: source.max_side for source in sources}
        self._tars: dict[str, tarfile.TarFile] = {}
        self._open = ExitStack()

    def __enter__(self) -> Pictures:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def __call__(self, sample: Sample) -> bytes:
        """Return the encoded picture of a sample, reduced to the `max_side` of its set.

        Raises
        ------
        DatasetError
            If there is no such file, or it has to be reduced and is no picture.
        """
        encoded, max_side = self._read(sample), self._max_sides[sample.source]
        try:
            return reduce(encoded, max_side) if max_side else encoded
        except ValueError as error:
            raise DatasetError(f"{sample.source}: {sample.file} {error}") from error

    def _read(self, sample: Sample) -> bytes:
        images = self._images[sample.source]
        try:
            if images.is_dir():
                return (images / sample.file).read_bytes()
            if sample.source not in self._tars:
                self._tars[sample.source] = self._open.enter_context(tarfile.open(images))  # noqa: SIM115 (stays open until the last sample)
            file = self._tars[sample.source].extractfile(sample.name)
            assert file is not None, sample.name
            return file.read()
        except (OSError, KeyError, tarfile.TarError) as error:
            raise DatasetError(f"{sample.source}: {sample.file} is not in {images} ({error})") from error


def reduce(encoded: bytes, max_side: int) -> bytes:
    """Return an encoded picture whose longer side has at most `max_side` pixels; a smaller one as it is.

    Raises
    ------
    ValueError
        If it cannot be decoded.
    """
    picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("is no picture")
    scale = max_side / max(picture.shape[:2])
    if scale >= 1:
        return encoded
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    # Without loss, so that no second compression is learnt.
    return cv2.imencode(".bmp", small)[1].tobytes()
