"""The runner over any folder of pictures: its table, its JSON, and its comparison with exiftool."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from drawn import encoded, exif_bytes, quarters

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "samples.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    exif = exif_bytes({0x0112: 6}, {0x9003: "2019:06:12 10:15:00"})
    (tmp_path / "deep").mkdir()
    (tmp_path / "turned.jpg").write_bytes(encoded(quarters(), "JPEG", exif=exif))
    Image.fromarray(quarters()).save(tmp_path / "deep" / "plain.png")
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    (tmp_path / "notes.txt").write_text("not looked at")
    return tmp_path


@pytest.fixture
def samples() -> ModuleType:
    spec = importlib.util.spec_from_file_location("samples", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["samples"] = module
    spec.loader.exec_module(module)
    return module


def test_the_table_names_every_file(folder: Path) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line[:1].isalpha()}
    assert "96 x 160" in lines["turned.jpg"] and "2019-06-12 10:15:00" in lines["turned.jpg"]
    assert lines["deep/plain.png"].rstrip().endswith("ok") and "not a picture" in lines["broken.jpg"]
    assert "notes.txt" not in done.stdout and "failed: 1" in done.stdout


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_facts_are_compared_with_exiftools(folder: Path, samples: ModuleType) -> None:
    found = {Path(one.path).name: one for one in samples.run(folder)}
    turned = found["turned.jpg"]
    assert turned.exiftool_size == turned.size == (96, 160) and turned.same_taken is True
    assert found["plain.png"].same_size is True and found["plain.png"].same_taken is None
    turned.exiftool_taken, turned.exiftool_size = "2001-01-01 00:00:00", (160, 96)
    report = samples.summary(list(found.values()))
    assert len(report["sizes that differ"]) == len(report["dates that differ"]) == 1


def test_without_exiftool_its_columns_are_absent(
    folder: Path, samples: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    found = samples.run(folder)
    assert all(one.exiftool_type is None for one in found)
    samples.print_table(found, folder, False)
    assert "exiftool" not in capsys.readouterr().out


def test_json_holds_the_same(folder: Path) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), str(folder), "--json"], capture_output=True, text=True)
    report = json.loads(done.stdout)
    assert report["summary"]["files"] == 3 and report["summary"]["failed"] == 1
    assert {Path(one["path"]).name for one in report["files"]} == {"turned.jpg", "plain.png", "broken.jpg"}
