"""The HTTP interface that Lychee calls.

As the documentation of Lychee's AI vision service describes it: `/detect`, `/match`, `/cluster`, `/embeddings`,
`/queue`, `/config`, `/health`. Every request but `/health` brings the shared key in the header `X-API-Key`.
"""

from __future__ import annotations

import hmac
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, Field

from rollcall.bridges.lychee.store import LycheeStore
from rollcall.bridges.lychee.worker import Engine, Worker
from rollcall.errors import PictureError, SettingsError
from rollcall.storage.failures import of_other

#: A selfie has no more bytes.
_LARGEST: Final = 64 << 20


class _Detect(BaseModel):
    photo_id: str
    photo_path: str


class _FaceIds(BaseModel):
    face_ids: list[str] = Field(min_length=1)


class _SyncBatch(BaseModel):
    face_ids: list[str]
    batch: int = Field(ge=0)


def create(
    store: LycheeStore, engine: Engine, worker: Worker, *, key: str, photos: Path, config: dict[str, str]
) -> FastAPI:
    """Return the application.

    Parameters
    ----------
    store, engine, worker
        Do the work; the worker is started and stopped with the application.
    key
        The key that every request must bring.
    photos
        The folder of Lychee's uploads: nothing outside of it is opened.
    config
        What `/config` shows.

    Raises
    ------
    SettingsError
        If the key is empty.
    """
    if not key:
        raise SettingsError(
            "setting 'bridges.lychee_key': the face service needs a key; choose one, and give it to Lychee"
        )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        worker.start()
        yield
        worker.stopping.set()
        worker.woken.set()
        await run_in_threadpool(worker.join, 10.0)

    def check_key(x_api_key: Annotated[str, Header(alias="X-API-Key")]) -> None:
        if not hmac.compare_digest(x_api_key.encode(), key.encode()):
            raise HTTPException(401, "Invalid or missing API key")

    app = FastAPI(title="Rollcall for Lychee", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)

    @app.exception_handler(sqlite3.Error)
    def not_stored(_request: Request, error: sqlite3.Error) -> JSONResponse:
        return JSONResponse({"detail": f"{store.file}: {of_other(error)}; see to it, and try again"}, 503)

    app.include_router(_open_routes(store, engine))
    routers = (
        _job_routes(store, worker, photos.resolve()),
        _question_routes(store, engine, worker, config),
        _embedding_routes(store),
        _queue_routes(store, worker),
    )
    for router in routers:
        app.include_router(router, dependencies=[Depends(check_key)])
    return app


def _open_routes(store: LycheeStore, engine: Engine) -> APIRouter:
    """Return the routes that need no key, for checks of health."""
    router = APIRouter()

    @router.get("/")
    def root() -> RedirectResponse:
        return RedirectResponse("/health")

    @router.get("/health")
    def health() -> dict[str, Any]:
        loaded = engine.loaded.is_set()
        return {"status": "ok" if loaded else "degraded", "model_loaded": loaded, "embedding_count": store.count()}

    return router


def _job_routes(store: LycheeStore, worker: Worker, photos: Path) -> APIRouter:
    """Return the routes that add jobs; their results are sent to Lychee."""
    router = APIRouter()

    def enqueue(kind: str, photo: str = "", path: str = "") -> None:
        if not store.add_job(kind, photo, path):
            raise HTTPException(429, "too many jobs wait; try again later")
        worker.woken.set()

    @router.post("/detect", status_code=202)
    def detect(body: _Detect) -> None:
        enqueue("detect", body.photo_id, str(_inside(photos, body.photo_path)))

    @router.post("/cluster", status_code=202)
    def start_clustering() -> None:
        enqueue("cluster")

    return router


def _question_routes(store: LycheeStore, engine: Engine, worker: Worker, config: dict[str, str]) -> APIRouter:
    """Return the routes that are answered at once."""
    router = APIRouter()

    @router.get("/config")
    def shown_config() -> dict[str, dict[str, str]]:
        return {"config": {**config, "model_name": engine.model}}

    @router.post("/match")
    async def match(request: Request) -> dict[str, Any]:
        data = await _upload(request)
        return {"matches": await run_in_threadpool(_matches, data, store, engine, worker.similarity)}

    return router


def _embedding_routes(store: LycheeStore) -> APIRouter:
    """Return the routes by which Lychee keeps the embeddings in step with its faces."""
    router = APIRouter(prefix="/embeddings")

    @router.delete("")
    def delete_embeddings(body: _FaceIds) -> dict[str, int]:
        return {"deleted": store.delete(body.face_ids)}

    @router.delete("/sync")
    def sync_embeddings(body: _SyncBatch) -> dict[str, int]:
        return {"marked": store.mark_present(body.face_ids, body.batch)}

    @router.delete("/purge")
    def purge_embeddings() -> dict[str, int]:
        return {"deleted": store.purge_absent()}

    @router.get("/export")
    def export_embeddings() -> dict[str, Any]:
        # Crops are Lychee's: it got them with the result.
        items = [
            {"lychee_face_id": one, "photo_id": photo, "laplacian_variance": sharpness, "crop_path": ""}
            for one, photo, sharpness in store.export()
        ]
        return {"count": len(items), "embeddings": items}

    return router


def _queue_routes(store: LycheeStore, worker: Worker) -> APIRouter:
    """Return the routes about the jobs that wait."""
    router = APIRouter(prefix="/queue")

    def waiting() -> list[str]:
        return [photo for number, photo in store.jobs() if number != worker.current]

    @router.get("")
    def queue_size() -> dict[str, int]:
        return {"pending": len(waiting())}

    @router.delete("", status_code=204)
    def purge_queue() -> Response:
        store.purge_jobs(but=worker.current)
        return Response(status_code=204)

    @router.get("/{photo_id}")
    def queue_position(photo_id: str) -> dict[str, Any]:
        photos = waiting()
        if photo_id in photos:
            return {"photo_id": photo_id, "position": photos.index(photo_id) + 1}
        if (worker.current, photo_id) in store.jobs():
            return {"photo_id": photo_id, "position": 0}
        raise HTTPException(404, "the photo does not wait: it is done, or was never submitted")

    return router


def _inside(photos: Path, path: str) -> Path:
    """Return the file of a path below the folder of photos, links followed."""
    try:
        file = Path(f"{photos}/{path.lstrip('/')}").resolve()
        # An absolute path may name the folder itself, as it does where both see it at the same place.
        if not file.is_file() and path.startswith(f"{photos}/"):
            file = Path(path).resolve()
        inside, there = file.is_relative_to(photos), file.is_file()
    except (OSError, ValueError):
        raise HTTPException(400, "photo_path is no path") from None
    if not inside:
        raise HTTPException(400, "photo_path is outside of the folder of photos")
    if not there:
        raise HTTPException(400, "photo_path is no file; check the setting bridges.lychee_photos")
    return file


async def _upload(request: Request) -> bytes:
    """Return the uploaded picture: its documentation calls the field `file`, Lychee itself `image`."""
    form = await request.form()
    file = form.get("file") or form.get("image")
    if not isinstance(file, UploadFile) and not hasattr(file, "read"):
        raise HTTPException(422, "the field 'file' with a picture is missing")
    data: bytes = await file.read(_LARGEST + 1)  # type: ignore[union-attr]
    if len(data) > _LARGEST:
        raise HTTPException(413, f"the picture has more than {_LARGEST >> 20} MB")
    return data


def _matches(data: bytes, store: LycheeStore, engine: Engine, similarity: float) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="rollcall-match-") as folder:
        file = Path(folder, "picture")
        file.write_bytes(data)
        try:
            _, faces = engine.analyze(file)
        except PictureError as error:
            raise HTTPException(422, f"the picture cannot be used: {error.reason}") from error
    best = next((face for face in faces if face.embedding is not None), None)
    if best is None or best.embedding is None:
        raise HTTPException(422, "No face detected in the uploaded image")
    found = store.similar(best.embedding, similarity)
    return [{"lychee_face_id": one, "confidence": value} for one, value in found]
