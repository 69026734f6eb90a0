"""Grouping by arrays: constraints hold, ages count, the result does not depend on luck."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rollcall.people import clusters, dates, linkage
from rollcall.people.clusters import Faces, cluster
from rollcall.people.evidence import Births, births, combined, evidence, misfit
from rollcall.people.linkage import UNKNOWN
from rollcall.people.neighbours import EXACT, neighbours


def people(*counts: int, nearness: float = 0.8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return drawn embeddings of so many faces of each person, mixed, and who they are."""
    random = np.random.default_rng(seed)
    person = random.permutation(np.repeat(np.arange(len(counts)), counts))
    centres = random.normal(size=(len(counts), 128))
    noise = random.normal(size=(len(person), 128))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    vectors = nearness * centres[person] + math.sqrt(1 - nearness**2) * noise
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), person


def same(group: np.ndarray, rows: np.ndarray) -> bool:
    return len(set(group[rows].tolist())) == 1 and group[rows][0] >= 0


def test_each_person_is_one_group_and_strangers_are_alone() -> None:
    vectors, person = people(30, 12, 2, 1, 1, 1)
    found = cluster(Faces(vectors, np.arange(len(vectors))))
    assert all(same(found.group, person == one) for one in range(3))
    assert (found.group[person >= 3] == -1).all()
    assert (found.probability[person < 3] > 0.9).all()


def test_the_result_is_the_same_in_every_run() -> None:
    vectors, _ = people(40, 30, 5, 5, 1, 1, nearness=0.7)
    first = cluster(Faces(vectors, np.arange(len(vectors))))
    second = cluster(Faces(vectors, np.arange(len(vectors))))
    assert (first.group == second.group).all()
    assert (first.probability == second.probability).all()


def test_two_faces_of_one_photo_are_never_one_person() -> None:
    vectors, _ = people(40)
    photos = np.arange(40)
    photos[[0, 5]] = 100
    found = cluster(Faces(vectors, photos))
    assert found.group[0] != found.group[5] or found.group[0] == -1
    assert np.bincount(found.group[found.group >= 0]).max() >= 35


def test_confirmed_faces_of_one_person_stay_together_and_of_two_apart() -> None:
    vectors, person = people(10, 10, 20)
    labels = np.full(len(vectors), UNKNOWN)
    first, second, third = (np.flatnonzero(person == one) for one in range(3))
    labels[[first[0], second[0]]] = 7  # not alike, but said to be one
    labels[third[0]], labels[third[1]] = 8, 9  # alike, but said to be two
    found = cluster(Faces(vectors, np.arange(len(vectors)), labels=labels))
    assert found.group[first[0]] == found.group[second[0]]
    assert found.group[third[0]] != found.group[third[1]]
    assert (found.probability[labels != UNKNOWN] == 1).all()


def test_a_face_is_not_in_the_group_of_somebody_whom_it_is_not() -> None:
    vectors, _ = people(20)
    labels = np.full(20, UNKNOWN)
    labels[3] = 7
    rejected = [frozenset({7}) if face == 5 else frozenset() for face in range(20)]
    found = cluster(Faces(vectors, np.arange(20), labels=labels, rejected=rejected))
    assert found.group[5] != found.group[3]


def test_a_rejected_face_keeps_nobody_else_from_the_person_it_is_not() -> None:
    vectors, _ = people(24, nearness=0.85)
    labels = np.full(24, UNKNOWN)
    labels[:2] = 7
    rejected = [frozenset({7}) if row == 2 else frozenset() for row in range(24)]
    found = cluster(Faces(vectors, np.arange(24), labels=labels, rejected=rejected))
    assert same(found.group, np.delete(np.arange(24), 2))
    assert found.group[2] != found.group[0]


def test_faces_much_nearer_to_a_rejected_one_than_to_any_confirmed_one_leave_with_it() -> None:
    vectors, person = people(12, 12, nearness=0.95)
    first, second = (np.flatnonzero(person == one) for one in range(2))
    # One of the confirmed faces is rather like somebody else, and brings all of these along.
    between = 0.6 * vectors[first].mean(axis=0) + 0.8 * vectors[second].mean(axis=0)
    vectors[first[0]] = between / np.linalg.norm(between)
    labels = np.full(24, UNKNOWN)
    labels[first[:2]] = 7
    assert same(cluster(Faces(vectors, np.arange(24), labels=labels)).group, np.arange(24))
    rejected = [frozenset({7}) if row == second[0] else frozenset() for row in range(24)]
    found = cluster(Faces(vectors, np.arange(24), labels=labels, rejected=rejected))
    assert same(found.group, first)
    assert same(found.group, second)
    assert found.group[first[0]] != found.group[second[0]]


def test_faces_that_are_alike_are_two_people_if_their_ages_do_not_fit_the_dates() -> None:
    vectors, _ = people(24)
    taken = np.where(np.arange(24) < 12, 2000.0, 2020.0)
    grown = births(np.where(taken == 2000, 5.0, 25.0), np.full(24, 1.0), taken)
    mother = births(np.where(taken == 2000, 5.0, 6.0), np.full(24, 1.0), taken)
    assert np.unique(cluster(Faces(vectors, np.arange(24), births=grown)).group).size == 1
    assert np.unique(cluster(Faces(vectors, np.arange(24), births=mother)).group).size == 2


def test_small_children_need_more_evidence_than_adults() -> None:
    cosines = np.array([0.3, 0.5])
    young, adult = np.full(2, 2.0), np.full(2, 40.0)
    constants = evidence()
    assert (constants.adult_equivalent(cosines, young, young) < cosines - 0.05).all()
    assert constants.adult_equivalent(cosines, adult, adult) == pytest.approx(cosines)
    assert constants.adult_equivalent(cosines, np.full(2, np.nan), adult) == pytest.approx(cosines)


def test_weak_faces_found_no_group_but_are_attached_to_one() -> None:
    vectors, person = people(20, 2, nearness=0.85)
    weak = person == 1
    weak[np.flatnonzero(person == 0)[0]] = True
    found = cluster(Faces(vectors, np.arange(22), weak=weak))
    assert (found.group[person == 1] == -1).all()
    assert same(found.group, person == 0)


def test_neighbours_of_many_are_nearly_all_of_the_true_ones() -> None:
    vectors, _ = people(*[20] * (EXACT // 20 + 20), nearness=0.8)
    assert len(vectors) > EXACT
    found = neighbours(vectors, 10)
    cosines = vectors[:200] @ vectors.T
    cosines[np.arange(200), np.arange(200)] = -1
    true = np.argsort(-cosines, axis=1)[:, :10]
    share = np.mean([len({*a} & {*b}) / 10 for a, b in zip(found.faces[:200].tolist(), true.tolist(), strict=True)])
    assert share > 0.95
    assert (np.diff(found.cosine, axis=1) <= 0).all()


def test_no_faces_and_one_face_are_no_group() -> None:
    assert len(cluster(Faces(np.zeros((0, 128), np.float32), np.zeros(0, np.int64))).group) == 0
    assert cluster(Faces(people(1)[0], np.zeros(1, np.int64))).group.tolist() == [-1]


def test_a_birth_date_is_combined_from_faces_and_moved_little_by_one_that_is_wrong() -> None:
    faces = Births(np.array([2009.5, 2010.0, 2010.5, 2010.2, 1970.0]), np.full(5, 2.0))
    found = combined(faces.mean, faces.deviation)
    assert found is not None
    assert found[0] == pytest.approx(2010, abs=1.5)
    assert found[1] == pytest.approx(1.0, abs=0.2)
    assert combined(np.zeros(2), np.full(2, np.inf)) is None
    unknown = misfit(np.zeros(1), np.full(1, np.inf), np.zeros(1), np.ones(1))
    assert unknown == 0


@pytest.mark.parametrize(
    ("birth", "taken", "ages"),
    [
        ("2010-02-03", "2015-02-02T10:00:00", (4, 4)),
        ("2010-02-03", "2015-02-05T10:00:00", (5, 5)),
        ("2010-02", "2015-02-10T10:00:00", (4, 5)),
        ("2010", "2015-06-01T10:00:00", (4, 5)),
        ("2010", "2009-06-01T10:00:00", None),
        ("2010", None, None),
    ],
)
def test_ages_are_completed_years_from_the_birth_to_the_photo(
    birth: str, taken: str | None, ages: tuple[int, int] | None
) -> None:
    assert dates.ages_at(birth, dates.year_of(taken)) == ages


def test_groups_are_the_same_however_many_faces_and_pairs_are_looked_at_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vectors, _ = people(*[5] * 40)
    found = cluster(Faces(vectors, np.arange(200)))
    for module, name in ((linkage, "_RANGE"), (linkage, "_PORTION"), (clusters, "_SMOOTHED")):
        monkeypatch.setattr(module, name, 7)
    again = cluster(Faces(vectors, np.arange(200)))
    assert np.array_equal(found.group, again.group)
    np.testing.assert_allclose(found.probability, again.probability, atol=1e-5)


def test_photos_that_show_no_other_face_are_not_told_apart() -> None:
    assert linkage.numbered(np.array([900, -4, 900, 7, -4, 12])).tolist() == [3, 0, 3, -1, 0, -1]


def test_a_group_that_grew_has_the_age_and_birth_date_of_all_its_faces() -> None:
    vectors, _ = people(4)
    ages = np.array([4, 6, np.nan, 30], np.float32)
    dated = births(ages, np.full(4, 2.0), np.array([2014.0, 2016.0, 2015.0, 2016.0]))
    known = {7: Births(np.array(2009.0), np.array(0.1))}
    labels = np.array([UNKNOWN, UNKNOWN, 7, UNKNOWN])
    part = clusters._Part(Faces(vectors, np.arange(4), ages, dated, labels=labels, known_births=known), np.arange(4))
    groups = linkage.Groups(vectors, part.photos, part.labels, part.rejected)
    penalty = clusters._Penalty(groups, part, evidence())
    before = penalty(np.array([0]), np.array([3]))
    assert groups.merge(0, 1)
    assert groups.merge(0, 2)
    after = penalty(np.array([3]), np.array([0]))
    mean, deviation = combined(part.births.mean[:3], part.births.deviation[:3]) or (0.0, 0.0)
    adult = evidence().impostor_mean[-1]
    by_age = adult - evidence().adult_equivalent(np.array([adult]), np.array([5.0]), np.array([30.0]))
    by_birth = misfit(dated.mean[[3]], dated.deviation[[3]], np.array([mean]), np.array([deviation]))
    assert after == pytest.approx(by_age + by_birth + evidence().small / math.sqrt(3))
    assert after != pytest.approx(before)
    # What the caller knows of its faces is not written to.
    assert not np.isfinite(dated.deviation[2])
