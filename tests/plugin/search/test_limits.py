"""Queries that nobody types: an answer or a sentence within a second, never a traceback."""

from __future__ import annotations

import random
import string
import time

import pytest

from rollcall import search
from rollcall.errors import InvalidQueryError
from rollcall.storage.database import open_database

LONG = {
    "490 negations": "not " * 490 + "kids",
    "490 minus signs": "-" * 490 + "kids",
    "490 parentheses": "(" * 490 + "kids" + ")" * 490,
    "490 open parentheses": "(" * 490,
    "10,000 terms": " ".join(["kids"] * 10_000),
    "10,000 fields": " ".join(f"age:{n % 100}" for n in range(10_000)),
    "10,000 letters": "k" * 10_000,
    "10,000 alternatives": " or ".join(f'"{n}"' for n in range(10_000)),
    "220 times the same": " or ".join(["kids"] * 220),
    "100 alternatives": " or ".join(f"people aged {n}" for n in range(100)),
    "39 alternatives": " or ".join(f"people aged {n}" for n in range(39)),
    "39 people": ", ".join(f"someone aged {n}" for n in range(39)),
    "many people": "1000 kids and 1000 women and 1000 men",
    "many numbers": " and ".join(f"exactly {n} people aged {n}" for n in range(30)),
    "a megabyte": "kids and women " * 70_000,
    "unknown words": " ".join(f"{word}qx" for word in string.ascii_lowercase),
    "mixed": "(kids or women in 2019) and not (" * 20 + "men" + ")" * 20,
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG.keys())
def test_long_queries_are_answered_or_refused_within_a_second(text: str) -> None:
    database = open_database("sqlite://")
    started = time.thread_time()
    try:
        assert search.search(database, text, limit=5) == []
    except InvalidQueryError as error:
        assert 0 <= error.position <= len(text)
        assert len(str(error)) < 400
        assert len(error.suggestions) <= 3
    assert time.thread_time() - started < 1.0
    database.close()


def test_random_texts_are_understood_or_refused_within_a_second() -> None:
    rng = random.Random(20)
    letters = string.printable + "äßéüñçŁ漢字😀‚“”’…\u0301\u200b\ufeff"
    words = ["kids", "or", "and", "not", "(", ")", "2019", "from", "5", "age:", "only", '"', "-", "no", "women", "over"]
    for number in range(1_000):
        text = "".join(rng.choice(letters) for _ in range(rng.randrange(1, 120)))
        if number % 2:
            text = " ".join(rng.choice([*words, text[:5]]) for _ in range(rng.randrange(1, 40)))
        started = time.thread_time()
        try:
            search.explain(text)
        except InvalidQueryError as error:
            assert 0 <= error.position <= len(text)
        assert time.thread_time() - started < 1.0, text
