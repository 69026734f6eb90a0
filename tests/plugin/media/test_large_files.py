"""Large files: read by the process that decodes them, and nobody else holds their bytes meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ImageFile

from damaged import WHOLE
from drawn import encoded
from rollcall.errors import NotAPictureError, UnreadableError
from rollcall.media import decode, pillow_formats, reading, worker
from rollcall.media.job import Decoded, Job
from rollcall.media.memory_budget import MemoryBudget


class Bytes(bytes):
    """Bytes that tell when nobody holds them any more."""

    held = 0

    def __new__(cls, content: bytes) -> Bytes:
        cls.held += 1
        return super().__new__(cls, content)

    def __del__(self) -> None:
        Bytes.held -= 1


class Spy(worker.Workers):
    """Processes that decode, which do something with each job before they are asked."""

    def __init__(self) -> None:
        super().__init__(most=1)
        self.before: Any = lambda job: None

    def decode(self, job: Job, **options: Any) -> Decoded:
        self.before(job)
        return super().decode(job, **options)


@pytest.fixture(scope="module")
def processes() -> Iterator[Spy]:
    own = Spy()
    yield own
    own.close()


@pytest.fixture
def spy(processes: Spy, monkeypatch: pytest.MonkeyPatch) -> Spy:
    """Have all files taken for large ones, which another process decodes."""
    monkeypatch.setattr(decode, "_LARGE_FILE", 1)
    monkeypatch.setattr(decode, "_IN_PROCESS", 0)
    monkeypatch.setattr(worker, "SHARED", processes)
    processes.before = lambda job: None
    return processes


def test_nobody_holds_the_bytes_while_another_process_decodes(
    spy: Spy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(encoded(WHOLE, "TIFF"))
    read = reading.read
    monkeypatch.setattr(reading, "read", lambda *given: Bytes(read(*given)))
    seen: list[int] = []
    spy.before = lambda job: seen.extend((Bytes.held, len(job.data)))
    picture = decode.decode(path)
    assert seen == [0, 0]
    assert np.array_equal(picture.pixels, WHOLE)
    assert picture.content_hash == decode.content_hash(path)


def test_a_file_that_changes_meanwhile_is_read_anew(spy: Spy, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(WHOLE, "PNG"))
    later = encoded(WHOLE[::-1], "PNG")
    spy.before = lambda job: path.write_bytes(later)
    picture = decode.decode(path)
    assert np.array_equal(picture.pixels, WHOLE[::-1])
    assert picture.content_hash == decode.content_hash(path)


def test_a_file_that_goes_on_changing_is_refused_with_a_sentence(spy: Spy, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(WHOLE, "PNG"))
    spy.before = lambda job: path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(UnreadableError, match="changes while it is read"):
        decode.decode(path)


def test_a_file_that_is_gone_meanwhile_is_refused_with_a_sentence(spy: Spy, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(WHOLE, "PNG"))
    spy.before = lambda job: path.unlink()
    with pytest.raises(UnreadableError, match="cannot be read"):
        decode.decode(path)


def test_a_jpeg_that_ends_before_its_picture_is_called_truncated_however_large_it_is(spy: Spy, tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    data = encoded(WHOLE, "JPEG")
    path.write_bytes(data[: data.index(b"\xff\xda")])
    with pytest.raises(NotAPictureError, match="truncated before the picture begins"):
        decode.decode(path)


def test_a_large_file_of_few_pixels_is_decoded_here_where_the_memory_is_free(
    spy: Spy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "_IN_PROCESS", 1 << 30)
    path = tmp_path / "a.png"
    path.write_bytes(encoded(WHOLE, "PNG"))
    seen: list[Job] = []
    spy.before = seen.append
    assert np.array_equal(decode.decode(path).pixels, WHOLE)
    assert not seen


def test_a_reservation_grows_only_without_waiting() -> None:
    budget = MemoryBudget(lambda: 10**12)
    with budget.reserve(20 << 20, Path("a"), 100) as grow, budget.reserve(30 << 20, Path("b"), 100):
        assert not grow(80 << 20)
        assert grow(70 << 20)
        assert budget.reserved == 100 << 20
    assert budget.reserved == 0


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "GIF"])
def test_nothing_of_a_file_is_held_once_it_is_decoded(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"a.{kind.lower()}"
    path.write_bytes(encoded(WHOLE, kind))
    closed: list[Any] = []
    close = ImageFile.ImageFile.close
    monkeypatch.setattr(ImageFile.ImageFile, "close", lambda image: (closed.append(image), close(image)))
    opened: list[Any] = []
    header = pillow_formats.opened
    monkeypatch.setattr(pillow_formats, "opened", lambda *given: opened.append(header(*given)) or opened[-1])
    decode.decode(path)
    assert opened
    assert {id(image) for image in opened} <= {id(image) for image in closed}
