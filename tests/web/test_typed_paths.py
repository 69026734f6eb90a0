"""Paths that people paste into the field for a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollcall.errors import LibraryError
from rollcall.web.typed_paths import folder_of

PASTED = [
    "{}", '"{}"', "'{}'", "  “{}” ", "„{}“", "«{}»", "`{}`", "{}/", '"{}/" ', "file://{quoted}", "FILE://localhost{quoted}/",
    "'file://{quoted}'", "{quoted}", "{escaped}", "~/My Photos 100% #1", "'~/My Photos 100% #1'",
]  # fmt: skip


@pytest.mark.parametrize("form", PASTED)
def test_a_folder_is_understood_however_it_was_pasted(form: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "My Photos 100% #1"
    folder.mkdir()
    quoted = str(folder).replace("%", "%25").replace(" ", "%20").replace("#", "%23")
    text = form.format(folder, quoted=quoted, escaped=str(folder).replace(" ", "\\ ").replace("#", "\\#"))
    assert folder_of(text) == folder


@pytest.mark.parametrize("name", ["a%20b", "a\\ b", "'a'"])
def test_a_folder_that_is_named_so_comes_before_what_its_name_would_mean(name: str, tmp_path: Path) -> None:
    for one in (name, "a b"):
        (tmp_path / one).mkdir()
    assert folder_of(f"{tmp_path}/{name}") == tmp_path / name


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("C:\\Users\\me\\Pictures", "path of Windows"),
        ('"\\\\nas\\photos"', "path of Windows"),
        ("{}/a.jpg", "this is a file"),
        ('"{}/gone"', "gone: the folder is not there"),
        ("file://{}/gone", "gone: the folder is not there"),
        ("file://nas/photos", "/nas/photos: the folder is not there"),
        ("Pictures", "whole path"),
        ('""', "whole path"),
        ("", "whole path"),
    ],
)
def test_what_is_no_folder_is_refused_with_what_to_do(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(LibraryError, match=reason):
        folder_of(text.format(tmp_path))
