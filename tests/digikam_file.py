"""A database of digiKam, for tests."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any


class DigiKamFile:
    """A database as digiKam makes it, as far as names need it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.connection = sqlite3.connect(file)
        # Rows are written one by one, and need not outlast a power cut.
        self.connection.execute("PRAGMA synchronous = OFF")
        self.connection.executescript(
            """
            CREATE TABLE AlbumRoots (id INTEGER PRIMARY KEY, label TEXT, status INTEGER NOT NULL, type INTEGER NOT NULL,
                identifier TEXT, specificPath TEXT);
            CREATE TABLE Albums (id INTEGER PRIMARY KEY, albumRoot INTEGER NOT NULL, relativePath TEXT NOT NULL);
            CREATE TABLE Images (id INTEGER PRIMARY KEY, album INTEGER, name TEXT NOT NULL, status INTEGER NOT NULL);
            CREATE TABLE ImageInformation (imageid INTEGER PRIMARY KEY, orientation INTEGER,
                width INTEGER, height INTEGER);
            CREATE TABLE Tags (id INTEGER PRIMARY KEY, pid INTEGER, name TEXT NOT NULL);
            CREATE TABLE TagProperties (tagid INTEGER, property TEXT, value TEXT);
            CREATE TABLE ImageTags (imageid INTEGER NOT NULL, tagid INTEGER NOT NULL);
            CREATE TABLE ImageTagProperties (imageid INTEGER, tagid INTEGER, property TEXT, value TEXT);
            """
        )
        self.add_tag(1, "People")
        for number, kind in ((2, "unknownPerson"), (3, "ignoredPerson"), (4, "unconfirmedPerson")):
            self.add_tag(number, kind)
            self.put("TagProperties", number, "person", "")
            self.put("TagProperties", number, kind, "")

    def put(self, table: str, *values: Any) -> None:
        places = ", ".join("?" for _ in values)
        self.connection.execute(f"INSERT INTO {table} VALUES ({places})", values)
        self.connection.commit()

    def add_tag(self, number: int, name: str) -> None:
        self.put("Tags", number, 1, name)

    def add_person(self, number: int, name: str) -> None:
        self.add_tag(number, name)
        self.put("TagProperties", number, "person", name)

    def add_album(self, number: int, identifier: str, specific: str, relative: str) -> None:
        self.put("AlbumRoots", number, "Photos", 0, 1, identifier, specific)
        self.put("Albums", number, number, relative)

    def add_image(
        self, number: int, album: int, name: str, size: tuple[int, int] = (200, 120), status: int = 1
    ) -> None:
        self.put("Images", number, album, name, status)
        self.put("ImageInformation", number, 1, *size)

    def add_face(self, image: int, tag: int, box: tuple[int, int, int, int], kind: str = "tagRegion") -> None:
        x, y, width, height = box
        rect = f'<rect x="{x}" y="{y}" width="{width}" height="{height}"/>'
        self.put("ImageTagProperties", image, tag, kind, rect)
        self.put("ImageTags", image, tag)
