"""Policies as files: what is saved is what is loaded, in NumPy, in jax and in onnxruntime alike."""

import itertools
import json
import subprocess
import sys

import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.worlds.platform.observation import observe
from antiphon.worlds.platform.onnx_file import onnx_bytes, save_onnx
from antiphon.worlds.platform.policy_file import (
    PlatformPolicy,
    PolicyMetadata,
    fold_normaliser,
    load_policy,
    require_plant,
)
from antiphon.worlds.platform.state import PlatformState
from antiphon.worlds.platform.tasks import Target, find_task

SIZE = 19


def layers_of(seed, sizes):
    rng = np.random.default_rng(seed)
    return tuple(
        (
            (rng.normal(size=(rows, columns)) / np.sqrt(rows)).astype(np.float32),
            (0.3 * rng.normal(size=columns)).astype(np.float32),
        )
        for rows, columns in itertools.pairwise(sizes)
    )


@pytest.fixture(scope="module")
def policy():
    plant = {"mass": 5.32, "nozzle_position": [[0.1, 0.2]] * 8}
    return PlatformPolicy(
        layers_of(0, (SIZE, 64, 64, 8)),
        PolicyMetadata("go-to-pose", seed=3, trained_by="a test", plant=plant),
    )


@pytest.fixture(scope="module")
def observations():
    """What a policy sees in 10,000 random states, far and near."""
    rng = np.random.default_rng(1)
    scale = np.exp(rng.uniform(-5, 1, (10_000, 1)))
    at, velocity = scale * rng.normal(size=(10_000, 2)), 0.3 * scale * rng.normal(size=(10_000, 2))
    rate = 0.3 * scale[:, 0] * rng.normal(size=10_000)
    state = PlatformState(at, rng.uniform(-4, 4, 10_000), velocity, rate)
    nothing = np.zeros(10_000)
    target = Target(np.zeros((10_000, 2)), rng.uniform(-3, 3, 10_000), np.zeros((10_000, 2)), nothing)
    return observe("body", find_task("go-to-pose"), state, target).astype(np.float32)


def test_logits_equal_a_loop_in_float64(policy, observations):
    for observation in observations[:5]:
        hidden = observation.astype(np.float64)
        for index, (weight, bias) in enumerate(policy.layers):
            hidden = np.array([sum(hidden * weight[:, j]) + bias[j] for j in range(len(bias))])
            if index < 2:
                hidden = np.tanh(hidden)
        np.testing.assert_allclose(policy.logits(observation), hidden, atol=1e-5)
        np.testing.assert_array_equal(policy(observation), hidden > 0)


def test_a_saved_policy_comes_back_bit_for_bit(policy, observations, tmp_path):
    loaded = load_policy(policy.save(tmp_path / "deep" / "policy.npz"))
    assert loaded.metadata == policy.metadata
    np.testing.assert_array_equal(loaded.logits(observations), policy.logits(observations))
    assert policy.save(tmp_path / "a.npz").read_bytes() == policy.save(tmp_path / "b.npz").read_bytes()


def test_figures_may_be_numpys(policy, tmp_path):
    figures = {"PT5": np.float32(0.5), "seeds": np.arange(3), "worst": float("nan")}
    given = PlatformPolicy(policy.layers, PolicyMetadata("go-to-pose", figures=figures))
    assert load_policy(given.save(tmp_path / "p.npz")).metadata.figures == {
        "PT5": 0.5, "seeds": [0, 1, 2], "worst": "NaN",
    }  # fmt: skip


def test_valves_are_the_same_in_numpy_jax_and_onnxruntime(policy, observations, tmp_path):
    import jax

    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(
        save_onnx(policy, tmp_path / "policy.onnx"), providers=["CPUExecutionProvider"]
    )
    valves, logits = session.run(["valves", "logits"], {"observation": observations})
    ours = policy(observations)
    assert 0.1 < ours.mean() < 0.9  # or equality would say nothing
    np.testing.assert_array_equal(valves, ours)
    np.testing.assert_array_equal(jax.jit(policy)(jax.numpy.asarray(observations)), ours)
    np.testing.assert_allclose(logits, policy.logits(observations), atol=1e-5)


def test_the_onnx_model_says_what_it_is(policy):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(onnx_bytes(policy), providers=["CPUExecutionProvider"])
    said = session.get_modelmeta().custom_metadata_map
    assert json.loads(said["antiphon"])["plant"]["mass"] == 5.32
    assert (said["task"], said["rate_hz"], said["valve_map"]) == ("go-to-pose", "5.0", "0,1,2,3,4,5,6,7")
    (entry,) = session.get_inputs()
    assert (entry.name, entry.shape, entry.type) == ("observation", ["N", SIZE], "tensor(float)")
    assert [(out.name, out.type) for out in session.get_outputs()] == [
        ("valves", "tensor(bool)"),
        ("logits", "tensor(float)"),
    ]


def test_a_folded_normaliser_is_the_normaliser(observations):
    rng = np.random.default_rng(2)
    layers, mean, deviation = layers_of(3, (SIZE, 8)), rng.normal(size=SIZE), rng.uniform(0.1, 3, SIZE)
    folded = PlatformPolicy(fold_normaliser(layers, mean, deviation), PolicyMetadata("go-to-xy"))
    weight, bias = layers[0]
    expected = (observations - mean) / deviation @ weight + bias
    np.testing.assert_allclose(folded.logits(observations), expected, atol=2e-5)
    with pytest.raises(UserError, match="not positive"):
        fold_normaliser(layers, mean, 0 * deviation)
    with pytest.raises(UserError, match="one mean and one deviation"):
        fold_normaliser(layers, mean[1:], deviation[1:])


def test_running_a_policy_needs_no_jax(policy, tmp_path):
    policy.save(tmp_path / "policy.npz")
    program = (
        "import sys, numpy as np\n"
        "from antiphon.worlds.platform.policy_file import load_policy\n"
        "from antiphon.worlds.platform.onnx_file import save_onnx\n"
        f"assert load_policy(sys.argv[1])(np.zeros({SIZE})).shape == (8,)\n"
        "assert 'jax' not in sys.modules, 'jax was imported'\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "policy.npz")], check=True, timeout=60)


def rewritten(path, **changes):
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    facts = json.loads(str(arrays["metadata"]))
    for name, value in changes.items():
        if name in arrays and name != "metadata":
            arrays[name] = value
        else:
            facts[name] = value
    arrays["metadata"] = np.array(json.dumps(facts))
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 2}, "has format 2"),
        ({"valves": 4, "valve_map": [0, 1, 2, 3]}, "decides about 8 valves"),
        ({"valve_map": [0, 0, 2, 3, 4, 5, 6, 7]}, "does not name each"),
        ({"observation": "lidar"}, "observation layout 'lidar'"),
        ({"observation_size": 3}, "metadata say 3"),
        ({"rate_hz": 0}, "rate is 0"),
        ({"colour": "red"}, "unknown field 'colour'"),
        ({"weight_1": np.ones((3, 64), np.float32)}, "layer 1 has weights"),
        ({"bias_0": np.full(64, np.nan, np.float32)}, "not finite"),
    ],
)
def test_a_bad_file_is_named_in_one_sentence(policy, tmp_path, changes, said):
    path = policy.save(tmp_path / "policy.npz")
    rewritten(path, **changes)
    with pytest.raises(UserError, match=said) as caught:
        load_policy(path)
    assert str(path) in str(caught.value)


def test_what_is_no_policy_is_refused(policy, tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        load_policy(tmp_path / "none.npz")
    whole = policy.save(tmp_path / "policy.npz").read_bytes()
    for name, data in (("cut.npz", whole[: len(whole) // 2]), ("text.npz", b"hello"), ("empty.npz", b"")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError, match=name):
            load_policy(tmp_path / name)
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(UserError, match=r"no \.npz"):
        load_policy(tmp_path / "array.npy")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(UserError, match="no readable metadata"):
        load_policy(tmp_path / "other.npz")
    with pytest.raises(UserError, match="no layers"):
        PlatformPolicy((), policy.metadata)


def test_a_policy_of_another_layout_is_refused(policy):
    ours = np.array([[0.1, 0.2]] * 8)
    require_plant(policy, ours, np.zeros((8, 2)))
    with pytest.raises(UserError, match="nozzle positions are not ours"):
        require_plant(policy, -ours, np.zeros((8, 2)))
    with pytest.raises(UserError, match="nozzle positions are not ours"):
        require_plant(policy, ours[:4], np.zeros((4, 2)))
