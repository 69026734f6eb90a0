"""Remote folders are listed whole or not at all, and fetched within a budget; nothing secret is repeated."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

fsspec = pytest.importorskip("fsspec")

from rollcall.remote.address import is_address, parse  # noqa: E402
from rollcall.remote.errors import RemoteError  # noqa: E402 (after the check for the extra)
from rollcall.remote.fetching import fetched  # noqa: E402
from rollcall.remote.files import ChangedError, RemoteFiles  # noqa: E402
from rollcall.remote.trouble import Retries  # noqa: E402

PHOTOS = {"a.jpg": b"a" * 10, "trip/b.JPG": b"b" * 20, "trip/b.xmp": b"<x/>", "trip/day/c.mp4": b"c" * 30}


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def files(waits: list[float]) -> Iterator[RemoteFiles]:
    """Return a folder in memory, beside one whose name begins alike."""
    name = uuid.uuid4().hex
    system = fsspec.filesystem("memory")
    for path, content in PHOTOS.items():
        system.pipe_file(f"/{name}/{path}", content)
    system.pipe_file(f"/{name}-other/d.jpg", b"d")
    yield RemoteFiles(parse(f"memory://{name}"), Retries(sleep=waits.append))
    system.rm(f"/{name}", recursive=True)
    system.rm(f"/{name}-other", recursive=True)


def _breaking(monkeypatch: pytest.MonkeyPatch, files: RemoteFiles, what: str, errors: list[Exception]) -> None:
    """Let the next calls of a function of the server raise errors."""
    real = getattr(files._system, what)

    def broken(*args: Any, **options: Any) -> Any:
        if errors:
            raise errors.pop(0)
        return real(*args, **options)

    monkeypatch.setattr(files._system, what, broken)


@pytest.mark.parametrize("text", ["s3://bucket/photos", "sftp://anna@nas/photos", "webdavs://host:8443/dav", "S3://b"])
def test_addresses_are_told_from_paths(text: str) -> None:
    assert is_address(text)
    assert str(parse(text)) == text.replace("S3", "s3")


@pytest.mark.parametrize("text", ["/home/photos", "C:\\photos", "C://photos", "photos", "~/a:b"])
def test_paths_are_no_addresses(text: str) -> None:
    assert not is_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "sftp://anna:secret@nas/photos",
        "webdav://anna:s/e@cret@nas/photos",
        "s3://key%3Asecret@bucket/photos",
        "s3://bucket/photos?signature=secret",
        "s3://bucket/photos#secret",
        "simplecache::s3://key:secret@bucket",
        "file:///home/secret",
        "s3://bucket/../secret",
        "s3://",
    ],
)
def test_addresses_with_secrets_or_of_this_computer_are_refused(text: str) -> None:
    with pytest.raises(RemoteError) as caught:
        parse(text)
    if "@" in text or "?" in text or "#" in text:
        assert "secret" not in str(caught.value)
        assert "cret" not in str(caught.value.path)


def test_all_files_below_are_listed_and_none_beside(files: RemoteFiles) -> None:
    assert {one.path: one.size for one in files.listed()} == {path: len(text) for path, text in PHOTOS.items()}


def test_a_file_that_did_not_change_is_listed_alike_and_a_changed_one_is_not(files: RemoteFiles) -> None:
    before = list(files.listed())
    assert list(files.listed()) == before
    files._system.pipe_file(f"{files._root}/a.jpg", b"A" * 10)
    assert [one.path for one in set(files.listed()) - set(before)] == ["a.jpg"]


def test_a_folder_that_is_not_there_is_an_error_and_not_empty() -> None:
    with pytest.raises(RemoteError, match=r"^memory://nowhere/at-all: there is no such folder"):
        list(RemoteFiles(parse("memory://nowhere/at-all")).listed())


def test_a_package_that_is_missing_is_said() -> None:
    with pytest.raises(RemoteError):
        RemoteFiles(parse("nosuchscheme://host/photos"))


def test_trouble_that_passes_is_tried_again_later_and_later(
    files: RemoteFiles, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    _breaking(monkeypatch, files, "ls", [ConnectionError(), TimeoutError()])
    assert len(list(files.listed())) == len(PHOTOS)
    assert waits == [0.5, 1.0]


def test_a_listing_that_fails_half_way_is_an_error(files: RemoteFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    found = files.listed()
    assert next(found).path == "a.jpg"
    _breaking(monkeypatch, files, "ls", [ConnectionError()] * 4)
    with pytest.raises(RemoteError):
        list(found)


def test_refused_access_is_not_tried_again_and_its_text_is_not_repeated(
    files: RemoteFiles, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    _breaking(monkeypatch, files, "ls", [PermissionError("key AKIA")])
    with pytest.raises(RemoteError, match="credentials") as caught:
        list(files.listed())
    assert waits == []
    assert "AKIA" not in str(caught.value)


def test_copies_have_the_content_keep_within_the_budget_and_are_deleted(files: RemoteFiles, tmp_path: Path) -> None:
    stats = list(files.listed())
    seen = {}
    for one in fetched(files, stats, ahead=3, budget=35, folder=tmp_path):
        assert one.file is not None
        seen[one.stat.path] = one.file.read_bytes()
        assert one.file.suffix == Path(one.stat.path).suffix
        assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) <= 35
    assert seen == PHOTOS
    assert list(seen) == [one.path for one in stats]
    assert not list(tmp_path.iterdir())


def test_a_file_above_the_budget_is_fetched_alone(files: RemoteFiles, tmp_path: Path) -> None:
    found = fetched(files, files.listed(), ahead=4, budget=1, folder=tmp_path)
    assert [len([file for file in tmp_path.rglob("*") if file.is_file()]) for _ in found] == [1] * len(PHOTOS)


def test_copies_are_deleted_where_the_reader_stops(files: RemoteFiles, tmp_path: Path) -> None:
    found = fetched(files, files.listed(), ahead=2, budget=100, folder=tmp_path)
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert not list(tmp_path.iterdir())


def test_one_file_that_is_gone_or_changed_does_not_stop_the_others(files: RemoteFiles, tmp_path: Path) -> None:
    stats = list(files.listed())
    files._system.rm(f"{files._root}/a.jpg")
    files._system.pipe_file(f"{files._root}/trip/b.JPG", b"B" * 50)
    errors = {one.stat.path: type(one.error) for one in fetched(files, stats, ahead=2, budget=100, folder=tmp_path)}
    none = type(None)
    assert errors == {
        "a.jpg": FileNotFoundError, "trip/b.JPG": ChangedError, "trip/b.xmp": none, "trip/day/c.mp4": none,
    }  # fmt: skip


def test_a_server_that_fails_while_files_are_fetched_is_an_error(
    files: RemoteFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = fetched(files, list(files.listed()), ahead=1, budget=100, folder=tmp_path)
    assert next(found).file is not None
    _breaking(monkeypatch, files, "open", [ConnectionError()] * 4)
    with pytest.raises(RemoteError):
        list(found)
    assert not list(tmp_path.iterdir())


def test_a_file_that_ends_early_is_fetched_again(
    files: RemoteFiles, tmp_path: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = next(files.listed())
    real = files._system.open
    calls: list[str] = []

    def shortened(path: str, mode: str) -> Any:
        calls.append(path)
        source = real(path, mode)
        if len(calls) == 1:
            source.seek(4)
        return source

    monkeypatch.setattr(files._system, "open", shortened)
    files.fetch(stat, tmp_path / "a.jpg")
    assert (tmp_path / "a.jpg").read_bytes() == PHOTOS["a.jpg"]
    assert len(calls) == 2


def test_a_full_disk_here_is_said_and_not_tried_again(files: RemoteFiles, tmp_path: Path, waits: list[float]) -> None:
    with pytest.raises(RemoteError, match="cannot hold a copy"):
        files.fetch(next(files.listed()), tmp_path / "nowhere" / "a.jpg")
    assert waits == []
