"""A disk that is full while a bridge sends: one sentence, and the next run goes on and sends nothing twice."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

import full_disk
from blobs import BlobAnalyzer
from bridged import SERVERS
from rollcall import Plugin
from rollcall.errors import StoreError


def fills(victim: int, filled: ExitStack, disk: Path, number: int, method: str, path: str) -> None:
    """Fill the disk, until `filled` is closed, at a request."""
    if number == victim:
        filled.enter_context(full_disk.full(disk))


@pytest.mark.parametrize(("name", "undo"), [*((name, False) for name in sorted(SERVERS)), ("immich", True)])
def test_a_disk_that_fills_up_while_a_bridge_sends_leaves_nothing_twice(
    library: Plugin, tmp_path: Path, name: str, undo: bool
) -> None:
    whole = SERVERS[name]()
    copy = tmp_path / "copy.db"
    library.backup(copy)
    library.bridge(name, transport=whole)
    expected, requests = whole.state(), len(whole.requests)
    with full_disk.small_disk(tmp_path / "disk", "3m") as disk:
        for victim in range(2, requests, 11):
            for old in disk.iterdir():
                old.unlink()
            database = Path(shutil.copy(copy, disk))
            settings = library.settings.model_copy(
                update={"database": library.settings.database.model_copy(update={"url": str(database)})}
            )
            server = SERVERS[name]()
            with Plugin(settings=settings, analyzer=BlobAnalyzer()) as plugin:
                if undo:
                    plugin.bridge(name, transport=server)
                    server.requests.clear()
                with ExitStack() as filled:
                    server.trouble = partial(fills, victim, filled, disk)
                    with pytest.raises(StoreError, match="the disk is full .*make room") as caught:
                        plugin.bridge(name, transport=server, undo=undo)
                    assert caught.value.exit_code == 4
                server.trouble = lambda *_: None
                plugin.bridge(name, transport=server, undo=undo)
            assert server.state() == (SERVERS[name]().state() if undo else expected)
            assert not server.refused
