"""Scores of groupings, the common methods, and the fit of the constants, on drawn embeddings of known people."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rollcall_model.datasets.samples import Sample
from rollcall_model.evaluation import people
from rollcall_model.evaluation.grouping import average_linkage, chinese_whispers, dbscan, grouping_scores
from rollcall_model.evaluation.people import Labelled

METHODS = (dbscan, chinese_whispers, average_linkage)


def drawn(people_count: int, each: int, spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings of so many people, and who they are; `spread` is how far the faces of one lie apart."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(people_count, 128))
    person = np.repeat(np.arange(people_count), each)
    vectors = centres[person] / np.linalg.norm(centres[person], axis=1, keepdims=True)
    vectors = vectors + spread * rng.normal(size=vectors.shape) / np.sqrt(128)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), person


def labelled(seed: int = 0) -> Labelled:
    """Return celebrities, strangers, and children who are all different, of training and of validation people."""
    celebrities, who = drawn(130, 4, 0.5, seed)
    strangers, _ = drawn(60, 1, 0.5, seed + 1)
    children, _ = drawn(240, 1, 0.5, seed + 2)
    # Children are more alike than adults.
    children = children + 0.04
    children /= np.linalg.norm(children, axis=1, keepdims=True)
    vectors = np.concatenate([celebrities, strangers, children])
    years = np.concatenate([np.full(580, 40.0), np.tile([2.0, 4.0, 7.0, 12.0, 16.0, 40.0], 40)])
    sources = np.array(["celeba"] * 520 + ["lfw"] * 60 + ["utkface"] * 240)
    names = np.array([f"celebrity {one}" for one in who] + [f"one {row}" for row in range(300)])
    train = np.ones(820, np.bool_)
    train[np.isin(who, range(4)).nonzero()[0]] = False
    train[575:600] = False
    return Labelled(vectors, years.copy(), sources, names, years, train, np.zeros((820, 128), np.float32))


def test_scores_of_a_worked_example() -> None:
    # Three faces of one person, of which one is with a face of another; and one alone.
    scores = grouping_scores(np.array([0, 0, 1, 1, 2]), np.array([7, 7, 7, 8, 9]))
    assert scores.precision == pytest.approx((1 + 1 + 0.5 + 0.5 + 1) / 5)
    assert scores.recall == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1 + 1) / 5)
    assert (scores.pair_precision, scores.pair_recall) == (0.5, pytest.approx(1 / 3))
    assert (scores.faces, scores.people, scores.groups, scores.alone) == (5, 3, 2, 1)
    assert (scores.purity, scores.groups_each) == (pytest.approx(4 / 5), 2.0)


@pytest.mark.parametrize("method", METHODS)
def test_each_method_finds_people_who_are_far_apart_and_leaves_all_alone_at_a_threshold_of_one(method: Any) -> None:
    vectors, person = drawn(6, 5, 0.4)
    assert grouping_scores(method(vectors, 0.5), person).f == 1.0
    assert grouping_scores(method(vectors, 0.999), person).alone == 30


def test_the_best_threshold_of_a_test_is_found_and_a_given_one_is_kept() -> None:
    vectors, person = drawn(8, 5, 0.6)
    cosine, scores = people.best_of(average_linkage, vectors, person, None)
    assert scores.f == max(grouping_scores(average_linkage(vectors, one), person).f for one in (0.24, 0.36, 0.48, 0.63))
    assert people.best_of(average_linkage, vectors, person, 0.95)[0] == 0.95
    assert 0.2 < cosine < 0.7


@pytest.mark.parametrize("train", [True, False])
def test_tests_hold_people_of_one_split_and_never_more_than_the_wanted_number(train: bool) -> None:
    faces = labelled()
    other = set(faces.person[faces.train != train].tolist())
    found = people.tests(faces, train)
    assert all(not other & set(test.person.tolist()) for test in found.values())
    celebrities = [test for name, test in found.items() if name.startswith("celebrities")]
    assert len(celebrities) == (2 if train else 1)
    assert max(len(np.unique(test.person)) for test in celebrities) <= people.PEOPLE + people.PEOPLE // 2
    assert set(found["UTKFace, 0 to 3"].years.tolist()) == {2.0}


def test_only_training_people_are_read_for_the_fit_and_only_some_of_each_age() -> None:
    samples = [Sample("celeba", "a", "train"), Sample("celeba", "b", "val"), Sample("lfw", "c", "train")]
    samples += [Sample("utkface", str(row), "train" if row % 2 else "val") for row in range(4000)]
    rows = people.needed(samples, np.array([-1.0, -1.0, -1.0, *([30.0] * 4000)]))
    assert rows[:2].tolist() == [0, 2]
    assert len(rows) == 2 + people._EACH_BAND
    assert {samples[row].split for row in rows.tolist()} == {"train"}


def test_impostors_among_children_are_more_similar_than_among_adults() -> None:
    means, deviations = people.impostors(labelled())
    assert len(means) == len(deviations) == len(people.AGE_BANDS)
    assert min(means[:-1]) > 0.1
    faces = labelled()
    # Validation faces have no influence.
    changed = faces.vectors.copy()
    changed[~faces.train] = changed[0]
    assert people.impostors(faces._replace(vectors=changed)) == (means, deviations)


def by_linkage(vectors: np.ndarray, ages: np.ndarray, **constants: Any) -> tuple[np.ndarray, np.ndarray]:
    """Group as an application does: with a threshold, and a probability from the similarity to the group's mean."""
    labels = average_linkage(vectors, constants["link"])
    sums = np.zeros((len(vectors), vectors.shape[1]), np.float64)
    np.add.at(sums, labels, vectors)
    own = np.einsum("nd,nd->n", vectors, sums[labels]) - 1.0
    similarity = own / np.maximum(np.bincount(labels, minlength=len(vectors))[labels] - 1, 1)
    midpoint, steepness = constants.get("member_midpoint", 0.5), constants.get("member_steepness", 10.0)
    return labels, 1 / (1 + np.exp(-steepness * (similarity - midpoint)))


def test_the_fit_takes_what_groups_training_people_best_and_leaves_the_rest_as_it_was() -> None:

    def grouper(vectors: np.ndarray, ages: np.ndarray, **constants: Any) -> tuple[np.ndarray, np.ndarray]:
        # These people are taken for people the better, the nearer the threshold is to a far one.
        return by_linkage(vectors, ages, **constants | {"link": 0.6 + abs(constants["link"] - 0.41) * 5})

    start = {"midpoint": 0.5, "link": 0.33, "small": 0.1, "attach": 0.5, "people": 150.0}
    found = people.fit(grouper, labelled(), {**start, "member_midpoint": 0.5, "member_steepness": 1.0})
    assert found["link"] == pytest.approx(0.41), "the grid has moved to it"
    assert found["attach"] == pytest.approx(0.58), "what is compared with the same similarities has moved with it"
    assert (found["midpoint"], found["small"], found["people"]) == (0.5, 0.1, 150.0), "what changes nothing stays"
    assert found["member_steepness"] > 0
    assert len(found["impostor_mean"]) == len(found["age_knots"])


def test_the_report_has_a_row_for_each_test_and_method() -> None:
    table = people.report(lambda vectors, ages: by_linkage(vectors, ages, link=0.5), labelled(), train=False)
    assert "| celebrities 1 | Rollcall | 16 | 4 |" in table
    assert "average linkage, at its best" in table
    assert "| UTKFace, adults | Rollcall |" in table
