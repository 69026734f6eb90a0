"""The methods of a plugin about paired devices of the home network, which may look at photos."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from rollcall.errors import NotFoundError
from rollcall.host.base import PluginBase
from rollcall.storage.album_tables import GuestRow
from rollcall.storage.library import now

#: How a device is called if whoever paired it gave no name.
_NAMELESS: Final = "a device"
_LONGEST_NAME: Final = 60


@dataclass(frozen=True, slots=True)
class PairedDevice:
    """A device that was paired."""

    guest_id: int
    name: str
    everything: bool  # it sees all photos, not those of shared albums alone
    made_at: str  # UTC, ISO 8601
    seen_at: str  # when it asked for something last, to the minute


class GuestsMixin(PluginBase):
    """Paired devices of a plugin."""

    def guests(self) -> list[PairedDevice]:
        """Return the devices that are paired, the one that was paired last first."""
        with self.database.read() as session:
            return [_device(row) for row in session.scalars(select(GuestRow).order_by(GuestRow.id.desc()))]

    def pair_guest(self, name: str, *, everything: bool = False) -> tuple[str, str]:
        """Pair a device; return its token, which is stored nowhere, and the path that its pages lie below.

        Parameters
        ----------
        name
            What it is called in lists.
        everything
            It sees all photos, not those of shared albums alone.
        """
        token = secrets.token_urlsafe(32)
        called = " ".join("".join(c if c.isprintable() else " " for c in name).split())[:_LONGEST_NAME] or _NAMELESS
        path = f"/g/{secrets.token_hex(9)}"
        with self.database.write() as session:
            moment = now()
            session.add(
                GuestRow(
                    token_hash=_hash(token),
                    path=path,
                    name=called,
                    everything=everything,
                    made_at=moment,
                    seen_at=moment,
                )
            )
        return token, path

    def guest_of_token(self, token: str, path: str) -> PairedDevice | None:
        """Return the device that has a token and whose pages lie below a path; None if there is none, or it was ended.

        Parameters
        ----------
        token
            As `pair_guest` returned it.
        path
            The same.
        """
        with self.database.read() as session:
            row = session.scalar(select(GuestRow).where(GuestRow.token_hash == _hash(token), GuestRow.path == path))
            found = None if row is None else _device(row)
        if found is not None and found.seen_at[:16] != now()[:16]:
            with self.database.write() as session:
                session.execute(update(GuestRow).where(GuestRow.id == found.guest_id).values(seen_at=now()))
        return found

    def end_guest(self, guest_id: int | None = None) -> int:
        """End the session of a device, or with None of all of them; return how many were ended.

        Parameters
        ----------
        guest_id
            Which one.

        Raises
        ------
        NotFoundError
            If there is no such device.
        """
        with self.database.write() as session:
            return _end(session, guest_id)


def _end(session: Session, guest_id: int | None) -> int:
    statement = delete(GuestRow) if guest_id is None else delete(GuestRow).where(GuestRow.id == guest_id)
    found: Any = session.execute(statement)
    if guest_id is not None and not found.rowcount:
        raise NotFoundError("device", guest_id)
    return int(found.rowcount)


def _device(row: GuestRow) -> PairedDevice:
    return PairedDevice(row.id, row.name, row.everything, row.made_at, row.seen_at)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
