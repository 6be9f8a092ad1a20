"""Rotary frequencies and their scalings against formulas written differently."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.nets.llama_rotary import (
    LinearScaling,
    Llama3Scaling,
    TableScaling,
    YarnScaling,
    turns,
    yarn_gain,
)
from antiphon.nets.transformer import rotary

PLAIN = 10_000.0 ** (-np.arange(0, 16, 2) / 16)


def test_without_scaling_as_everywhere_else():
    position = jnp.arange(5)
    np.testing.assert_allclose(turns(position, 16, 10_000.0, None), rotary(position, 16), atol=1e-6)


def test_linear_scaling_stretches_positions():
    stretched = turns(jnp.array([8]), 16, 10_000.0, LinearScaling(4.0))
    np.testing.assert_allclose(stretched, turns(jnp.array([2]), 16, 10_000.0, None), atol=1e-6)


def test_llama3_keeps_fast_pairs_and_stretches_slow_ones():
    scaling = Llama3Scaling(8.0, 1.0, 4.0, 256)
    for found, f in zip(scaling.frequencies(PLAIN, 1e4), PLAIN, strict=True):
        wavelength = 2 * math.pi / f
        if wavelength < 256 / 4:
            wanted = f
        elif wavelength > 256 / 1:
            wanted = f / 8
        else:
            smooth = (256 / wavelength - 1) / 3
            wanted = (1 - smooth) * f / 8 + smooth * f
        assert found == pytest.approx(wanted, rel=1e-12)
    assert scaling.frequencies(PLAIN, 1e4)[0] == PLAIN[0]
    assert scaling.frequencies(PLAIN, 1e4)[-1] == PLAIN[-1] / 8


def test_yarn_by_the_number_of_turns():
    scaling = YarnScaling(4.0, 64, yarn_gain(4.0), fast=8.0, slow=0.5, truncate=False)
    ratio = scaling.frequencies(PLAIN, 1e4) / PLAIN
    rotations = 64 * PLAIN / (2 * math.pi)
    assert (ratio[rotations >= 8] == 1).all()
    np.testing.assert_allclose(ratio[rotations <= 0.5], 0.25)
    between = (rotations < 8) & (rotations > 0.5)
    assert between.sum() >= 2
    # Pairs are spaced evenly in the logarithm of their turns, so the ramp is a straight line in it.
    share = np.log(8 / rotations[between]) / np.log(16)
    np.testing.assert_allclose(ratio[between], share / 4 + 1 - share, rtol=1e-9)


def test_yarn_sharpens():
    assert yarn_gain(1.0) == 1.0
    assert yarn_gain(math.e**10) == pytest.approx(2.0)
    plain = YarnScaling(4.0, 64, 1.0)
    sharper = YarnScaling(4.0, 64, 1.5)
    position = jnp.arange(3)
    np.testing.assert_allclose(
        turns(position, 16, 1e4, sharper), 1.5 * turns(position, 16, 1e4, plain), rtol=1e-6
    )


def test_a_table_has_a_factor_for_each_pair():
    np.testing.assert_allclose(
        TableScaling(tuple(range(1, 9))).frequencies(PLAIN, 1e4), PLAIN / np.arange(1, 9)
    )
    with pytest.raises(UserError, match="2 rotary factors for 8 pairs"):
        TableScaling((1.0, 2.0)).frequencies(PLAIN, 1e4)
