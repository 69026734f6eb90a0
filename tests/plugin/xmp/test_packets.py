"""Packets are parsed without entities, network or unbounded size, and written again as they were."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from rollcall.xmp import content, packets
from rollcall.xmp.packets import BadPacketError
from sidecars import bag, packet, same_meaning


def with_doctype(doctype: str, text: str) -> bytes:
    return doctype.encode() + packet(bag("dc:subject", text))


def test_entities_that_multiply_are_refused_at_once() -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    began = time.process_time()
    with pytest.raises(BadPacketError):
        packets.parse(with_doctype(f'<!DOCTYPE x [<!ENTITY e0 "haha">{levels}]>', "&e9;"))
    assert time.process_time() - began < 5


def test_no_entity_reads_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    with pytest.raises(BadPacketError, match="document type"):
        packets.parse(with_doctype(f'<!DOCTYPE x [<!ENTITY e SYSTEM "{secret.as_uri()}">]>', "&e;"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\0\0\n", "empty"),
        (b"<a", r"well-formed XML \(line 1, column [0-9]+\)$"),
        (b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>", "no rdf:RDF"),
        (b"\xff\xd8\xff", "well-formed"),
        (b" " * (packets.LONGEST + 1), "MiB"),
        (b"<a>" * 100_000, "well-formed"),
    ],
)
def test_what_is_no_packet_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(BadPacketError, match=reason):
        packets.parse(data)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
)
def test_a_packet_inside_a_file_is_found_in_every_encoding(encoding: str) -> None:
    text = packet(bag("dc:subject", "Größe")).decode()
    block = b"http://ns.adobe.com/xap/1.0/\0" + text.encode(encoding) + " ".encode(encoding) * 50
    assert content.read(packets.parse_embedded(block)).subject == ("Größe",)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-be"])
def test_a_byte_order_mark_decides_how_letters_of_two_bytes_are_read(encoding: str) -> None:
    text = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>' + packet(bag("dc:subject", "中文")).decode()
    assert content.read(packets.parse_embedded(("\ufeff" + text).encode(encoding))).subject == ("中文",)


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 40, b"<rdf:RDF", b"<", b"\0<", b"<x:xmpmeta></x:xmpmeta>", b"\xff" * 100]
)
def test_what_is_no_packet_inside_a_file_is_refused(data: bytes) -> None:
    with pytest.raises(BadPacketError):
        packets.parse_embedded(data)


@pytest.mark.parametrize(
    "data",
    [
        packet(bag("dc:subject", "a &amp; b"), before="<!-- a remark --><?mark up?>"),
        b'<?xml version="1.0" encoding="UTF-8"?>\n' + packet(bag("dc:subject", "x")),
        b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n' + packet("") + b'\n<?xpacket end="w"?>',
    ],
)
def test_a_packet_that_nobody_changed_is_written_as_it_was(data: bytes) -> None:
    once = packets.serialize(packets.parse(data))
    assert packets.serialize(packets.parse(once)) == once
    assert same_meaning(once, data)
    assert once.startswith(b"<?xml") == data.startswith(b"<?xml")
    assert once.count(b"xpacket") == data.count(b"xpacket")


def test_a_new_packet_is_bare() -> None:
    assert packets.is_bare(packets.new())
    assert not packets.is_bare(packets.parse(packet(bag("dc:subject", "x"))))


def test_a_sidecar_keeps_its_encoding() -> None:
    data = ('<?xml version="1.0" encoding="UTF-16"?>' + packet(bag("dc:subject", "Größe")).decode()).encode("utf-16")
    written = packets.serialize(packets.parse(data))
    assert written.startswith((b"\xff\xfe", b"\xfe\xff"))
    assert content.read(packets.parse(written)).subject == ("Größe",)
