"""People, albums, sidecars, bridges and restored backups, killed as well."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from xml.etree import ElementTree

from fake_immich import FakeImmich
from soak.killer import Killer, integrity
from strict_server import Reply, listening

NAMES: Final = ("Anna", "Änne B", "Ben", "Zoë")
SIDECAR: Final = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag><rdf:li>{keyword}</rdf:li>
</rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"""
#: How often a command that was killed is begun again before it may end.
TRIES: Final = 4


@contextmanager
def _server(photos: int) -> Any:
    """Give the address of a server of photos, in a process of its own: a fork of one with threads would hang."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        # Clients that are killed are no news.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        server = FakeImmich()
        for number in range(photos):
            server.add_asset(f"/library/{number:03}.png")
        server.route("GET", "/state", lambda **_: Reply(value={**server.state(), "refused": server.refused}))
        with listening(server) as url:
            os.write(writer, url.encode())
            os.close(writer)
            while os.getppid() != 1:
                signal.sigtimedwait([], 1)
        os._exit(0)
    os.close(writer)
    try:
        yield os.read(reader, 100).decode()
    finally:
        os.close(reader)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _state(url: str) -> dict[str, Any]:
    asked = urllib.request.Request(f"{url}/state", headers={"x-api-key": FakeImmich.KEY})
    with urllib.request.urlopen(asked) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


@dataclass
class Everything(Killer):
    """A library whose commands are killed, with people, albums, sidecars and a server."""

    #: The keyword that another program wrote into a sidecar.
    foreign: dict[Path, str] = field(default_factory=dict)
    servers: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        self.url = self.servers.enter_context(_server(self.photos * 2))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.servers.close()

    def operations(self) -> list[tuple[int, Callable[[], None]]]:
        """Return what can be done, and how often each is to be."""
        return [
            *super().operations(),
            (4, self.name_face),
            (3, self.change_people),
            (3, self.albums),
            (3, self.sidecars),
            (1, self.foreign_sidecar),
            (3, self.bridge),
            (3, self.restore),
        ]

    # ---- Words

    def name_face(self) -> None:
        face = self.any_face()
        if face is not None:
            self.record("people", "name", f"face:{face[0]}", self.chance.choice(NAMES), sign=" photo")

    def change_people(self) -> None:
        one, other = self._any_number("v1_people", "person_id"), self._any_number("v1_people", "person_id")
        if one is None or other is None:
            return
        words = self.chance.choice(
            (
                ("confirm", one),
                ("birth", one, self.chance.choice(("1982-07", "2015", "unknown"))),
                ("merge", one, other),
                ("me", one),
                ("name", one, self.chance.choice(NAMES)),
                ("group",),
            )
        )
        if words == ("group",):
            self.command("people", *words)
        elif words[0] != "merge" or one != other:
            # To confirm all that are proposed records nothing where nothing is.
            known = len(self.made_by())
            self.record("people", *words, sign=" photo")
            if words[0] == "confirm" and len(self.made_by()) == known:
                self.acknowledged.discard(f"soak-{self.number - 1}")

    def albums(self) -> None:
        album, face = self._any_number("v1_albums", "album_id"), self.any_face()
        name = f"Album {self.number}"
        if album is None or face is None or self.chance.random() < 0.3:
            self.record("albums", "save", name, "kids", sign=" photo")
            return
        words = self.chance.choice(
            (("add", album, str(face[1])), ("rename", album, name), ("remove", album), ("share", album))
        )
        self.record("albums", *words, sign=" photo")

    def _any_number(self, view: str, column: str) -> str | None:
        found = self.any_row(f"SELECT {column}, 0 FROM {view}")
        return None if found is None else str(found[0])

    # ---- Files of others

    def sidecars(self) -> None:
        self.command("xmp", self.chance.choice(("write", "write", "read", "remove")), str(self.folder))

    def foreign_sidecar(self) -> None:
        """Let another program write a sidecar, if there is none."""
        photo = self.chance.choice(sorted(self.folder.glob("*.png")))
        sidecar = photo.with_name(f"{photo.name}.xmp")
        if not sidecar.exists():
            self.foreign[sidecar] = f"foreign {self.number}"
            self.number += 1
            sidecar.write_text(SIDECAR.format(keyword=self.foreign[sidecar]), encoding="utf-8")

    def bridge(self, *more: str, killed: bool = True, url: str = "") -> None:
        options = {
            "bridges.immich_url": url or self.url,
            "bridges.immich_key": FakeImmich.KEY,
            "bridges.requests_per_second": "0",
            "bridges.paths": f"{self.folder}=/library",
        }
        settings = [word for name, value in options.items() for word in ("--set", f"{name}={value}")]
        code, text, _ = self.command("bridge", "immich", *more, *settings, killed=killed)
        assert code in (0, None), text

    # ---- Backups

    def restore(self) -> None:
        """Put a backup in the database's place, which lacks what was said since: that comes from the archive."""
        copies = sorted(self.work.glob("copy-*.db"))
        if not copies:
            return
        copy = self.chance.choice(copies)
        for attempt in range(TRIES):
            code, text, _ = self.command("restore", str(copy), killed=attempt < TRIES - 1)
            assert integrity(self.database) == "ok"
            if code is not None:
                break
            if self.chance.random() < 0.5:
                self.correct()
        assert code == 0, text
        for former in self.work.glob("*.damaged*"):
            former.unlink()

    # ---- What is left

    def examine(self) -> None:
        """Demand sound files, and all that was acknowledged or written by others."""
        super().examine()
        for sidecar in self.folder.glob("*.xmp"):
            ElementTree.fromstring(sidecar.read_bytes())
        for sidecar, keyword in self.foreign.items():
            assert keyword in sidecar.read_text(encoding="utf-8"), f"{sidecar} lost what another program wrote"

    def examine_servers(self) -> None:
        """Demand that the server has what one has that gets everything at once, and nothing twice."""
        # Not known to the bridge: what an older copy remembers as sent though it was taken back since, and that a photo
        # whose file was renamed is another one to the server.
        self.bridge("--undo", killed=False)
        self.bridge(killed=False)
        with _server(self.photos * 2) as url:
            self.bridge(killed=False, url=url)
            expected = _state(url)
        found = _state(self.url)
        assert found["refused"] == []
        for kind in ("tags", "tagged", "faces"):
            counts = Counter(map(repr, found[kind]))
            assert not [one for one, count in counts.items() if count > 1], f"{kind} are there twice"
            missing = set(map(repr, expected[kind])) - counts.keys()
            assert not missing, f"{kind} are missing: {sorted(missing)[:5]}"
