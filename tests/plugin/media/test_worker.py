"""Decoding in a process that can be ended: late, dead, interrupted, and otherwise as in this one."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from damaged import WHOLE
from drawn import FORMATS, encoded, need
from rollcall.errors import NotAPictureError, TooLargeError, UnreadableError
from rollcall.media import decode, decoders, formats, jpeg_markers, reading, worker
from rollcall.media.job import Decoded, Job, Refused, TooManyPixels
from rollcall.settings import DecodeSettings


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> worker.Workers:
    """Give processes of the test's own, of which there is one at a time."""
    own = worker.Workers(most=1)
    monkeypatch.setattr(worker, "SHARED", own)
    yield own
    own.close()


def job(format_name: str, target: int | None = None) -> Job:
    data = encoded(WHOLE, format_name)
    kind = formats.sniff(data, "")
    assert kind is not None
    return Job(kind, data, target)


@pytest.mark.parametrize("target", [None, 50])
@pytest.mark.parametrize("format_name", [*FORMATS, "GIF", "BMP", "JPEG2000"])
def test_the_result_is_the_same_as_in_this_process(
    format_name: str, target: int | None, workers: worker.Workers
) -> None:
    need(format_name)
    here = decoders.decode(job(format_name, target), lenient=False)
    there = workers.decode(job(format_name, target), lenient=False, max_seconds=60)
    assert np.array_equal(here.pixels, there.pixels)
    assert here._replace(pixels=there.pixels) == there


def test_refusals_and_limits_come_back_as_they_are(workers: worker.Workers) -> None:
    with pytest.raises(Refused):
        workers.decode(Job(formats.Format.GIF, b"GIF89a"), lenient=False, max_seconds=60)
    with pytest.raises(TooManyPixels):
        workers.decode(job("GIF")._replace(max_megapixels=0.001), lenient=False, max_seconds=60)
    assert workers.decode(job("GIF"), lenient=False, max_seconds=60).width == 160


def test_a_file_that_takes_too_long_is_given_up_with_a_sentence(tmp_path: Path, workers: worker.Workers) -> None:
    path = tmp_path / "a.jp2"
    path.write_bytes(encoded(np.tile(WHOLE, (20, 20, 1)), "JPEG2000"))
    with pytest.raises(TooLargeError, match=r"decoding it took longer than 0\.01 seconds; raise the setting decode"):
        decode.decode(path, limits=DecodeSettings(max_seconds=0.01))
    # Another process serves the next file.
    assert decode.decode(path).width == 3200


def running(workers: worker.Workers) -> int:
    """Return the number of the process that waits for work."""
    (process,) = workers._idle
    return process._process.pid


def test_a_process_that_died_while_it_waited_is_replaced(workers: worker.Workers) -> None:
    workers.decode(job("GIF"), lenient=False, max_seconds=60)
    first = running(workers)
    dying = psutil.Process(first)
    os.kill(first, signal.SIGTERM)
    while dying.is_running() and dying.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert workers.decode(job("GIF"), lenient=False, max_seconds=60).width == 160
    assert running(workers) != first


def slow(workers: worker.Workers, path: Path, then: object) -> BaseException | None:
    """Decode a large picture on a thread, do something meanwhile, and return what came of it."""
    path.write_bytes(encoded(np.tile(WHOLE, (50, 50, 1)), "JPEG2000", irreversible=True))
    decode.decode(path, target=100)  # the process is there
    caught: list[BaseException] = []

    def read() -> None:
        try:
            decode.decode(path)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    deadline = time.monotonic() + 20
    while not workers._busy and time.monotonic() < deadline:
        time.sleep(0.001)
    then()  # type: ignore[operator]
    thread.join(30)
    assert not thread.is_alive()
    return caught[0] if caught else None


def test_a_decoder_that_crashes_costs_one_file(tmp_path: Path, workers: worker.Workers) -> None:
    def crash() -> None:
        for process in list(workers._busy):
            os.kill(process._process.pid, signal.SIGKILL)

    error = slow(workers, tmp_path / "a.jp2", crash)
    assert isinstance(error, NotAPictureError)
    assert "opening this file failed" in str(error)
    assert decode.decode(tmp_path / "a.jp2", target=1000).width == 8000


def test_an_interruption_blames_no_file(tmp_path: Path, workers: worker.Workers) -> None:
    began = time.monotonic()
    error = slow(workers, tmp_path / "a.jp2", decode.interrupt)
    assert isinstance(error, worker.Interrupted)
    assert time.monotonic() - began < 60
    assert decode.decode(tmp_path / "a.jp2", target=1000).width == 8000


def test_without_processes_sound_files_are_decoded_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Nothing:
        def decode(self, *_arguments: object, **_options: object) -> Decoded:
            raise worker.Unavailable

    monkeypatch.setattr(worker, "SHARED", Nothing())
    path = tmp_path / "a.jp2"
    path.write_bytes(encoded(WHOLE, "JPEG2000"))
    assert decode.decode(path).width == 160
    path.write_bytes(encoded(WHOLE, "GIF")[:200])
    with pytest.raises(NotAPictureError):
        decode.decode(path)


# ---- Time in this process


def with_scans(data: bytes, count: int) -> bytes:
    """Return a progressive JPEG whose last scan comes again and again."""
    frame = jpeg_markers.frame(data)
    assert frame is not None
    last = jpeg_markers.scans(data, frame.scan, 100)[-1]
    return data[:last] + data[last:-2] * count + b"\xff\xd9"


def test_a_jpeg_of_a_thousand_scans_is_shown_by_its_first(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(with_scans(encoded(np.tile(WHOLE, (4, 4, 1)), "JPEG", progressive=True), 1000))
    picture = decode.decode(path)
    assert picture.warnings == ("the picture has more than 100 scans; the later ones, which refine it, were left out",)
    assert np.abs(picture.pixels.astype(int) - np.tile(WHOLE, (4, 4, 1))).mean() < 6


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="there is no /proc here")
def test_a_file_that_says_it_has_no_bytes_is_empty_whatever_comes_out_of_it(tmp_path: Path) -> None:
    link = tmp_path / "a.jpg"
    link.symlink_to("/proc/self/maps")
    with pytest.raises(NotAPictureError, match="the file is empty"):
        decode.decode(link)
    link.unlink()
    link.symlink_to("/dev/zero")
    with pytest.raises(UnreadableError, match="this is not an ordinary file"):
        decode.decode(link)


def test_a_file_that_grows_is_read_as_long_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x" * 100)
    stop = threading.Event()

    def grow() -> None:
        with path.open("ab") as file:
            while not stop.is_set():
                file.write(b"y" * 1_000_000)
                file.flush()
                if file.tell() > 200_000_000:
                    return

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        for _ in range(20):
            before = path.stat().st_size
            data = reading.read(path)
            assert before <= len(data) <= path.stat().st_size
    finally:
        stop.set()
        writer.join()


def test_reading_that_takes_too_long_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_PORTION", 1)
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x" * 1000)
    with pytest.raises(UnreadableError, match=r"reading it took longer than 1e-09 seconds"):
        reading.read(path, max_seconds=1e-9)
