"""A small correction of the heads, learnt from what one person said of a few faces.

The networks stay as they are. Their age distributions p become softmax(log p / T + a x + b x^2 + (w . f) x) with
x = (year - 50) / 50 and f features of the face's looks: a temperature, a tilt of all ages, and a shift of the ages
of those who look alike; the logit of female becomes logit / T + a + w . f. The parameters are the most likely ones
under a prior that keeps them small. Faces that nobody spoke of hold them back: whoever corrects says only what was
wrong, and what was not corrected is rather right.
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

AGES: Final = 101
#: Standard deviations of the prior: of the temperature's logarithm and of the tilt.
SPREAD_TEMPERATURE: Final = 0.3
SPREAD_TILT: Final = 5.0
#: That of a face's shift by its looks, as tried; 0: looks do not matter.
LOOKS: Final = (0.0, 10.0)
LOOKS_GENDER: Final = (0.0, 2.0)
#: How much all faces that nobody spoke of weigh together, against those that somebody spoke of.
ANCHORS: Final = 0.3
FOLDS: Final = 5
#: Fewer faces than this prove nothing.
FEWEST: Final = 20
#: So many standard errors the likelihood of held out faces has to gain.
SURE: Final = 1.5
_STEPS: Final = 25
_FLOOR: Final = 1e-8


class Examples(NamedTuple):
    """Faces with what the networks say and what a person said of them."""

    age: Float[np.ndarray, "n 101"]  # probabilities
    p_female: Float[np.ndarray, " n"]
    looks: Float[np.ndarray, "n d"]  # features of a face's looks, of about unit length; 0 where nothing is known
    low: Int[np.ndarray, " n"]  # the ages that a person gave, both ends included; -1: none
    high: Int[np.ndarray, " n"]
    female: Int[np.ndarray, " n"]  # 1, 0, or -1 where a person said neither
    photo: Int[np.ndarray, " n"]  # faces of one photo are never on both sides of a division


class Fitted(NamedTuple):
    """The correction of one head."""

    temperature: float
    tilt: tuple[float, float]  # for the gender the first is the shift, the second 0
    looks: Float[np.ndarray, " d"]


class Judged(NamedTuple):
    """How a correction did on faces that it was not fitted on."""

    faces: int
    loss_before: float  # mean negative log likelihood
    loss_after: float
    gain_error: float  # standard error of the difference
    error_before: float  # years outside of what was said; of the gender the share that is wrong
    error_after: float
    looks: float  # the prior's spread that did best
    fitted: Fitted | None  # on all faces; None: it does not help


Parameters = dict[str, Array]


def start(dimension: int) -> Parameters:
    """Return the parameters that change nothing."""
    return {"temperature": jnp.zeros(()), "tilt": jnp.zeros(2), "looks": jnp.zeros(dimension)}


def _shift(theta: Parameters, looks: Array, spread: Array) -> Array:
    return looks @ (theta["looks"] * spread)


def adapted_age(theta: Parameters, age: Array, looks: Array, spread: Array) -> Float[Array, "n 101"]:
    """Return the logarithms of the corrected probabilities of the ages."""
    x = (jnp.arange(AGES, dtype=jnp.float32) - 50) / 50
    tilt = theta["tilt"] * SPREAD_TILT
    logits = jnp.log(jnp.maximum(age, _FLOOR)) * jnp.exp(-theta["temperature"] * SPREAD_TEMPERATURE)
    logits = logits + tilt[0] * x + tilt[1] * x * x + _shift(theta, looks, spread)[:, None] * x
    return jax.nn.log_softmax(logits)


def adapted_gender(theta: Parameters, p_female: Array, looks: Array, spread: Array) -> Float[Array, " n"]:
    """Return the corrected logits of female."""
    p = jnp.clip(p_female, 1e-6, 1 - 1e-6)
    logit = (jnp.log(p) - jnp.log1p(-p)) * jnp.exp(-theta["temperature"] * SPREAD_TEMPERATURE)
    return logit + theta["tilt"][0] + _shift(theta, looks, spread)


def age_losses(log_p: Float[Array, "n 101"], low: Array, high: Array) -> Float[Array, " n"]:
    """Return the negative log likelihood of the ages from `low` to `high`."""
    years = jnp.arange(AGES)
    inside = (years >= low[:, None]) & (years <= high[:, None])
    return -jax.nn.logsumexp(jnp.where(inside, log_p, -1e9), axis=1)


def _prior(theta: Parameters) -> Array:
    return 0.5 * sum(jnp.sum(part**2) for part in theta.values())  # type: ignore[return-value]


def _age_objective(theta: Parameters, data: tuple[Array, ...], weight: Array, anchor: Array, spread: Array) -> Array:
    age, looks, low, high = data
    log_p = adapted_age(theta, age, looks, spread)
    moved = (age * (jnp.log(jnp.maximum(age, _FLOOR)) - log_p)).sum(axis=1)
    return (weight * age_losses(log_p, low, high)).sum() + (anchor * moved).sum() + _prior(theta)


def _gender_objective(theta: Parameters, data: tuple[Array, ...], weight: Array, anchor: Array, spread: Array) -> Array:
    p, looks, female, _ = data
    logit = adapted_gender(theta, p, looks, spread)
    loss = jax.nn.softplus(logit) - jnp.where(weight > 0, female, p) * logit
    return ((weight + anchor) * loss).sum() + _prior(theta)


@cache
def _solver(objective: Callable[..., Array]) -> Callable[..., Parameters]:
    """Return a compiled minimiser of an objective by L-BFGS."""
    lbfgs = optax.lbfgs()

    def minimise(theta: Parameters, *given: Any) -> Parameters:
        def loss(parameters: Parameters) -> Array:
            return objective(parameters, *given)

        value_and_grad = optax.value_and_grad_from_state(loss)

        def step(_: int, carry: tuple[Parameters, Any]) -> tuple[Parameters, Any]:
            parameters, state = carry
            value, slope = value_and_grad(parameters, state=state)
            change, state = lbfgs.update(slope, state, parameters, value=value, grad=slope, value_fn=loss)
            return optax.apply_updates(parameters, change), state

        return jax.lax.fori_loop(0, _STEPS, step, (theta, lbfgs.init(theta)))[0]

    return jax.jit(minimise)


class _Head(NamedTuple):
    """What is the same for both heads: the data, what was said, and how it is judged."""

    objective: Callable[..., Array]
    data: tuple[np.ndarray, ...]
    said: Bool[np.ndarray, " n"]
    spreads: tuple[float, ...]
    judge: Callable[[Parameters, Any], tuple[np.ndarray, np.ndarray]]  # losses and errors of all faces


def _age_head(examples: Examples) -> _Head:
    data = (
        examples.age.astype(np.float32),
        examples.looks.astype(np.float32),
        np.clip(examples.low, 0, AGES - 1),
        np.clip(examples.high, 0, AGES - 1),
    )

    def judge(theta: Parameters, spread: Any) -> tuple[np.ndarray, np.ndarray]:
        log_p = adapted_age(theta, jnp.asarray(data[0]), jnp.asarray(data[1]), spread)
        years = np.asarray(jnp.exp(log_p) @ jnp.arange(AGES, dtype=jnp.float32))
        outside = np.maximum(np.maximum(data[2] - years, years - data[3]), 0)
        return np.asarray(age_losses(log_p, jnp.asarray(data[2]), jnp.asarray(data[3]))), outside

    return _Head(_age_objective, data, examples.low >= 0, LOOKS, judge)


def _gender_head(examples: Examples) -> _Head:
    female = np.maximum(examples.female, 0).astype(np.float32)
    p = examples.p_female.astype(np.float32)
    data = (p, examples.looks.astype(np.float32), female, female)

    def judge(theta: Parameters, spread: Any) -> tuple[np.ndarray, np.ndarray]:
        logit = np.asarray(adapted_gender(theta, jnp.asarray(p), jnp.asarray(data[1]), spread))
        return np.asarray(jax.nn.softplus(logit)) - female * logit, ((logit > 0) != (female > 0)).astype(np.float64)

    return _Head(_gender_objective, data, examples.female >= 0, LOOKS_GENDER, judge)


def _fit(head: _Head, train: Bool[np.ndarray, " n"], spread: float) -> Parameters:
    weight = (train & head.said).astype(np.float32)
    silent = ~head.said
    share = ANCHORS
    anchor = silent.astype(np.float32) * np.float32(share)
    begin = start(head.data[1].shape[1])
    return _solver(head.objective)(begin, head.data, weight, anchor, jnp.float32(spread))


def _judged(head: _Head, photos: Int[np.ndarray, " n"]) -> Judged:
    said, everyone = head.said, np.ones(len(head.said), bool)
    count = int(said.sum())
    groups = np.unique(photos[said])
    nothing = start(head.data[1].shape[1])
    if count < FEWEST or len(groups) < FOLDS:
        losses, errors = (column[said] for column in head.judge(nothing, jnp.float32(0)))
        mean = [float(column.mean()) if count else 0.0 for column in (losses, errors)]
        return Judged(count, mean[0], mean[0], 0.0, mean[1], mean[1], 0.0, None)
    fold_of = dict(
        zip(groups.tolist(), (np.random.default_rng(0).permutation(len(groups)) % FOLDS).tolist(), strict=True)
    )
    fold = np.array([fold_of.get(int(photo), -1) for photo in photos])
    losses, errors = head.judge(nothing, jnp.float32(0))
    best: tuple[float, float, np.ndarray, np.ndarray] | None = None
    for spread in head.spreads:
        after, wrong = np.zeros(len(said)), np.zeros(len(said))
        for number in range(FOLDS):
            theta = _fit(head, fold != number, spread)
            held = fold == number
            for column, found in zip((after, wrong), head.judge(theta, jnp.float32(spread)), strict=True):
                column[held] = found[held]
        score = float(after[said].mean())
        if best is None or score < best[0]:
            best = (score, spread, after, wrong)
    assert best is not None
    _, spread, after, wrong = best
    gain = (losses - after)[said]
    doubt = float(gain.std(ddof=1) / np.sqrt(count))
    helps = gain.mean() > SURE * doubt and wrong[said].mean() <= errors[said].mean()
    fitted = None
    if helps:
        theta = _fit(head, everyone, spread)
        tilt = np.asarray(theta["tilt"], np.float64) * (SPREAD_TILT if len(head.data[0].shape) == 2 else 1.0)
        fitted = Fitted(
            float(np.exp(theta["temperature"] * SPREAD_TEMPERATURE)),
            (float(tilt[0]), float(tilt[1]) if len(head.data[0].shape) == 2 else 0.0),
            np.asarray(theta["looks"], np.float64) * spread,
        )
    before, behind = float(errors[said].mean()), float(wrong[said].mean())
    return Judged(count, float(losses[said].mean()), float(after[said].mean()), doubt, before, behind, spread, fitted)


def adapt(examples: Examples) -> tuple[Judged, Judged]:
    """Return the corrections of the ages and of the gender, each judged by cross-validation and left out if no help.

    Of several spreads of the prior the one is taken that does best on faces of photos that were held out.
    """
    return _judged(_age_head(examples), examples.photo), _judged(_gender_head(examples), examples.photo)
