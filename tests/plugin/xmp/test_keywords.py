"""Keywords as tags, and which of them a person added and removed in a program that knows one, two or three lists."""

from __future__ import annotations

import pytest

from rollcall.xmp.content import Content
from rollcall.xmp.keywords import difference, entry, tags_of


def test_the_three_lists_amount_to_one_tag_each() -> None:
    found = Content(("Children", "People", "Beach"), ("People|Children",), ("People/Children", "Places/Møn"))
    assert list(tags_of(found)) == ["People/Children", "Places/Møn", "Beach"]


def test_a_slash_in_a_level_stays_in_its_level() -> None:
    (tag,) = tags_of(Content(hierarchical=("Music|AC/DC",)))
    assert tag.count("/") == 1
    assert entry(tag, "hierarchical") == "Music|AC/DC"
    assert entry(tag, "subject") == "AC/DC"


def test_what_cannot_be_a_tag_is_left_out() -> None:
    assert list(tags_of(Content(("a\x01b", "/", "ok"), ("|", "a||b"), ("",)))) == ["ok"]


def test_accents_are_equal_however_they_are_composed() -> None:
    before = Content(("Mo\u0308n",))
    assert difference(before, Content(("M\u00f6n",))) == ([], [], [], [])


BEFORE = Content(("Children", "Beach"), ("People|Children",), ("People/Children",))


@pytest.mark.parametrize(
    ("now", "removed"),
    [
        (BEFORE, []),
        # Programs that know one, two and three of the lists.
        (BEFORE._replace(subject=("Beach",)), ["People/Children"]),
        (BEFORE._replace(subject=("Beach",), hierarchical=()), ["People/Children"]),
        (Content(("Beach",), None, None), ["People/Children"]),
        (Content(("Beach",), (), ()), ["People/Children"]),
        (BEFORE._replace(tags_list=()), ["People/Children"]),
        (Content(None, None, None), ["People/Children", "Beach"]),
        # A list that is gone as a whole was dropped by a program that does not know it.
        (BEFORE._replace(hierarchical=None), []),
        (BEFORE._replace(tags_list=None), []),
        (Content(("Children", "Beach"), None, None), []),
    ],
)
def test_a_tag_is_removed_where_a_program_knows_the_list(now: Content, removed: list[str]) -> None:
    assert difference(BEFORE, now).removed == removed


def test_two_tags_of_one_last_level_go_with_the_plain_keyword() -> None:
    before = Content(("Children",), ("People|Children", "Work|Children"), None)
    assert difference(before, before._replace(subject=())).removed == ["People/Children", "Work/Children"]
    one = before._replace(hierarchical=("Work|Children",))
    assert difference(before, one).removed == ["People/Children"]


def test_a_keyword_that_becomes_a_level_of_another_is_replaced_not_removed() -> None:
    found = difference(Content(("Children",)), Content(("Children",), ("People|Children",)))
    assert found == (["People/Children"], [], ["Children"], [])


def test_without_a_reading_before_everything_is_new() -> None:
    assert difference(None, BEFORE) == (["People/Children", "Beach"], [], [], [])


def test_a_plain_keyword_with_a_slash_is_found_again() -> None:
    before = Content(("Places/Møn", "x"))
    assert difference(before, before) == ([], [], [], [])
    assert difference(before, Content(("x",))).removed == ["Places/Møn"]


def test_a_tag_that_one_program_left_in_its_list_and_another_adds_again_is_regained() -> None:
    before = Content(("Beach",), None, ("People/Children",))
    assert difference(before, before._replace(subject=("Beach", "Children"))).regained == ["People/Children"]
    assert difference(before, before).regained == []


def test_bars_in_any_list_divide_levels_and_a_keyword_that_stays_is_not_removed() -> None:
    before = Content(("People|Children", "Beach"), None, ("Places|Rome",))
    assert list(tags_of(before)) == ["Places/Rome", "People/Children", "Beach"]
    assert difference(before, before) == ([], [], [], [])
    assert difference(before, before._replace(subject=("Beach",))).removed == ["People/Children"]
