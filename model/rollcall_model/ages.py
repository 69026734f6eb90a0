"""Age classes and age bands: the one place that defines them for networks, training and evaluation."""

from __future__ import annotations

from typing import Final, NamedTuple

#: Classes of the age distribution: completed years 0 to 100; the last class stands for 100 and above.
AGES: Final = 101
OLDEST: Final = AGES - 1
#: A child is under 13: `p_child` is the probability mass of the ages below it.
CHILD_BELOW: Final = 13
#: Nominal coverage of the prediction interval of an age.
INTERVAL_COVERAGE: Final = 0.80
#: Centre and scale of the normalised age x = (year - 50) / 50, in which calibration and adaptation are linear.
AGE_CENTRE: Final = 50.0
AGE_SCALE: Final = 50.0
#: Age bands of the evaluation: completed years, both ends included.
BANDS: Final[dict[str, tuple[int, int]]] = {
    "0-2": (0, 2),
    "3-12": (3, 12),
    "13-19": (13, 19),
    "20-39": (20, 39),
    "40-59": (40, 59),
    "60-79": (60, 79),
    "80+": (80, 200),
}


class TagGroup(NamedTuple):
    """A group of people that photos are tagged with; ages are completed years, both ends included."""

    low: int
    high: int
    female: bool | None = None  # None: either gender


#: The groups whose tag thresholds are measured with the weights, by the name of their tag setting.
TAG_GROUPS: Final[dict[str, TagGroup]] = {
    "babies": TagGroup(0, 2),
    "toddlers": TagGroup(1, 3),
    "children": TagGroup(0, CHILD_BELOW - 1),
    "teenagers": TagGroup(CHILD_BELOW, 19),
    "adults": TagGroup(20, OLDEST),
    "seniors": TagGroup(60, OLDEST),
    "women": TagGroup(20, OLDEST, True),
    "men": TagGroup(20, OLDEST, False),
    "girls": TagGroup(0, CHILD_BELOW - 1, True),
    "boys": TagGroup(0, CHILD_BELOW - 1, False),
}
