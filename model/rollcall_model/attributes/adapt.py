"""Adaptation of the age and gender heads to one person's corrections of a few faces.

The networks stay as they are. An age distribution p becomes softmax(log p / T + a x + b x^2 + (w . f) x), where
x = (year - 50) / 50 and f are features of the face's embedding: a temperature, a tilt of all ages, and a shift of the
ages of similar faces. The logit of female becomes logit / T + a + w . f. The parameters are the maximum a posteriori
estimate under a prior that keeps them small. Uncorrected faces act as anchors: people correct what is wrong, so an
uncorrected prediction is more likely right.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from rollcall_model.ages import AGE_CENTRE, AGE_SCALE, AGES

#: Standard deviations of the prior: of the temperature's logarithm and of the tilt.
TEMPERATURE_STD: Final = 0.3
TILT_STD: Final = 5.0
#: Candidates for the prior's standard deviation of the shift by features; 0: features are not used.
AGE_FEATURE_STDS: Final = (0.0, 10.0)
GENDER_FEATURE_STDS: Final = (0.0, 2.0)
#: Weight of an uncorrected face, relative to a corrected one.
ANCHOR_WEIGHT: Final = 0.3
FOLDS: Final = 5
#: Below this number of corrected faces nothing is fitted.
MIN_FACES: Final = 20
#: Standard errors by which the likelihood of held-out faces has to rise.
MIN_GAIN: Final = 1.5
#: What the loss of held-out faces may be, as a share of the loss of a guess that knows nothing. Corrections that are
#: random numbers raise the likelihood of faces that were held out too, as long as the predictions become vaguer: but
#: never beyond a guess.
MOST_OF_A_GUESS: Final = 0.8
_STEPS: Final = 25
#: The lowest number of faces that a fit is compiled for.
_FEWEST: Final = 256
_FLOOR: Final = 1e-8


class Examples(NamedTuple):
    """Faces with the networks' predictions and a person's corrections."""

    age: Float[np.ndarray, "n 101"]  # predicted probabilities
    p_female: Float[np.ndarray, " n"]  # predicted, 0..1
    features: Float[np.ndarray, "n d"]  # of the embedding, about unit length; 0 where there is no embedding
    low: Int[np.ndarray, " n"]  # corrected age in completed years, both ends included; -1: not corrected
    high: Int[np.ndarray, " n"]
    female: Int[np.ndarray, " n"]  # corrected gender: 1, 0, or -1 where there is neither
    photo: Int[np.ndarray, " n"]  # faces of one photo are always in the same fold


class HeadCorrection(NamedTuple):
    """The correction of one head."""

    temperature: float
    tilt: tuple[float, float]  # for gender the shift and 0
    feature_weights: Float[np.ndarray, " d"]


class CrossValidation(NamedTuple):
    """Scores of a correction on held-out faces."""

    faces: int  # corrected ones
    loss_before: float  # mean negative log likelihood of the corrections
    loss_after: float
    gain_error: float  # standard error of the difference
    error_before: float  # years outside the corrected range; for gender the error rate
    error_after: float
    feature_std: float  # the prior's standard deviation that scored best
    fitted: HeadCorrection | None  # on all faces; None: no improvement


Parameters = dict[str, Array]


def identity_parameters(dimension: int) -> Parameters:
    """Return the parameters that change nothing, in units of the prior's standard deviations."""
    return {"temperature": jnp.zeros(()), "tilt": jnp.zeros(2), "features": jnp.zeros(dimension)}


def _shift(theta: Parameters, features: Array, feature_std: Array) -> Array:
    return features @ (theta["features"] * feature_std)


def adapted_age(theta: Parameters, age: Array, features: Array, feature_std: Array) -> Float[Array, "n 101"]:
    """Return the logarithms of the corrected age probabilities."""
    x = (jnp.arange(AGES, dtype=jnp.float32) - AGE_CENTRE) / AGE_SCALE
    tilt = theta["tilt"] * TILT_STD
    logits = jnp.log(jnp.maximum(age, _FLOOR)) * jnp.exp(-theta["temperature"] * TEMPERATURE_STD)
    logits = logits + tilt[0] * x + tilt[1] * x * x + _shift(theta, features, feature_std)[:, None] * x
    return jax.nn.log_softmax(logits)


def adapted_gender(theta: Parameters, p_female: Array, features: Array, feature_std: Array) -> Float[Array, " n"]:
    """Return the corrected logits of female."""
    p = jnp.clip(p_female, 1e-6, 1 - 1e-6)
    logit = (jnp.log(p) - jnp.log1p(-p)) * jnp.exp(-theta["temperature"] * TEMPERATURE_STD)
    return logit + theta["tilt"][0] + _shift(theta, features, feature_std)


def age_losses(log_p: Float[Array, "n 101"], low: Array, high: Array) -> Float[Array, " n"]:
    """Return the negative log likelihood of an age between `low` and `high`, both included."""
    years = jnp.arange(AGES)
    inside = (years >= low[:, None]) & (years <= high[:, None])
    return -jax.nn.logsumexp(jnp.where(inside, log_p, -1e9), axis=1)


_adapted_age = jax.jit(adapted_age)
_adapted_gender = jax.jit(adapted_gender)
_age_losses = jax.jit(age_losses)


def _prior(theta: Parameters) -> Array:
    return 0.5 * sum(jnp.sum(part**2) for part in theta.values())  # type: ignore[return-value]


def _age_objective(
    theta: Parameters, data: tuple[Array, ...], weight: Array, anchor: Array, feature_std: Array
) -> Array:
    age, features, low, high = data
    log_p = adapted_age(theta, age, features, feature_std)
    divergence = (age * (jnp.log(jnp.maximum(age, _FLOOR)) - log_p)).sum(axis=1)
    return (weight * age_losses(log_p, low, high)).sum() + (anchor * divergence).sum() + _prior(theta)


def _gender_objective(
    theta: Parameters, data: tuple[Array, ...], weight: Array, anchor: Array, feature_std: Array
) -> Array:
    p, features, female, _ = data
    logit = adapted_gender(theta, p, features, feature_std)
    loss = jax.nn.softplus(logit) - jnp.where(weight > 0, female, p) * logit
    return ((weight + anchor) * loss).sum() + _prior(theta)


@cache
def _solver(objective: Callable[..., Array]) -> Callable[..., Parameters]:
    """Return a compiled L-BFGS minimiser of an objective."""
    lbfgs = optax.lbfgs()

    def minimise(theta: Parameters, *arguments: Any) -> Parameters:
        def loss(parameters: Parameters) -> Array:
            return objective(parameters, *arguments)

        value_and_grad = optax.value_and_grad_from_state(loss)

        def step(_: int, carry: tuple[Parameters, Any]) -> tuple[Parameters, Any]:
            parameters, state = carry
            value, gradient = value_and_grad(parameters, state=state)
            update, state = lbfgs.update(gradient, state, parameters, value=value, grad=gradient, value_fn=loss)
            return optax.apply_updates(parameters, update), state

        return jax.lax.fori_loop(0, _STEPS, step, (theta, lbfgs.init(theta)))[0]

    return jax.jit(minimise)


class _Head(NamedTuple):
    """What the cross-validation needs of a head: its data, objective and scores."""

    objective: Callable[..., Array]
    data: tuple[np.ndarray, ...]  # the second one is the features
    corrected: Bool[np.ndarray, " n"]
    present: Bool[np.ndarray, " n"]  # no padding
    feature_stds: tuple[float, ...]
    guess: Float[np.ndarray, " n"]  # the loss of each face if nothing were known of it
    score: Callable[[Parameters, Any], tuple[np.ndarray, np.ndarray]]  # losses and errors of all faces
    correction: Callable[[Parameters, float], HeadCorrection]

    def start(self) -> Parameters:
        return identity_parameters(self.data[1].shape[1])

    def fit(self, train: Bool[np.ndarray, " n"], feature_std: float) -> Parameters:
        weight = (train & self.corrected).astype(np.float32)
        anchor = (self.present & ~self.corrected).astype(np.float32) * np.float32(ANCHOR_WEIGHT)
        return _solver(self.objective)(self.start(), self.data, weight, anchor, jnp.float32(feature_std))


def _age_head(examples: Examples) -> _Head:
    data = (
        examples.age.astype(np.float32),
        examples.features.astype(np.float32),
        np.clip(examples.low, 0, AGES - 1),
        np.clip(examples.high, 0, AGES - 1),
    )

    def score(theta: Parameters, feature_std: Any) -> tuple[np.ndarray, np.ndarray]:
        log_p = _adapted_age(theta, jnp.asarray(data[0]), jnp.asarray(data[1]), feature_std)
        years = np.asarray(jnp.exp(log_p) @ jnp.arange(AGES, dtype=jnp.float32))
        outside = np.maximum(np.maximum(data[2] - years, years - data[3]), 0)
        return np.asarray(_age_losses(log_p, jnp.asarray(data[2]), jnp.asarray(data[3]))), outside

    def correction(theta: Parameters, feature_std: float) -> HeadCorrection:
        tilt = np.asarray(theta["tilt"], np.float64) * TILT_STD
        return _correction(theta, (float(tilt[0]), float(tilt[1])), feature_std)

    guess = np.log(AGES / (data[3] - data[2] + 1))
    return _Head(
        _age_objective, data, examples.low >= 0, examples.photo >= 0, AGE_FEATURE_STDS, guess, score, correction
    )


def _gender_head(examples: Examples) -> _Head:
    female = np.maximum(examples.female, 0).astype(np.float32)
    p = examples.p_female.astype(np.float32)
    data = (p, examples.features.astype(np.float32), female, female)

    def score(theta: Parameters, feature_std: Any) -> tuple[np.ndarray, np.ndarray]:
        logit = np.asarray(_adapted_gender(theta, jnp.asarray(p), jnp.asarray(data[1]), feature_std))
        return np.asarray(jax.nn.softplus(logit)) - female * logit, ((logit > 0) != (female > 0)).astype(np.float64)

    def correction(theta: Parameters, feature_std: float) -> HeadCorrection:
        return _correction(theta, (float(theta["tilt"][0]), 0.0), feature_std)

    guess = np.full(len(female), np.log(2.0))
    return _Head(
        _gender_objective,
        data,
        examples.female >= 0,
        examples.photo >= 0,
        GENDER_FEATURE_STDS,
        guess,
        score,
        correction,
    )


def _correction(theta: Parameters, tilt: tuple[float, float], feature_std: float) -> HeadCorrection:
    return HeadCorrection(
        float(np.exp(theta["temperature"] * TEMPERATURE_STD)),
        tilt,
        np.asarray(theta["features"], np.float64) * feature_std,
    )


def _folds(photos: Int[np.ndarray, " n"], groups: Int[np.ndarray, " g"]) -> Int[np.ndarray, " n"]:
    """Return the fold of each face by its photo; -1 for photos without a corrected face."""
    numbers = np.random.default_rng(0).permutation(len(groups)) % FOLDS
    fold_of = dict(zip(groups.tolist(), numbers.tolist(), strict=True))
    return np.array([fold_of.get(int(photo), -1) for photo in photos])


def _held_out(head: _Head, folds: Int[np.ndarray, " n"], feature_std: float) -> tuple[np.ndarray, np.ndarray]:
    """Return losses and errors of all faces, each predicted by a fit on the other folds."""
    losses, errors = np.zeros(len(folds)), np.zeros(len(folds))
    for number in range(FOLDS):
        theta = head.fit(folds != number, feature_std)
        mine = folds == number
        for column, found in zip((losses, errors), head.score(theta, jnp.float32(feature_std)), strict=True):
            column[mine] = found[mine]
    return losses, errors


def _cross_validate(head: _Head, photos: Int[np.ndarray, " n"]) -> CrossValidation:
    corrected = head.corrected
    count, groups = int(corrected.sum()), np.unique(photos[corrected])
    before, errors_before = (column[corrected] for column in head.score(head.start(), jnp.float32(0)))
    loss, error = (float(column.mean()) if count else 0.0 for column in (before, errors_before))
    if count < MIN_FACES or len(groups) < FOLDS:
        return CrossValidation(count, loss, loss, 0.0, error, error, 0.0, None)
    folds = _folds(photos, groups)
    candidates = []
    for feature_std in head.feature_stds:
        after, errors_after = (column[corrected] for column in _held_out(head, folds, feature_std))
        candidates.append((float(after.mean()), feature_std, after, float(errors_after.mean())))
    best_loss, feature_std, after, error_after = min(candidates, key=lambda candidate: candidate[0])
    gain = before - after
    gain_error = float(gain.std(ddof=1) / np.sqrt(count))
    fitted = None
    better_than_a_guess = best_loss < MOST_OF_A_GUESS * float(head.guess[corrected].mean())
    if gain.mean() > MIN_GAIN * gain_error and error_after <= error and better_than_a_guess:
        everyone = np.ones(len(corrected), bool)
        fitted = head.correction(head.fit(everyone, feature_std), feature_std)
    return CrossValidation(count, loss, best_loss, gain_error, error, error_after, feature_std, fitted)


def _padded(examples: Examples) -> Examples:
    """Return examples with as many others, of photo -1, as make their number a power of two.

    Programs are compiled for a number of faces, which takes seconds: not anew after each correction.
    """
    count = len(examples.photo)
    more = max(_FEWEST, 1 << max(count - 1, 0).bit_length()) - count
    filling = (1 / AGES, 0.5, 0, -1, -1, -1, -1)
    return Examples(
        *(
            np.concatenate([part, np.full((more, *part.shape[1:]), value, part.dtype)])
            for part, value in zip(examples, filling, strict=True)
        )
    )


def adapt(examples: Examples) -> tuple[CrossValidation, CrossValidation]:
    """Fit corrections of age and gender; each is left out where cross-validation shows no improvement.

    Folds are divided by photo. Of several standard deviations of the prior the one with the lowest held-out loss is
    used.
    """
    examples = _padded(examples)
    return (
        _cross_validate(_age_head(examples), examples.photo),
        _cross_validate(_gender_head(examples), examples.photo),
    )
