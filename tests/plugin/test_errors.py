"""What goes wrong is told in words: no numbers of the system, no terms of parsers."""

from __future__ import annotations

import json
import sqlite3
import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from rollcall.errors import reason_of
from rollcall.storage.failures import of_other


@pytest.mark.parametrize(
    ("fails", "words"),
    [
        (lambda: open("/no/such/file"), "No such file or directory"),  # noqa: SIM115
        (b"\xff".decode, "it holds bytes that are no text in UTF-8"),
        (lambda: json.loads('{"a": }'), "line 1 is no JSON at column 7"),
        (lambda: {}["kind"], "its 'kind' is missing"),
        (lambda: tomllib.loads("a ="), "its last line is no TOML: invalid value"),
    ],
)
def test_a_reason_is_plain_words(fails: Callable[[], Any], words: str) -> None:
    with pytest.raises((OSError, ValueError, KeyError)) as caught:
        fails()
    assert reason_of(caught.value) == words


def test_numbers_that_libraries_put_around_the_words_of_the_system_are_left_out() -> None:
    assert reason_of(OSError("[Errno 111] Connection refused")) == "Connection refused"
    failed = OSError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed (_ssl.c:1006)")
    assert reason_of(failed) == "certificate verify failed"
    assert reason_of(OSError()) == "OSError"


def test_what_sqlite_says_of_other_databases_is_plain_words() -> None:
    with sqlite3.connect(":memory:") as connection, pytest.raises(sqlite3.Error) as caught:
        connection.execute("SELECT * FROM Albums")
    assert of_other(caught.value) == "it is the database of another program, or of a version that is not known"
    assert of_other(sqlite3.OperationalError("something new")) == "something new"
