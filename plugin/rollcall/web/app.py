"""The application: the API and the pages, behind the guard."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from rollcall.errors import InvalidCorrectionError, InvalidQueryError, RollcallError
from rollcall.host import Plugin
from rollcall.web import api, insight, pages, reviewing, security
from rollcall.web.activity import Activity
from rollcall.web.pictures import Pictures

HERE = Path(__file__).parent


def create(plugin: Plugin, token: str, port: int) -> FastAPI:
    """Return the application that serves a started plugin to whoever has the token.

    Parameters
    ----------
    plugin
        Started; its listener is listened to from now on until the application closes.
    token
        See `security.Guard`.
    port
        Where the application will be reached.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.closing.set()
        app.state.activity.close()

    # Its own pages of documentation load scripts from elsewhere; the document itself is enough.
    app = FastAPI(
        title="Rollcall", version="1", openapi_url="/api/openapi.json", docs_url=None, redoc_url=None, lifespan=lifespan
    )
    settings = plugin.settings
    app.state.plugin = plugin
    app.state.activity = Activity(plugin)
    app.state.closing = threading.Event()
    app.state.warm = threading.Event()
    app.state.queue = reviewing.Queue(plugin)
    app.state.pictures = Pictures(
        plugin.database,
        settings.thumbnail_folder,
        settings.serve.thumbnails_megabytes,
        settings.decode.max_megapixels,
    )
    app.include_router(api.router)
    app.include_router(api.pictures_router)
    for module in (pages, reviewing, insight):
        app.include_router(module.router, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    app.add_exception_handler(RollcallError, _explained)
    app.add_middleware(security.Guard, token=token, port=port, embedders=settings.serve.embed_from)
    return app


def _explained(request: Request, error: Exception) -> Response:
    """Answer with what the error says, as JSON or as a part of the page."""
    status = 404 if isinstance(error, InvalidCorrectionError) and "there is no" in str(error) else 422
    told: dict[str, object] = {"detail": str(error)}
    if isinstance(error, InvalidQueryError):
        told |= {"position": error.position, "expected": list(error.expected), "suggestion": error.suggestion}
    elif not isinstance(error, InvalidCorrectionError):
        status = 500
    if request.url.path.startswith("/api/"):
        return JSONResponse(told, status)
    return pages.problem(request, str(error), status)
