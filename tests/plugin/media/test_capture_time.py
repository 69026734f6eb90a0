"""When a picture was taken, from everything that a file, its name and the files beside it hold."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import zlib
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin, TiffImagePlugin

from damaged import WHOLE, png_chunk, png_of, png_rows
from drawn import encoded, exif_bytes, need
from rollcall.media import boxes, capture_time, decode, file_names, iptc, metadata, times, xmp
from rollcall.media.formats import Format
from rollcall.media.metadata import Metadata
from rollcall.records import CaptureTime

ORIENTATION, TAKEN = 0x0112, 0x9003
NOON = datetime(2019, 6, 12, 12, 0, 30)
EXIF = exif_bytes({}, {TAKEN: "2019:06:12 12:00:30"})
XMP = b"""<?xpacket begin='' id='W5M0MpCehiHzreSzNTczkc9d'?><x:xmpmeta xmlns:x='adobe:ns:meta/'>
<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description
 xmlns:photoshop='http://ns.adobe.com/photoshop/1.0/' photoshop:DateCreated='2019-06-12T12:00:30+02:00'/>
</rdf:RDF></x:xmpmeta><?xpacket end='w'?>"""


def dataset(number: int, text: bytes) -> bytes:
    return bytes([0x1C, 2, number]) + struct.pack(">H", len(text)) + text


IPTC = dataset(5, b"title") + dataset(55, b"20190612") + dataset(60, b"120030+0200")
PHOTOSHOP = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC)) + IPTC + b"\0" * (len(IPTC) % 2)


def taken(tmp_path: Path, data: bytes, name: str = "picture.bin") -> CaptureTime | None:
    path = tmp_path / name
    path.write_bytes(data)
    return decode.decode(path).taken


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


# ---- Containers


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF", "JXL", "MPO"])
def test_exif_is_found_in_every_container(format_name: str, tmp_path: Path) -> None:
    need(format_name)
    assert taken(tmp_path, encoded(WHOLE, format_name, exif=EXIF)) == CaptureTime(NOON)


@pytest.mark.parametrize("format_name", ["JPEG", "WEBP", "AVIF", "HEIF"])
def test_xmp_is_found_in_every_container(format_name: str, tmp_path: Path) -> None:
    need(format_name)
    assert taken(tmp_path, encoded(WHOLE, format_name, xmp=XMP)) == CaptureTime(NOON, 120, "xmp")


def test_xmp_and_iptc_are_found_in_a_png(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=True)
    assert taken(tmp_path, encoded(WHOLE, "PNG", pnginfo=text)) == CaptureTime(NOON, 120, "xmp")
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type iptc", f"\niptc\n{len(PHOTOSHOP)}\n{PHOTOSHOP.hex()}\n", zip=True)
    assert taken(tmp_path, encoded(WHOLE, "PNG", pnginfo=text)) == CaptureTime(NOON, 120, "iptc")
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n{len(EXIF)}\n{EXIF.hex()}\n")
    assert taken(tmp_path, encoded(WHOLE, "PNG", pnginfo=text)) == CaptureTime(NOON)


@pytest.mark.parametrize(
    ("written", "offset"),
    [("2019:06:12 12:00:30", None), ("20190612120030", None), ("Wed, 12 Jun 2019 12:00:30 +0200", 120)],
)
def test_the_time_that_a_png_holds_as_text_is_read(written: str, offset: int | None, tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Creation Time", written)
    assert taken(tmp_path, encoded(WHOLE, "PNG", pnginfo=text)) == CaptureTime(NOON, offset, "text")


def test_xmp_and_iptc_are_found_in_a_tiff(tmp_path: Path) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[700] = XMP
    tags.tagtype[700] = 1
    assert taken(tmp_path, encoded(WHOLE, "TIFF", tiffinfo=tags)) == CaptureTime(NOON, 120, "xmp")
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[33723] = IPTC
    tags.tagtype[33723] = 7
    assert taken(tmp_path, encoded(WHOLE, "TIFF", tiffinfo=tags)) == CaptureTime(NOON, 120, "iptc")


def test_iptc_is_found_in_a_jpeg(tmp_path: Path) -> None:
    segment = b"Photoshop 3.0\0" + PHOTOSHOP
    data = encoded(WHOLE, "JPEG")
    data = data[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + data[2:]
    assert taken(tmp_path, data) == CaptureTime(NOON, 120, "iptc")


@pytest.mark.parametrize(
    ("uuid", "block", "expected"),
    [
        (b"JpgTiffExif->JP2", EXIF[6:], CaptureTime(NOON)),
        (bytes.fromhex("be7acfcb97a942e89c71999491e3afac"), XMP, CaptureTime(NOON, 120, "xmp")),
        (bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38"), IPTC, CaptureTime(NOON, 120, "iptc")),
    ],
)
def test_the_boxes_of_jpeg_2000_are_read(uuid: bytes, block: bytes, expected: CaptureTime, tmp_path: Path) -> None:
    assert taken(tmp_path, encoded(WHOLE, "JPEG2000") + box(b"uuid", uuid + block)) == expected


def test_the_boxes_of_jpeg_xl_are_read(tmp_path: Path) -> None:
    need("JXL")
    data = encoded(WHOLE, "JXL", use_container=True)
    assert taken(tmp_path, data + box(b"Exif", bytes(4) + EXIF[6:])) == CaptureTime(NOON)
    assert taken(tmp_path, data + box(b"xml ", XMP)) == CaptureTime(NOON, 120, "xmp")


def test_exif_goes_before_xmp_and_xmp_before_iptc() -> None:
    path = Path("IMG_20190101_000000.jpg")

    def found(**blocks: Any) -> Any:
        blocks_found = Metadata(**blocks)
        time = capture_time.find(path, blocks_found, metadata.directories(blocks_found))
        return time and time.source

    assert found(exif=EXIF, xmp=XMP, iptc=IPTC) == "exif"
    assert found(xmp=XMP, iptc=IPTC) == "xmp"
    assert found(iptc=IPTC, texts=("2019:06:12 12:00:30",)) == "iptc"
    assert found(texts=("2019:06:12 12:00:30",)) == "text"
    assert found() == "file name"


# ---- XMP and IPTC


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (b"<exif:DateTimeOriginal>2019-06-12T12:00:30.5Z</exif:DateTimeOriginal>", ["2019-06-12T12:00:30.5Z"]),
        (b"<a xmp:CreateDate = \"2019-06-12\" photoshop:DateCreated='2018'/>", ["2018", "2019-06-12"]),
        (b"<xmp:ModifyDate>2019-06-12</xmp:ModifyDate>", []),
        ("<a xmp:CreateDate='2019-06-12'/>".encode("utf-16"), ["2019-06-12"]),
        (b"<xmp:CreateDate></xmp:CreateDate>", []),
    ],
)
def test_the_times_of_a_packet_are_found(packet: bytes, expected: list[str]) -> None:
    assert xmp.times(packet) == expected


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (b"<a tiff:Orientation='6'/>", 6),
        (b"<tiff:Orientation>8</tiff:Orientation>", 8),
        (b"<a tiff:Orientation='9'/>", None),
    ],
)
def test_the_orientation_of_a_packet_is_found(packet: bytes, expected: int | None) -> None:
    assert xmp.orientation(packet) == expected


@given(st.binary(max_size=300), st.sampled_from([b"", b"<a xmp:CreateDate='", b"<exif:DateTimeOriginal>"]))
def test_no_packet_raises(data: bytes, start: bytes) -> None:
    for text in xmp.times(start + data):
        times.moment(text)
    assert xmp.orientation(start + data) in (None, *range(1, 9))


def test_a_long_packet_takes_no_long_time() -> None:
    assert xmp.times(b"<" + b"a:" * 2_000_000) == []
    assert xmp.times(b"exif:DateTimeOriginal " * 200_000) == []


@pytest.mark.parametrize("charset", [b"\x1b%G", b"\x1b.A", b"\x1b(B", b""])
def test_iptc_dates_are_read_in_every_character_set(charset: bytes) -> None:
    header = bytes([0x1C, 1, 90]) + struct.pack(">H", len(charset)) + charset
    title = dataset(5, "Zoë".encode("latin-1"))
    assert iptc.times(header + title + IPTC) == ["20190612 120030+0200"]


@given(st.binary(max_size=200))
def test_no_record_raises(data: bytes) -> None:
    for text in (*iptc.times(data), *iptc.times(IPTC + data)):
        times.moment(text)
    iptc.from_photoshop(data)
    iptc.from_photoshop(b"8BIM" + data)


# ---- Names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("IMG_20190612_120030.jpg", CaptureTime(NOON, None, "file name")),
        ("IMG_20190612_120030_1.jpg", CaptureTime(NOON, None, "file name")),
        ("IMG_20190612_120030_BURST001_COVER.jpg", CaptureTime(NOON, None, "file name")),
        ("20190612_120030.jpg", CaptureTime(NOON, None, "file name")),
        ("20190612120030.jpg", CaptureTime(NOON, None, "file name")),
        ("PXL_20190612_120030123.jpg", CaptureTime(NOON.replace(microsecond=123_000), 0, "file name")),
        ("Screenshot_2019-06-12-12-00-30.png", CaptureTime(NOON, None, "file name")),
        ("Screenshot_20190612-120030_Maps.jpg", CaptureTime(NOON, None, "file name")),
        ("Screenshot 2019-06-12 at 12.00.30.png", CaptureTime(NOON, None, "file name")),
        ("Screen Shot 2019-06-12 at 12.00.30 AM.png", CaptureTime(NOON.replace(hour=0), None, "file name")),
        ("WhatsApp Image 2019-06-12 at 12.00.30.jpeg", CaptureTime(NOON, None, "file name")),
        ("2019-06-12 12.00.30.jpg", CaptureTime(NOON, None, "file name")),
        ("signal-2019-06-12-120030.jpg", CaptureTime(NOON, None, "file name")),
        ("photo_2019-06-12_12-00-30.jpg", CaptureTime(NOON, None, "file name")),
        ("IMG-20190612-WA0001.jpg", CaptureTime(datetime(2019, 6, 12), None, "file name")),
        ("IMG_20190612.jpg", CaptureTime(datetime(2019, 6, 12), None, "file name")),
        ("IMG_201906123.jpg", None),
        ("Bildschirmfoto 2019-06-12 um 12.00.30.png", CaptureTime(NOON, None, "file name")),
        ("Capture d'e\u0301cran 2019-06-12 a\u0300 12.00.30.png", CaptureTime(NOON, None, "file name")),
        ("2019-06-12 birthday.jpg", CaptureTime(datetime(2019, 6, 12), None, "file name")),
        ("mmexport1560340830000.jpg", CaptureTime(NOON, 0, "file name")),
        ("FB_IMG_1560340830000.jpg", CaptureTime(NOON, 0, "file name")),
        ("DSC01234.jpg", None),
        ("IMG_1234.jpg", None),
        ("IMG_20191312_120030.jpg", None),
        ("IMG_20990612_120030.jpg", None),
        ("1234567890123456.jpg", None),
        ("19700101_000000.jpg", None),
        ("4032x3024.jpg", None),
    ],
)
def test_names_that_cameras_and_programs_give_hold_a_time(name: str, expected: CaptureTime | None) -> None:
    found = file_names.guess(name)
    assert found == expected
    assert found is None or found.is_guess


@given(st.text(max_size=60) | st.from_regex(r"(IMG|PXL)_?[0-9]{6,16}[-_. ][0-9]{2,9}", fullmatch=True))
@settings(max_examples=200)
def test_no_name_raises(name: str) -> None:
    found = file_names.guess(name)
    assert found is None or found.local.year >= 1990


def test_a_day_alone_is_completed_by_what_else_is_said_of_it(tmp_path: Path) -> None:
    day = XMP.replace(b"2019-06-12T12:00:30+02:00", b"2019-06-12")
    found = Metadata(xmp=day, iptc=IPTC)
    assert capture_time.find(tmp_path / "a.jpg", found, None) == CaptureTime(NOON, 120, "iptc")
    other = found._replace(iptc=IPTC.replace(b"20190612", b"20190613"))
    assert capture_time.find(tmp_path / "a.jpg", other, None) == CaptureTime(datetime(2019, 6, 12), None, "xmp")


# ---- Clocks that were never set, and what is known when nothing else is


@pytest.mark.parametrize("written", ["1970:01:01 00:00:00", "1970:01:01 04:12:59", "2098:01:01 00:00:00"])
def test_a_clock_that_was_never_set_is_no_date(written: str, tmp_path: Path) -> None:
    data = encoded(WHOLE, "JPEG", exif=exif_bytes({}, {TAKEN: written}))
    assert taken(tmp_path, data, "a.jpg") is None
    assert taken(tmp_path, data, "IMG_20190612_120030.jpg") == CaptureTime(NOON, None, "file name")
    takeout(tmp_path / "b.jpg.json", "1560340830")
    assert taken(tmp_path, data, "b.jpg") == CaptureTime(NOON, 0, "takeout")


@pytest.mark.parametrize("written", ["1904:01:01 00:00:00", "1970:01:02 00:00:00", "1970:06:01 00:00:00"])
def test_old_dates_of_scanned_photos_are_dates(written: str, tmp_path: Path) -> None:
    data = encoded(WHOLE, "JPEG", exif=exif_bytes({}, {TAKEN: written}))
    assert taken(tmp_path, data) == CaptureTime(datetime.strptime(written, "%Y:%m:%d %H:%M:%S"))


def test_the_first_of_1970_is_a_date_where_a_person_entered_it(tmp_path: Path) -> None:
    found = taken(tmp_path, encoded(WHOLE, "JPEG", xmp=XMP.replace(b"2019-06-12T12:00:30+02:00", b"1970-01-01")))
    assert found == CaptureTime(datetime(1970, 1, 1), None, "xmp")


def test_when_a_picture_was_changed_is_the_last_resort(tmp_path: Path) -> None:
    data = png_of([zlib.compress(png_rows())], png_chunk(b"tIME", struct.pack(">HBBBBB", 2019, 6, 12, 12, 0, 30)))
    assert taken(tmp_path, data, "a.png") == CaptureTime(NOON, 0, "file time")
    assert taken(tmp_path, data, "2018-01-01.png") == CaptureTime(datetime(2018, 1, 1), None, "file name")
    packet = XMP.replace(b"photoshop:DateCreated", b"xmp:ModifyDate")
    found = taken(tmp_path, encoded(WHOLE, "JPEG", xmp=packet))
    assert found == CaptureTime(NOON, 120, "file time") and found.is_guess


@pytest.mark.parametrize("where", ["behind the pixels", "behind the end", "where bytes of the pixels are missing"])
def test_exif_of_a_png_counts_wherever_it_stands(where: str, tmp_path: Path) -> None:
    chunk = png_chunk(b"eXIf", exif_bytes({ORIENTATION: 6}, {TAKEN: "2019:06:12 12:00:30"})[6:])
    stream, last = zlib.compress(png_rows(), 0), png_chunk(b"IEND", b"")
    data = png_of([stream], end=last + chunk if where == "behind the end" else chunk + last)
    if where == "where bytes of the pixels are missing":
        place = data.index(b"IDAT") + len(stream) - 50
        data = data[:place] + data[place + 30 :]
    (tmp_path / "a.png").write_bytes(data)
    picture = decode.decode(tmp_path / "a.png")
    assert picture.taken == CaptureTime(NOON)
    assert (picture.orientation, picture.width, picture.height) == (6, WHOLE.shape[0], WHOLE.shape[1])


def test_an_animation_holds_a_time_in_its_container(tmp_path: Path) -> None:
    need("AVIF")
    frames = [Image.fromarray(WHOLE), Image.fromarray(WHOLE[::-1].copy())]
    frames[0].save(tmp_path / "a.avif", save_all=True, append_images=frames[1:])
    data = bytearray((tmp_path / "a.avif").read_bytes())
    header = boxes.first(bytes(data), b"moov", b"mvhd")
    assert header is not None
    since_1904 = int((NOON - datetime(1904, 1, 1)).total_seconds())
    wide = data[header.start] == 1
    data[header.start + 4 : header.start + (12 if wide else 8)] = since_1904.to_bytes(8 if wide else 4, "big")
    assert taken(tmp_path, bytes(data)) == CaptureTime(NOON, 0, "video")


# ---- Google Takeout


def takeout(path: Path, seconds: object) -> None:
    path.write_text(json.dumps({"title": "x", "photoTakenTime": {"timestamp": seconds, "formatted": "..."}}))


@pytest.mark.parametrize(
    ("picture", "beside"),
    [
        ("a.jpg", "a.jpg.json"),
        ("a.jpg", "a.jpg.supplemental-metadata.json"),
        ("a(1).jpg", "a.jpg(1).json"),
        ("a(1).jpg", "a.jpg.supplemental-metadata(1).json"),
        ("a-edited.jpg", "a.jpg.json"),
        ("a_name_of_many_letters_which_is_cut_off.jpg", "a_name_of_many_letters_which_is_cut_off.jpg.su.json"),
        ("a" * 44 + ".jpeg", "a" * 44 + ".j.json"),
        ("a" * 47 + ".jpg", "a" * 46 + ".json"),
        ("a" * 40 + "(2).jpg", "a" * 40 + ".jpg.s(2).json"),
        ("a_name_of_41_letters_which_is_cut_off_abcd.jpg", "a_name_of_41_letters_which_is_cut_off_abcd.jpg.json"),
        ("a(1).jpg", "a(1).jpg.json"),
        ("a-edited(1).jpg", "a.jpg(1).json"),
        ("a-modifi\u00e9.jpg", "a.jpg.supplemental-metadata.json"),
        ("a-modifie\u0301.jpg", "a.jpg.json"),
        ("\u00e9t\u00e9-bearbeitet.jpg", "e\u0301te\u0301.jpg.json"),
        ("a-ha editado.jpg", "a.jpg.json"),
        ("a-\u7de8\u96c6\u6e08\u307f.jpg", "a.jpg.json"),
        ("a" * 43 + "-edi.jpg", "a" * 43 + ".jp.json"),
        ("a-edited.jpg", "a.HEIC.supplemental-metadata.json"),
        ("uploaded without a suffix.jpg", "uploaded without a suffix.json"),
    ],
)
def test_what_takeout_puts_beside_a_picture_is_found(picture: str, beside: str, tmp_path: Path) -> None:
    takeout(tmp_path / beside, "1560340830")
    assert taken(tmp_path, encoded(WHOLE, "JPEG"), picture) == CaptureTime(NOON, 0, "takeout")


def test_a_copy_does_not_get_the_time_of_another_picture(tmp_path: Path) -> None:
    takeout(tmp_path / "a.jpg.json", "1560340830")
    assert taken(tmp_path, encoded(WHOLE, "JPEG"), "a(1).jpg") is None


def test_takeout_and_a_name_together_give_the_offset(tmp_path: Path) -> None:
    takeout(tmp_path / "IMG_20190612_140030.jpg.json", "1560340830")
    found = taken(tmp_path, encoded(WHOLE, "JPEG"), "IMG_20190612_140030.jpg")
    assert found == CaptureTime(NOON.replace(hour=14), 120, "takeout")
    assert found.utc() == NOON


def test_exif_goes_before_takeout(tmp_path: Path) -> None:
    takeout(tmp_path / "a.jpg.json", "0")
    assert taken(tmp_path, encoded(WHOLE, "JPEG", exif=EXIF), "a.jpg") == CaptureTime(NOON)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"photoTakenTime": 5}',
        b'{"photoTakenTime": {"timestamp": "x"}}',
        b'{"photoTakenTime": {"timestamp": 1e400}}',
        b'{"photoTakenTime": {"timestamp": NaN}}',
        b'{"photoTakenTime": {"timestamp": "9999999999999"}}',
        b'{"photoTakenTime": {"timestamp": "0"}}',
        b"[" * 100_000,
        b"\xff\xfe\x00",
    ],
)
def test_whatever_else_lies_there_is_no_time(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jpg.json").write_bytes(content)
    assert taken(tmp_path, encoded(WHOLE, "JPEG"), "a.jpg") is None


# ---- Any bytes


SOUND = {
    Format.JPEG: encoded(WHOLE[:8, :8], "JPEG", exif=EXIF, xmp=XMP),
    Format.PNG: png_of(
        [zlib.compress(png_rows())], png_chunk(b"eXIf", EXIF[6:]) + png_chunk(b"tEXt", b"Creation Time\0x")
    ),
    Format.WEBP: encoded(WHOLE[:8, :8], "WEBP", exif=EXIF, xmp=XMP),
    Format.TIFF: encoded(WHOLE[:8, :8], "TIFF", exif=EXIF),
    Format.AVIF: encoded(WHOLE[:16, :16], "AVIF", exif=EXIF, xmp=XMP),
    Format.JPEG2000: encoded(WHOLE[:8, :8], "JPEG2000") + box(b"uuid", b"JpgTiffExif->JP2" + EXIF[6:]),
    Format.GIF: encoded(Image.fromarray(WHOLE).quantize(4), "GIF") + b"\x21\xff\x0bXMP DataXMP" + XMP,
    Format.RAW: b"FUJIFILMCCD-RAW" + bytes(69) + struct.pack(">II", 100, 500) + bytes(8),
    Format.JXL: b"\0\0\0\x0cJXL \r\n\x87\n" + box(b"Exif", bytes(4) + EXIF[6:]),
    Format.HEIF: box(b"ftyp", b"heic") + box(b"meta", bytes(4) + box(b"iinf", bytes(60))),
}


@given(
    st.sampled_from(sorted(SOUND)),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), max_size=8),
    st.floats(0, 1),
)
@settings(max_examples=400, deadline=None)
def test_no_damage_raises(kind: Format, damage: list[tuple[float, bytes]], kept: float) -> None:
    data = bytearray(SOUND[kind])
    for place, replacement in damage:
        start = int(len(data) * place)
        data[start : start + len(replacement)] = replacement
    data = data[: int(len(data) * kept)]
    found = metadata.find(kind, bytes(data))
    directories = metadata.directories(found)
    time = capture_time.find(Path("a.bin"), found, directories)
    assert time is None or 1800 <= time.local.year < 3000
    assert found.turned_by_container in (None, *range(1, 9))


@given(st.lists(st.tuples(st.sampled_from([b"irot", b"imir"]), st.integers(0, 255)), max_size=3))
def test_transforms_of_a_container_are_an_orientation(transforms: list[tuple[bytes, int]]) -> None:
    import numpy as np

    from rollcall.media.orientation import upright

    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    expected = pixels
    for kind, value in transforms:
        if kind == b"irot":
            expected = np.rot90(expected, value & 3)  # anticlockwise
        else:
            expected = expected[:, ::-1] if value & 1 else expected[::-1]
    orientation = boxes.Heif(0, 0, tuple(transforms), b"", b"").orientation()
    assert orientation is not None or not transforms
    assert np.array_equal(upright(pixels, orientation or 1), expected)


# ---- Against exiftool


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
@pytest.mark.parametrize(
    "tag",
    [
        "EXIF:DateTimeOriginal",
        "EXIF:CreateDate",
        "XMP:DateTimeOriginal",
        "XMP-photoshop:DateCreated",
        "EXIF:ModifyDate",
    ],
)
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "jp2", "avif", "heic"])
def test_what_exiftool_writes_is_read(suffix: str, tag: str, tmp_path: Path) -> None:
    formats = {"jpg": "JPEG", "tif": "TIFF", "jp2": "JPEG2000", "heic": "HEIF"}
    format_name = formats.get(suffix, suffix.upper())
    need(format_name)
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(encoded(WHOLE, format_name))
    subprocess.run(["exiftool", "-q", "-overwrite_original", f"-{tag}=2019:06:12 12:00:30", path], check=True)
    found = decode.decode(path).taken
    assert found is not None
    assert (found.local, found.source) == (NOON, tag[:4].lower().strip(":-") if tag[0] == "E" else "xmp")
