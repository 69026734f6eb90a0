"""Fits of the calibration to the network's outputs for labelled faces, and their scores."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, UInt8

from rollcall_model.ages import AGES, CHILD_BELOW, INTERVAL_COVERAGE, OLDEST
from rollcall_model.attributes.calibration import Calibration, calibrate
from rollcall_model.attributes.model import load_net
from rollcall_model.attributes.network import Outputs
from rollcall_model.evaluation import metrics

#: The forms that are compared, and whether the temperature grows with age and the ages are tilted.
FORMS: Final = {
    "one temperature": (False, False),
    "temperature by age": (True, False),
    "one temperature, tilted ages": (False, True),
    "temperature by age, tilted ages": (True, True),
}
#: Weight of a year of error against a unit of log likelihood.
ERROR_WEIGHT: Final = 0.1
#: Ridge penalty of the tilt, which few faces determine.
RIDGE: Final = 1e-3
#: Divisions into halves that cross-fitted scores are averaged over.
DIVISIONS: Final = 4
#: Twice the gain in log likelihood above which one more parameter is no noise (chi-squared, 5 %).
LIKELIHOOD_RATIO: Final = 3.84
#: Range of the logarithm of the factor that sets the interval's coverage, and the steps of its bisection.
_SCALE_RANGE: Final = (-0.7, 0.7)
_BISECTIONS: Final = 12
#: Faces that an age band needs for its coverage to count.
_BAND_FACES: Final = 20
_TINY: Final = 1e-12


class Examples(NamedTuple):
    """Uncalibrated outputs for faces whose age is known to the year, with their labels."""

    out: Outputs
    years: Float[np.ndarray, " n"]  # may exceed 100
    female: Int[np.ndarray, " n"]  # 1, 0, or -1 where unknown

    def take(self, rows: Int[np.ndarray, " m"]) -> Examples:
        """Return the examples at `rows`."""
        out = Outputs(*(np.asarray(column)[rows] for column in self.out))
        return Examples(out, self.years[rows], self.female[rows])


def uncalibrated(weights: Path, crops: UInt8[np.ndarray, "n s s 3"], batch: int = 64) -> Outputs:
    """Return the network's outputs for RGB crops, before any calibration.

    Raises
    ------
    WeightsError
        If the weights are missing or do not fit the network.
    """
    net, _ = load_net(weights)
    graph, state = nnx.split(net)
    run = jax.jit(lambda pixels: nnx.merge(graph, state)(pixels.astype(jnp.float32)))
    parts = []
    for start in range(0, len(crops), batch):
        part = crops[start : start + batch]
        padding = np.zeros((batch - len(part), *part.shape[1:]), np.uint8)
        out = run(np.concatenate([part, padding]))
        parts.append([np.asarray(column)[: len(part)] for column in out])
    return Outputs(*(np.concatenate(column) for column in zip(*parts, strict=True)))  # type: ignore[arg-type]


def apply(out: Outputs, calibration: Calibration) -> tuple[Float[np.ndarray, "n 101"], Float[np.ndarray, " n"]]:
    """Return the calibrated probabilities of the ages and of female, as NumPy arrays."""
    age, female = calibrate(Outputs(*map(jnp.asarray, out)), calibration)
    return np.asarray(age, np.float64), np.asarray(female, np.float64)


def fit(examples: Examples, form: str) -> Calibration:
    """Return the calibration of one of `FORMS` that fits the examples.

    The likelihood determines the shape; the temperature is then scaled so that the prediction interval covers the true
    age of 80 % of the faces.
    """
    growth, tilt = FORMS[form]
    free = jnp.asarray([1, growth, tilt, tilt], jnp.float32)
    theta = minimise(_age_objective, np.zeros(4), free, examples.out, jnp.asarray(examples.years))
    gender = _fit_gender(examples)
    fitted = Calibration(
        float(np.exp(theta[0])),
        float(theta[1]) if growth else 0.0,
        (float(theta[2]), float(theta[3])) if tilt else (0.0, 0.0),
        float(np.exp(gender[0])),
        float(gender[1]),
    )
    low, high = _SCALE_RANGE
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        age, _ = apply(examples.out, _scaled(fitted, middle))
        if metrics.covered(age, examples.years).mean() < INTERVAL_COVERAGE:
            low = middle
        else:
            high = middle
    return _scaled(fitted, (low + high) / 2)


def _fit_gender(examples: Examples) -> Float[np.ndarray, " 2"]:
    """Return the log temperature and the shift of the gender's logit.

    The shift is 0 unless the labels show it: on a few thousand faces it is mostly noise, which moves the threshold.
    """
    female, results = jnp.asarray(examples.female), []
    known = int((examples.female >= 0).sum())
    if not known:
        return np.zeros(2)
    for free in (jnp.array([1.0, 0.0]), jnp.array([1.0, 1.0])):
        theta = minimise(_gender_objective, np.zeros(2), free, examples.out, female)
        results.append((theta, float(_gender_objective(jnp.asarray(theta, jnp.float32), free, examples.out, female))))
    (plain, loss), (shifted, less) = results
    return shifted if 2 * known * (loss - less) > LIKELIHOOD_RATIO else np.array([plain[0], 0.0])


def _scaled(calibration: Calibration, log_factor: float) -> Calibration:
    return calibration._replace(age_temperature=float(calibration.age_temperature * np.exp(log_factor)))


def _age_objective(theta: Array, free: Array, out: Outputs, years: Array) -> Array:
    """Return the mean negative log likelihood plus the (smoothed) error of the expected age.

    `theta` are log temperature, growth and tilt; parameters whose `free` is 0 stay 0.
    """
    theta = theta * free
    calibration = Calibration(jnp.exp(theta[0]), theta[1], (theta[2], theta[3]))  # type: ignore[arg-type]
    p, _ = calibrate(out, calibration)
    truth = jnp.clip(years, 0, OLDEST).astype(jnp.int32)
    likelihood = jnp.take_along_axis(p, truth[:, None], 1)[:, 0]
    error = p @ jnp.arange(AGES, dtype=jnp.float32) - years
    smooth = jnp.sqrt(error**2 + 0.25)
    return (-jnp.log(likelihood + _TINY) + ERROR_WEIGHT * smooth).mean() + RIDGE * (theta[2:] ** 2).sum()


def _gender_objective(theta: Array, free: Array, out: Outputs, female: Array) -> Array:
    """Return the mean negative log likelihood.

    `theta` are log temperature and shift; parameters whose `free` is 0 stay 0.
    """
    theta = theta * free
    logit = out.female * jnp.exp(-theta[0]) + theta[1]
    known = female >= 0
    return jnp.where(known, jax.nn.softplus(logit) - female * logit, 0).sum() / known.sum()


def minimise(
    objective: Callable[..., Array], start: Float[np.ndarray, " k"], *arguments: Any
) -> Float[np.ndarray, " k"]:
    """Return the minimiser of `objective(theta, *arguments)` by Newton's method with bounded steps.

    Negative curvature is replaced by its absolute value, so that every step descends.
    """
    theta = np.asarray(start, np.float64)
    for _ in range(40):
        gradient, hessian = (np.asarray(d, np.float64) for d in _derivatives(objective)(theta, arguments))
        values, vectors = np.linalg.eigh(hessian)
        step = vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(values), 1e-4))
        length = float(np.linalg.norm(step))
        theta = theta - step * min(1.0, 0.5 / max(length, _TINY))
        if length < 1e-4:
            break
    return theta


@cache
def _derivatives(objective: Callable[..., Array]) -> Callable[..., tuple[Array, Array]]:
    """Return the compiled gradient and Hessian with respect to theta."""

    @jax.jit
    def both(theta: Array, arguments: Any) -> tuple[Array, Array]:
        return jax.grad(objective)(theta, *arguments), jax.hessian(objective)(theta, *arguments)

    return lambda theta, arguments: both(jnp.asarray(theta, jnp.float32), arguments)


def scores(
    age: Float[np.ndarray, "n 101"],
    p_female: Float[np.ndarray, " n"],
    years: Float[np.ndarray, " n"],
    female: Int[np.ndarray, " n"],
) -> dict[str, float]:
    """Return the calibration scores of probabilities; `coverage_gap` is the mean over bands of the estimated age."""
    estimated, covered = metrics.estimate(age), metrics.covered(age, years)
    band, child, known = metrics.band_of(estimated), years < CHILD_BELOW, female >= 0
    in_band = [band == number for number in np.unique(band)]
    gaps = [abs(covered[mine].mean() - INTERVAL_COVERAGE) for mine in in_band if mine.sum() >= _BAND_FACES]
    truth = np.minimum(years, OLDEST).astype(int)
    error = np.abs(estimated - years)
    result = {
        "coverage": float(covered.mean()),
        "coverage_gap": float(np.mean(gaps)) if gaps else float(abs(covered.mean() - INTERVAL_COVERAGE)),
        "age_mae": float(error.mean()),
        "age_mae_child": float(error[child].mean()) if child.any() else 0.0,
        "age_log_loss": float(-np.log(age[np.arange(len(age)), truth] + _TINY).mean()),
        "child_average_precision": metrics.average_precision(metrics.p_child(age), child),
        "child_ece": metrics.calibration_error(metrics.p_child(age), child),
    }
    if known.any():
        p, is_female = p_female[known], female[known] == 1
        result["gender_ece"] = metrics.calibration_error(p, is_female)
        result["gender_log_loss"] = float(-np.log(np.where(is_female, p, 1 - p) + _TINY).mean())
    return result


def cost(line: dict[str, float]) -> float:
    """Return the criterion that chooses a form: log loss, errors of all and of children, unequal coverage of bands."""
    errors = line["age_mae"] + line["age_mae_child"]
    return line["age_log_loss"] + ERROR_WEIGHT * errors + line["coverage_gap"]


def cross_fit(
    examples: Examples, form: str, half: Bool[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "n 101"], Float[np.ndarray, " n"]]:
    """Return calibrated probabilities; each half of the faces is calibrated by a fit on the other."""
    age, p_female = np.zeros((len(half), AGES)), np.zeros(len(half))
    for mine, other in ((half, ~half), (~half, half)):
        rows = np.flatnonzero(mine)
        age[rows], p_female[rows] = apply(examples.take(rows).out, fit(examples.take(np.flatnonzero(other)), form))
    return age, p_female


def halves(count: int) -> list[Bool[np.ndarray, " n"]]:
    """Return the divisions into halves, the same for every call."""
    rng = np.random.default_rng(0)
    return [rng.permutation(count) < count // 2 for _ in range(DIVISIONS)]


def cross_fitted_scores(examples: Examples, form: str) -> dict[str, float]:
    """Return the scores of a form by cross-fitting, the mean over several divisions."""
    parts = [
        scores(*cross_fit(examples, form, half), examples.years, examples.female)
        for half in halves(len(examples.years))
    ]
    return {name: float(np.mean([part[name] for part in parts])) for name in parts[0]}
