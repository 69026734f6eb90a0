"""Calibration of the probabilities: temperatures, a tilt of the ages, a shift of the gender's logit.

`evaluation.calibrate` fits it on validation faces and stores it in the weights' metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rollcall_model import checkpoint
from rollcall_model.ages import AGE_CENTRE, AGE_SCALE, AGES
from rollcall_model.attributes.network import Outputs


class Calibration(NamedTuple):
    """The parameters of the calibration; the defaults are the identity."""

    age_temperature: float = 1.0  # divides the ages' logits where the expected age is 0
    age_temperature_growth: float = 0.0  # growth of the temperature's logarithm over 50 expected years
    #: a x + b x^2 with x = (year - 50) / 50 is added to the logits: training oversamples rare ages, and this undoes the
    #: bias against common ones.
    age_tilt: tuple[float, float] = (0.0, 0.0)
    gender_temperature: float = 1.0
    gender_shift: float = 0.0


def read_calibration(metadata: Mapping[str, Any]) -> Calibration:
    """Return the calibration in the weights' metadata, or the identity; other entries beside it are ignored."""
    stored = metadata.get("calibration", {})
    known = {name: stored[name] for name in Calibration._fields if name in stored}
    calibration: Calibration = checkpoint.configured(Calibration, known)
    return calibration


def calibrate(out: Outputs, calibration: Calibration) -> tuple[Float[Array, "n 101"], Float[Array, " n"]]:
    """Return the calibrated probabilities of the ages and of female."""
    years = jnp.arange(AGES, dtype=jnp.float32)
    expected = jax.nn.softmax(out.age) @ years
    temperature = calibration.age_temperature * jnp.exp(calibration.age_temperature_growth * expected / AGE_SCALE)
    x = (years - AGE_CENTRE) / AGE_SCALE
    tilt = calibration.age_tilt[0] * x + calibration.age_tilt[1] * x * x
    return (
        jax.nn.softmax(out.age / temperature[:, None] + tilt),
        jax.nn.sigmoid(out.female / calibration.gender_temperature + calibration.gender_shift),
    )
