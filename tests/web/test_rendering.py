"""What the templates of the page are given to write names with."""

from __future__ import annotations

import pytest

from rollcall.web.pages.rendering import breakable


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("IMG_2019-07.final.jpg", "IMG_<wbr>2019-<wbr>07<wbr>.final<wbr>.jpg"),
        ("People/Teenagers", "People/<wbr>Teenagers"),
        ("plain", "plain"),
        ("<b>_&", "&lt;b&gt;_<wbr>&amp;"),
        ("a\u202e_b", r"a\u202e_<wbr>b"),
        ("", ""),
    ],
)
def test_a_name_may_be_broken_between_its_parts_and_stays_text(name: str, written: str) -> None:
    assert breakable(name) == written
