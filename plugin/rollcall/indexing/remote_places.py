"""The remote places of a run: one that does not serve is left for the next run, and does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rollcall import events
from rollcall.errors import RemoteError
from rollcall.indexing.run import Run
from rollcall.remote.paths import is_remote
from rollcall.storage.library import Place


class RemotePlaces:
    """Tells remote places from local ones, and keeps which of them serve."""

    def __init__(self, places: Sequence[Place], run: Run, publish: events.Listener) -> None:
        self._run, self._publish = run, publish
        self.local = [place for place in places if not is_remote(place.root)]
        self.serving = [place for place in places if is_remote(place.root)]
        self._error: RemoteError | None = None

    def attempt(self, place: Place, work: Callable[[Place, Run], None]) -> None:
        """Do something with a place; if its server does not serve, it is left alone by what follows."""
        try:
            work(place, self._run)
        except RemoteError as error:
            if self._error is not None:
                self._run.warn(str(self._error), self._publish)
            self._error = error
            self.serving.remove(place)

    def finish(self) -> None:
        """Say what did not serve.

        Raises
        ------
        RemoteError
            If there is nothing else: no local place, and none that served.
        """
        if self._error is None:
            return
        if not self.local and not self.serving:
            raise self._error
        self._run.warn(str(self._error), self._publish)
