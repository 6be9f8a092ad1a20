import dataclasses
import errno
import pickle
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from antiphon.core import files
from antiphon.core.errors import UserError
from antiphon.nets import weights
from antiphon.nets.weights import WeightsError


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Layer:
    kernel: jax.Array
    bias: jax.Array


class Moments(NamedTuple):
    count: jax.Array
    mean: object


def make_tree(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "layers": [Layer(jnp.asarray(rng.normal(size=(3, 5)), jnp.float32), jnp.ones(5, jnp.bfloat16) * 1.1)],
        "moments": (Moments(jnp.asarray(7, jnp.int32), {"x": jnp.asarray(rng.normal(size=(0, 2)))}),),
        "mask": jnp.asarray([True, False, True]),
        "half": jnp.asarray([0.1, -2.0], jnp.float16),
        "host": rng.normal(size=4),
        "rate": 0.25,
    }


def assert_same(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        assert type(a) is type(b)
        assert np.asarray(a).dtype == np.asarray(b).dtype
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_names_are_dotted_paths():
    assert list(weights.named_leaves(make_tree())) == [
        "half", "host", "layers.0.kernel", "layers.0.bias", "mask", "moments.0.count",
        "moments.0.mean.x", "rate",
    ]  # fmt: skip
    assert list(weights.named_leaves(jnp.ones(2))) == ["value"]
    with pytest.raises(UserError, match=r"two leaves are called 'a\.b'"):
        weights.named_leaves({"a.b": 1, "a": {"b": 2}})


def test_round_trip_keeps_every_bit(tmp_path):
    tree = make_tree()
    sha = weights.save_tree(tmp_path / "w.safetensors", tree, metadata={"steps": 3, "name": "π"})
    weights.verify(tmp_path / "w.safetensors", sha)
    assert_same(weights.load_tree(tmp_path / "w.safetensors", tree, sha256=sha), tree)
    assert weights.load_metadata(tmp_path / "w.safetensors") == {"steps": 3, "name": "π"}
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_file_is_what_the_safetensors_package_reads_and_writes(tmp_path):
    tree = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.arange(3, dtype=np.int64)}
    weights.save_tree(tmp_path / "ours.safetensors", tree)
    theirs = safetensors.numpy.load_file(tmp_path / "ours.safetensors")
    assert_same(dict(sorted(theirs.items())), tree)
    safetensors.numpy.save_file(tree, tmp_path / "theirs.safetensors")
    assert_same(weights.load_tree(tmp_path / "theirs.safetensors", tree), tree)
    assert weights.load_metadata(tmp_path / "theirs.safetensors") is None


def test_keys_survive(tmp_path):
    tree = {"new": jax.random.split(jax.random.key(3), 2), "old": jax.random.PRNGKey(4)}
    weights.save_tree(tmp_path / "k", tree)
    loaded = weights.load_tree(tmp_path / "k", tree)
    assert jax.random.normal(loaded["new"][1]) == jax.random.normal(tree["new"][1])
    assert jax.random.normal(loaded["old"]) == jax.random.normal(tree["old"])


def test_storage_dtype_is_cast_back(tmp_path):
    tree = {"w": np.asarray([0.1, 1000.0, -3.0], np.float32), "n": np.asarray([70000])}
    weights.save_tree(tmp_path / "w", tree, storage_dtype=np.float16)
    stored = weights.load_arrays(tmp_path / "w")
    assert stored["w"].dtype == np.float16
    assert stored["n"].dtype == tree["n"].dtype
    loaded = weights.load_tree(tmp_path / "w", tree)
    assert loaded["w"].dtype == np.float32
    np.testing.assert_allclose(loaded["w"], tree["w"], rtol=2**-11)
    with pytest.raises(WeightsError, match="dtype float16 but float32 is wanted"):
        weights.load_tree(tmp_path / "w", tree, exact_dtype=True)
    with pytest.raises(WeightsError, match="'w' has values too large for float16"):
        weights.save_tree(tmp_path / "w", {"w": np.asarray([1e6], np.float32)}, storage_dtype=np.float16)
    weights.save_tree(tmp_path / "b", tree, storage_dtype=ml_dtypes.bfloat16)
    np.testing.assert_allclose(weights.load_tree(tmp_path / "b", tree)["w"], tree["w"], rtol=2**-8)


def test_wrong_trees_name_the_first_leaf(tmp_path):
    path = tmp_path / "w"
    weights.save_tree(path, {"a": np.zeros((2, 3)), "b": np.zeros(4)})
    with pytest.raises(WeightsError, match=r"leaf 'b' of shape \(4,\) but \(5,\) is wanted; build"):
        weights.load_tree(path, {"a": np.zeros((2, 3)), "b": np.zeros(5)})
    with pytest.raises(WeightsError, match=r"lacks leaf 'c' of shape \(1,\)"):
        weights.load_tree(path, {"a": np.zeros((2, 3)), "b": np.zeros(4), "c": np.zeros(1)})
    with pytest.raises(WeightsError, match=r"has leaf 'b' of shape \(4,\), which the network lacks"):
        weights.load_tree(path, {"a": np.zeros((2, 3))})
    with pytest.raises(WeightsError, match="dtype float64 but int32 is wanted"):
        weights.load_tree(path, {"a": np.zeros((2, 3)), "b": np.zeros(4, np.int32)})
    with pytest.raises(WeightsError, match="'s' is a str"):
        weights.save_tree(path, {"s": "text"})


def test_damaged_files_say_so_in_one_sentence(tmp_path):
    path = tmp_path / "w.safetensors"
    tree = {"a": np.arange(100.0)}
    sha = weights.save_tree(path, tree)
    data = path.read_bytes()
    with pytest.raises(WeightsError, match=r"missing\.safetensors does not exist; check the path"):
        weights.load_tree(tmp_path / "missing.safetensors", tree)
    for cut in (0, 4, 30, len(data) - 1):
        path.write_bytes(data[:cut])
        with pytest.raises(WeightsError, match=r"w\.safetensors is truncated or corrupt .*; fetch it again"):
            weights.load_tree(path, tree)
        with pytest.raises(WeightsError, match="truncated or corrupt"):
            weights.load_metadata(path)
    flipped = bytearray(data)
    flipped[-5] ^= 1  # inside the numbers, where only a checksum can see it
    path.write_bytes(flipped)
    found = files.file_sha256(path)
    for check in (lambda: weights.verify(path, sha), lambda: weights.load_tree(path, tree, sha256=sha)):
        with pytest.raises(WeightsError) as caught:
            check()
        assert found in str(caught.value)
        assert sha in str(caught.value)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w"
    weights.save_tree(path, {"a": np.zeros(3)})

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        weights.save_tree(path, {"a": np.ones(3)})
    monkeypatch.undo()
    assert weights.load_tree(path, {"a": np.zeros(3)})["a"].sum() == 0
    assert [p.name for p in tmp_path.iterdir()] == ["w"]
