"""The command line as its user runs it: real networks on the public-domain portraits."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("skimage")

from rollcall.commands.demo_library import build

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, compiled: Path) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("home")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("ROLLCALL_")},
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "ROLLCALL_CACHE__FOLDER": str(compiled),
        "COLUMNS": "200",
    }


@pytest.fixture(scope="module")
def rollcall(environment: dict[str, str]) -> Run:
    def run(*words: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "rollcall", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, input=stdin, timeout=300)

    return run


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("library") / "photos")


@pytest.fixture(scope="module")
def indexed(rollcall: Run, library: Path) -> Path:
    database = library.parent / "faces.db"
    done = rollcall("index", library, "--json", "--database", database)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert {"photos": 9, "indexed": 8, "failed": 1, "faces": 11}.items() <= summary.items()
    assert {"skipped", "seconds"} <= summary.keys()
    return database


def found(done: subprocess.CompletedProcess[str]) -> dict[str, float]:
    assert done.returncode == 0, done.stderr
    hits = [json.loads(line) for line in done.stdout.splitlines()]
    return {Path(hit["path"]).name: hit["probability"] for hit in hits}


def test_everyday_words_find_the_right_portraits(rollcall: Run, indexed: Path) -> None:
    # The astronaut is taken for twenty or so, where women begin.
    women = found(rollcall("search", "women", "--json", "-d", indexed, "--min-probability", "0.25"))
    assert {"astronaut.jpg", "astronaut-upside-down.jpg", "meeting.jpg", "group.jpg"} <= women.keys()
    assert min(women[name] for name in ("astronaut.jpg", "meeting.jpg", "group.jpg")) >= 0.35
    assert not {"cat.jpg", "hills.jpg"} & women.keys()
    assert found(rollcall("search", "no people", "--json", "-d", indexed)).keys() == {"cat.jpg", "hills.jpg"}
    assert found(rollcall("search", "group photos", "--json", "-d", indexed)).keys() == {"group.jpg"}
    assert found(rollcall("search", "faces:2", "--json", "-d", indexed)).keys() == {"meeting.jpg"}
    assert "group.jpg" not in found(rollcall("search", "taken:1984", "--json", "-d", indexed))


def test_children_are_ranked_by_probability(rollcall: Run, indexed: Path) -> None:
    ranked = found(rollcall("search", "photos of children", "--json", "-d", indexed, "--min-probability", "0"))
    assert list(ranked.values()) == sorted(ranked.values(), reverse=True)
    assert max(ranked.values()) < 0.5


def test_a_second_run_skips_everything_without_loading_the_networks(
    rollcall: Run, indexed: Path, library: Path
) -> None:
    began = time.perf_counter()
    summary = json.loads(rollcall("index", library, "--json", "-d", indexed).stdout)
    assert (summary["skipped"], summary["indexed"], summary["failed"]) == (9, 0, 0)
    assert time.perf_counter() - began < 30


def test_turned_photos_have_their_face_in_the_same_place(rollcall: Run, library: Path) -> None:
    done = rollcall(
        "analyze", "--jsonl", library / "navy" / "rear-admiral.jpg", library / "navy" / "rear-admiral-turned.jpg"
    )
    plain, turned = (json.loads(line) for line in done.stdout.splitlines())
    assert (plain["width"], plain["height"]) == (turned["width"], turned["height"]) == (512, 600)
    for a, b in zip(plain["faces"][0]["landmarks"], turned["faces"][0]["landmarks"], strict=True):
        assert a == pytest.approx(b, abs=4)


def test_analyze_prints_what_is_documented(rollcall: Run, library: Path, tmp_path: Path) -> None:
    done = rollcall(
        "analyze",
        "--jsonl",
        "--embeddings",
        "--annotate",
        tmp_path / "drawn",
        library / "space" / "astronaut.jpg",
        library / "travel" / "half-copied.jpg",
        library / "home" / "cat.jpg",
    )
    good, bad, cat = (json.loads(line) for line in done.stdout.splitlines())
    assert good.keys() == {"path", "width", "height", "error", "faces"}
    (face,) = good["faces"]
    assert face.keys() == {
        *("box", "score", "landmarks", "age", "age_interval", "p_child", "p_female", "detected", "embedding")
    }
    x, y, width, height = face["box"]
    assert 150 < x < 190 and 50 < y < 90 and 80 < width < 130 and 100 < height < 150
    assert face["age_interval"][0] < face["age"] < face["age_interval"][1]
    assert sum(v * v for v in face["embedding"]) == pytest.approx(1, abs=1e-3) and len(face["embedding"]) == 128
    assert "truncated" in bad["error"] and bad["faces"] == [] and bad["width"] is None
    assert cat["error"] is None and cat["faces"] == []
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["astronaut.jpg", "cat.jpg"]


def test_analyze_reads_paths_from_standard_input_and_takes_one_face(rollcall: Run, library: Path) -> None:
    paths = f"{library / 'meeting.jpg'}\n{library / 'home' / 'cat.jpg'}\n"
    done = rollcall("analyze", "--jsonl", "--one-face", "-", stdin=paths)
    meeting, cat = (json.loads(line) for line in done.stdout.splitlines())
    assert [face["detected"] for face in meeting["faces"]] == [True]
    assert [face["detected"] for face in cat["faces"]] == [False]
    assert cat["faces"][0]["age"] is not None


def test_a_contact_sheet_is_written(rollcall: Run, indexed: Path, tmp_path: Path) -> None:
    from PIL import Image

    done = rollcall("search", "people", "-d", indexed, "--sheet", tmp_path / "sheet.png")
    assert done.returncode == 0, done.stderr
    assert "6 photos found" in done.stderr
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 1000 and len(sheet.convert("RGB").getcolors(1 << 24) or []) > 1000


def test_the_host_reads_the_views_with_sqlite_alone(indexed: Path) -> None:
    connection = sqlite3.connect(f"file:{indexed}?mode=ro", uri=True)
    states = dict(connection.execute("SELECT state, COUNT(*) FROM v1_photos GROUP BY state"))
    assert states == {"indexed": 8, "failed": 1}
    assert connection.execute("SELECT COUNT(*) FROM v1_faces WHERE p_female > 0.5").fetchone()[0] >= 4
    connection.close()


def test_switched_off_estimates_are_not_stored(rollcall: Run, library: Path, tmp_path: Path) -> None:
    done = rollcall(
        *("index", library / "space", "--json", "-d", tmp_path / "x.db"),
        *("--set", "attributes.gender=off", "--set", "attributes.embeddings=off"),
    )
    assert json.loads(done.stdout)["faces"] == 2
    connection = sqlite3.connect(tmp_path / "x.db")
    assert connection.execute("SELECT p_female, gender, embedding FROM v1_faces").fetchall() == [(None,) * 3] * 2
    assert connection.execute("SELECT COUNT(*) FROM v1_faces WHERE age IS NOT NULL").fetchone() == (2,)
    connection.close()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["index", "/nowhere/at/all"], 3, "check the path"),
        (["search", "kids", "-d", "/nowhere/x.db"], 4, "rollcall index FOLDER"),
        (["search", "two", "dogs", "-d", "{database}"], 2, "did you mean '\"dogs\"'"),
        (["index"], 2, "rollcall index FOLDER"),
        (["settings", "--set", "detector.min_face=x"], 2, "detector.min_face"),
        (["settings", "--set", "nonsense"], 2, "NAME=VALUE"),
        (["frobnicate"], 2, "No such command"),
        (["serch", "kids"], 2, "did you mean 'search'?"),
        (["--config", "x.toml", "status"], 2, "options of a command stand behind it: rollcall COMMAND --config"),
        (["watch", "/nowhere/at/all"], 3, "check the path"),
    ],
)
def test_errors_are_one_sentence_and_an_exit_code(
    rollcall: Run, indexed: Path, words: list[str], code: int, says: str
) -> None:
    done = rollcall(*(word.format(database=indexed) for word in words))
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_network_is_exported_and_checked(rollcall: Run, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    done = rollcall("export-model", tmp_path / "attributes.onnx")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "attributes.onnx").stat().st_size > 3_000_000
    assert float(done.stdout.split()[-1]) < 1e-3


def test_status_and_settings_are_told(rollcall: Run, indexed: Path) -> None:
    status = json.loads(rollcall("status", "--json", "-d", indexed).stdout)
    assert status["photos"] == {"indexed": 8, "failed": 1} and status["faces"] == 11
    assert "truncated" in status["failures"][0]["error"]
    values = json.loads(rollcall("settings", "--json", "--set", "detector.min_face=33").stdout)
    assert values["detector.min_face"] == 33


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_ends_a_watch_cleanly_and_new_photos_are_found(
    environment: dict[str, str], library: Path, tmp_path: Path, indexed: Path
) -> None:
    folder = tmp_path / "watched"
    folder.mkdir()
    shutil.copy(library / "home" / "cat.jpg", folder)
    database = tmp_path / "watched.db"
    command = [sys.executable, "-m", "rollcall", "watch", str(folder), "-d", str(database)]
    child = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    while "Watching" not in (line := child.stderr.readline()):
        assert line or child.poll() is None
    shutil.copy(library / "space" / "astronaut.jpg", folder / "new.jpg")
    deadline = time.monotonic() + 300
    faces = 0
    while not faces and time.monotonic() < deadline:
        time.sleep(0.1)
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        faces = connection.execute("SELECT COUNT(*) FROM v1_faces").fetchone()[0]
        connection.close()
    child.send_signal(signal.SIGINT)
    assert child.wait(60) == 0
    child.stderr.close()
    assert faces == 1


def test_the_example_host_runs(environment: dict[str, str], library: Path, tmp_path: Path) -> None:
    script = Path(__file__).resolve().parents[3] / "examples" / "host.py"
    done = subprocess.run(
        [sys.executable, str(script), str(library / "space"), str(tmp_path / "host.db")],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "2 photos, 2 faces, 0 failed" in done.stdout
    assert done.stdout.count("shows a woman") == 2


def test_a_settings_file_that_cannot_be_read_is_told_in_words(rollcall: Run, tmp_path: Path) -> None:
    done = rollcall("settings", "--config", tmp_path)
    assert done.returncode == 2
    assert f"{tmp_path}: this is a folder, not a settings file; check the path" in done.stderr
    assert "Errno" not in done.stderr


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"\xff\xfe\x00", "no text in UTF-8"), (b"a = \n", "line 1 is no TOML at column 5: invalid value")],
)
def test_a_settings_file_that_is_none_is_told_in_words(
    rollcall: Run, tmp_path: Path, content: bytes, reason: str
) -> None:
    file = tmp_path / "rollcall.toml"
    file.write_bytes(content)
    done = rollcall("settings", "--config", file)
    assert done.returncode == 2
    assert f"{file}: the settings cannot be understood (" in done.stderr and reason in done.stderr
    assert "codec" not in done.stderr
