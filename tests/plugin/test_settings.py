"""A setting that is refused: which, where it stands, and what is needed instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollcall.errors import SettingsError
from rollcall.settings import load


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[detector]\nminface = 40", "there is no setting 'detector.minface'; did you mean detector.min_face?"),
        ("[detektor]\nmin_face = 40", "there is no setting 'detektor'; did you mean detector?"),
        ("[people]\nmin_face = 40", "there is no setting 'people.min_face'; did you mean detector.min_face?"),
        ("min_face = 40", "there is no setting 'min_face'; did you mean detector.min_face?"),
        ("[people]\nxyz = 1", "there is no setting 'people.xyz'; those of people are group"),
        ("detector = 40", "'detector' is a group of settings; write [detector], and its settings below"),
        ('[detector]\nmin_face = "big"', "setting 'detector.min_face' needs a whole number;"),
        ("[detector]\nmin_face = -3", "setting 'detector.min_face' needs at least 12;"),
        ("[attributes]\ngender = false", "setting 'attributes.gender' needs 'on' or 'off';"),
        ("[tags]\nchildren = 7", "setting 'tags.children' needs a text;"),
        ("[serve]\nproxies = 'x'", "setting 'serve.proxies' needs a list;"),
        (
            "[attributes]\ngender = off",
            "cannot be understood (line 2 is no TOML at column 10: invalid value); correct the file (texts stand in",
        ),
    ],
)
def test_a_refusal_names_the_file_the_setting_and_what_is_needed(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "rollcall.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(file)
    assert str(caught.value).startswith(f"{file}: ") and says in str(caught.value)


def test_a_refusal_of_a_variable_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLCALL_DETECTOR__MIN_FACE", "forty")
    file = tmp_path / "rollcall.toml"
    file.write_text("[detector]\nmin_face = 40")
    with pytest.raises(SettingsError, match=r"^ROLLCALL_DETECTOR__MIN_FACE: setting 'detector.min_face' needs a whole"):
        load(file)
    with pytest.raises(SettingsError, match=r"^setting 'detector.min_face' needs at least 12"):
        load(file, {"detector.min_face": "3"})


def test_a_settings_file_that_is_named_and_not_there_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"there is no such settings file; check the path$"):
        load(tmp_path / "rollcall.toml")
    with pytest.raises(SettingsError, match=r"this is a folder, not a settings file"):
        load(tmp_path)
