"""Buckets and servers are listed whole or not at all, and fetched within a budget; nothing secret is repeated."""

from __future__ import annotations

import pickle
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

fsspec = pytest.importorskip("fsspec")

from rollcall.errors import AddressError, RemoteError  # noqa: E402 (after the check for the extra)
from rollcall.host_settings import RemoteSettings  # noqa: E402
from rollcall.remote import files as module  # noqa: E402
from rollcall.remote import homes  # noqa: E402
from rollcall.remote.address import Address, is_address, parse  # noqa: E402
from rollcall.remote.copies import Copies  # noqa: E402
from rollcall.remote.files import RemoteFiles, RemoteStat  # noqa: E402
from rollcall.remote.originals import Originals  # noqa: E402
from rollcall.remote.paths import RemotePath, is_remote, named, split, stored  # noqa: E402
from rollcall.remote.trouble import ChangedError, Retries  # noqa: E402
from rollcall.settings import CacheSettings, Settings  # noqa: E402

PHOTOS = {"a.jpg": b"a" * 10, "trip/b.JPG": b"b" * 20, "trip/b.xmp": b"<x/>", "trip/day/c.mp4": b"c" * 30}


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def files(waits: list[float]) -> Iterator[RemoteFiles]:
    """Return a bucket in memory, beside one whose name begins alike."""
    name = uuid.uuid4().hex
    system = fsspec.filesystem("memory")
    for path, content in PHOTOS.items():
        system.pipe_file(f"/{name}/{path}", content)
    system.pipe_file(f"/{name}-other/d.jpg", b"d")
    yield RemoteFiles(Address("memory", name), Retries(sleep=waits.append))
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


def _left(folder: Path) -> list[Path]:
    """Return the copies in a folder; by locks the processes tell each other that they live."""
    return [one for one in folder.rglob("*") if one.is_file() and one.name != ".lock"]


def _settings(folder: Path, **values: int) -> Settings:
    return Settings(cache=CacheSettings(folder=str(folder)), remote=RemoteSettings(**values))


# ---- Addresses and paths


@pytest.mark.parametrize(
    "text", ["s3://bucket/photos", "sftp://anna@nas/photos", "webdavs://host:8443/dav", "sftp://a@h:22/x:y@z", "S3://b"]
)
def test_addresses_are_told_from_paths(text: str) -> None:
    assert is_address(text)
    assert str(parse(text)) == text.replace("S3", "s3")
    # As `Path` leaves them, and as the database holds them.
    assert str(named(Path(text))) == str(stored(str(parse(text)))) == str(parse(text))
    assert is_remote(named(text))


@pytest.mark.parametrize("text", ["/home/photos", "C:\\photos", "C://photos", "photos", "~/a:b"])
def test_paths_are_no_addresses(text: str) -> None:
    assert not is_address(text)
    assert not is_remote(named(text))


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
    with pytest.raises(AddressError) as caught:
        parse(text)
    if "@" in text or "?" in text or "#" in text:
        assert "secret" not in str(caught.value)
        assert "cret" not in str(caught.value.path)


def test_a_remote_path_keeps_its_address_through_all_that_is_done_with_paths() -> None:
    root = RemotePath("s3://bucket/photos")
    photo = root / "a:" / "b c.jpg"
    assert str(photo) == "s3://bucket/photos/a:/b c.jpg"
    assert str(photo.with_name("d.xmp")) == "s3://bucket/photos/a:/d.xmp"
    assert photo.relative_to(root) == PurePosixPath("a:/b c.jpg")
    assert photo.relative_to(root).as_posix() == "a:/b c.jpg"
    assert photo.is_relative_to(root)
    assert not photo.is_relative_to(Path("/photos"))
    assert not Path("/photos/a").is_relative_to(root)
    assert pickle.loads(pickle.dumps(photo)) == photo
    assert is_remote(pickle.loads(pickle.dumps(photo)))
    assert photo.resolve() == photo.absolute() == photo
    assert split(photo) == (Address("s3", "bucket"), "photos/a:/b c.jpg")


def test_a_local_file_of_the_same_name_is_not_the_remote_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s3:", "bucket").mkdir(parents=True)
    Path("s3:", "bucket", "a.jpg").touch()
    assert not RemotePath("s3://bucket/a.jpg").exists()
    assert not RemotePath("s3://bucket").is_dir()


def test_the_error_travels_from_other_processes_with_its_facts() -> None:
    error = pickle.loads(pickle.dumps(RemoteError("s3://bucket", "the server takes too long")))
    assert (error.address, error.reason, str(error)) == (
        "s3://bucket", "the server takes too long", "s3://bucket: the server takes too long",
    )  # fmt: skip


# ---- Listing


def test_folders_and_files_are_listed_and_none_beside(files: RemoteFiles) -> None:
    found = files.folder("")
    assert ([one.name for one in found.files], found.folders) == (["a.jpg"], ["trip"])
    found = files.folder("trip")
    assert ({one.name: one.size for one in found.files}, found.folders) == ({"b.JPG": 20, "b.xmp": 4}, ["day"])


def test_a_file_that_did_not_change_is_listed_alike_and_a_changed_one_is_not(files: RemoteFiles) -> None:
    before = files.folder("")
    assert files.folder("") == before
    files._system.pipe_file(f"{files._root}/a.jpg", b"A" * 10)
    assert files.folder("") != before


def test_a_folder_that_is_not_there_is_an_error_and_not_empty(files: RemoteFiles) -> None:
    with pytest.raises(FileNotFoundError):
        files.folder("nowhere")


def test_a_file_is_no_folder_without_files(files: RemoteFiles) -> None:
    with pytest.raises(NotADirectoryError):
        files.folder("a.jpg")


def test_a_package_that_is_missing_is_said() -> None:
    with pytest.raises(RemoteError):
        RemoteFiles(Address("nosuchscheme", "host"))


def test_trouble_that_passes_is_tried_again_later_and_later(
    files: RemoteFiles, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    _breaking(monkeypatch, files, "ls", [ConnectionError(), TimeoutError()])
    assert files.folder("").folders == ["trip"]
    assert waits == [0.5, 1.0]


def test_trouble_that_stays_is_an_error(files: RemoteFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    _breaking(monkeypatch, files, "ls", [ConnectionError()] * 4)
    with pytest.raises(RemoteError, match="check the address and the network"):
        files.folder("")


def test_refused_access_is_not_tried_again_and_its_text_is_not_repeated(
    files: RemoteFiles, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    _breaking(monkeypatch, files, "ls", [PermissionError("key AKIA")])
    with pytest.raises(RemoteError, match="credentials") as caught:
        files.folder("")
    assert waits == []
    assert "AKIA" not in str(caught.value)


# ---- Fetching


def test_a_file_is_fetched_as_it_was_listed(files: RemoteFiles, tmp_path: Path) -> None:
    (stat,) = files.folder("").files
    assert files.fetch("a.jpg", tmp_path / "a.jpg", stat).size == 10
    assert (tmp_path / "a.jpg").read_bytes() == PHOTOS["a.jpg"]


def test_a_file_that_is_gone_or_changed_leaves_no_copy(files: RemoteFiles, tmp_path: Path) -> None:
    (stat,) = files.folder("").files
    with pytest.raises(FileNotFoundError):
        files.fetch("gone.jpg", tmp_path / "copy", stat)
    with pytest.raises(ChangedError):
        files.fetch("trip/b.JPG", tmp_path / "copy", stat)
    with pytest.raises(ChangedError):
        files.fetch("a.jpg", tmp_path / "copy", RemoteStat("a.jpg", 11, stat.mtime_ns))
    assert not list(tmp_path.iterdir())


def test_a_server_that_fails_while_a_file_is_fetched_is_an_error(
    files: RemoteFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _breaking(monkeypatch, files, "open", [ConnectionError()] * 4)
    with pytest.raises(RemoteError):
        files.fetch("a.jpg", tmp_path / "copy")
    assert not list(tmp_path.iterdir())


def test_a_file_that_ends_early_is_fetched_again(
    files: RemoteFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = files._system.open
    calls: list[str] = []

    def shortened(path: str, mode: str) -> Any:
        calls.append(path)
        source = real(path, mode)
        if len(calls) == 1:
            source.seek(4)
        return source

    monkeypatch.setattr(files._system, "open", shortened)
    files.fetch("a.jpg", tmp_path / "a.jpg")
    assert (tmp_path / "a.jpg").read_bytes() == PHOTOS["a.jpg"]
    assert len(calls) == 2


def test_a_full_disk_here_is_said_and_not_tried_again(files: RemoteFiles, tmp_path: Path, waits: list[float]) -> None:
    with pytest.raises(RemoteError, match="cannot hold a copy"):
        files.fetch("a.jpg", tmp_path / "nowhere" / "a.jpg")
    assert waits == []


# ---- Copies


def _path(files: RemoteFiles, below: str) -> RemotePath:
    return RemotePath(f"{files.address}/{below}")


def test_a_copy_has_content_name_and_time_and_is_deleted_after_its_use(files: RemoteFiles, tmp_path: Path) -> None:
    listed = files.folder("trip").files[0]
    with Copies().at_hand(_path(files, "trip/b.JPG"), _settings(tmp_path), listed=listed, beside=["b.xmp"]) as copy:
        assert (copy.name, copy.read_bytes()) == ("b.JPG", PHOTOS["trip/b.JPG"])
        assert abs(copy.stat().st_mtime_ns - listed.mtime_ns) < 1_000_000
        assert copy.with_name("b.xmp").read_bytes() == PHOTOS["trip/b.xmp"]
    assert not _left(tmp_path)


def test_a_copy_that_is_kept_is_not_fetched_again_and_goes_with_its_next_use(
    files: RemoteFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies, path, settings = Copies(), _path(files, "trip/day/c.mp4"), _settings(tmp_path)
    with copies.at_hand(path, settings, keep=True):
        pass
    _breaking(monkeypatch, files, "open", [ConnectionError("fetched again")])
    with copies.at_hand(path, settings) as copy:
        assert copy.read_bytes() == PHOTOS["trip/day/c.mp4"]
    assert not _left(tmp_path)


def test_what_was_kept_for_nobody_is_deleted(files: RemoteFiles, tmp_path: Path) -> None:
    copies = Copies()
    with copies.at_hand(_path(files, "a.jpg"), _settings(tmp_path), keep=True):
        pass
    assert _left(tmp_path)
    copies.clear()
    assert not _left(tmp_path)


def test_copies_of_processes_that_were_killed_are_swept_and_those_of_others_stay(
    files: RemoteFiles, tmp_path: Path
) -> None:
    settings = _settings(tmp_path)
    script = (
        "import sys; from rollcall.remote import homes; from rollcall.settings import CacheSettings, Settings;"
        "made = homes.new_folder(Settings(cache=CacheSettings(folder=sys.argv[1])), 'memory://');"
        "(made / 'a.jpg').touch(); print(made, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip(), "a.jpg")
        with Copies().at_hand(_path(files, "a.jpg"), settings) as copy:
            homes.sweep(settings)
            assert (copy.exists(), theirs.exists()) == (True, True)
            other.kill()
            other.wait()
            homes.sweep(settings)
            assert (copy.exists(), theirs.exists()) == (True, False)


def test_originals_that_are_shown_stay_within_their_limit(
    files: RemoteFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_opened", lambda address: files)
    originals = Originals(_settings(tmp_path))
    originals.limit = 40
    shown = [originals.file(_path(files, below), "1") for below in ("a.jpg", "trip/b.JPG", "trip/day/c.mp4")]
    assert shown[-1].read_bytes() == PHOTOS["trip/day/c.mp4"]
    assert sum(one.stat().st_size for one in originals.folder.iterdir()) <= 40
    assert originals.file(_path(files, "trip/day/c.mp4"), "1") == shown[-1]
    assert originals.file(_path(files, "trip/day/c.mp4"), "2") != shown[-1]
