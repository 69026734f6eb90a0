"""What makes the network's probabilities mean what they say, fitted on faces it was not trained on.

`python -m rollcall_model.calibrate --data SETS --crops CROPS --weights IN --out OUT` fits a `Calibration`
and stores it, with its scores, among the facts of the weights. Four forms for the ages are compared, and
the best by *cross-fitting* is taken: each face is scored with what was fitted on other faces. `p_child`
needs no calibration of its own: it is the mass below 13 of the calibrated ages, and stays that.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from rollcall_model import attributes, checkpoint, data, evaluate, measures, runtime
from rollcall_model.attributes import Calibration, Outputs

#: The forms that are tried, and whether the temperature grows with age and the ages are tilted.
FORMS: Final = {
    "one temperature": (False, False),
    "temperature by age": (True, False),
    "one temperature, tilted ages": (False, True),
    "temperature by age, tilted ages": (True, True),
}
#: What a year of error weighs against a unit of log likelihood.
ERROR_WEIGHT: Final = 0.1
#: Keeps the tilt small where few faces speak for it.
RIDGE: Final = 1e-3
#: How often the faces are divided anew into halves.
DIVISIONS: Final = 4


class Examples(NamedTuple):
    """What the network gave, uncalibrated, for faces whose age is known to the year."""

    out: Outputs
    years: Float[np.ndarray, " n"]  # as labelled, may pass 100
    female: Int[np.ndarray, " n"]  # 1, 0, or -1 where unknown

    def of(self, rows: Int[np.ndarray, " m"]) -> Examples:
        """Return the examples of some rows."""
        out = Outputs(*(np.asarray(column)[rows] for column in self.out))
        return Examples(out, self.years[rows], self.female[rows])


def raw(weights: Path, crops: np.ndarray, batch: int = 64) -> Outputs:
    """Return what the network gives for crops, uint8 (n, s, s, 3), before any calibration.

    Raises
    ------
    WeightsError
        If the weights are missing or do not fit.
    """
    net, _ = attributes.load_net(weights)
    graph, state = nnx.split(net)
    run = jax.jit(lambda pixels: nnx.merge(graph, state)(pixels.astype(jnp.float32)))
    parts = []
    for start in range(0, len(crops), batch):
        part = crops[start : start + batch]
        padding = np.zeros((batch - len(part), *part.shape[1:]), np.uint8)
        found = run(np.concatenate([part, padding]))
        parts.append([np.asarray(column)[: len(part)] for column in found])
    return Outputs(*(np.concatenate(column) for column in zip(*parts, strict=True)))  # type: ignore[arg-type]


def _of_parameters(theta: Array, free: Array) -> Calibration:
    """Return the ages' calibration: log temperature, growth, tilt; those that are not free stay 0."""
    theta = theta * free
    return Calibration(jnp.exp(theta[0]), theta[1], (theta[2], theta[3]))  # type: ignore[arg-type]


def _age_objective(theta: Array, free: Array, out: Outputs, years: Array) -> Array:
    """Return the mean negative log likelihood, plus the (smoothed) error of the expected age."""
    p, _ = attributes.calibrated(out, _of_parameters(theta, free))
    truth = jnp.clip(years, 0, measures.OLDEST).astype(jnp.int32)
    likelihood = jnp.take_along_axis(p, truth[:, None], 1)[:, 0]
    error = p @ jnp.arange(attributes.AGES, dtype=jnp.float32) - years
    smooth = jnp.sqrt(error**2 + 0.25)
    return (-jnp.log(likelihood + 1e-12) + ERROR_WEIGHT * smooth).mean() + RIDGE * (theta[2:] ** 2).sum()


def _gender_objective(theta: Array, out: Outputs, female: Array) -> Array:
    """Return the mean negative log likelihood over log temperature and shift."""
    logit = out.female * jnp.exp(-theta[0]) + theta[1]
    known = female >= 0
    return jnp.where(known, jax.nn.softplus(logit) - female * logit, 0).sum() / known.sum()


def minimise(objective: Callable[..., Array], start: Float[np.ndarray, " k"], *given: Any) -> Float[np.ndarray, " k"]:
    """Return where `objective(theta, *given)` is smallest, by Newton's method with bounded steps.

    Directions that curve downwards are taken as if they curved upwards, so that no step climbs.
    """
    theta = np.asarray(start, np.float64)
    for _ in range(40):
        slope, curve = (np.asarray(d, np.float64) for d in _derivatives(objective)(theta, given))
        values, vectors = np.linalg.eigh(curve)
        step = vectors @ ((vectors.T @ slope) / np.maximum(np.abs(values), 1e-4))
        length = float(np.linalg.norm(step))
        theta = theta - step * min(1.0, 0.5 / max(length, 1e-12))
        if length < 1e-4:
            break
    return theta


@cache
def _derivatives(objective: Callable[..., Array]) -> Callable[..., tuple[Array, Array]]:
    """Return the compiled first and second derivatives by theta."""
    both = jax.jit(lambda theta, given: (jax.grad(objective)(theta, *given), jax.hessian(objective)(theta, *given)))
    return lambda theta, given: both(jnp.asarray(theta, jnp.float32), given)


def apply(out: Outputs, calibration: Calibration) -> tuple[Float[np.ndarray, "n 101"], Float[np.ndarray, " n"]]:
    """Return the calibrated probabilities of the ages and of female, as NumPy arrays."""
    age, female = attributes.calibrated(Outputs(*map(jnp.asarray, out)), calibration)
    return np.asarray(age, np.float64), np.asarray(female, np.float64)


def fit(examples: Examples, form: str) -> Calibration:
    """Return the calibration of one form that fits the examples.

    The likelihood decides on the shape; the temperature is then scaled so that the 80 % interval holds
    the true age for 80 % of the faces.
    """
    growth, tilt = FORMS[form]
    free = jnp.asarray([1, growth, tilt, tilt], jnp.float32)
    theta = minimise(_age_objective, np.zeros(4), free, examples.out, jnp.asarray(examples.years))
    rise = float(theta[1]) if growth else 0.0
    a, b = theta[2:].tolist() if tilt else (0.0, 0.0)
    gender = np.zeros(2)
    if (examples.female >= 0).any():
        gender = minimise(_gender_objective, gender, examples.out, jnp.asarray(examples.female))

    def scaled(scale: float) -> Calibration:
        return Calibration(
            float(np.exp(theta[0] + scale)),
            rise,
            (a, b),
            float(np.exp(gender[0])),
            float(gender[1]),
        )

    low, high = -0.7, 0.7
    for _ in range(12):
        middle = (low + high) / 2
        age, _ = apply(examples.out, scaled(middle))
        if measures.held(age, examples.years).mean() < measures.SHARE:
            low = middle
        else:
            high = middle
    return scaled((low + high) / 2)


def scores(
    age: Float[np.ndarray, "n 101"],
    p_female: Float[np.ndarray, " n"],
    years: Float[np.ndarray, " n"],
    female: Int[np.ndarray, " n"],
) -> dict[str, float]:
    """Return how far the probabilities can be believed; `coverage_gap` is the mean over bands of estimated age."""
    estimated, held = measures.estimate(age), measures.held(age, years)
    band, child, known = measures.band_of(estimated), years < measures.CHILD_BELOW, female >= 0
    gaps = [abs(held[band == i].mean() - measures.SHARE) for i in np.unique(band) if (band == i).sum() >= 20]
    truth = np.minimum(years, measures.OLDEST).astype(int)
    error = np.abs(estimated - years)
    result = {
        "coverage": float(held.mean()),
        "coverage_gap": float(np.mean(gaps)) if gaps else float(abs(held.mean() - measures.SHARE)),
        "age_mae": float(error.mean()),
        "age_mae_child": float(error[child].mean()) if child.any() else 0.0,
        "age_log_loss": float(-np.log(age[np.arange(len(age)), truth] + 1e-12).mean()),
        "child_average_precision": measures.average_precision(measures.p_child(age), child),
        "child_ece": measures.calibration_error(measures.p_child(age), child),
    }
    if known.any():
        p, is_female = p_female[known], female[known] == 1
        result["gender_ece"] = measures.calibration_error(p, is_female)
        result["gender_log_loss"] = float(-np.log(np.where(is_female, p, 1 - p) + 1e-12).mean())
    return result


#: The kinds of people that photos are tagged with: youngest, oldest, and 1 female, 0 male, None either.
KINDS: Final[dict[str, tuple[int, int, int | None]]] = {
    "babies": (0, 2, None),
    "toddlers": (1, 3, None),
    "children": (0, 12, None),
    "teenagers": (13, 19, None),
    "adults": (20, measures.OLDEST, None),
    "seniors": (60, measures.OLDEST, None),
    "women": (20, measures.OLDEST, 1),
    "men": (20, measures.OLDEST, 0),
    "girls": (0, 12, 1),
    "boys": (0, 12, 0),
}
#: Shares of right tags that a person may ask for, the probabilities that are tried, and the fewest faces to count.
PRECISIONS: Final = (0.8, 0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.98, 0.99)
THRESHOLDS: Final = np.linspace(0.5, 0.99, 99)
FEWEST: Final = 20


def _halves(count: int) -> list[Bool[np.ndarray, " n"]]:
    rng = np.random.default_rng(0)
    return [rng.permutation(count) < count // 2 for _ in range(DIVISIONS)]


def cross_fitted(examples: Examples, form: str) -> dict[str, float]:
    """Return the scores of a form when every face is judged by what was fitted on the other half."""
    found = []
    for half in _halves(len(examples.years)):
        age, p_female = np.zeros((len(half), attributes.AGES)), np.zeros(len(half))
        for mine in (np.flatnonzero(half), np.flatnonzero(~half)):
            other = np.setdiff1d(np.arange(len(half)), mine)
            age[mine], p_female[mine] = apply(examples.of(mine).out, fit(examples.of(other), form))
        found.append(scores(age, p_female, examples.years, examples.female))
    return {name: float(np.mean([one[name] for one in found])) for name in found[0]}


def cost(line: dict[str, float]) -> float:
    """Return what a form is chosen by: log loss, errors of all and of children, and the uneven coverage of bands."""
    errors = line["age_mae"] + line["age_mae_child"]
    return line["age_log_loss"] + ERROR_WEIGHT * errors + line["coverage_gap"]


def calibrate(examples: Examples) -> tuple[Calibration, dict[str, Any]]:
    """Return the calibration and the facts to store: its fields, form, and scores before, across and after."""
    tried = {form: cross_fitted(examples, form) for form in FORMS}
    form = min(tried, key=lambda name: cost(tried[name]))
    calibration = fit(examples, form)
    before = scores(*apply(examples.out, Calibration()), examples.years, examples.female)
    after = scores(*apply(examples.out, calibration), examples.years, examples.female)
    return calibration, {
        **calibration._asdict(),
        "form": form,
        "before": before,
        "cross_fitted": tried[form],
        "fitted": after,
        "tried": {name: {**line, "cost": cost(line)} for name, line in tried.items()},
    }


def cross_fitted_faces(examples: Examples, form: str) -> tuple[Float[np.ndarray, "n 101"], Float[np.ndarray, " n"]]:
    """Return distributions and P(female) of all examples, each by what was fitted on the half it is not in."""
    half = _halves(len(examples.years))[0]
    age, p_female = np.zeros((len(half), attributes.AGES)), np.zeros(len(half))
    for mine in (np.flatnonzero(half), np.flatnonzero(~half)):
        other = np.setdiff1d(np.arange(len(half)), mine)
        age[mine], p_female[mine] = apply(examples.of(mine).out, fit(examples.of(other), form))
    return age, p_female


def sure_enough(p: Float[np.ndarray, " n"], truth: Bool[np.ndarray, " n"], precision: float) -> float | None:
    """Return the least probability from which on `precision` of the faces are what they are said to be.

    Both what was counted and what the probabilities themselves promise must reach it, and three tenths of the way
    to certainty more, because the next faces are others. None: no threshold of a half or more does.
    """
    wanted = precision + 0.3 * (1 - precision)
    for threshold in THRESHOLDS:
        above = p >= threshold
        if above.sum() < FEWEST:
            return None
        if min(truth[above].mean(), p[above].mean()) >= wanted:
            return round(float(threshold), 3)
    return None


def thresholds(
    age: Float[np.ndarray, "n 101"],
    p_female: Float[np.ndarray, " n"],
    years: Float[np.ndarray, " n"],
    female: Int[np.ndarray, " n"],
) -> dict[str, dict[str, float | None]]:
    """Return for each kind of people and each of `PRECISIONS` the probability from which a tag may be set."""
    result = {}
    for name, (low, high, sex) in KINDS.items():
        p = age[:, low : high + 1].sum(axis=1)
        truth = (years >= low) & ((years <= high) | (high >= measures.OLDEST))
        if sex is not None:
            p, truth = p * (p_female if sex else 1 - p_female), truth & (female == sex)
        result[name] = {f"{precision:g}": sure_enough(p, truth, precision) for precision in PRECISIONS}
    return result


def store(weights: Path, out: Path, facts: dict[str, Any]) -> None:
    """Write the weights to `out` with the facts of a calibration, in place of any before it.

    Raises
    ------
    WeightsError
        If the weights are missing or damaged.
    """
    arrays, old = checkpoint.load(weights)
    out.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.save(out, arrays, {**old, "calibration": facts})


def main(arguments: Sequence[str] | None = None) -> None:
    """Calibrate weights from the command line."""
    parser = argparse.ArgumentParser(prog="python -m rollcall_model.calibrate", description=__doc__)
    parser.add_argument("--data", type=Path, help="Folder of the sets; not read: the crops hold their labels.")
    parser.add_argument("--crops", type=Path, required=True, help="Folder of the aligned crops that training made.")
    parser.add_argument("--weights", type=Path, required=True, help="The weights to calibrate.")
    parser.add_argument("--out", type=Path, required=True, help="File for the calibrated weights; may be the same.")
    given = parser.parse_args(arguments)
    runtime.configure()
    faces = data.load(given.crops)
    rows = evaluate.exactly_aged(faces, faces.where(split="val"))
    if len(rows) < 2:
        parser.error(f"{given.crops}: no validation faces with an age; calibration needs a few hundred")
    size = attributes.load_net(given.weights)[0].config.size
    examples = Examples(
        raw(given.weights, evaluate.central(faces, rows, size)),
        faces.ages[rows, 0].astype(np.float64),
        faces.female[rows].astype(np.int64),
    )
    calibration, facts = calibrate(examples)
    names, counts = np.unique([f"{faces.samples[row].source} val" for row in rows], return_counts=True)
    facts["faces"] = dict(zip(names.tolist(), counts.tolist(), strict=True))
    store(given.weights, given.out, facts)
    found = cross_fitted_faces(examples, facts["form"])
    table = {"faces": len(rows), "thresholds": thresholds(*found, examples.years, examples.female)}
    given.out.with_name("tag_thresholds.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    for name, line in {"without": facts["before"], **facts["tried"], "as stored": facts["fitted"]}.items():
        print(f"{name:32}", "  ".join(f"{key} {value:.4f}" for key, value in line.items()))
    print(f"taken: {facts['form']}: {calibration}")


if __name__ == "__main__":
    main()
