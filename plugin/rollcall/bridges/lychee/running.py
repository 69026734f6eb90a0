"""Put the parts of the face service together, and run it."""

from __future__ import annotations

import logging
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rollcall.bridges.connection import Connection, Transport
from rollcall.bridges.lychee.store import LycheeStore
from rollcall.bridges.lychee.worker import MOST_FACES, Engine, Worker
from rollcall.errors import BridgeError, ModelError, SettingsError
from rollcall.indexing.run import PictureAnalyzer
from rollcall.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

_LOG: Final = logging.getLogger(__name__)


class LycheeService:
    """The face service, not yet listening.

    Parameters
    ----------
    settings
        Its `bridges.lychee_*`.
    analyzer
        Finds faces.
    file
        The service's own database.
    transport
        Sends results, in place of an `httpx.Client`.

    Raises
    ------
    SettingsError
        If address, key or folder of photos are not set, or the folder is not there.
    """

    def __init__(
        self, settings: Settings, analyzer: PictureAnalyzer, file: Path, transport: Transport | None = None
    ) -> None:
        self.settings, self._detector = settings.bridges, settings.detector
        for name in ("lychee_url", "lychee_key", "lychee_photos"):
            if not getattr(self.settings, name):
                raise SettingsError(f"setting 'bridges.{name}': the face service for Lychee needs it; set it")
        self.photos = Path(self.settings.lychee_photos).expanduser()
        if not self.photos.is_dir():
            raise SettingsError(f"setting 'bridges.lychee_photos': {self.photos} is no folder; name Lychee's uploads")
        self.engine = Engine(analyzer, settings)
        self.stop = threading.Event()
        self.store = LycheeStore(file, self.engine.model)
        connection = Connection(
            self.settings.lychee_url, {"X-API-Key": self.settings.lychee_key}, transport=transport, stop=self.stop
        )
        self.worker = Worker(self.store, self.engine, connection, self.settings.lychee_similarity)

    def app(self) -> FastAPI:
        """Return the application; it starts and stops the worker."""
        from rollcall.bridges.lychee.service import create

        config = {
            "auto_dispatch_dbscan": "True",
            "blur_threshold": "0",
            "cluster_eps": f"{1 - self.settings.lychee_similarity:g}",
            "detection_threshold": str(
                self._detector.threshold if self._detector.network == "single-pass" else self._detector.threshold_onet
            ),
            "match_threshold": str(self.settings.lychee_similarity),
            "max_faces_per_photo": str(MOST_FACES),
            "thread_pool_size": "1",
            "workers": "1",
            "detector_backend": self._detector.network,
            "verify_ssl": "True",
            "service": "rollcall",
        }
        return create(
            self.store, self.engine, self.worker, key=self.settings.lychee_key, photos=self.photos, config=config
        )

    def load(self) -> None:
        """Load the networks; what goes wrong is logged, and `/health` says so."""
        try:
            self.engine.load()
        except ModelError as error:
            _LOG.error("%s", error)

    def serve(self) -> None:
        """Listen until Ctrl-C or SIGTERM.

        Raises
        ------
        BridgeError
            If the port is taken.
        """
        import uvicorn

        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        where = (self.settings.lychee_listen, self.settings.lychee_port)
        try:
            listening.bind(where)
        except OSError as error:
            raise BridgeError(
                f"{where[0]}:{where[1]}",
                f"the face service cannot listen there ({error.strerror}); choose another bridges.lychee_port",
            ) from error
        threading.Thread(target=self.load, name="rollcall-warm-up", daemon=True).start()
        config = uvicorn.Config(self.app(), log_level="warning", access_log=False, server_header=False)
        try:
            uvicorn.Server(config).run(sockets=[listening])
        finally:
            self.stop.set()
            self.store.close()
