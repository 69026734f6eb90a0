"""Threads, processes and a Ray cluster analyse the same photos to the same rows, whatever happens to a process."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from sqlalchemy import text

import wasteful
from blobs import BlobAnalyzer, draw
from mortal import MortalAnalyzer
from rollcall import events
from rollcall.errors import ModelError
from rollcall.indexing.executors import choosing, processes
from rollcall.indexing.executors.analysis import Task
from rollcall.indexing.executors.base import Executor
from rollcall.indexing.executors.processes import ProcessExecutor
from rollcall.indexing.executors.threads import ThreadExecutor
from rollcall.indexing.executors.whole_photos import WholePhotoExecutor, portions
from rollcall.indexing.indexer import Indexer
from rollcall.indexing.profile import Profile
from rollcall.inference.analyzer import Analyzer
from rollcall.media import memory_budget
from rollcall.records import Picture
from rollcall.settings import DetectorSettings, PowerSettings, Settings, load
from rollcall.storage.database import Database, open_database

EXECUTORS = ("threads", "whole photos", "processes", "ray")


def settings(executor: str, **power: Any) -> Settings:
    kind: Any = "threads" if executor == "whole photos" else executor
    return Settings(detector=DetectorSettings(batch=2), power=PowerSettings(executor=kind, **{"workers": 2, **power}))


def blobs(executor: str) -> BlobAnalyzer:
    """An analyzer that takes several calls at once, where threads are to do whole photos."""
    analyzer = BlobAnalyzer()
    analyzer.concurrent = executor == "whole photos"  # type: ignore[attr-defined]
    return analyzer


def rows(database: Database) -> list[tuple[Any, ...]]:
    """What a run stored of photos and faces, but for when it did."""
    photos = "SELECT id, path, state, content_hash, look, error, failure_key, size FROM photos ORDER BY id"
    faces = (
        "SELECT f.id, photo_id, x, y, age, p_female, model_version FROM faces f"
        " JOIN predictions p ON p.face_id = f.id ORDER BY f.id"
    )
    with database.read() as session:
        return [tuple(row) for query in (photos, faces) for row in session.execute(text(query))]


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on just now."""
    with ExitStack() as stack:
        listening = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in listening]


def node(processors: int) -> dict[str, Any]:
    """A node of Ray. Without ports of its own it waits for its helpers, which a busy machine starts too late."""
    names = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    return {"num_cpus": processors, "include_dashboard": False, "object_store_memory": 80 << 20, **ports}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A node of Ray on this machine, to which others may be added."""
    # Before Ray itself, which reads its environment when it is imported.
    reason = "the extra rollcall[cluster] is not installed"
    pytest.importorskip("rollcall.indexing.executors.cluster", reason=reason, exc_type=ImportError)
    from ray.cluster_utils import Cluster

    made = Cluster()
    # A node that was killed is missed after two seconds instead of fifteen; one that answers late has ten, as always.
    added(made, _system_config={"health_check_period_ms": 400})
    yield made
    made.shutdown()


def added(cluster: Any, **more: Any) -> Any:
    """Add a node with one processor; Ray gives its helpers 15 seconds to start, which a busy machine may not keep."""
    for _ in range(3):
        with suppress(Exception):
            return cluster.add_node(**node(1), **more)
    pytest.skip("no node of Ray starts here within the 15 seconds that Ray gives it: the machine is too busy")


@pytest.fixture
def power(request: pytest.FixtureRequest) -> Callable[[str], dict[str, Any]]:
    """What an executor's settings need besides its name."""

    def given(executor: str) -> dict[str, Any]:
        return {"ray_address": request.getfixturevalue("cluster").address} if executor == "ray" else {}

    return given


@pytest.fixture
def mixed(library: Path) -> Path:
    """Photos with squares, two that are no pictures, and one that the analysis fails on."""
    for number in range(9):
        draw(library / f"{number}.png", (30 + number, 255), (5, 0), seed=number)
    (library / "empty.jpg").touch()
    (library / "damaged.png").write_bytes((library / "0.png").read_bytes()[:60])
    draw(library / "refused.png", (40, 0), seed=99)
    return library


@pytest.mark.parametrize("executor", EXECUTORS)
def test_all_executors_store_the_same_rows(
    executor: str, power: Callable[[str], dict[str, Any]], mixed: Path, tmp_path: Path
) -> None:
    found = []
    for number, (name, more) in enumerate((("threads", {}), (executor, power(executor)))):
        analyzer = blobs(name)
        analyzer.refuse.add("refused.png")
        seen: list[events.Event] = []
        database = open_database(str(tmp_path / f"{number}.db"))
        summary = Indexer(database, analyzer, settings(name, **more), seen.append).run([mixed])
        assert (summary.indexed, summary.failed) == (9, 3)
        indexed = [event.photo_id for event in seen if isinstance(event, events.PhotoIndexed)]
        assert len(set(indexed)) == len(indexed) == 9
        found.append((rows(database), sorted(summary.failures), sorted(indexed)))
        database.close()
    assert found[0] == found[1]


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_a_photo_that_moved_keeps_its_number(executor: str, database: Database, library: Path) -> None:
    for number in range(4):
        draw(library / f"{number}.png", (30, 255), seed=number)
    Indexer(database, BlobAnalyzer(), settings("threads")).run([library])
    (library / "1.png").rename(library / "elsewhere.png")
    draw(library / "new.png", (30, 255), seed=77)
    summary = Indexer(database, BlobAnalyzer(), settings(executor, workers=1)).run([library])
    assert (summary.moved, summary.indexed) == (1, 1)
    with database.read() as session:
        assert session.scalar(text("SELECT path FROM photos WHERE id = 2")) == "elsewhere.png"


def test_pictures_that_are_shown_come_back_from_processes_with_pixels(database: Database, library: Path) -> None:
    draw(library / "a.png", (30, 255))
    shown: list[Picture] = []
    indexer = Indexer(database, BlobAnalyzer(), settings("processes", workers=1))
    indexer.tools.picture_listener = shown.append
    indexer.run([library])
    assert [picture.pixels.shape for picture in shown] == [(120, 200, 3)]


@pytest.mark.parametrize("executor", ["threads", "whole photos", "processes"])
def test_a_run_that_is_stopped_leaves_the_rest_pending(executor: str, database: Database, library: Path) -> None:
    for number in range(12):
        draw(library / f"{number}.png", (30, 255), seed=number)
    stop = threading.Event()

    def stopping(event: events.Event) -> None:
        if isinstance(event, events.PhotoIndexed):
            stop.set()

    children = set(psutil.Process().children())
    indexer = Indexer(database, blobs(executor), settings(executor, workers=1), stopping)
    assert 0 < indexer.run([library], stop=stop).indexed < 12
    assert set(psutil.Process().children()) <= children
    Indexer(database, BlobAnalyzer(), settings("threads")).run([library])
    with database.read() as session:
        states = session.execute(text("SELECT state, COUNT(*) FROM photos GROUP BY state")).all()
    assert [tuple(one) for one in states] == [("indexed", 12)]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_photos_of_a_process_that_dies_are_tried_again_and_one_that_kills_twice_has_failed(
    database: Database, library: Path, tmp_path: Path
) -> None:
    for number in range(4):
        draw(library / f"{number}.png", (30, 255), seed=number)
    draw(library / "frail.png", (30, 255), seed=50)
    draw(library / "deadly.png", (30, 255), seed=51)
    summary = Indexer(database, MortalAnalyzer(tmp_path / "once"), settings("processes", workers=1)).run([library])
    assert (tmp_path / "once").exists()
    assert (summary.indexed, summary.failed) == (5, 1)
    ((path, reason),) = summary.failures
    assert Path(path).name == "deadly.png"
    assert "died twice" in reason and "SIGSEGV" in reason
    with database.read() as session:
        assert session.scalar(text("SELECT COUNT(*) FROM faces")) == 5


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_processes_that_die_of_every_photo_end_the_run(
    database: Database, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_HOPELESS", 3)
    for number in range(4):
        draw(library / f"{number}" / "deadly.png", (30, 255), seed=number)
    indexer = Indexer(database, MortalAnalyzer(tmp_path / "once"), settings("processes", workers=1))
    with pytest.raises(Exception, match="die one after another"):
        indexer.run([library])
    with database.read() as session:
        assert session.scalar(text("SELECT COUNT(*) FROM photos WHERE state = 'indexed'")) == 0


def test_an_analyzer_that_cannot_be_sent_analyses_here_with_a_warning(
    database: Database, library: Path, events_seen: list[events.Event]
) -> None:
    draw(library / "a.png", (30, 255))
    analyzer = BlobAnalyzer()
    analyzer.lock = threading.Lock()  # type: ignore[attr-defined]
    assert Indexer(database, analyzer, settings("processes"), events_seen.append).run([library]).indexed == 1
    warned = [event.message for event in events_seen if isinstance(event, events.Warned)]
    assert len(warned) == 1 and "power.executor" in warned[0]


def test_the_networks_see_the_same_in_a_process_as_here(tmp_path: Path, compiled: Path) -> None:
    pytest.importorskip("skimage")
    from rollcall.commands.demo_library import portraits

    photo = tmp_path / "a.png"
    portraits()[1].convert("RGB").resize((256, 256)).save(photo)
    task = Task(0, photo, photo.stat().st_size)
    found = []
    for executor in ("threads", "processes"):
        values = {"detector.resolution": 256, "cache.folder": str(compiled)}
        wanted = load(None, {**values, "power.executor": executor, "power.workers": 1})
        made = choosing.executor_for(choosing.Work(Analyzer(wanted), wanted, Profile(), 1))
        with closing(made):
            (outcome,) = made.outcomes(iter([task]), lambda: False)
        assert outcome.picture is not None and not outcome.picture.pixels.size
        found.append(outcome)
    (here,), (there,) = found[0].faces, found[1].faces
    assert there.box.iou(here.box) > 0.99
    assert here.embedding is not None and there.embedding is not None
    assert np.dot(here.embedding, there.embedding) > 0.999
    assert found[0].perceptual_hash == found[1].perceptual_hash


PARENT = """
import sys, time
sys.path[:0] = {path!r}
from blobs import BlobAnalyzer
from rollcall.indexing.executors import choosing, processes
from rollcall.indexing.executors.analysis import Task
from rollcall.indexing.profile import Profile
from rollcall.settings import PowerSettings, Settings
from pathlib import Path
settings = Settings(power=PowerSettings(executor="processes", workers=1))
executor = choosing.executor_for(choosing.Work(BlobAnalyzer(), settings, Profile(), 1))
photo = Path({photo!r})
next(executor.outcomes(iter([Task(0, photo, 1)]), lambda: False))
print(executor.pids[0], flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_processes_end_with_the_one_that_started_them(library: Path) -> None:
    photo = draw(library / "a.png", (30, 255))
    code = PARENT.format(path=sys.path, photo=str(photo))
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = psutil.Process(int(parent.stdout.readline()))
    assert worker.is_running()
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    psutil.wait_procs([worker], timeout=30)
    assert not worker.is_running()


def test_with_a_part_of_the_memory_a_large_picture_waits_for_the_other_processes(tmp_path: Path) -> None:
    first, second = (memory_budget.MemoryBudget(lambda: 1 << 30) for _ in range(2))
    for budget in (first, second):
        budget.share(100, tmp_path / "large.lock")
    done = threading.Event()

    def large() -> None:
        with second.reserve(101, tmp_path):
            done.set()

    with first.reserve(101, tmp_path):
        waiting = threading.Thread(target=large)
        waiting.start()
        with second.reserve(100, tmp_path):
            assert not done.wait(0.2)
    waiting.join(60)
    assert done.is_set()


@pytest.mark.parametrize(
    ("executor", "pending", "network", "free", "kind"),
    [
        ("auto", 10, True, 64, WholePhotoExecutor),
        ("auto", 10_000, True, 64, ProcessExecutor),
        ("auto", 10_000, True, 1, WholePhotoExecutor),
        ("auto", 10_000, False, 64, ThreadExecutor),
        ("processes", 1, False, 64, ProcessExecutor),
        ("threads", 10_000, True, 64, WholePhotoExecutor),
    ],
    ids=["few photos", "many photos", "little memory", "a host's analyzer", "processes wanted", "threads wanted"],
)
def test_processes_are_chosen_where_they_are_quicker(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    executor: str,
    pending: int,
    network: bool,
    free: int,
    kind: type[Executor],
) -> None:
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(memory_budget, "free_bytes", lambda: free << 30)
    wanted = settings(executor, workers=4)
    analyzer = Analyzer(wanted) if network else BlobAnalyzer()
    assert isinstance(choosing.executor_for(choosing.Work(analyzer, wanted, Profile(), pending)), kind)


def test_threads_that_do_whole_photos_rest_where_the_run_shall_and_are_woken_by_its_end(library: Path) -> None:
    tasks = [Task(0, draw(library / "a.png", (30, 255)), 1)]
    stop = Event()
    made = WholePhotoExecutor(blobs("whole photos"), settings("threads"), Profile(), 1, lambda: True, stop)
    with closing(made):
        (outcome,) = made.outcomes(iter(tasks), lambda: False)
    assert len(outcome.faces) == 1 and len(stop.rests) == 1 and stop.rests[0] > 0


@pytest.mark.parametrize("shown", [False, True])
def test_threads_keep_the_pixels_of_photos_only_for_those_who_want_to_see_them(library: Path, shown: bool) -> None:
    task = Task(0, draw(library / "a.png", (30, 255)), 1)
    work = choosing.Work(blobs("whole photos"), settings("threads"), Profile(), 1, previews=shown)
    with closing(choosing.executor_for(work)) as made:
        (outcome,) = made.outcomes(iter([task]), lambda: False)
    assert outcome.picture is not None and bool(outcome.picture.pixels.size) == shown


@pytest.mark.parametrize("known", [20, 14, 0], ids=["as many", "some moved meanwhile", "unknown"])
def test_no_thread_is_left_with_several_photos_at_the_end(known: int) -> None:
    tasks = [Task(number, Path(), 1) for number in range(20)]
    parts = list(portions(iter(tasks), known, 4, 2))
    assert [one for part in parts for one in part] == tasks
    assert [len(part) for part in parts][-4:] == [1] * 4
    assert [len(part) for part in parts] == sorted(map(len, parts), reverse=True)
    assert len(parts[0]) == {20: 4, 14: 3, 0: 1}[known]


class Event(threading.Event):
    """Notes how long it was waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.rests: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.rests.append(timeout or 0.0)
        return self.is_set()


def test_the_networks_take_pictures_of_several_threads_at_once(compiled: Path) -> None:
    pytest.importorskip("skimage")
    from rollcall.commands.demo_library import portraits

    analyzer = Analyzer(load(None, {"detector.resolution": 256, "cache.folder": str(compiled)}))
    assert analyzer.concurrent
    pixels = [np.asarray(one.convert("RGB").resize((256, 256)), np.uint8) for one in portraits()[:2]]
    pictures = [Picture(Path(f"{number}.png"), one, 256, 256, 1, "") for number, one in enumerate(pixels)] * 2
    alone = [analyzer.analyze([picture])[0] for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda picture: analyzer.analyze([picture])[0], pictures))
    for one, other in zip(alone, together, strict=True):
        assert [face.box for face in one] == [face.box for face in other]
        assert all(np.array_equal(a.embedding, b.embedding) for a, b in zip(one, other, strict=True))
    assert all(alone)


def test_a_node_that_is_killed_loses_no_photo_and_stores_none_twice(
    cluster: Any, database: Database, library: Path
) -> None:
    for number in range(60):
        draw(library / f"{number}.png", (30, 255), seed=number)
    second = added(cluster)
    indexed: list[int] = []

    def killing(event: events.Event) -> None:
        if isinstance(event, events.PhotoIndexed):
            indexed.append(event.photo_id)
            if len(indexed) == 8:
                cluster.remove_node(second, allow_graceful=False)

    wanted = settings("ray", ray_address=cluster.address)
    summary = Indexer(database, BlobAnalyzer(), wanted, killing).run([library])
    assert (summary.indexed, summary.failed) == (60, 0)
    assert sorted(indexed) == sorted(set(indexed)) and len(indexed) == 60
    with database.read() as session:
        assert session.scalar(text("SELECT COUNT(*) FROM faces")) == 60


#: A process named as `uv run` is, whose child joins a cluster with Rollcall and prints what nodes are sent for it.
UV = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"
JOINED = """
import sys
from rollcall.indexing.executors.cluster import RayExecutor
from rollcall.indexing.executors.worker import Setup
from rollcall.indexing.profile import Profile
executor = RayExecutor(Setup(*[None] * len(Setup._fields)), Profile(), sys.argv[1])
executor._connect()
import ray
print(dict(ray.get_runtime_context().runtime_env))
"""


def test_the_current_folder_is_not_sent_to_the_cluster(cluster: Any, tmp_path: Path) -> None:
    # Ray does so by itself where one of the process's ancestors is `uv run`.
    (tmp_path / "run").write_text(UV)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    child = [sys.executable, "-c", JOINED, cluster.address]
    # The name by which the process is called is not where its Python is.
    python = sys._base_executable  # type: ignore[attr-defined]
    found = subprocess.run(
        ["uv", "run", *child], executable=python, cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert (found.returncode, found.stdout.strip()) == (0, "{}"), found.stderr


def test_a_cluster_that_does_not_do_the_work_ends_the_run_with_a_sentence(cluster: Any, library: Path) -> None:
    import ray

    wanted = settings("ray", ray_address=cluster.address)
    executor = choosing.executor_for(choosing.Work(BlobAnalyzer(), wanted, Profile(), 1))
    file = draw(library / "a.png", (30, 255))

    def cancelled() -> bool:
        """Never stop the run, while somebody at the cluster cancels its work before it begins."""
        ray.cancel(executor._waiting[0].reference)  # type: ignore[attr-defined]
        return False

    with closing(executor), pytest.raises(ModelError, match="does not analyse photos .*; see to it"):
        list(executor.outcomes(iter([Task(0, file, file.stat().st_size)]), cancelled))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_a_run_gives_back_what_it_freed(tmp_path: Path) -> None:
    # In a process of its own: this one may hold holes enough of earlier tests, and hundreds of megabytes of others.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        during, after = process.submit(wasteful.give_back, draw(tmp_path / "one.png", (30, 0))).result()
    assert after < during - (100 << 20)
