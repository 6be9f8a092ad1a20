import errno

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from antiphon.nets import weights
from antiphon.train import files
from antiphon.train.checkpoint import CheckpointFolder
from antiphon.train.errors import RunError


def state(seed=0):
    params = {"w": jax.random.normal(jax.random.key(seed), (3, 2)), "b": jnp.zeros(2, jnp.bfloat16)}
    return {"params": params, "optimiser": optax.adam(1e-3).init(params), "key": jax.random.key(seed + 9)}


def bits(tree):
    return weights.tree_sha256(tree)


def test_optimiser_state_and_keys_come_back_bit_for_bit(tmp_path):
    folder = CheckpointFolder(tmp_path / "c")
    assert folder.latest_good(state()) is None
    folder.save(state(1), 7, {"seconds": 1.5})
    found = folder.latest_good(state(0))
    assert found is not None
    assert (found.step, found.metadata) == (7, {"seconds": 1.5})
    assert bits(found.state) == bits(state(1)) != bits(state(0))
    assert jax.tree.structure(found.state) == jax.tree.structure(state())


def test_keeps_the_last_ones_and_sweeps_orphans(tmp_path):
    folder = CheckpointFolder(tmp_path, keep=2)
    (tmp_path / ".step-000000001.safetensors.1.tmp").write_bytes(b"killed while writing")
    for step in (5, 10, 100, 1000):
        folder.save({"x": np.asarray(step)}, step)
    assert folder.steps() == [100, 1000]
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".json", ".json", ".safetensors", ".safetensors"]
    with pytest.raises(RunError, match="keep at least one"):
        CheckpointFolder(tmp_path, keep=0)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "gone", "manifest"])
def test_damaged_checkpoints_are_skipped_and_said(tmp_path, damage):
    folder = CheckpointFolder(tmp_path)
    folder.save({"x": np.arange(50)}, 1)
    newest = folder.save({"x": np.arange(50) * 2}, 2)
    data = newest.read_bytes()
    if damage == "gone":
        newest.unlink()
    elif damage == "manifest":
        newest.with_suffix(".json").write_text('{"step": 2,')
    else:
        flipped = data[:-3] + bytes([data[-3] ^ 4]) + data[-2:]
        newest.write_bytes({"truncated": data[: len(data) // 2], "flipped": flipped, "empty": b""}[damage])
    said = []
    found = folder.latest_good({"x": np.arange(50)}, say=said.append)
    assert found is not None
    assert found.step == 1
    np.testing.assert_array_equal(found.state["x"], np.arange(50))
    assert len(said) == 1
    assert said[0].startswith("Skipped the checkpoint at step 2: ")
    assert "step-000000002" in said[0]
    (tmp_path / "step-000000001.safetensors").write_bytes(b"")
    assert folder.latest_good({"x": np.arange(50)}) is None


def test_whole_checkpoint_of_another_network_is_an_error(tmp_path):
    CheckpointFolder(tmp_path).save({"x": np.zeros(3)}, 1)
    with pytest.raises(weights.WeightsError, match=r"leaf 'x' of shape \(3,\) but \(4,\) is wanted"):
        CheckpointFolder(tmp_path).latest_good({"x": np.zeros(4)})
    with pytest.raises(weights.WeightsError, match="dtype float64 but float32 is wanted"):
        CheckpointFolder(tmp_path).latest_good({"x": np.zeros(3, np.float32)})


@pytest.mark.parametrize("fails_at", [1, 2, 3, 4])  # the weights, their folder, the manifest, their folder
def test_full_disk_keeps_the_checkpoint_before(tmp_path, monkeypatch, fails_at):
    folder = CheckpointFolder(tmp_path)
    folder.save({"x": np.zeros(3)}, 1)
    before = sorted(p.name for p in tmp_path.iterdir())
    calls = []
    sync_really = files.os.fsync

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) >= fails_at:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync_really(descriptor)

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(RunError, match=r"step-000000002\S*: no space left on device; free some disk space"):
        folder.save({"x": np.ones(3)}, 2)
    monkeypatch.undo()
    found = folder.latest_good({"x": np.ones(3)})
    assert found is not None
    assert found.step == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == before
