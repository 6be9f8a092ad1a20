"""Folders in and out: every dtype, shards, every switch, and what is wrong with a folder."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.nets.llama import Llama
from antiphon.nets.llama_rotary import LinearScaling, Llama3Scaling, TableScaling, YarnScaling
from antiphon.nets.weights import load_arrays, save_arrays
from antiphon.worlds.text.huggingface_config import config_from, llama_from
from antiphon.worlds.text.huggingface_folder import export_folder, load_folder

SIZES = {"vocabulary": 7, "width": 8, "layers": 3, "heads": 4, "kv_heads": 2, "head_width": 4, "hidden": 12}
SWITCHES = {
    "llama": {},
    "untied": {"tied": False, "rope_base": 5e5},
    "linear": {"rope_scaling": LinearScaling(2.0)},
    "llama3": {"rope_scaling": Llama3Scaling(8.0, 1.0, 4.0, 64)},
    "yarn": {"rope_scaling": YarnScaling(4.0, 64, 1.25)},
    "mistral": {"windows": (5, 5, 5), "tied": False},
    "qwen2": {"qkv_bias": True},
    "qwen2-windows": {"qkv_bias": True, "windows": (0, 0, 6)},
    "qwen3": {"qk_norm": True, "epsilon": 1e-6},
}


def random_params(config, dtype=np.float32):
    shapes = jax.eval_shape(config.init, jax.random.key(0))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.standard_normal(leaf.shape), dtype), shapes)


def equal(found, wanted):
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("switches", SWITCHES.values(), ids=SWITCHES)
def test_out_and_in_again(tmp_path, switches):
    config = Llama(**SIZES, **switches)
    params = random_params(config)
    files = export_folder(tmp_path, config, params, extra={"eos_token_id": 2})
    assert [file.name for file in files] == ["model.safetensors", "config.json"]
    again, weights = load_folder(tmp_path)
    assert again == config
    equal(weights, params)
    assert json.loads((tmp_path / "config.json").read_text())["eos_token_id"] == 2


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_shards_of_every_dtype(tmp_path, dtype):
    config = Llama(**SIZES)
    params = random_params(config, dtype)
    files = export_folder(tmp_path, config, params, shard_bytes=1000)
    assert len(files) > 5
    assert files[0].name == f"model-00001-of-{len(files) - 2:05d}.safetensors"
    assert [file.name for file in files[-2:]] == ["model.safetensors.index.json", "config.json"]
    assert all(file.stat().st_size < 2500 for file in files if file.suffix == ".safetensors")
    equal(load_folder(tmp_path)[1], params)
    raised = load_folder(tmp_path, np.float32)[1]
    equal(raised, jax.tree.map(lambda leaf: leaf.astype(jnp.float32), params))


def test_matrices_lie_as_hugging_face_has_them(tmp_path):
    config = Llama(**SIZES)
    params = random_params(config)
    export_folder(tmp_path, config, params)
    arrays = load_arrays(tmp_path / "model.safetensors")
    down = arrays["model.layers.2.mlp.down_proj.weight"]
    assert down.shape == (8, 12)
    np.testing.assert_array_equal(down, params.layers.down[2].T)
    assert "lm_head.weight" not in arrays


@pytest.fixture
def folder(tmp_path):
    config = Llama(**SIZES)
    export_folder(tmp_path / "model", config, random_params(config))
    return tmp_path / "model"


def edit(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refused(folder, kind):
    with pytest.raises(UserError) as caught:
        load_folder(folder)
    assert caught.value.kind == kind
    assert caught.value.mend
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"model_type": "gpt2"}, "architecture", "'gpt2'"),
        ({"hidden_act": "gelu"}, "architecture", "hidden_act='gelu'"),
        ({"attention_bias": True}, "architecture", "attention_bias"),
        ({"quantization_config": {"bits": 4}}, "quantisation", "quantised"),
        ({"hidden_size": None}, "field", "hidden_size=None"),
        ({"num_hidden_layers": 4}, "missing-tensor", "model.layers.3.input_layernorm.weight and 8 more"),
        ({"num_hidden_layers": 2}, "architecture", "model.layers.2"),
        ({"intermediate_size": 10}, "shape", "mlp.gate_proj.weight of shape (12, 8) but (10, 8)"),
        ({"vocab_size": 9}, "shape", "model.embed_tokens.weight of shape (7, 8)"),
        ({"num_key_value_heads": 3}, "config", "cannot share 3"),
        ({"rope_parameters": {"rope_type": "longrope"}}, "architecture", "'longrope'"),
        ({"rope_parameters": {"rope_type": "llama3", "factor": 8.0}}, "field", "low_freq_factor"),
    ],
)
def test_what_is_wrong_is_named(folder, changes, kind, said):
    edit(folder, **changes)
    assert said in refused(folder, kind)


def test_folders_that_are_none(folder, tmp_path):
    assert "no config.json" in refused(tmp_path, "file")
    (folder / "config.json").write_text("{")
    assert "no JSON" in refused(folder, "file")
    (folder / "config.json").write_text("[]")
    assert "holds a list" in refused(folder, "file")


def test_damaged_weights(folder):
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-4])
    assert "truncated" in refused(folder, "file")
    path.write_bytes(whole[:5])
    assert "truncated" in refused(folder, "file")
    path.write_bytes(b"not a file of weights at all, but long enough")
    assert "no safetensors" in refused(folder, "file")
    path.rename(folder / "pytorch_model.bin")
    assert "only pytorch_model.bin" in refused(folder, "file")


def test_a_missing_shard(folder, tmp_path):
    config, params = load_folder(folder)
    shutil.rmtree(folder)
    files = export_folder(folder, config, params, shard_bytes=1000)
    files[1].unlink()
    assert files[1].name in refused(folder, "file")


def test_quantised_tensors_are_refused(folder):
    path = folder / "model.safetensors"
    arrays = load_arrays(path)
    arrays["model.norm.weight"] = np.ones(8, np.int8)
    save_arrays(path, arrays)
    assert "model.norm.weight of dtype I8" in refused(folder, "file")


def test_a_tied_head_that_is_stored_all_the_same(folder):
    path = folder / "model.safetensors"
    arrays = load_arrays(path)
    save_arrays(path, arrays | {"lm_head.weight": arrays["model.embed_tokens.weight"]})
    assert load_folder(folder)[1].head is None


@pytest.mark.parametrize(
    ("switches", "said"),
    [
        ({"qkv_bias": True, "qk_norm": True}, "qkv_bias and qk_norm"),
        ({"windows": (0, 5, 5)}, "some layers"),
        ({"windows": (4, 5, 5)}, "windows of sizes"),
        ({"rope_scaling": TableScaling((1.0, 2.0))}, "rotary factors"),
    ],
)
def test_what_no_class_of_transformers_has(tmp_path, switches, said):
    config = Llama(**SIZES, **switches)
    with pytest.raises(UserError, match=said):
        export_folder(tmp_path, config, random_params(config))
    assert not list(tmp_path.iterdir())


def test_older_and_newer_ways_to_say_the_same():
    old = config_from(Llama(**SIZES, rope_base=5e5, rope_scaling=LinearScaling(2.0)), "float32")
    new = dict(old)
    del old["rope_parameters"]
    del new["rope_theta"], new["rope_scaling"]
    older = dict(old, rope_scaling={"type": "linear", "factor": 2.0})
    assert llama_from(old, "x") == llama_from(new, "x") == llama_from(older, "x")
    dynamic = dict(old, rope_scaling={"type": "dynamic", "factor": 2.0})
    assert llama_from(dynamic, "x").rope_scaling is None
    spelled = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
    yarn = llama_from(dict(new, rope_parameters=spelled), "x").rope_scaling
    assert isinstance(yarn, YarnScaling)
    assert yarn.gain == pytest.approx(0.1 * np.log(4.0) + 1)
    scaled = dict(spelled, mscale=1.0, mscale_all_dim=0.5)
    yarn = llama_from(dict(new, rope_parameters=scaled), "x").rope_scaling
    assert yarn.gain == pytest.approx((0.1 * np.log(4.0) + 1) / (0.05 * np.log(4.0) + 1))
