"""The layers everything is made of, as frozen dataclasses of arrays and functions that apply them."""

import functools
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from antiphon.nets.precision import matmul

Layer = TypeVar("Layer")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Dense:
    """An affine map.

    Attributes:
        weight: ``[d_in, d_out]``.
        bias: ``[d_out]``.
    """

    weight: Array
    bias: Array

    @staticmethod
    def init(key: PRNGKeyArray, d_in: int, d_out: int, scale: float = 1.0) -> "Dense":
        """Normal weights of deviation ``scale / sqrt(d_in)``, zero bias."""
        weight = jax.random.normal(key, (d_in, d_out)) * (scale / d_in**0.5)
        return Dense(weight, jnp.zeros(d_out))

    @staticmethod
    def orthogonal(key: PRNGKeyArray, d_in: int, d_out: int, scale: float = 1.0) -> "Dense":
        """Weights with orthogonal rows or columns of length ``scale`` (arXiv 1312.6120), zero bias."""
        return Dense(jax.nn.initializers.orthogonal(scale)(key, (d_in, d_out)), jnp.zeros(d_out))

    def __call__(self, x: Float[Array, "*B d_in"]) -> Float[Array, "*B d_out"]:
        """``x @ weight + bias`` in float32 (factors in the machine's matmul format)."""
        return matmul(x, self.weight) + self.bias.astype(jnp.float32)


def rms_norm(x: Float[Array, "*B d"], gain: Float[Array, "d"], epsilon: float = 1e-6) -> Float[Array, "*B d"]:
    """``x / rms(x) * gain`` over the last axis (arXiv 1910.07467), in float32."""
    x = x.astype(jnp.float32)
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + epsilon) * gain


def layer_norm(
    x: Float[Array, "*B d"], gain: Float[Array, "d"], epsilon: float = 1e-6
) -> Float[Array, "*B d"]:
    """Centred :func:`rms_norm` (arXiv 1607.06450 without the shift)."""
    x = x.astype(jnp.float32)
    return rms_norm(x - jnp.mean(x, axis=-1, keepdims=True), gain, epsilon)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ConvNeXt:
    """A ConvNeXt block over time (arXiv 2201.03545): depthwise convolution, norm, two-layer MLP, residual.

    Attributes:
        taps: ``[k, d]``, k odd.
        gain: of the norm, ``[d]``.
        widen: ``d`` to ``expansion * d``.
        narrow: back to ``d``.
        scale: ``[d]``; multiplies the branch before it joins the residual.
    """

    taps: Array
    gain: Array
    widen: Dense
    narrow: Dense
    scale: Array

    @staticmethod
    def init(key: PRNGKeyArray, width: int, kernel: int = 7, expansion: int = 3) -> "ConvNeXt":
        """Random taps of deviation ``1/sqrt(k)``; the branch starts at a tenth."""
        key_taps, key_widen, key_narrow = jax.random.split(key, 3)
        return ConvNeXt(
            taps=jax.random.normal(key_taps, (kernel, width)) * kernel**-0.5,
            gain=jnp.ones(width),
            widen=Dense.init(key_widen, width, expansion * width),
            narrow=Dense.init(key_narrow, expansion * width, width),
            scale=jnp.full(width, 0.1),
        )

    def __call__(self, x: Float[Array, "*B T d"]) -> Float[Array, "*B T d"]:
        """Zero-padded at both ends, so a frame sees ``k // 2`` neighbours on either side."""
        h = rms_norm(depthwise_conv(x, self.taps), self.gain)
        return x + self.scale * self.narrow(jax.nn.gelu(self.widen(h)))


def depthwise_conv(x: Float[Array, "*B T d"], taps: Float[Array, "k d"]) -> Float[Array, "*B T d"]:
    """Depthwise convolution over the second-last axis, ``y_t = Σ_i taps_i x_{t + i − k//2}``, zero padding.

    XLA's grouped convolution is scalar code on CPUs; k shifted multiplies fuse into one vectorised loop.
    """
    half = taps.shape[0] // 2
    length = x.shape[-2]
    padded = jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(half, half), (0, 0)])
    shifted = (jax.lax.slice_in_dim(padded, i, i + length, axis=-2) * taps[i] for i in range(taps.shape[0]))
    return functools.reduce(operator.add, shifted)


def stack(init: Callable[[PRNGKeyArray], Layer], key: PRNGKeyArray, count: int) -> Layer:
    """``count`` independent layers with a leading layer axis, ready for ``lax.scan``."""
    return jax.vmap(init)(jax.random.split(key, count))


def apply_stack(layers: Callable[[Array], Array], x: Array) -> Array:
    """Run stacked layers (a pytree with a leading layer axis that is callable) one after the other."""
    return jax.lax.scan(lambda h, layer: (layer(h), None), x, layers)[0]
