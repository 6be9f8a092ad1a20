"""Logits of other people's code: kept in peer_logits.json, and computed anew where transformers is installed.

``python tests/worlds/text/test_text_peers.py`` writes the file, where torch and transformers are installed.
The weights are NumPy's, by the names of Hugging Face, so only the logits have to be kept.
"""

import json
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.nets.llama_decoding import Prompts
from antiphon.nets.llama_names import EMBEDDING, FINAL_GAIN, HEAD, MODULES, layer_prefix, layer_tensors
from antiphon.nets.llama_policy import LlamaPolicy
from antiphon.nets.weights import save_arrays
from antiphon.worlds.text.huggingface_config import llama_from
from antiphon.worlds.text.huggingface_folder import export_folder, field_shape, load_folder

KEPT = Path(__file__).with_name("peer_logits.json")
TOKENS = np.random.default_rng(7).integers(0, 23, (1, 20))
BASE = {
    "vocab_size": 23, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 24, "max_position_embeddings": 128, "hidden_act": "silu",
    "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
}  # fmt: skip
THETA = {"rope_theta": 1e4}
CONFIGS = {
    "llama": {"model_type": "llama", "rope_parameters": {"rope_type": "default", **THETA}},
    "llama-tied-wide-heads": {"model_type": "llama", "tie_word_embeddings": True, "head_dim": 12},
    "llama-linear": {
        "model_type": "llama", "rope_parameters": {"rope_type": "linear", "factor": 2.0, **THETA},
    },
    "llama-llama3": {
        "model_type": "llama",
        "rope_parameters": {
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32, "rope_theta": 5e5,
        },
    },
    "llama-yarn": {
        "model_type": "llama",
        "rope_parameters": {
            "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, **THETA,
        },
    },
    "mistral": {"model_type": "mistral", "sliding_window": 5, "head_dim": 4},
    "qwen2": {"model_type": "qwen2"},
    "qwen2-windows": {
        "model_type": "qwen2", "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1,
    },
    "qwen3": {"model_type": "qwen3", "head_dim": 8, "tie_word_embeddings": True},
}  # fmt: skip


def write_folder(folder, name):
    """A folder of random weights; biases and gains are not neutral."""
    described = BASE | CONFIGS[name]
    config = llama_from(described, name)
    rng = np.random.default_rng(list(CONFIGS).index(name))
    d, v = config.width, config.vocabulary
    shapes = {EMBEDDING: (v, d), FINAL_GAIN: (d,)} | ({} if config.tied else {HEAD: (v, d)})
    for i in range(config.layers):
        for field, tensor in layer_tensors(config).items():
            shape = field_shape(config, field)
            shapes[layer_prefix(i) + tensor] = shape[::-1] if field in MODULES else shape
    arrays = {
        tensor: (0.4 * rng.standard_normal(shape) + tensor.endswith("norm.weight")).astype(np.float32)
        for tensor, shape in shapes.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(described))
    save_arrays(folder / "model.safetensors", arrays, {"format": "pt"})


def our_logits(folder):
    """Of every token but the first."""
    config, params = load_folder(folder)
    rows = jnp.asarray(TOKENS)
    prompts = Prompts(rows[:, :1], jnp.ones(1, jnp.int32))
    return np.asarray(jax.jit(LlamaPolicy(config).logits)(params, rows[:, 1:], prompts))[0]


def peer_logits(folder):
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return model(torch.tensor(TOKENS)).logits[0, :-1].numpy()


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_are_those_that_transformers_gave(tmp_path, name):
    write_folder(tmp_path, name)
    wanted = np.array(json.loads(KEPT.read_text())[name])
    assert wanted.shape == (19, 23)
    assert np.ptp(wanted) > 5
    np.testing.assert_allclose(our_logits(tmp_path), wanted, atol=1e-4)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.filterwarnings("ignore")
def test_an_exported_folder_has_the_same_logits_in_transformers(tmp_path, name):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    write_folder(tmp_path / "in", name)
    original = peer_logits(tmp_path / "in")
    export_folder(tmp_path / "out", *load_folder(tmp_path / "in"), shard_bytes=9000)
    np.testing.assert_allclose(peer_logits(tmp_path / "out"), original, atol=1e-6)
    np.testing.assert_allclose(our_logits(tmp_path / "out"), original, atol=1e-4)


if __name__ == "__main__":
    import tempfile

    warnings.simplefilter("ignore")
    kept = {}
    for name in CONFIGS:
        with tempfile.TemporaryDirectory() as folder:
            write_folder(Path(folder), name)
            kept[name] = np.round(peer_logits(Path(folder)).astype(float), 5).tolist()
    KEPT.write_text("{\n" + ",\n".join(f'"{n}": {json.dumps(v)}' for n, v in kept.items()) + "\n}\n")
