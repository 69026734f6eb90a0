"""A bucket of an S3 server as a folder of the library, by the command line and its exit codes."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from blobs import BlobAnalyzer, draw
from rollcall import cli
from rollcall.host import base
from rollcall.remote import files as remote_files
from rollcall.remote.trouble import Retries

SECRET = "wJalrXUtnFEMIexample"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    # Imported here: each process that collects tests would take a second for them.
    for package in ("s3fs", "flask_cors", "moto"):
        pytest.importorskip(package)
    from moto.backends import get_backend
    from moto.server import ThreadedMotoServer

    # Loaded before the first request, which is given up after 15 seconds.
    get_backend("s3")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a file system with photos in a bucket of their own; credentials stand in the environment alone."""
    values = {
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
        # The system's proxies, if it has some, are not for this machine.
        "NO_PROXY": "127.0.0.1",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(remote_files, "Retries", lambda: Retries(tries=2, sleep=lambda seconds: None))
    system = _fresh()
    system.mkdir("family")
    for number, key in enumerate(("photos/a b.png", "photos/ä/c+d#1.png")):
        system.pipe_file(f"family/{key}", draw(tmp_path / "drawn.png", (20 + number, 0), seed=number).read_bytes())
    yield system
    system.rm("family", recursive=True)


def _fresh() -> Any:
    import fsspec

    fsspec.get_filesystem_class("s3").clear_instance_cache()
    remote_files._opened.cache_clear()
    return fsspec.filesystem("s3")


@pytest.fixture
def rollcall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs a command and returns exit code, output and errors."""
    monkeypatch.setattr(base, "Analyzer", lambda settings: BlobAnalyzer())
    monkeypatch.setenv("ROLLCALL_CACHE__FOLDER", str(tmp_path / "cache"))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rollcall", *arguments, "-d", str(tmp_path / "library.db")])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        found = capsys.readouterr()
        return int(ended.value.code or 0), found.out, found.err

    return run


def test_a_bucket_is_indexed_by_processes_searched_shown_and_kept_in_step(
    bucket: Any, rollcall: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each process fetches what it analyses, with the credentials of the environment.
    monkeypatch.setenv("ROLLCALL_POWER__EXECUTOR", "processes")
    monkeypatch.setenv("ROLLCALL_POWER__WORKERS", "1")
    code, out, err = rollcall("index", "s3://family/photos", "--json")
    assert (code, json.loads(out)["indexed"], json.loads(out)["failures"]) == (0, 2, []), err
    assert not list((tmp_path / "cache" / "fetched").rglob("*.png"))
    code, out, _ = rollcall("search", "path:*c+d*", "--json")
    assert code == 0
    assert "s3://family/photos/ä/c+d#1.png" in out
    bucket.rm_file("family/photos/a b.png")
    summary = json.loads(rollcall("index", "--json")[1])
    assert (summary["missing"], summary["skipped"], summary["indexed"]) == (1, 1, 0)
    assert "s3://family/photos" in "".join(rollcall("status")[1:])
    held = [one.read_bytes() for one in tmp_path.rglob("*") if one.is_file() and one.suffix != ".png"]
    assert not any(SECRET.encode() in one or b"AKIAEXAMPLE" in one for one in held)


def test_a_bucket_that_is_not_there_and_refused_credentials_end_with_one_sentence(
    bucket: Any, rollcall: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = rollcall("index", "s3://nobody/photos", "--quiet")
    assert (code, err.strip()) == (3, "rollcall: s3://nobody/photos: there is no such folder; check the address")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    _fresh()
    code, _, err = rollcall("index", "s3://family/photos", "--quiet")
    assert code == 3
    assert (
        err.strip()
        == "rollcall: s3://family: access is refused; check the credentials of this computer and what they may read"
    )
