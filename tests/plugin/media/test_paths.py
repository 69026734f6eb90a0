"""Names of files as text."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rollcall.media.paths import from_text, readable, to_text

#: Prints the text of each name in the folder, and whether it leads to the file again.
LIST = """
import os, sys
from rollcall.media.paths import from_text, readable, to_text
for name in sorted(map(to_text, os.listdir(sys.argv[1]))):
    print(ascii(name), os.path.exists(os.path.join(sys.argv[1], from_text(name))))
"""


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX systems alone")
def test_a_name_is_the_same_text_whatever_the_language_of_the_system(tmp_path: Path) -> None:
    names = ("é😀.jpg", "\udcff\udcfe.jpg", "\uf7e9.jpg")
    for name in names:
        (tmp_path / name).touch()
    # By the language C, names are ASCII where Python is not told otherwise.
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", LIST, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{name!a} True" for name in sorted(map(to_text, names))]
    assert [from_text(to_text(name)) for name in names] == list(names)


def test_what_joins_letters_stays_readable_and_what_turns_the_line_is_escaped() -> None:
    joined = "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627 \U0001f469\u200d\U0001f467"
    assert readable(joined) == joined
    assert readable("a\u202eb\n\x1b") == "a\\u202eb\\u000a\\u001b"
