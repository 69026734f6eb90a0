"""Fit the models of what an answer about people changes (`rollcall/people/posterior.py`), on people with labels.

    python benchmarks/fit_questions.py --crops FOLDER --constants FILE [--draws 24] [--weights FILE]

Tests of 61 people are drawn from the first half of the training people (`simulated_user.py`), every second one among
strangers of LFW. The names of the largest groups are typed; who the other faces and groups are is told by the labels.
The weights of both models are those of the highest likelihood, and replace those in the file of constants.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from simulated_user import OF_NOBODY, User, halves

from rollcall.people import asking, posterior
from rollcall.people.clusters import Faces
from rollcall.people.linkage import UNKNOWN
from rollcall.people.shapes import Shapes
from rollcall_model import weights
from rollcall_model.evaluation.people import PEOPLE, Labelled, read

#: What each model has weights of, in the order of the columns of `Examples.signs`.
JOIN = ("cosine", "length", "nearest", "size", "strangers", "group", "constant")
CHECK = ("cosine", "length", "size", "strangers", "constant", "own")
#: A ridge: the weights of what few examples tell stay small.
RIDGE = 1e-2
SEED = 771


class Examples(NamedTuple):
    """Faces or groups, and what is known of each of them and each person."""

    signs: np.ndarray  # (m, p, k)
    truth: np.ndarray  # (m, p) the shares of their faces that are each person's; what they lack of one is nobody's
    faces: np.ndarray  # (m,) how many they are


def drawn(faces: Labelled, draws: int) -> Iterator[User]:
    """Yield tests after names were typed, every second one among strangers."""
    people = halves(faces)["first half"]
    strangers = np.flatnonzero((faces.source == "lfw") & faces.train)
    for draw in range(draws):
        random = np.random.default_rng([SEED, draw])
        some = random.choice(people, min(PEOPLE, len(people)), replace=False)
        rows = np.flatnonzero((faces.source == "celeba") & np.isin(faces.person, some))
        if draw % 2:
            rows = np.concatenate([rows, random.choice(strangers, len(strangers) // 2, replace=False)])
        user = User(faces.take(rows))
        user.name_largest(PEOPLE)
        yield user


def examples(user: User) -> tuple[Examples, Examples]:
    """Return the faces and groups of nobody, and the faces that are taken for somebody."""
    names, stated = user.names(), user.labels != UNKNOWN
    person = np.where(names != UNKNOWN, names, np.where(user.found.group >= 0, OF_NOBODY + user.found.group, UNKNOWN))
    faces = Faces(user.test.vectors, np.arange(len(names)), labels=user.labels)
    members = {int(one): np.flatnonzero(person == one) for one in np.unique(user.labels[stated])}
    shapes = Shapes()
    people = shapes.people(faces.vectors, members)
    free = ~stated
    free[np.concatenate(people.rows)] = False
    parts = asking._of_nobody(faces, person, free, shapes)
    more = posterior.strangers(len(parts.starts))
    truth = user.truth[:, None] == people.numbers[None]
    return _of_nobody(faces, parts, people, more, truth), _of_people(people, stated, more, truth)


def _of_nobody(faces: Faces, parts: Any, people: posterior.People, more: float, truth: np.ndarray) -> Examples:
    sizes = parts.ends - parts.starts
    centres = posterior.centres_of(faces.vectors, parts.rows, parts.starts)
    cosine = centres @ people.centres.T
    nearest = np.stack([people.nearest(at, centres) for at in range(len(people.numbers))], axis=1)
    each = (people.lengths, np.log(people.sizes), more, np.log(sizes)[:, None], 1.0)
    length, size, strangers, group, constant = (np.broadcast_to(one, cosine.shape) for one in each)
    signs = np.stack([cosine, length, nearest, size, strangers, group, constant], axis=-1)
    shares = np.add.reduceat(truth[parts.rows].astype(np.float64), parts.starts, axis=0) / sizes[:, None]
    return Examples(signs, shares, sizes.astype(np.float64))


def _of_people(people: posterior.People, stated: np.ndarray, more: float, truth: np.ndarray) -> Examples:
    signs, truths = [], []
    for at, rows in enumerate(people.rows):
        free = ~stated[rows]
        if len(rows) < 3 or not free.any():
            continue
        vectors = people.exact(at)
        rest = vectors.sum(axis=0) - vectors
        lengths = np.linalg.norm(rest, axis=1)
        cosine = vectors @ people.centres.T
        each = (people.lengths, np.log(people.sizes), more, 1.0, 0.0)
        ours = np.stack([cosine, *(np.broadcast_to(one, cosine.shape) for one in each)], axis=-1)
        # To their own person they are compared with the others.
        ours[:, at, 0] = np.einsum("nd,nd->n", vectors, rest) / np.maximum(lengths, 1e-9)
        ours[:, at, 1] = lengths / (len(rows) - 1)
        ours[:, at, 2] = np.log(len(rows) - 1)
        ours[:, at, 5] = 1.0
        signs.append(ours[free])
        truths.append(truth[rows[free]].astype(np.float64))
    found = np.concatenate(signs)
    return Examples(found, np.concatenate(truths), np.ones(len(found)))


def likelihood(sets: list[Examples], weight: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the log likelihood less the ridge, its gradient, and the negative of its second derivatives."""
    value = -RIDGE * float(weight @ weight) / 2
    gradient, curvature = -RIDGE * weight, RIDGE * np.eye(len(weight))
    for signs, truth, faces in sets:
        scores = signs @ weight
        most = np.maximum(scores.max(axis=1, keepdims=True), 0.0)
        shares = np.exp(scores - most)
        total = shares.sum(axis=1, keepdims=True) + np.exp(-most)
        chances = shares / total
        value += float((faces * ((truth * scores).sum(axis=1) - (most + np.log(total))[:, 0])).sum())
        mean = np.einsum("mp,mpk->mk", chances, signs)
        gradient = gradient + np.einsum("m,mp,mpk->k", faces, truth - chances, signs, optimize=True)
        spread = np.einsum("mp,mpk,mpl->mkl", faces[:, None] * chances, signs, signs, optimize=True).sum(axis=0)
        curvature = curvature + spread - np.einsum("m,mk,ml->kl", faces, mean, mean)
    return value, gradient, curvature


def fit(sets: list[Examples], start: np.ndarray) -> np.ndarray:
    """Return the weights of the highest likelihood, (k,), by Newton's method with steps that are halved."""
    weight = start
    for _ in range(40):
        value, gradient, curvature = likelihood(sets, weight)
        step = np.linalg.solve(curvature, gradient)
        while likelihood(sets, weight + step)[0] < value and np.abs(step).max() > 1e-4:
            step = step / 2
        weight = weight + step
        if np.abs(step).max() < 1e-4:
            break
    return weight


def fitted(faces: Labelled, draws: int) -> dict[str, dict[str, float]]:
    """Return the weights of both models, and print how likely the labels are with those as they are and with them."""
    both = [examples(user) for user in drawn(faces, draws)]
    found: dict[str, dict[str, float]] = {}
    for at, (name, columns) in enumerate((("join", JOIN), ("check", CHECK))):
        sets = [one[at] for one in both]
        now = getattr(posterior, name.upper())._asdict()
        before = np.array([now[column] for column in columns])
        weight = fit(sets, before)
        count = sum(float(one.faces.sum()) for one in sets)
        then, after = (likelihood(sets, one)[0] / count for one in (before, weight))
        print(f"{name}: {count:,.0f} faces, log likelihood of each {then:.4f} before, {after:.4f} now", flush=True)
        values = dict(zip(columns, np.round(weight, 2).tolist(), strict=True))
        found[name] = {column: values.get(column, 0.0) for column in posterior.Weights._fields}
    return found


def main() -> None:
    """Fit both models, and replace their weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", type=Path, required=True)
    parser.add_argument("--constants", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=weights.PATH)
    parser.add_argument("--draws", type=int, default=24)
    given = parser.parse_args()
    constants = json.loads(given.constants.read_text(encoding="utf-8"))
    constants |= fitted(read(given.crops, given.weights, None, few=True), given.draws)
    given.constants.write_text(json.dumps(constants, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
