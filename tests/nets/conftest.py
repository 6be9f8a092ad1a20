"""Both formats of matrix products, and a small frame model to ask questions of."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.nets import precision
from antiphon.nets.frame_model import FrameContext, FrameModel


@pytest.fixture(params=["float32", "bfloat16"])
def matmul_format(request, monkeypatch):
    monkeypatch.setenv("ANTIPHON_MATMUL", request.param)
    precision.matmul_dtype.cache_clear()
    yield request.param
    precision.matmul_dtype.cache_clear()


@pytest.fixture(scope="session")
def small():
    """A frame model of 2 levels and 6 frames, weights, three contexts (the last without caption), tokens."""
    model = FrameModel(
        levels=2, codes=5, width=16, heads=2, layers=2, hidden=24, depth_hidden=12, side_sizes=(3, 4),
        text_width=8,
    )  # fmt: skip
    params = jax.jit(model.init)(jax.random.key(0))
    # Logits of a fresh model are nearly flat; these tell tokens apart.
    louder = jax.tree.map(lambda leaf: 6 * leaf, params.heads.logits)
    params = params._replace(heads=params.heads._replace(logits=louder))
    rng = np.random.default_rng(1)
    context = FrameContext(
        jnp.asarray(rng.integers(1, 2048, (3, 4, 3))),
        jnp.asarray(rng.integers(0, 3, (3, 6, 2))),
        jnp.array([True, True, False]),
    )
    tokens = jnp.asarray(rng.integers(0, 5, (3, 12)))
    logits = jax.jit(model.logits)
    sample = jax.jit(model.sample, static_argnames=("guidance",))
    return SimpleNamespace(
        model=model, params=params, context=context, tokens=tokens, logits=logits, sample=sample
    )
