"""Words for relatives, and words that are names as well: data only, read by `rollcall.search.grammar.naming`."""

from __future__ import annotations

from typing import Final

from rollcall.search.phrases import words
from rollcall.search.roster import Relation

#: How relatives are related to whoever is spoken of, their gender, and the English words for them.
_RELATIVES: Final[tuple[tuple[Relation, str | None, str], ...]] = (
    ("child", None, "child children kid kids stepchild stepchildren"),
    ("child", "female", "daughter daughters girl girls stepdaughter stepdaughters"),
    ("child", "male", "son sons boy boys stepson stepsons"),
    ("partner", None, "partner partners spouse"),
    ("partner", "female", "wife girlfriend"),
    ("partner", "male", "husband boyfriend"),
    ("parent", None, "parent parents"),
    ("parent", "female", "mother mom mum mommy mummy mama mam stepmother stepmom"),
    ("parent", "male", "father dad daddy papa stepfather stepdad"),
    ("sibling", None, "sibling siblings"),
    ("sibling", "female", "sister sisters sis"),
    ("sibling", "male", "brother brothers bro"),
    ("grandchild", None, "grandchild grandchildren grandkid grandkids"),
    ("grandchild", "female", "granddaughter granddaughters"),
    ("grandchild", "male", "grandson grandsons"),
    ("grandparent", None, "grandparent grandparents"),
    ("grandparent", "female", "grandmother grandmothers grandma grandmas granny nana nan gran"),
    ("grandparent", "male", "grandfather grandfathers grandpa grandpas granddad grandad gramps"),
)
RELATIVES: Final = {word: (relation, gender) for relation, gender, text in _RELATIVES for word in text.split()}
#: Who uses the library, and whose relatives are theirs.
ME: Final = words("me myself")
MY: Final = words("my our")
#: Before these, "me" is part of a request: show me ...
ASKED_FOR: Final = words(
    "show find give get let bring tell zeig zeige gib such suche montre montrez laat toon geef mostra"
)
#: Names that are words of everyday English as well, so that folders and tags have them.
HOMONYMS: Final = words(
    "amber angel art autumn bill bob chase christian crystal daisy dawn dean eve faith fern forest frank ginger grace"
    " grant guy harmony hazel heath heather holly hope hunter iris ivy jack jade jasmine jean jewel joy lily mark"
    " melody mercy miles misty olive pat pearl penny poppy ray river robin rose ruby rusty sage sandy sky summer sunny"
    " violet wade will willow"
)
#: A month or a season behind one of these is a time, not somebody of that name.
BEFORE_TIMES: Final = words(
    "in since before after until from during last this next early late im seit vor nach ab bis en em nel au depuis"
    " desde dal sinds voor na"
)
