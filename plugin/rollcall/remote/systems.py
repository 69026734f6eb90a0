"""The file systems of fsspec that read remote folders: each with the credentials that are on this computer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from rollcall.errors import RemoteError
from rollcall.remote.address import Address

#: Seconds that an SSH server may take to answer.
_SSH_SECONDS: Final = 30.0


def opened(address: Address) -> tuple[Any, str]:
    """Return the file system of a bucket or server, and the path in it that the address stands for.

    Raises
    ------
    ImportError
        If fsspec or the package of the scheme is not installed.
    RemoteError
        If an SSH server is not the one that is known by its name.
    Exception
        Those of the package, if the server does not serve.
    """
    if address.scheme in ("webdav", "webdavs"):
        return _webdav(address), ""
    if address.scheme in ("sftp", "ssh"):
        return _sftp(address), ""
    from fsspec.core import url_to_fs

    system, root = url_to_fs(str(address))
    return system, str(root).rstrip("/")


def _webdav(address: Address) -> Any:
    """Return a WebDAV server, by HTTP or HTTPS; name and password are those that ~/.netrc has for it."""
    import httpx
    from webdav4.client import Client
    from webdav4.fsspec import WebdavFileSystem

    class Quoting(Client):  # type: ignore[misc]
        # That of the package takes "%20" in a name for a space, and fails of "?".
        def join_url(self, path: str, add_trailing_slash: bool = False) -> Any:
            return super().join_url(quote(path), add_trailing_slash=add_trailing_slash)

    netrc = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    auth = httpx.NetRCAuth(str(netrc)) if netrc.is_file() else None
    scheme = "https" if address.scheme == "webdavs" else "http"
    url = f"{scheme}://{address.place}"
    return WebdavFileSystem(url, client=Quoting(url, auth=auth), skip_instance_cache=True)


def _sftp(address: Address) -> Any:
    """Return an SSH server, of which ~/.ssh has to know the key; those of the user open it."""
    import paramiko
    from fsspec.implementations.sftp import SFTPFileSystem

    class Unknown(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]
        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
            raise RemoteError(
                address, f"~/.ssh/known_hosts has no such key of the server; connect once: ssh {parts.hostname}"
            )

    class Sftp(SFTPFileSystem):  # type: ignore[misc]
        # That of fsspec trusts any server.
        def _connect(self) -> None:
            self.client = paramiko.SSHClient()
            self.client.load_system_host_keys()
            self.client.set_missing_host_key_policy(Unknown())
            try:
                self.client.connect(self.host, **self.ssh_kwargs)
            except paramiko.BadHostKeyException as error:
                reason = "its key is another one than ~/.ssh/known_hosts has; find out why before you remove that line"
                raise RemoteError(address, reason) from error
            self.ftp = self.client.open_sftp()
            self.ftp.get_channel().settimeout(_SSH_SECONDS)

        def reconnect(self) -> None:
            """Connect again if the connection is lost."""
            transport = self.client.get_transport()
            if transport is None or not transport.is_active():
                self._connect()

    parts = urlsplit(str(address))
    seconds = dict.fromkeys(("timeout", "banner_timeout", "auth_timeout"), _SSH_SECONDS)
    return Sftp(parts.hostname, port=parts.port or 22, username=parts.username, skip_instance_cache=True, **seconds)
