"""Convolutions in their fast forms: the same outputs and gradients as in the plain ones."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from rollcall_model.nn import layers


def random(seed: int, *shape: int) -> Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def gradients(run: Callable[[Array, Array], Array], x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    result, back = jax.vjp(run, x, kernel)
    return result, back(jnp.cos(jnp.arange(result.size, dtype=jnp.float32)).reshape(result.shape))


def plain_depthwise(x: Array, kernel: Array) -> Array:
    return jax.lax.conv_general_dilated(
        x,
        kernel[:, :, None],
        (1, 1),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


@pytest.mark.parametrize("form", [layers.conv_pairs, layers.conv_blocks])
@pytest.mark.parametrize("shape", [(2, 6, 8, 3), (1, 10, 4, 7)])
def test_a_convolution_is_the_same_in_every_form(form: Callable[..., Array], shape: tuple[int, ...]) -> None:
    x, kernel = random(0, *shape), random(1, 3, 3, shape[-1], 5)
    expected = layers.conv_direct(x, kernel)
    output = form(x, kernel)
    if form is layers.conv_blocks:
        n, h, w, _, o = output.shape
        output = output.reshape(n, h, w, 2, 2, o).transpose(0, 1, 3, 2, 4, 5).reshape(n, 2 * h, 2 * w, o)
    np.testing.assert_allclose(output, expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(2, 7, 9, 3), (1, 3, 5, 2)])
def test_without_padding_a_halving_convolution_sees_every_second_place(shape: tuple[int, ...]) -> None:
    x, kernel = random(0, *shape), random(1, 3, 3, shape[-1], 5)
    np.testing.assert_allclose(layers.conv_halved_inside(x, kernel), layers.conv_direct(x, kernel, stride=2), atol=1e-4)


def test_without_padding_a_depthwise_convolution_is_the_inner_part_of_the_padded_one() -> None:
    x, kernel = random(0, 2, 7, 9, 6), random(1, 3, 3, 6)
    np.testing.assert_allclose(layers.depthwise_inside(x, kernel), plain_depthwise(x, kernel)[:, 1:-1, 1:-1], atol=1e-5)


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("shape", [(4, 7, 9, 6), (1, 3, 3, 2)])
def test_depthwise_products_and_their_gradients(size: int, shape: tuple[int, ...]) -> None:
    x, kernel = random(0, *shape), random(1, size, size, shape[-1])
    for fast, plain in zip(
        jax.tree.leaves(gradients(layers.depthwise, x, kernel)),
        jax.tree.leaves(gradients(plain_depthwise, x, kernel)),
        strict=True,
    ):
        np.testing.assert_allclose(fast, plain, atol=2e-4)


@pytest.mark.parametrize("shape", [(3, 12, 11, 4), (5, 2, 3, 4), (6, 4)])
def test_pointwise_products_and_their_gradients(shape: tuple[int, ...]) -> None:
    x, kernel = random(0, *shape), random(1, 4, 9)
    for fast, plain in zip(
        jax.tree.leaves(gradients(layers.pointwise, x, kernel)),
        jax.tree.leaves(gradients(lambda x, kernel: x @ kernel, x, kernel)),
        strict=True,
    ):
        np.testing.assert_allclose(fast, plain, atol=2e-4)


@pytest.mark.parametrize("width", [8, 32, 12])
def test_a_halving_convolution_is_the_direct_one_in_every_form(width: int) -> None:
    rng = np.random.default_rng(0)
    x, kernel = rng.normal(size=(2, 10, width, 3)).astype("f4"), rng.normal(size=(3, 3, 3, 5)).astype("f4")
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = np.zeros((2, 5, width // 2, 5))
    for i in range(3):
        for j in range(3):
            expected += padded[:, i : i + 10 : 2, j : j + width : 2] @ kernel[i, j]
    np.testing.assert_allclose(layers.conv_halved(x, kernel), expected, atol=1e-4)


@pytest.mark.parametrize(("channels", "size"), [(3, 4), (16, 2), (48, 2)])
def test_a_patch_is_one_vector_of_its_rows_of_pixels(channels: int, size: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, 8, 16, channels)).astype(np.float32)
    patches = np.asarray(layers.patchify(jnp.asarray(x), size))
    assert patches.shape == (2, 8 // size, 16 // size, size * size * channels)
    assert np.array_equal(patches[1, 1, 2], x[1, size : 2 * size, 2 * size : 3 * size].reshape(-1))
