"""Sidecars and packets as other programs write them, and programs that read them; drawn for the tests."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from rollcall.records import Box
from rollcall.xmp import content, packets
from rollcall.xmp.content import Content

_NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
    "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    "MP": "http://ns.microsoft.com/photo/1.2/",
    "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
    "acdsee-rs": "http://ns.acdsee.com/regions/",
    "acdsee-stArea": "http://ns.acdsee.com/sType/Area#",
    "acdsee-stDim": "http://ns.acdsee.com/sType/Dimensions#",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "crs": "http://ns.adobe.com/camera-raw-settings/1.0/",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0/",
    "mediapro": "http://ns.iview-ms.com/mediapro/1.0/",
    "acdsee": "http://ns.acdsee.com/iptc/1.0/",
    "mwg-kw": "http://www.metadataworkinggroup.com/schemas/keywords/",
    "own": "http://example.org/a-program-of-its-own/",
}


def packet(properties: str, before: str = "") -> bytes:
    """Return a packet of properties, with the usual prefixes; `before` stands before the element rdf:RDF."""
    spaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in _NAMESPACES.items())
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/">{before}\n'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
        f'<rdf:Description rdf:about="" {spaces}>{properties}</rdf:Description>\n</rdf:RDF></x:xmpmeta>'
    ).encode()


def bag(name: str, *keywords: str, kind: str = "Bag") -> str:
    """Return a property that is a list."""
    items = "".join(f"<rdf:li>{keyword}</rdf:li>" for keyword in keywords)
    return f"<{name}><rdf:{kind}>{items}</rdf:{kind}></{name}>"


def mwg(*regions: tuple[Box, str], size: tuple[int, int] | None = None, unit: str = "normalized") -> str:
    """Return face regions as Lightroom writes them: structures of attributes."""
    applied = ""
    if size is not None:
        applied = f'<mwg-rs:AppliedToDimensions stDim:w="{size[0]}" stDim:h="{size[1]}" stDim:unit="pixel"/>'
    items = "".join(
        f'<rdf:li><rdf:Description mwg-rs:Name="{name}" mwg-rs:Type="Face">'
        f'<mwg-rs:Area stArea:x="{box.x + box.width / 2}"'
        f' stArea:y="{box.y + box.height / 2}" stArea:w="{box.width}" stArea:h="{box.height}" stArea:unit="{unit}"/>'
        "</rdf:Description></rdf:li>"
        for box, name in regions
    )
    return (
        f'<mwg-rs:Regions rdf:parseType="Resource">{applied}<mwg-rs:RegionList><rdf:Bag>{items}</rdf:Bag>'
        "</mwg-rs:RegionList></mwg-rs:Regions>"
    )


def read(data: bytes | Path) -> Content:
    """Return what a sidecar says."""
    return content.read(packets.parse(data if isinstance(data, bytes) else data.read_bytes()))


def same_meaning(a: bytes, b: bytes) -> bool:
    """Return whether two packets are the same XML, comments and processing instructions included."""
    texts = [etree.canonicalize(one.decode("utf-8-sig"), with_comments=True, strip_text=True) for one in (a, b)]
    return texts[0] == texts[1]


def need(program: str) -> str:
    """Return the path of a program, or skip the test."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def exiftool(*arguments: str | Path) -> str:
    """Run exiftool, or skip the test; return what it prints."""
    done = subprocess.run([need("exiftool"), "-q", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def as_exiftool_reads(*paths: Path) -> list[dict[str, Any]]:
    """Return the properties of files as exiftool reads them, structures and all."""
    found: list[dict[str, Any]] = json.loads(exiftool("-json", "-struct", "-n", *paths))
    return found
