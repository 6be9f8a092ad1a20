"""A small decoder, and a byte-level tokenizer for it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.nets.llama import Llama

TEXT = "the cat sat on the mat, and the dog sat on the log; 1 2 3 the end"
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def tiny_config(**changes):
    sizes = {"vocabulary": 300, "width": 16, "layers": 2, "heads": 4, "kv_heads": 2, "head_width": 4}
    return Llama(**(sizes | {"hidden": 32, "context": 256} | changes))


def random_params(config, seed=0):
    params = jax.eval_shape(config.init, jax.random.key(0))
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(0.3 * rng.standard_normal(leaf.shape), leaf.dtype), params)


@pytest.fixture(scope="session")
def tiny():
    config = tiny_config()
    return config, random_params(config)


@pytest.fixture(scope="session")
def tokenizer():
    tokenizers = pytest.importorskip("tokenizers")
    from antiphon.worlds.text.tokenizer import Tokenizer

    backend = tokenizers.Tokenizer(tokenizers.models.BPE())
    backend.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=290,
        special_tokens=["<|start|>", "<|end|>", "<|user|>", "<|assistant|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([TEXT], trainer)
    names = {"bos_token": "<|start|>", "eos_token": "<|end|>"}
    return Tokenizer(backend, stop=(1,), pad=1, template=TEMPLATE, names=names)
