"""Sidecars: their names, and that they are replaced as a whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drawn import open_to_all, ordinary_user
from rollcall.xmp import files
from rollcall.xmp.files import ChangedError, stat_of
from sidecars import packet


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(packet(""))


@pytest.mark.parametrize(
    ("there", "photo", "found"),
    [
        (("a.jpg", "a.jpg.xmp", "a.xmp"), "a.jpg", "a.jpg.xmp"),
        (("a.jpg", "a.xmp"), "a.jpg", "a.xmp"),
        (("a.jpg", "a.XMP"), "a.jpg", "a.XMP"),
        (("a.jpg", "b.xmp"), "a.jpg", None),
        # A short name is the raw file's, as in Lightroom, and nobody's if it could be several pictures'.
        (("a.jpg", "a.nef", "a.xmp"), "a.jpg", None),
        (("a.jpg", "a.nef", "a.xmp"), "a.nef", "a.xmp"),
        (("a.jpg", "a.png", "a.xmp"), "a.jpg", None),
        (("a.jpg", "a.png", "a.xmp"), "a.png", None),
        (("a.jpg", "a.png", "a.png.xmp"), "a.jpg", None),
    ],
)
def test_the_sidecar_of_a_photo(tmp_path: Path, there: tuple[str, ...], photo: str, found: str | None) -> None:
    make(tmp_path, *there)
    existing = files.existing(tmp_path / photo)
    assert (None if existing is None else existing.name) == found
    if existing is not None:
        assert tmp_path / photo in files.photos_of(existing)


def test_a_short_name_belongs_to_the_extension_that_the_sidecar_names(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg", "a.nef")
    (tmp_path / "a.xmp").write_bytes(packet("<photoshop:SidecarForExtension>JPG</photoshop:SidecarForExtension>"))
    assert files.existing(tmp_path / "a.jpg") == tmp_path / "a.xmp"
    assert files.existing(tmp_path / "a.nef") is None


@pytest.mark.parametrize(
    ("there", "photo", "setting", "name"),
    [
        (("a.jpg",), "a.jpg", "auto", "a.jpg.xmp"),
        (("a.nef",), "a.nef", "auto", "a.xmp"),
        (("a.jpg",), "a.jpg", "photo.xmp", "a.xmp"),
        (("a.nef",), "a.nef", "photo.jpg.xmp", "a.nef.xmp"),
        (("a.nef", "a.jpg"), "a.nef", "auto", "a.nef.xmp"),
    ],
)
def test_the_name_of_a_new_sidecar(
    tmp_path: Path, there: tuple[str, ...], photo: str, setting: files.NewName, name: str
) -> None:
    make(tmp_path, *there)
    assert files.new(tmp_path / photo, setting).name == name


def test_a_new_sidecar_has_the_permissions_of_the_photo_and_a_replaced_one_its_own(tmp_path: Path) -> None:
    photo, sidecar = tmp_path / "a.jpg", tmp_path / "a.jpg.xmp"
    photo.write_bytes(b"x")
    photo.chmod(0o750)
    written = files.replace(sidecar, b"1", None, photo, keep_times=False)
    assert stat.S_IMODE(sidecar.stat().st_mode) == 0o640
    assert written == stat_of(sidecar)
    sidecar.chmod(0o604)
    os.utime(sidecar, ns=(10**18, 10**18))
    written = files.replace(sidecar, b"2", stat_of(sidecar), photo, keep_times=True)
    assert stat.S_IMODE(sidecar.stat().st_mode) == 0o604
    assert (sidecar.read_bytes(), written.mtime_ns) == (b"2", 10**18)
    assert files.replace(sidecar, b"3", stat_of(sidecar), photo, keep_times=False).mtime_ns > 10**18
    assert sorted(os.listdir(tmp_path)) == ["a.jpg", "a.jpg.xmp"]


def test_a_sidecar_that_changed_in_between_is_left_as_it_is(tmp_path: Path) -> None:
    photo, sidecar = tmp_path / "a.jpg", tmp_path / "a.jpg.xmp"
    photo.write_bytes(b"x")
    sidecar.write_bytes(b"theirs")
    before = stat_of(sidecar)
    assert before is not None
    sidecar.write_bytes(b"theirs again")
    with pytest.raises(ChangedError):
        files.replace(sidecar, b"ours", before, photo, keep_times=False)
    with pytest.raises(ChangedError):
        files.replace(sidecar, b"ours", None, photo, keep_times=False)
    with pytest.raises(ChangedError):
        files.remove(sidecar, before)
    sidecar.unlink()
    with pytest.raises(ChangedError):
        files.replace(sidecar, b"ours", before, photo, keep_times=False)
    assert os.listdir(tmp_path) == ["a.jpg"]


def test_a_file_made_at_the_last_moment_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo, sidecar = tmp_path / "a.jpg", tmp_path / "a.jpg.xmp"
    photo.write_bytes(b"x")
    monkeypatch.setattr(files, "stat_of", lambda path: None)
    sidecar.write_bytes(b"theirs")
    with pytest.raises(ChangedError):
        files.replace(sidecar, b"ours", None, photo, keep_times=False)
    assert sidecar.read_bytes() == b"theirs"


def test_file_systems_without_hard_links_get_new_sidecars_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    photo, sidecar = tmp_path / "a.jpg", tmp_path / "a.jpg.xmp"
    photo.write_bytes(b"x")
    assert files.replace(sidecar, b"ours", None, photo, keep_times=False) == stat_of(sidecar)
    assert sorted(os.listdir(tmp_path)) == ["a.jpg", "a.jpg.xmp"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    photo, sidecar, real = tmp_path / "a.jpg", tmp_path / "a.jpg.xmp", tmp_path / "elsewhere.xmp"
    photo.write_bytes(b"x")
    real.write_bytes(b"theirs")
    sidecar.symlink_to(real)
    files.replace(sidecar, b"ours", stat_of(sidecar), photo, keep_times=False)
    assert sidecar.is_symlink()
    assert real.read_bytes() == b"ours"


@pytest.mark.parametrize("name", ["a.jpg", "xmp", ".xmp", "a.xmp.jpg"])
def test_nothing_but_a_sidecar_is_written_or_deleted(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"x")
    before = stat_of(path)
    assert before is not None
    with pytest.raises(ValueError, match="no sidecar"):
        files.replace(path, b"ours", before, path, keep_times=False)
    with pytest.raises(ValueError, match="no sidecar"):
        files.remove(path, before)
    assert path.read_bytes() == b"x"


def test_a_full_disk_leaves_the_sidecar_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    photo, sidecar = tmp_path / "a.jpg", tmp_path / "a.jpg.xmp"
    photo.write_bytes(b"x")
    sidecar.write_bytes(b"theirs")
    with pytest.raises(OSError, match="No space"):
        files.replace(sidecar, b"ours", stat_of(sidecar), photo, keep_times=False)
    assert sidecar.read_bytes() == b"theirs"
    assert sorted(os.listdir(tmp_path)) == ["a.jpg", "a.jpg.xmp"]


@pytest.mark.skipif(os.name == "nt", reason="permissions are other things on Windows")
def test_a_folder_that_may_not_be_written_is_an_error() -> None:
    with open_to_all() as folder:
        (folder / "a.jpg").write_bytes(b"x")
        folder.chmod(0o555)
        with ordinary_user(), pytest.raises(PermissionError):
            files.replace(folder / "a.jpg.xmp", b"ours", None, folder / "a.jpg", keep_times=False)
        folder.chmod(0o755)
        assert os.listdir(folder) == ["a.jpg"]


_WRITER = """
import sys
from pathlib import Path
from rollcall.xmp import files
folder, sidecar = Path(sys.argv[1]), Path(sys.argv[1], "a.jpg.xmp")
print("ready", flush=True)
number = 0
while True:
    number += 1
    data = (b"%06d" % number) * 20_000
    files.replace(sidecar, data, files.stat_of(sidecar), folder / "a.jpg", keep_times=False)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_kill_at_any_moment_leaves_no_half_sidecar(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"original")
    sidecar = tmp_path / "a.jpg.xmp"
    seen = set()
    for round_ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        until = time.monotonic() + 60
        while not sidecar.exists() and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.013 * round_)
        writer.kill()
        writer.wait()
        writer.stdout.close()
        data = sidecar.read_bytes()
        assert len(data) == 120_000
        assert data == data[:6] * 20_000
        seen.add(data[:6])
        sidecar.unlink()
    assert (tmp_path / "a.jpg").read_bytes() == b"original"
    left = {name for name in os.listdir(tmp_path) if name != "a.jpg"}
    assert left <= {".a.jpg.xmp.rollcall-part"}
    # What a kill left behind is written over.
    files.replace(sidecar, b"whole", None, tmp_path / "a.jpg", keep_times=False)
    assert sorted(os.listdir(tmp_path)) == ["a.jpg", "a.jpg.xmp"]
