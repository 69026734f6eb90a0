"""English phrases that mean the same as a shorter one: data only, read by `rollcall.search.grammar.rewriting`.

The right side is made of words that the grammar knows; an empty one changes nothing in a query.
"""

from __future__ import annotations

from typing import Final

from rollcall.search.vocabulary import FEASTS, MONTHS


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


def _phrases(text: str) -> tuple[str, ...]:
    """Return the phrases of a text, which commas separate."""
    return tuple(text.split(", "))


#: By what they mean: phrases, separated by commas.
_MEANINGS: Final[dict[str, str]] = {
    # Comparisons
    "over": "above, older than",
    "more-than": "more than",
    "at-least": "at least, no fewer than, no less than, not less than, minimum, a minimum of",
    "under": "below, younger than",
    "fewer-than": "fewer than, less than",
    "up-to": "up to, up to the age of, at most, at the most, no more than, not more than, no older than, not"
    " older than, maximum, a maximum of",
    "exactly": "precisely",
    "between": "between the ages of, between ages",
    "born": "born in, born in the year, who was born in, who were born in, who are born in, born during",
    "aged": "age, of age, ages, at the age of, at age",
    "who-are": "who are, who is, who were, who was, that are, that is, which are, which is, they are, who look, "
    "who looks, that look",
    "middle-aged": "middle aged, middle age",
    # Numbers of people
    "couple-of": "a couple of, couple of, a pair of, pair of, pairs of, couples of",
    "lots-of": "lots of, a lot of, loads of, plenty of, a bunch of, bunch of",
    "group-of": "a group of, group of, groups of, a big group of, a large group of, big groups of, large groups of",
    "crowd-of": "a crowd of, crowd of, crowds of, big crowds of",
    "few": "a few, quite a few",
    "6": "half a dozen, half dozen",
    "exactly 1": "a single, single",
    "dozen": "a dozen, dozens of, a dozen of",
    # People
    "everyone": "every person, each person, everyone in it, everybody in it, all are, they are all, all of them are,"
    " all of whom are",
    "grown-ups": "grown ups, grown up",
    "male baby": "boy baby, baby boy",
    "female baby": "girl baby, baby girl",
    "male babies": "boy babies, baby boys",
    "female babies": "girl babies, baby girls",
    "male toddler": "boy toddler, toddler boy",
    "female toddler": "girl toddler, toddler girl",
    "schoolchildren": "school kids, school children, school-age kids, school-age children",
    "twentysomethings": "twenty somethings, twenty something",
    "thirtysomethings": "thirty somethings, thirty something",
    "fortysomethings": "forty somethings, forty something",
    # Combinations
    "with": "as well as, along with, together with, next to, beside, alongside, accompanied by, holding, hugging, plus",
    "and": "but also, and also, and then, while",
    "or": "or else, and/or",
    "no": "but no, but not, but without, and not, with no, without any, that do not show, that don't show, don't have,"
    " do not have, do not show, don't show, not any, not showing, rather than, instead of, excluding, minus,"
    " lacking, not a single, not one, no single, none of, none of the,"
    " zero",
    "except": "all except, all but, except for, apart from, other than, but for, not counting, besides",
    "nobody": "no one, noone, not anyone, not anybody, no-one, nobody is, no one is, nobody who is",
    "only": "and nobody else, and no one else, nobody else, no one else, and nothing else, with nobody else, only of,"
    " exclusively,"
    " nothing but, nobody but, no one but, nobody except, no one except, no one other than, nobody other than",
    "alone": "on his own, on her own, on their own, by himself, by herself, by themselves, all alone, solo,"
    " all by himself, all by herself",
    "unknown people": "strangers, stranger, people i do not know, people i don't know, people without a name,"
    " someone i don't know, someone i do not know, unnamed people, unnamed faces",
    "only unknown people": "nobody i know, no one i know, noone i know, nobody that i know, nobody known,"
    " only strangers, nobody we know, no one we know",
    "known people": "people i know, someone i know, somebody i know, anyone i know, named people, people with a name",
    "at": "when she was, when he was, when they were, when i was",
    # Kinds of photos
    "group-photo": "group photo, group photos, group picture, group pictures, group pics, group shot, group shots,"
    " group portrait, group portraits, group selfie, groups, a group, group",
    "large-group": "big group, big groups, large group, large groups, a big group, a large group, huge group",
    "family": "families, a family",
    "couple": "couples, a couple, one couple",
    "tagged": "tag, tagged as, tagged with, with tag, with the tag, has tag, having the tag",
    "untagged": "not tagged, without tags, no tags, without a tag, without any tags, with no tags",
    "unreviewed": "not reviewed, not yet reviewed, un-reviewed, without review",
    # Time
    "taken": "taken in the year, shot, made, captured, photographed, dated",
    "in": "during, in the year, in the month of, the year, during the, within",
    "since": "starting in, starting from",
    "until": "till",
    "christmas": "xmas, christmas time, christmastime, x-mas",
    "christmas-eve": "christmas eve, xmas eve",
    "christmas-day": "christmas day, xmas day",
    "valentine": "valentine's day, valentines day, valentine's",
    "new-year": "new year, new year's eve, new years eve, new year's day, new years",
    "this-year": "this year, the current year, this year's",
    "this-month": "this month, the current month",
    "this-weekend": "this weekend",
    "last-weekend": "last weekend, the past weekend, past weekend",
    "this-week": "this week, the current week",
    "last-year": "last year, last year's, previous year, the past year, past year",
    "last-month": "last month, previous month, the past month, past month",
    "last-week": "last week, previous week, the past week, past week",
    "last": "the last, past, the past, previous",
    # Frames and words that change nothing
    "": "my, our, your, his, her, their, its, the, these, those, this, that, please, there, is, are, am, was, were, i,"
    " we, you, can, see, also, too, who, which, whom, where, in it, in them, on it, on them, in the picture,"
    " in the pictures, in the photo, in the photos, in the image, in the images, in a picture, in a photo, in frame,"
    " in the frame, in the shot, on the picture, on the photo, in view, at all, together, visible, present, really,"
    " in which, on which, great, either, smth, have, has, having, appear, appears, appearing, where you can"
    " see, of mine, each, every, ones",
}
PHRASES: Final[dict[str, str]] = {
    # "This" alone changes nothing.
    **{f"this {name}": f"this {name}" for name in (*MONTHS, *FEASTS)},
    **{f"this {name} time": f"this {name}" for name in FEASTS},
} | {phrase.strip(): meaning for meaning, phrases in _MEANINGS.items() for phrase in phrases.split(",")}
#: What a request begins with; it changes nothing.
FRAMES: Final = _phrases(
    "show me, show us, show, find me, find us, find, give me, give us, get me, get us, get, tell me, bring me, fetch, "
    "bring up, pull up, search for, search, look for, looking for, look up, "
    "list, i want to see, we want to see, i want, i'd like to see, i would like to see, can you show me, could"
    " you show me, "
    "can i see, let me see, i am looking for, i'm looking for, display, please, all of, see, i need, where "
    "are, where is, can you find me, can you find, could you find, which, what, do you have, do i have, "
    "do we have, are there any, are there, is there a, what about, everything, "
    "anything"
)
#: Words for photos: in a query they change nothing, nor do the words that join them to what they show.
PHOTOS: Final = words(
    "photos photo pictures picture pics pic images image shots snaps snap snapshots snapshot photographs "
    "photograph photography"
)
SHOWING: Final = words(
    "of with showing containing featuring depicting where which that has have having including displaying show shows"
)
#: Words that are dropped before a text that is looked for in folders, file names and tags.
PREPOSITIONS: Final = frozenset(["in", "on", "at", "by", "near", "from", "to", "for", "of", "as", "a", "an", "and"])
