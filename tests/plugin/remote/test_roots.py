"""Remote folders as folders of the library: what a server does not say is never taken to be gone."""

from __future__ import annotations

import pickle
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

fsspec = pytest.importorskip("fsspec")

from blobs import BlobAnalyzer, draw  # noqa: E402 (after the check for the extra)
from rollcall import corrections, events  # noqa: E402
from rollcall.errors import AddressError, RemoteError  # noqa: E402
from rollcall.host import Plugin  # noqa: E402
from rollcall.indexing.executors import worker_main  # noqa: E402
from rollcall.indexing.executors.analysis import Options, Task, analyse  # noqa: E402
from rollcall.indexing.watcher import Watcher  # noqa: E402
from rollcall.records import FileStat  # noqa: E402
from rollcall.remote import files as remote_files  # noqa: E402
from rollcall.remote.address import Address  # noqa: E402
from rollcall.remote.files import RemoteFiles  # noqa: E402
from rollcall.remote.paths import RemotePath  # noqa: E402
from rollcall.remote.trouble import Retries  # noqa: E402
from rollcall.settings import CacheSettings, Settings  # noqa: E402
from rollcall.storage.database import open_database  # noqa: E402

PACKET = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag>
<rdf:li>{}</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"""


class Server:
    """A folder in memory, as a server that can be made to fail."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name, self._drawn, self._patch = uuid.uuid4().hex, folder, monkeypatch
        self.system: Any = fsspec.filesystem("memory")
        self.address = f"memory://{self.name}/photos"
        self.opened: list[str] = []
        self._open, self._ls, self._info = self.system.open, self.system.ls, self.system.info
        monkeypatch.setattr(self.system, "open", self._opening)
        monkeypatch.setattr(remote_files, "Retries", lambda: Retries(tries=2, sleep=lambda seconds: None))
        remote_files._opened.cache_clear()

    def _opening(self, path: str, *args: Any, **options: Any) -> Any:
        self.opened.append(path.rpartition("/")[2])
        return self._open(path, *args, **options)

    def put(self, path: str, content: bytes) -> None:
        self.system.pipe_file(f"/{self.name}/photos/{path}", content)

    def draw(self, path: str, age: int = 30, seed: int = 0) -> None:
        file = draw(self._drawn / "drawn.png", (age, 0), seed=seed)
        self.put(path, file.read_bytes())
        self.opened.clear()

    def remove(self, path: str) -> None:
        self.system.rm(f"/{self.name}/photos/{path}", recursive=True)

    def names(self) -> list[str]:
        return sorted(self.system.find(f"/{self.name}"))

    def fail(self, what: str, error: Exception, only: Callable[[str], bool] = lambda path: True) -> None:
        """Raise an error from now on for some paths."""
        real = {"open": self._opening, "ls": self._ls, "info": self._info}[what]

        def failing(path: str, *args: Any, **options: Any) -> Any:
            if only(path):
                raise error
            return real(path, *args, **options)

        self._patch.setattr(self.system, what, failing)

    def recover(self) -> None:
        for what, real in (("open", self._opening), ("ls", self._ls), ("info", self._info)):
            self._patch.setattr(self.system, what, real)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server(tmp_path, monkeypatch)
    for number, path in enumerate(("a.png", "trip/b.png", "trip/day/c.png")):
        made.draw(path, age=20 + 20 * number, seed=number)
    yield made
    made.recover()
    with suppress(FileNotFoundError):
        made.system.rm(f"/{made.name}", recursive=True)


@pytest.fixture
def seen() -> list[events.Event]:
    return []


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database without photos, which takes longer to make than to copy."""
    file = tmp_path_factory.mktemp("empty") / "library.db"
    open_database(str(file)).close()
    return file


@pytest.fixture
def plugin(tmp_path: Path, seen: list[events.Event], empty: Path) -> Iterator[Plugin]:
    shutil.copy(empty, tmp_path / "library.db")
    values = {"database.url": f"sqlite:///{tmp_path / 'library.db'}", "cache.folder": str(tmp_path / "cache")}
    with Plugin(values, seen.append, analyzer=BlobAnalyzer()) as made:
        yield made


def states(plugin: Plugin) -> dict[str, str]:
    with plugin.database.read() as session:
        return {row[0]: row[1] for row in session.execute(text("SELECT path, state FROM v1_photos"))}


def copies(tmp_path: Path) -> list[Path]:
    return [one for one in (tmp_path / "cache").rglob("*") if one.is_file() and one.name != ".lock"]


def test_a_remote_folder_is_indexed_found_and_checked_and_each_photo_is_fetched_once_while_it_is_unchanged(
    plugin: Plugin, server: Server, tmp_path: Path
) -> None:
    summary = plugin.index(server.address)
    assert (summary.indexed, summary.faces, summary.failed, summary.warnings) == (3, 3, 0, [])
    assert sorted(server.opened) == ["a.png", "b.png", "c.png"]
    assert not copies(tmp_path)
    server.opened.clear()
    assert plugin.index(server.address).skipped == 3
    assert server.opened == []
    assert plugin.folders() == [RemotePath(server.address)]
    (hit,) = plugin.search("path:trip/day/*")
    assert str(hit.path) == f"{server.address}/trip/day/c.png"
    with plugin.database.read() as session:
        paths = session.scalars(text("SELECT full_path FROM v1_photos ORDER BY full_path")).all()
    assert paths == [f"{server.address}/{one}" for one in ("a.png", "trip/b.png", "trip/day/c.png")]
    report = plugin.check(every_file=True)
    assert (report.healthy, report.files, report.unreadable) == (True, 3, [])


def test_new_changed_and_deleted_photos_are_found_and_moved_ones_with_their_corrections(
    plugin: Plugin, server: Server
) -> None:
    plugin.index(server.address)
    (before,) = plugin.search("path:*/c.png", faces=True)
    plugin.correct(corrections.age(before.faces[0].face_id, 61))
    content = server.system.cat_file(f"/{server.name}/photos/trip/day/c.png")
    server.remove("trip/day/c.png")
    server.put("c-moved.png", content)
    server.draw("a.png", age=70, seed=9)
    server.remove("trip/b.png")
    server.draw("new.png", age=50, seed=7)
    summary = plugin.index(server.address)
    assert (summary.moved, summary.indexed, summary.missing, summary.failed) == (1, 2, 1, 0)
    assert states(plugin) == {
        "a.png": "indexed", "c-moved.png": "indexed", "new.png": "indexed", "trip/b.png": "missing",
    }  # fmt: skip
    (after,) = plugin.search("path:c-moved.png", faces=True)
    assert (after.photo_id, after.faces[0].age) == (before.photo_id, 61)
    assert plugin.search("path:a.png")[0].faces[0].age == pytest.approx(70)


def test_settings_markers_and_hidden_names_leave_out_what_they_do_on_a_disk(plugin: Plugin, server: Server) -> None:
    server.draw(".hidden/d.png")
    server.draw("private/e.png")
    server.put("private/.rollcall-ignore", b"")
    server.put("notes.txt", b"text")
    assert plugin.index(server.address).photos == 3
    server.put("trip/.rollcall-ignore", b"")
    summary = plugin.index(server.address)
    assert summary.forgotten == 2
    assert set(states(plugin)) == {"a.png"}


def test_a_listing_that_fails_marks_nothing_as_missing(plugin: Plugin, server: Server) -> None:
    plugin.index(server.address)
    before = states(plugin)
    server.remove("a.png")
    server.fail("ls", ConnectionError("key AKIA"), lambda path: path.endswith("photos/trip"))
    # The root can be listed, and the folder cannot: it is left as it is, and what is gone elsewhere is gone.
    summary = plugin.index(server.address)
    assert summary.missing == 1
    assert any("trip" in warning and "cannot be read" in warning for warning in summary.warnings)
    server.fail("ls", ConnectionError("key AKIA"))
    with pytest.raises(RemoteError) as caught:
        plugin.index(server.address)
    assert (caught.value.exit_code, "AKIA" in str(caught.value)) == (3, False)
    assert str(caught.value).startswith(f"memory://{server.name}: the server cannot be read")
    assert states(plugin) == before | {"a.png": "missing"}


def test_an_empty_or_missing_folder_marks_nothing_as_missing(plugin: Plugin, server: Server) -> None:
    plugin.index(server.address)
    for path in ("a.png", "trip"):
        server.remove(path)
    with pytest.raises(RemoteError, match=r"nothing was marked as missing|there is no such folder"):
        plugin.index(server.address)
    assert set(states(plugin).values()) == {"indexed"}
    with pytest.raises(RemoteError, match="there is no such folder; check the address"):
        plugin.index(f"memory://{server.name}-not/photos")


def test_a_server_that_fails_while_photos_are_fetched_ends_the_run_and_no_photo_is_to_blame(
    plugin: Plugin, server: Server, tmp_path: Path
) -> None:
    server.fail("open", ConnectionError())
    real = server._ls
    calls: list[str] = []

    def listing(path: str, *args: Any, **options: Any) -> Any:
        calls.append(path)
        if len(calls) > 4:  # the root twice, and each of its folders: then the network is gone
            raise ConnectionError
        return real(path, *args, **options)

    server._patch.setattr(server.system, "ls", listing)
    with pytest.raises(RemoteError):
        plugin.index(server.address)
    assert set(states(plugin).values()) == {"pending"}
    assert not copies(tmp_path)
    server.recover()
    assert plugin.index(server.address).indexed == 3


def test_one_file_that_is_refused_fails_alone_and_is_tried_again(plugin: Plugin, server: Server) -> None:
    server.fail("open", PermissionError(), lambda path: path.endswith("b.png"))
    summary = plugin.index(server.address)
    assert (summary.indexed, summary.failed) == (2, 1)
    assert "access is refused" in summary.failures[0][1]
    server.recover()
    assert plugin.index(server.address).indexed == 1


def test_a_photo_that_goes_or_changes_after_the_listing_is_missing_or_waits(plugin: Plugin, server: Server) -> None:
    listing = server._ls

    def then_changed(path: str, *args: Any, **options: Any) -> Any:
        found = listing(path, *args, **options)
        if path.endswith("/day") and "c.png" in str(server.names()):
            server.remove("trip/day/c.png")
            server.put("trip/b.png", b"another content")
        return found

    server._patch.setattr(server.system, "ls", then_changed)
    summary = plugin.index(server.address)
    assert (summary.indexed, summary.missing, summary.failed) == (1, 1, 0)
    assert states(plugin) == {"a.png": "indexed", "trip/b.png": "pending", "trip/day/c.png": "missing"}


def test_a_server_that_does_not_serve_does_not_stop_local_folders(
    plugin: Plugin, server: Server, tmp_path: Path
) -> None:
    draw(tmp_path / "disk" / "d.png", (44, 0))
    plugin.index(server.address)
    server.fail("ls", ConnectionError())
    summary = plugin.index([server.address, str(tmp_path / "disk")])
    assert summary.indexed == 1
    assert any(f"memory://{server.name}" in warning for warning in summary.warnings)
    assert "missing" not in states(plugin).values()


def test_sidecars_beside_remote_photos_are_read_again_when_they_change_and_never_written(
    tmp_path: Path, server: Server, seen: list[events.Event], empty: Path
) -> None:
    shutil.copy(empty, tmp_path / "library.db")
    server.put("a.xmp", PACKET.format("beach").encode())
    server.put("trip/b.png.xmp", PACKET.format("mountain").encode())
    before = server.names()
    values = {
        "database.url": f"sqlite:///{tmp_path / 'library.db'}",
        "cache.folder": str(tmp_path / "cache"),
        "xmp.write_photos": True,
    }
    with Plugin(values, seen.append, analyzer=BlobAnalyzer()) as plugin:
        plugin.index(server.address)
        assert [hit.path.name for hit in plugin.search("tag:beach")] == ["a.png"]
        assert [hit.path.name for hit in plugin.search("tag:mountain")] == ["b.png"]
        server.opened.clear()
        plugin.index(server.address)
        assert server.opened == []
        server.put("a.xmp", PACKET.format("sea").encode())
        plugin.index(server.address)
        assert [hit.path.name for hit in plugin.search("tag:sea")] == ["a.png"]
        assert plugin.search("tag:beach") == []
    assert server.names() == before
    assert any(isinstance(one, events.Warned) and "where nothing is written" in one.message for one in seen)


def test_what_was_forgotten_is_not_indexed_again_until_it_is_named(plugin: Plugin, server: Server) -> None:
    plugin.index(server.address)
    assert plugin.forget(f"{server.address}/trip").photos == 2
    assert plugin.index(server.address).photos == 1
    plugin.index(f"{server.address}/trip", again=True)
    assert set(states(plugin)) == {"a.png", "trip/b.png", "trip/day/c.png"}
    assert plugin.remove_folder(server.address) == 3
    assert plugin.folders() == []


def test_a_photo_that_was_forgotten_is_indexed_again_when_it_is_named(plugin: Plugin, server: Server) -> None:
    plugin.index(server.address)
    assert plugin.forget(f"{server.address}/trip/b.png").photos == 1
    plugin.index(f"{server.address}/trip")
    assert set(states(plugin)) == {"a.png", "trip/day/c.png"}
    plugin.index(f"{server.address}/trip/b.png", again=True)
    assert states(plugin)["trip/b.png"] == "indexed"


def test_names_that_are_no_paths_are_left_out_with_a_warning_and_odd_ones_are_paths(
    plugin: Plugin, server: Server
) -> None:
    odd = ["50%25 [x]*?.png", "trip/day/c.png.d/ü#.png", "c:d@e.png", f"{'n' * 300}.png"]
    for number, name in enumerate(odd):
        server.draw(name, seed=number)
    listing = server._ls

    def with_dots(path: str, *args: Any, **options: Any) -> Any:
        found = listing(path, *args, **options)
        if path.endswith("photos"):
            found = [*found, {"name": f"{path}/..", "size": 0, "type": "directory"}]
        return found

    server._patch.setattr(server.system, "ls", with_dots)
    summary = plugin.index(server.address)
    assert (summary.indexed, summary.failed) == (7, 0)
    assert [hit.path for hit in plugin.search("path:*#.png")] == [RemotePath(f"{server.address}/{odd[1]}")]
    (warning,) = summary.warnings
    assert "'..', which is no path" in warning


def test_the_tasks_of_remote_photos_travel_to_other_processes_and_their_outcomes_back(
    server: Server, tmp_path: Path
) -> None:
    (listed,) = (one for one in RemoteFiles(Address("memory", server.name)).folder("photos").files)
    stat = FileStat("", listed.size, listed.mtime_ns, listed.version)
    task = Task(0, RemotePath(f"{server.address}/a.png"), listed.size, None, stat)
    settings = Settings(cache=CacheSettings(folder=str(tmp_path / "cache")))
    (outcome,) = analyse(pickle.loads(pickle.dumps([task])), BlobAnalyzer(), Options(settings, settings.decode))
    found = pickle.loads(pickle.dumps(outcome))
    assert (found.picture.path, found.stat, len(found.faces)) == (task.path, stat, 1)
    server.fail("ls", ConnectionError())
    server.fail("open", ConnectionError())
    with pytest.raises(RemoteError) as caught:
        analyse([task], BlobAnalyzer(), Options(settings, settings.decode))
    # A process says what it is, and no photo fails because of it.
    assert isinstance(pickle.loads(pickle.dumps(worker_main._failed(caught.value))).remote, RemoteError)


def test_a_password_in_an_address_is_refused_and_stored_nowhere(plugin: Plugin, tmp_path: Path) -> None:
    with pytest.raises(AddressError, match="a password must not stand in an address"):
        plugin.index("sftp://anna:hunter2@nas/photos")
    assert plugin.folders() == []
    assert not any(b"hunter2" in one.read_bytes() for one in tmp_path.rglob("*") if one.is_file())


def test_remote_folders_that_are_watched_are_listed_again_and_again(server: Server) -> None:
    stop, runs = threading.Event(), list[list[Path]]()

    class Recorder:
        def run(self, roots: Any, **options: Any) -> Any:
            runs.append(list(roots))
            if len(runs) == 3:
                stop.set()

        def update(self, paths: Any, **options: Any) -> Any:
            raise AssertionError(paths)

        def follow(self, stop: Any = None) -> None:
            pass

    settings = Settings()
    quick = settings.model_copy(update={"remote": settings.remote.model_copy(update={"polling_seconds": 0.01})})
    root = RemotePath(server.address)
    Watcher(Recorder(), [root], quick).run(stop)
    listed = [one for one in runs if one]
    assert len(listed) >= 2
    assert all(one == [root] for one in listed)
