"""A real server with a small drawn library, and a real browser."""

from __future__ import annotations

import re
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from blobs import BlobAnalyzer, draw
from rollcall.host import Plugin
from rollcall.media import file_manager
from rollcall.web import security
from rollcall.web.app import create, end
from web.waiting import DIRECT, PATIENCE, ready

#: Without a window first: the same pages with a toolbar that nobody sees take twice the processor time.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
#: What keeps Chromium from talking to anybody but the test's server.
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Letters as wide as in a window: without one they would be fitted to the grid of the screen.
    "--font-render-hinting=none",
)


@pytest.fixture(autouse=True, scope="session")
def _no_desktop() -> Iterator[None]:
    """Show no folder on the screen of whoever runs the tests: Windows and macOS need no display to be named."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            patch.delenv(name, raising=False)
        patch.setattr(file_manager, "_started", lambda command: False)
        yield


@dataclass
class Served:
    """A server that runs, and what lies behind it."""

    url: str  # of the pages: below the path of this start
    token: str
    port: int
    plugin: Plugin
    library: Path
    file: Path
    client: httpx.Client
    app: FastAPI

    @property
    def origin(self) -> str:
        """Return what a browser names the page's origin."""
        return f"http://127.0.0.1:{self.port}"

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return what the database holds, read by sqlite3 alone."""
        with sqlite3.connect(f"file:{self.file}?mode=ro", uri=True) as connection:
            return connection.execute(statement, values).fetchall()

    def photo(self, name: str) -> int:
        """Return the number of a photo by its file's name."""
        return int(self.rows("SELECT photo_id FROM v1_photos WHERE path LIKE ?", f"%{name}")[0][0])

    def faces(self, name: str) -> list[int]:
        """Return the faces of a photo, from left to right."""
        return [
            row[0] for row in self.rows("SELECT face_id FROM v1_faces WHERE photo_id = ? ORDER BY x", self.photo(name))
        ]


def fill(library: Path) -> None:
    """Draw what the tests look at: children, adults, a group, and many who may be children or not."""
    draw(library / "child.png", (5, 0))
    draw(library / "family.png", (40, 255), (42, 0), (5, 255), seed=1)
    draw(library / "group.png", (30, 0), (31, 255), (32, 0), (33, 255), (34, 0), seed=2)
    draw(library / "nobody.png", seed=3)
    draw(library / "year" / "woman.png", (61, 255), seed=4)
    for number in range(26):
        # Between childhood and youth: a quarter of what is known speaks against each.
        draw(library / "maybe" / f"{number:02}.png", (12, 10 * (number % 13)), seed=100 + number)
    (library / "broken.jpg").write_bytes(b"\xff\xd8 this is none")


@contextmanager
def serving(
    folder: Path,
    draw_library: Callable[[Path], None] = fill,
    analyzer: Callable[[], BlobAnalyzer] = BlobAnalyzer,
    **values: Any,
) -> Iterator[Served]:
    """Index a drawn library below `folder` and serve it."""
    library, file = folder / "photos", folder / "data" / "page.db"
    library.mkdir(parents=True)
    draw_library(library)
    # Nothing but certainty is sure enough: there shall be much to review.
    given = {"database.url": f"sqlite:///{file}", "cache.folder": str(folder / "cache"), "tags.precision": 0.98}
    plugin = Plugin({**given, **values}, analyzer=analyzer())
    plugin.start()
    plugin.index([library])
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    token = security.new_token()
    app = create(plugin, token, port)
    with running(app, listening):
        url = f"http://127.0.0.1:{port}{security.start_path(token)}"
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, **DIRECT) as client:
            yield Served(url, token, port, plugin, library, file, client, app)
    plugin.stop()


@contextmanager
def running(app: FastAPI, *listening: socket.socket) -> Iterator[None]:
    """Answer requests at some addresses, on a thread."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, args=(list(listening),), daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield
    end(app)
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Return a function that serves a library; what it began ends with the test."""
    with ExitStack() as stack:
        yield lambda *given, **values: stack.enter_context(serving(tmp_path / "served", *given, **values))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Serve a library of the test's own."""
    with serving(tmp_path / "served") as one:
        yield one


@pytest.fixture(scope="module")
def serve_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Served]]:
    """Return a function that serves a library to all tests of a file."""
    with ExitStack() as stack:
        yield lambda *given, **values: stack.enter_context(serving(tmp_path_factory.mktemp("served"), *given, **values))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve a library that the tests of a file share: they only look."""
    with serving(tmp_path_factory.mktemp("shared")) as one:
        yield one


# Of a module: while Playwright is open its event loop runs on this thread, and `asyncio.run` of other tests fails.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Return the system's Chromium, driven by playwright."""
    where = next(filter(None, map(shutil.which, BROWSERS)), None)
    if where is None:
        pytest.skip("no Chromium on this machine; install Debian's package chromium to test the page in a browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=where, args=list(QUIET))
        browser.new_context, browser.new_page = _patient(browser.new_context), _patient(browser.new_page)
        yield browser
        browser.close()


def _patient(new: Callable[..., Any]) -> Callable[..., Any]:
    """Have what a browser opens wait as long for everything as all tests do."""

    def made(**values: Any) -> Any:
        one = new(**values)
        one.set_default_timeout(1000 * PATIENCE)
        return one

    return made


def _press_when_ready(page: Any) -> None:
    """Have keys wait for the scripts of the page that was just opened: before that they mean nothing."""
    press = page.keyboard.press

    def patient(key: str, **values: Any) -> None:
        ready(page)
        press(key, **values)

    page.keyboard.press = patient


@pytest.fixture
def page(chromium: Any, served: Served) -> Iterator[Any]:
    """Return a page of a visitor who came by the printed address; any complaint of the browser fails the test."""
    context = chromium.new_context(viewport={"width": 1200, "height": 800})
    made = context.new_page()
    complaints: list[str] = []
    # A refusal with its reason is noted by the browser as an error, and is none.
    made.on(
        "console",
        lambda message: (
            complaints.append(message.text)
            if message.type == "error" and not re.search("status of (409|422)", message.text)
            else None
        ),
    )
    made.on("pageerror", lambda error: complaints.append(str(error)))
    asked: list[str] = []
    made.on("request", lambda request: asked.append(request.url))
    _press_when_ready(made)
    made.goto(f"{served.url}/?token={served.token}")
    yield made
    context.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith((served.url, "data:"))] == []
