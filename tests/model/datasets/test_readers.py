"""Readers of public data sets' formats, on made-up files."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from rollcall_model.datasets import faces, readers
from rollcall_model.datasets.samples import Sample
from rollcall_model.datasets.sources import DatasetError, DatasetSource, Pictures, read_samples
from rollcall_model.types import no_detections


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("3-9", (3, 9)),
        ("(25, 32)", (25, 32)),
        ("more than 70", (70, 100)),
        ("35", (35, 35)),
        ("03-Sep", (3, 9)),
        ("Oct-19", (10, 19)),
        ("None", None),
        ("", None),
    ],
)
def test_age_ranges_are_parsed(text: str, years: tuple[int, int] | None) -> None:
    assert readers.parse_age_range(text) == years


def test_utkface_is_labelled_by_its_file_names(tmp_path: Path) -> None:
    for name in ("26_1_2_20170116.jpg", "80_0_4_20170117.jpg", "61_1_20170109.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert list(readers.read_utkface(tmp_path, "utkface")) == [
        Sample("utkface", "26_1_2_20170116.jpg", "val", (26, 26), True, group="asian"),
        Sample("utkface", "80_0_4_20170117.jpg", "train", (80, 80), False, group="other"),
    ]


def test_fairface_is_a_table_of_age_ranges(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(
        "file,age,gender,race,service_test\n"
        "train/1.jpg,50-59,Male,East Asian,True\n"
        "val/2.jpg,more than 70,Female,Black,False\n"
    )
    assert list(readers.read_fairface(table, "ff")) == [
        Sample("ff", "train/1.jpg", "train", (50, 59), False, group="East Asian"),
        Sample("ff", "val/2.jpg", "val", (70, 100), True, group="Black"),
    ]


def test_adiences_last_fold_is_for_validation(tmp_path: Path) -> None:
    head = "user_id\toriginal_image\tface_id\tage\tgender\tx\n"
    for fold in range(5):
        row = f"u{fold}\ta.jpg\t{fold}\t(25, 32)\t{'fmu'[fold % 3]}\t0\n"
        (tmp_path / f"fold_{fold}_data.txt").write_text(head + row)
    found = list(readers.read_adience(tmp_path, "adience"))
    assert [sample.split for sample in found] == ["train"] * 4 + ["val"]
    assert found[1] == Sample("adience", "u1/coarse_tilt_aligned_face.1.a.jpg", "train", (25, 32), False, identity="u1")
    assert found[2].female is None


def test_appa_real_is_three_tables_whose_last_is_for_validation(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        (tmp_path / f"{part}_labels.csv").write_text("1.jpg,29\n")
    assert list(readers.read_appa_real(tmp_path, "appa")) == [
        Sample("appa", "train/1.jpg", "train", (29, 29)),
        Sample("appa", "val/1.jpg", "train", (29, 29)),
        Sample("appa", "test/1.jpg", "val", (29, 29)),
    ]


def test_all_age_faces_is_labelled_by_its_file_names(tmp_path: Path) -> None:
    for name in ("00013A02.jpg", "07380A35.jpg", "07381A70.jpg", "note.txt"):
        (tmp_path / name).write_bytes(b"")
    assert list(readers.read_all_age_faces(tmp_path, "aaf")) == [
        Sample("aaf", "00013A02.jpg", "val", (2, 2), True),
        Sample("aaf", "07380A35.jpg", "train", (35, 35), True),
        Sample("aaf", "07381A70.jpg", "train", (70, 70), False),
    ]


def test_a_table_may_lack_any_label(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("file,split,identity\na.webp,val,somebody\n")
    assert list(readers.read_csv(table, "s")) == [Sample("s", "a.webp", "val", identity="somebody")]


def encoded(value: int) -> bytes:
    return cv2.imencode(".png", np.full((40, 30, 3), value, np.uint8))[1].tobytes()


def test_pictures_come_from_folders_and_from_tars(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(encoded(10))
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        info = tarfile.TarInfo("b/2.png")
        info.size = len(encoded(20))
        tar.addfile(info, io.BytesIO(encoded(20)))
    for name, file in (("a", "1.png"), ("b", "2.png")):
        (tmp_path / f"{name}.csv").write_text(f"file,split,age,gender\n{file},train,30,female\n")
    sources = [
        DatasetSource("a", "csv", "a.csv", "a").within(tmp_path),
        DatasetSource("b", "csv", "b.csv", "b.tar").within(tmp_path),
    ]
    samples = read_samples(sources)
    with Pictures(sources) as pictures:
        assert [int(faces.decode(pictures(sample))[0, 0, 0]) for sample in samples] == [10, 20]
        with pytest.raises(DatasetError, match="missing"):
            pictures(Sample("b", "missing.png", "train"))
        faces.prepare(samples, pictures, lambda images: [no_detections() for _ in images], tmp_path / "crops")
    stored = faces.load(tmp_path / "crops")
    assert stored.crops.shape == (2, faces.STORED, faces.STORED, 3)
    assert stored.samples == samples
    assert stored.detected.tolist() == [False, False]
    assert stored.ages.tolist() == [[30, 30], [30, 30]]


def test_large_pictures_of_a_set_are_reduced_and_what_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(encoded(10))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    for most, shape in ((20, (20, 15, 3)), (40, (40, 30, 3)), (0, (40, 30, 3))):
        with Pictures([DatasetSource("a", "csv", "a.csv", str(tmp_path), most)]) as pictures:
            assert faces.decode(pictures(Sample("a", "1.png", "train"))).shape == shape
    with (
        Pictures([DatasetSource("a", "csv", "a.csv", str(tmp_path), 20)]) as pictures,
        pytest.raises(DatasetError, match=r"broken\.png is no picture"),
    ):
        pictures(Sample("a", "broken.png", "train"))


@pytest.mark.parametrize(("form", "labels"), [("unheard", "a.csv"), ("csv", "none.csv"), ("adience", ".")])
def test_a_set_that_cannot_be_read_is_named(tmp_path: Path, form: str, labels: str) -> None:
    with pytest.raises(DatasetError, match="^somewhere: "):
        read_samples([DatasetSource("somewhere", form, labels, "a").within(tmp_path)])
