"""Analyse picture files without a database, for `rollcall analyze`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from rollcall.errors import ModelError, PictureError
from rollcall.media import decode, paths
from rollcall.records import Face, Picture
from rollcall.settings import Settings


class FileAnalysis(NamedTuple):
    """The faces of a picture file, or why it has none."""

    path: Path
    picture: Picture | None
    faces: tuple[Face, ...]
    error: str | None


@runtime_checkable
class FileAnalyzer(Protocol):
    """The part of an analyzer that the analysis of files needs."""

    def analyze(self, pictures: Sequence[Picture], *, one_face: bool = False) -> list[tuple[Face, ...]]:
        """Return the faces of each picture; with `one_face` exactly one."""


def analyze(
    files: Iterable[Path], analyzer: FileAnalyzer, settings: Settings, *, one_face: bool = False
) -> Iterator[FileAnalysis]:
    """Yield the faces of picture files in their order; a picture that cannot be used is a result with an error.

    Parameters
    ----------
    one_face
        Every picture is a portrait of one person, see `Analyzer.analyze`.

    Raises
    ------
    ModelError
        If the networks cannot be loaded.
    """
    size = settings.detector.batch
    batch: list[FileAnalysis] = []
    for one in _decoded(files, settings):
        batch.append(one)
        if len(batch) == size:
            yield from _batch(batch, analyzer, one_face)
            batch = []
    yield from _batch(batch, analyzer, one_face)


def _decoded(files: Iterable[Path], settings: Settings) -> Iterator[FileAnalysis]:
    """Yield files decoded on threads, in their order; memory holds a bounded number of pictures."""

    def read(path: Path) -> FileAnalysis:
        try:
            picture = decode.decode(path, target=settings.detector.resolution, limits=settings.decode)
        except PictureError as error:
            return FileAnalysis(path, None, (), error.reason + (f"; {error.hint}" if error.hint else ""))
        return FileAnalysis(path, picture, (), None)

    waiting: deque[Future[FileAnalysis]] = deque()
    with ThreadPoolExecutor(settings.decode_threads, thread_name_prefix="decode") as pool:
        for path in files:
            waiting.append(pool.submit(read, path))
            if len(waiting) > settings.decode_threads + settings.detector.batch:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _batch(batch: list[FileAnalysis], analyzer: FileAnalyzer, one_face: bool) -> Iterator[FileAnalysis]:
    """Yield a batch with its faces; if the analysis fails, find the picture that makes it fail."""
    pictures = [one.picture for one in batch if one.picture is not None]
    if not pictures:
        yield from batch
        return
    try:
        found = iter(analyzer.analyze(pictures, one_face=one_face))
    except ModelError:
        raise
    except Exception as error:  # one bad picture never stops the others
        if len(batch) == 1:
            yield batch[0]._replace(picture=None, error=f"the analysis failed ({type(error).__name__}: {error})")
            return
        for one in batch:
            yield from _batch([one], analyzer, one_face)
        return
    for one in batch:
        yield one if one.picture is None else one._replace(faces=next(found))


def as_dict(result: FileAnalysis, embeddings: bool = False) -> dict[str, Any]:
    """Return a result as plain values; boxes and landmarks are in pixels of the upright picture."""
    picture = result.picture
    width, height = (picture.width, picture.height) if picture else (None, None)
    return {
        "path": paths.to_text(str(result.path)),
        "width": width,
        "height": height,
        "error": result.error,
        "faces": [_face(face, width or 0, height or 0, embeddings) for face in result.faces],
    }


def _face(face: Face, width: int, height: int, embeddings: bool) -> dict[str, Any]:
    box = face.box
    child = face.p_group("children")
    found: dict[str, Any] = {
        "box": [round(value, 2) for value in (box.x * width, box.y * height, box.width * width, box.height * height)],
        "score": round(face.score, 5),
        "landmarks": [[round(x * width, 2), round(y * height, 2)] for x, y in face.landmarks],
        "age": None if face.age is None else round(face.age, 2),
        "age_interval": None if face.age_interval is None else [round(value, 2) for value in face.age_interval],
        "p_child": None if child is None else round(child, 5),
        "p_female": None if face.p_female is None else round(face.p_female, 5),
        "detected": face.detected,
    }
    if embeddings:
        found["embedding"] = None if face.embedding is None else [round(float(v), 6) for v in face.embedding]
    return found
