"""WebDAV and SSH servers of this machine are listed and fetched; strange ones and wrong passwords are refused."""

from __future__ import annotations

import base64
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

for package in ("fsspec", "paramiko"):
    pytest.importorskip(package)

import paramiko  # noqa: E402 (after the check for the extra)

from rollcall.errors import RemoteError  # noqa: E402
from rollcall.remote.address import parse  # noqa: E402
from rollcall.remote.files import RemoteFiles  # noqa: E402
from rollcall.remote.trouble import Retries  # noqa: E402

NAMES = ["a b.jpg", "50%25 #c?.jpg", "ü.jpg"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home folder, beside a folder "served" with photos."""
    for number, name in enumerate(NAMES):
        file = tmp_path / "served" / "my photos" / "day" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes([number]) * 70_000)
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("NETRC", raising=False)
    return home


def _all_is_read(files: RemoteFiles, folder: str, copy: Path) -> None:
    assert files.folder(folder).folders == ["day"]
    found = files.folder(f"{folder}/day")
    assert {one.name: one.size for one in found.files} == dict.fromkeys(NAMES, 70_000)
    assert all(one.mtime_ns > 1 << 60 for one in found.files)
    for one in found.files:
        files.fetch(f"{folder}/day/{one.name}", copy, one)
        assert copy.read_bytes() == bytes([NAMES.index(one.name)]) * 70_000
    with pytest.raises(FileNotFoundError):
        files.folder(f"{folder}/nowhere")
    with pytest.raises(FileNotFoundError):
        files.fetch(f"{folder}/day/nowhere.jpg", copy)


def test_a_webdav_server_is_read_with_the_password_of_netrc(tmp_path: Path, home: Path) -> None:
    for package in ("webdav4", "wsgidav", "werkzeug"):
        pytest.importorskip(package)
    from werkzeug.serving import make_server
    from wsgidav.wsgidav_app import WsgiDAVApp

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    users = {"*": {"anna": {"password": "hunter2"}}}
    app = WsgiDAVApp(
        {
            "provider_mapping": {"/dav": str(tmp_path / "served")},
            "simple_dc": {"user_mapping": users},
            "logging": {"enable": False},
            "verbose": 0,
        }
    )
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = parse(f"webdav://127.0.0.1:{server.port}")
        with pytest.raises(RemoteError, match="access is refused"):
            RemoteFiles(address, Retries(tries=1)).folder("dav")
        netrc = home / ".netrc"
        netrc.touch(mode=0o600)
        netrc.write_text("machine 127.0.0.1 login anna password hunter2\n")
        _all_is_read(RemoteFiles(address, Retries(tries=1)), "dav/my photos", tmp_path / "copy")
    finally:
        server.shutdown()
        server.server_close()


class Guard(paramiko.ServerInterface):  # type: ignore[misc]
    """Lets in who has a key."""

    def __init__(self, key: Any) -> None:
        self.key = key

    def check_auth_publickey(self, username: str, key: Any) -> int:
        right = username == "anna" and key.asbytes() == self.key.asbytes()
        return int(paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED)

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)


class Disk(paramiko.SFTPServerInterface):  # type: ignore[misc]
    """Serves a folder."""

    root: Path

    def list_folder(self, path: str) -> Any:
        folder = self.root / path.lstrip("/")
        if not folder.is_dir():
            return paramiko.SFTP_NO_SUCH_FILE
        return [paramiko.SFTPAttributes.from_stat(one.stat(), one.name) for one in folder.iterdir()]

    def stat(self, path: str) -> Any:
        try:
            return paramiko.SFTPAttributes.from_stat((self.root / path.lstrip("/")).stat())
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    def open(self, path: str, flags: int, attributes: Any) -> Any:
        handle = paramiko.SFTPHandle(flags)
        handle.readfile = (self.root / path.lstrip("/")).open("rb")
        return handle


@pytest.fixture
def ssh(tmp_path: Path, home: Path) -> Iterator[tuple[int, Any]]:
    """Return port and key of an SSH server, which the key of the home folder opens."""
    host_key, key = paramiko.ECDSAKey.generate(), paramiko.ECDSAKey.generate()
    key.write_private_key_file(str(home / ".ssh" / "id_ecdsa"))
    Disk.root = tmp_path / "served"
    listening = socket.create_server(("127.0.0.1", 0))
    transports: list[Any] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                transport = paramiko.Transport(listening.accept()[0])
                transports.append(transport)
                transport.add_server_key(host_key)
                transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Disk)
                with suppress(paramiko.SSHException, EOFError):
                    transport.start_server(server=Guard(key))

    threading.Thread(target=serve, daemon=True).start()
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    yield listening.getsockname()[1], host_key
    listening.close()
    for one in transports:
        one.close()


def test_an_ssh_server_is_read_by_the_key_of_the_user_once_its_own_is_known(
    tmp_path: Path, home: Path, ssh: tuple[int, Any]
) -> None:
    port, key = ssh
    address = parse(f"sftp://anna@127.0.0.1:{port}")
    with pytest.raises(RemoteError, match="known_hosts has no such key"):
        RemoteFiles(address, Retries(tries=1))
    line = f"[127.0.0.1]:{port} {key.get_name()} {base64.b64encode(key.asbytes()).decode()}\n"
    (home / ".ssh" / "known_hosts").write_text(line)
    files = RemoteFiles(address, Retries(tries=1))
    _all_is_read(files, "my photos", tmp_path / "copy")
    # A connection that was lost is made again.
    files._system.client.close()
    assert files.folder("my photos").folders == ["day"]
