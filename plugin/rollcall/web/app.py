"""The application: the API and the pages, behind the guard."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Security
from fastapi.security import APIKeyCookie, HTTPBearer
from fastapi.staticfiles import StaticFiles

from rollcall.host import Plugin
from rollcall.web import (
    albums_api,
    api,
    failures,
    icons,
    login,
    management,
    pages,
    people_api,
    problems,
    security,
    videos,
)
from rollcall.web.activity import Activity
from rollcall.web.closing import Closing
from rollcall.web.guest_videos import GuestVideos
from rollcall.web.history import Earlier
from rollcall.web.home_network import HomeNetwork
from rollcall.web.lan import LanGuests
from rollcall.web.pages.people_questions import PeopleQueue
from rollcall.web.pages.prepared import prepared
from rollcall.web.pages.review import Queue
from rollcall.web.pairing import Pairing
from rollcall.web.pictures import Pictures
from rollcall.web.remembered import Remembered
from rollcall.web.translation import RequestLanguage
from rollcall.web.warming import Touched, Warming


def create(plugin: Plugin, token: str, port: int) -> FastAPI:
    """Return the application that serves a started plugin to whoever has the token.

    Parameters
    ----------
    plugin
        Started; the application subscribes to its events until it closes.
    token
        See `security.Guard`.
    port
        Where the application will be reached.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.warming.start()
        yield
        end(app)
        app.state.warming.close()
        app.state.network.close()
        app.state.activity.close()

    # FastAPI's own pages of documentation load scripts from elsewhere; the document itself is enough.
    app = FastAPI(
        title="Rollcall", version="1", openapi_url="/api/openapi.json", docs_url=None, redoc_url=None, lifespan=lifespan
    )
    app.state.plugin = plugin
    app.state.activity = Activity(plugin)
    app.state.closing = Closing()
    app.state.warm = threading.Event()
    app.state.queue = Queue(plugin)
    app.state.people_queue = PeopleQueue(plugin)
    app.state.earlier = Earlier(plugin)
    app.state.pictures = Pictures(plugin)
    app.state.guest_videos = GuestVideos(app.state.pictures)
    app.state.remembered = Remembered(plugin)
    # The questions of the review are ranked last: of 100,000 photos that takes half a second.
    first = (*prepared(plugin, app.state.remembered), app.state.queue.next)
    app.state.warming = Warming(plugin, app.state.remembered, *first)
    access = login.access_of(plugin.settings.serve)
    app.state.network = HomeNetwork(app, port, allowed=access is None)
    app.state.pairing = Pairing()
    plugin.service.show_pictures(app.state.pictures.keep)
    # They only document the two ways to authenticate; `security.Guard` is what refuses.
    schemes = [
        Security(HTTPBearer(auto_error=False)),
        Security(APIKeyCookie(name=security.cookie_name(port), auto_error=False)),
    ]
    for router in (
        api.router,
        people_api.router,
        albums_api.router,
        management.router,
        api.pictures_router,
        videos.router,
    ):
        app.include_router(router, dependencies=schemes, responses=problems.COMMON)
    for router in pages.routers:
        app.include_router(router, include_in_schema=False)
    app.include_router(icons.router, include_in_schema=False)  # before what lies there as a file
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
    failures.install(app)
    app.add_middleware(Touched, warming=app.state.warming)
    # Added last, so that they come first.
    app.add_middleware(security.Guard, token=token, port=port, embedders=plugin.settings.serve.embed_from)
    app.add_middleware(login.ProxyLogin, access=access, token=token, port=port)
    app.add_middleware(LanGuests, plugin=plugin, pairing=app.state.pairing, network=app.state.network, token=token)
    app.add_middleware(RequestLanguage, setting=plugin.settings.serve.language)
    return app


def end(app: FastAPI) -> None:
    """End what keeps connections open: streams, pictures in the making, and the run after the photos in flight."""
    app.state.closing.begin()
    app.state.warming.stop()
    app.state.network.stop()
    app.state.activity.stop()
    app.state.pictures.jobs.close()
    app.state.guest_videos.jobs.close()
