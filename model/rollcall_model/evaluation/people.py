"""Grouping faces into people: scores on labelled people, and the fit of its constants.

``python -m rollcall_model.evaluation.people evaluate`` and ``fit``. The grouping itself belongs to the application,
which this package does not know: it is named by `--grouper`, as module:function. The function takes embeddings (n, 128)
of unit length, ages (n,) in years and constants by name, and returns a label and a probability for each.
"""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import numpy as np
from jaxtyping import Bool, Float, Int

from rollcall_model import weights as shipped
from rollcall_model.ages import OLDEST
from rollcall_model.attributes.model import AttributeModel
from rollcall_model.datasets import faces as stored
from rollcall_model.datasets.samples import Sample
from rollcall_model.evaluation import metrics
from rollcall_model.evaluation.grouping import (
    GroupingScores,
    average_linkage,
    chinese_whispers,
    dbscan,
    grouping_scores,
)

log = logging.getLogger(__name__)

Grouper = Callable[..., tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]]
GROUPER: Final = "rollcall.people.clusters:grouped"
#: People of one drawn test: as many as have to be told apart in the acceptance test.
PEOPLE: Final = 61
#: Estimated ages at which impostors' cosines are measured: the middles of these bands, in years.
AGE_BANDS: Final = ((1, 3), (3, 6), (6, 10), (10, 14), (14, 20), (20, 101))
#: Faces of UTKFace of each band that `fit` reads.
_EACH_BAND: Final = 800
_AGE_KNOTS: Final = (2.0, 4.5, 8.0, 12.0, 17.0, 25.0)
#: Children of UTKFace are taken for different people; the most similar of the pairs are pictures of one all the same.
_SAME_ALL_THE_SAME: Final = 1e-3
#: Cosines from which two embeddings are one picture, found twice.
_DUPLICATE: Final = 0.93
#: By how much `fit` changes constants. The most similar strangers of LFW are weighed against the celebrities that are
#: torn apart.
_STEPS: Final[Mapping[str, float]] = {"midpoint": 0.05, "link": 0.04, "small": 0.05}
#: Constants that are similarities as `link` is, of what no test has: they keep their distance from it.
_LIKE_LINK: Final = ("attach", "most")
#: How often the grid of what is tried moves to what was best in it.
_MOVES: Final = 4
_THRESHOLDS: Final = tuple(np.round(np.arange(0.24, 0.66, 0.03), 2).tolist())


class Labelled(NamedTuple):
    """Faces with what the network makes of them, and who they are."""

    vectors: Float[np.ndarray, "n 128"]
    ages: Float[np.ndarray, " n"]  # estimated, in years
    source: np.ndarray  # (n,) name of the data set
    person: np.ndarray  # (n,) a name; one of its own for a face without a label
    years: Float[np.ndarray, " n"]  # labelled; NaN where unknown
    train: Bool[np.ndarray, " n"]
    dlib: Float[np.ndarray, "n 128"]  # of the same pictures, unit length, not centred; 0 where unknown

    def take(self, rows: np.ndarray) -> Labelled:
        """Return some of the faces."""
        return Labelled(*(column[rows] for column in self))


def read(crops: Path, weights: Path, teacher: Path | None, few: bool = False) -> Labelled:
    """Return the faces that `training.prepare` stored, as weights see them; with `few` only those that `fit` needs."""
    faces = stored.load(crops)
    model = AttributeModel(weights)
    ages = faces.ages.astype(np.float64).mean(axis=1)
    every = np.arange(len(faces.samples))
    if few:
        every = needed(faces.samples, ages)
    found = model(stored.central_crops(faces, every, model.size))
    samples, ages = [faces.samples[row] for row in every.tolist()], ages[every]
    dlib = np.zeros((len(every), 128), np.float32)
    if teacher is not None:
        with np.load(teacher) as arrays:
            rows = {name: row for row, name in enumerate(arrays["name"].tolist())}
            vectors = arrays["embedding"].astype(np.float32)
        for row, sample in enumerate(samples):
            if sample.name in rows:
                dlib[row] = vectors[rows[sample.name]]
        dlib /= np.maximum(np.linalg.norm(dlib, axis=1, keepdims=True), 1e-9)
    return Labelled(
        found.embedding.astype(np.float32),
        metrics.estimate(found.age).astype(np.float64),
        np.array([sample.source for sample in samples]),
        np.array([sample.identity or f"{sample.source} {row}" for row, sample in enumerate(samples)]),
        np.where(ages < 0, np.nan, ages),
        np.array([sample.split == "train" for sample in samples]),
        dlib,
    )


def needed(samples: Sequence[Sample], ages: Float[np.ndarray, " n"]) -> Int[np.ndarray, " m"]:
    """Return the faces that constants are fitted on: of training people, and of UTKFace so many of each age band."""
    random = np.random.default_rng(0)
    source, train = np.array([one.source for one in samples]), np.array([one.split == "train" for one in samples])
    rows = [np.flatnonzero(train & np.isin(source, ("celeba", "lfw")))]
    for low, high in AGE_BANDS:
        band = np.flatnonzero(train & (source == "utkface") & (ages >= low) & (ages < high))
        rows.append(random.permutation(band)[:_EACH_BAND])
    return np.sort(np.concatenate(rows))


# ---- Tests


def tests(faces: Labelled, train: bool) -> dict[str, Labelled]:
    """Return the tests by name: celebrities, LFW, both together, and children who are all different people."""
    split = faces.train if train else ~faces.train
    celebrities = np.flatnonzero(split & (faces.source == "celeba"))
    lfw = np.flatnonzero(split & (faces.source == "lfw"))
    names = np.random.default_rng(0).permutation(np.unique(faces.person[celebrities]))
    found = {
        f"celebrities {start // PEOPLE + 1}": celebrities[
            np.isin(faces.person[celebrities], names[start : start + PEOPLE])
        ]
        for start in range(0, max(len(names) - PEOPLE // 2, 1), PEOPLE)
    }
    found["LFW"] = lfw
    found["LFW and celebrities"] = np.concatenate([lfw, celebrities])
    utk = split & (faces.source == "utkface")
    bands = (("0 to 3", 0, 3), ("4 to 12", 4, 12), ("13 to 19", 13, 19), ("adults", 20, OLDEST + 20))
    for name, low, high in bands:
        found[f"UTKFace, {name}"] = np.flatnonzero(utk & (faces.years >= low) & (faces.years <= high))
    return {name: faces.take(rows) for name, rows in found.items() if len(rows) > 1}


def score(group: Grouper, test: Labelled, **constants: Any) -> GroupingScores:
    """Return the scores of a grouping on a test."""
    labels, _ = group(test.vectors, test.ages, **constants)
    return grouping_scores(labels, np.unique(test.person, return_inverse=True)[1])


def best_of(
    method: Callable[[np.ndarray, float], np.ndarray], vectors: np.ndarray, person: np.ndarray, tuned: float | None
) -> tuple[float, GroupingScores]:
    """Return the threshold of a common method, and its scores; the best one on this very test if none is given."""
    people = np.unique(person, return_inverse=True)[1]
    if tuned is not None:
        return tuned, grouping_scores(method(vectors, tuned), people)
    found = [(one, grouping_scores(method(vectors, one), people)) for one in _THRESHOLDS]
    return max(found, key=lambda one: one[1].f)


def report(group: Grouper, faces: Labelled, train: bool) -> str:
    """Return the scores of all tests as a table in Markdown; the common methods have the best threshold of each."""
    lines = [
        "| test | method | faces | people | precision | recall | F | pairs P | pairs R | purity | groups | alone |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    methods = {"DBSCAN": dbscan, "chinese whispers": chinese_whispers, "average linkage": average_linkage}
    for name, test in tests(faces, train).items():
        rows = {"Rollcall": score(group, test)}
        if len(test.vectors) <= 2000 and not name.startswith("UTK"):
            for title, method in methods.items():
                for network, vectors in (("", test.vectors), (", dlib", test.dlib)):
                    if np.abs(vectors).sum():
                        # dlib's cosines lie between 0.8 and 1.
                        moved = vectors if not network else _spread(vectors)
                        cosine, scores = best_of(partial(method), moved, test.person, None)
                        rows[f"{title}{network}, at its best ({cosine:.2f})"] = scores
        for title, one in rows.items():
            lines.append(
                f"| {name} | {title} | {one.faces:,} | {one.people:,} | {one.precision:.3f} | {one.recall:.3f} |"
                f" {one.f:.3f} | {one.pair_precision:.3f} | {one.pair_recall:.3f} | {one.purity:.3f} |"
                f" {one.groups_each:.2f} | {one.alone:,} |"
            )
    return "\n".join(lines) + "\n"


def _spread(vectors: np.ndarray) -> np.ndarray:
    """Return embeddings without their common part, of unit length: dlib's lie in one narrow cone."""
    centred = vectors - vectors.mean(axis=0)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9))


# ---- The fit


def impostors(faces: Labelled) -> tuple[list[float], list[float]]:
    """Return mean and deviation of the cosines of different people of about one estimated age, for each age band."""
    random = np.random.default_rng(0)
    means, deviations = [], []
    utk = faces.take(np.flatnonzero(faces.train & (faces.source == "utkface")))
    for low, high in AGE_BANDS:
        rows = np.flatnonzero((utk.ages >= low) & (utk.ages < high))
        rows = random.permutation(rows)[:1200]
        cosines = (utk.vectors[rows] @ utk.vectors[rows].T)[np.triu_indices(len(rows), 1)]
        cosines = np.sort(cosines[cosines < _DUPLICATE])
        cosines = cosines[: int(len(cosines) * (1 - _SAME_ALL_THE_SAME))]
        means.append(round(float(cosines.mean()), 4))
        deviations.append(round(float(cosines.std()), 4))
    return means, deviations


def members(group: Grouper, test: Labelled, constants: Mapping[str, Any]) -> tuple[float, float]:
    """Return midpoint and steepness of the probability that a member belongs to its group, by its similarity."""
    labels, p = group(test.vectors, test.ages, **constants, member_midpoint=0.0, member_steepness=1.0)
    _, group_of = np.unique(labels, return_inverse=True)
    _, person = np.unique(test.person, return_inverse=True)
    several = np.bincount(group_of)[group_of] > 1
    most = np.zeros(int(group_of.max()) + 1, np.int64)
    for one in np.unique(group_of[several]):
        most[one] = np.bincount(person[group_of == one]).argmax()
    right = (person == most[group_of])[several].astype(np.float64)
    p = np.clip(p[several], 1e-9, 1 - 1e-9)
    x = np.stack([np.log(p / (1 - p)), np.ones(len(p))], axis=1)
    w = np.array([5.0, 0.0])
    for _ in range(50):  # Newton's method with a small ridge
        chance = 1 / (1 + np.exp(-x @ w))
        hessian = (x * (chance * (1 - chance))[:, None]).T @ x + 1e-3 * np.eye(2)
        step = np.linalg.solve(hessian, x.T @ (right - chance) - 1e-3 * w)
        # Far from the solution the curvature vanishes, and a whole step would overshoot.
        w = w + step * min(1.0, 2.0 / float(np.abs(step).max()))
    return round(float(-w[1] / w[0]), 4), round(float(w[0]), 3)


def fit(group: Grouper, faces: Labelled, start: Mapping[str, Any]) -> dict[str, Any]:
    """Return constants like `start` with those replaced that are fitted, all on training people."""
    constants = dict(start)
    constants["impostor_mean"], constants["impostor_deviation"] = impostors(faces)
    constants["age_knots"] = list(_AGE_KNOTS)
    arrays = {name: np.array(constants[name]) for name in ("age_knots", "impostor_mean", "impostor_deviation")}
    chosen = tests(faces, train=True)
    few = [test for name, test in chosen.items() if name.startswith("celebrities")]
    # Strangers, and people of many pictures among them: enough to see what too low a threshold does.
    many = Labelled(*(np.concatenate(both) for both in zip(chosen["LFW"], few[0], strict=True)))

    @cache
    def worth(*values: float) -> float:
        tried = _with_link(constants, dict(zip(_STEPS, values, strict=True)))
        scores = [score(group, test, **tried, **arrays).f for test in few]
        of_many, of_all = (score(group, test, **tried, **arrays).f for test in (many, chosen["LFW and celebrities"]))
        figures = tried, np.mean(scores), of_many, of_all
        log.info("%s: F %.4f of celebrities, %.4f of some among strangers, %.4f of all", *figures)
        return float(np.mean(scores)) + (of_many + of_all) / 2

    best = tuple(float(constants[name]) for name in _STEPS)
    for _ in range(_MOVES):
        around = [(one - step, one, one + step) for one, step in zip(best, _STEPS.values(), strict=True)]
        tried = [tuple(round(one, 4) for one in values) for values in product(*around)]
        # What changes nothing stays as it was.
        options = sorted(tried, key=lambda values: sum(one != other for one, other in zip(values, best, strict=True)))
        before, best = best, max(options, key=lambda values: worth(*values))
        if best == before:
            break
    found = _with_link(constants, dict(zip(_STEPS, best, strict=True)))
    constants |= found
    constants["member_midpoint"], constants["member_steepness"] = members(group, many, {**found, **arrays})
    return constants


def _with_link(constants: Mapping[str, Any], values: Mapping[str, float]) -> dict[str, float]:
    """Return values with those constants that move with the threshold of linkage."""
    moved = values["link"] - constants["link"]
    return {**values, **{name: round(constants[name] + moved, 4) for name in _LIKE_LINK if name in constants}}


# ---- The command


def _grouper(name: str) -> Grouper:
    module, _, function = name.partition(":")
    found: Grouper = getattr(importlib.import_module(module), function)
    return found


@click.group()
def main() -> None:
    """Evaluate the grouping of faces into people, and fit its constants."""


_FILE: Final = click.Path(path_type=Path, exists=True)


@main.command("evaluate")
@click.option("--crops", required=True, type=_FILE, help="What `rollcall_model.training.prepare` wrote.")
@click.option("--weights", default=shipped.PATH, type=_FILE, help="Weights of the attribute network.")
@click.option("--teacher", type=_FILE, help="dlib's embeddings of the same pictures.")
@click.option("--grouper", default=GROUPER, show_default=True, help="module:function")
@click.option("--train", is_flag=True, help="On training people instead of the validation people.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the table to this file.")
def evaluate_command(
    crops: Path, weights: Path, teacher: Path | None, grouper: str, train: bool, out: Path | None
) -> None:
    """Print a table of scores."""
    table = report(_grouper(grouper), read(crops, weights, teacher), train)
    if out is not None:
        out.write_text(table, encoding="utf-8")
    click.echo(table, nl=False)


@main.command("fit")
@click.option("--crops", required=True, type=_FILE, help="What `rollcall_model.training.prepare` wrote.")
@click.option("--weights", default=shipped.PATH, type=_FILE, help="Weights of the attribute network.")
@click.option("--grouper", default=GROUPER, show_default=True, help="module:function")
@click.option("--constants", required=True, type=_FILE, help="The file of constants, which is replaced.")
def fit_command(crops: Path, weights: Path, grouper: str, constants: Path) -> None:
    """Fit the constants on training people, in minutes: what is tried and how well it does is logged."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    start = json.loads(constants.read_text(encoding="utf-8"))
    faces = read(crops, weights, None, few=True)
    found = fit(_grouper(grouper), faces, start) | {"weights": AttributeModel(weights).version}
    constants.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
