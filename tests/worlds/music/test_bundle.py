"""Models as files: what packing costs in precision, and what is said of files that are damaged."""

import errno
import json
import shutil

import jax
import numpy as np
import pytest

from antiphon.core.errors import UserError
from antiphon.nets.weights import save_tree
from antiphon.train.errors import RunError
from antiphon.worlds.music.bundle import NETWORKS, Bundle, Sizes, add_policy, pack

TINY = Sizes(codec_width=32, levels=3, width=64, layers=1, frames=16)


def random_weights(seed=0):
    """Weights of any shape without compiling a program for each."""
    rng = np.random.default_rng(seed)

    def draw(leaf):
        scale = leaf.shape[-2] ** -0.5 if len(leaf.shape) > 1 else 0.5
        return (scale * rng.standard_normal(leaf.shape)).astype(leaf.dtype)

    return jax.tree.map(draw, TINY.shapes())


@pytest.fixture(scope="module")
def networks():
    return random_weights()


@pytest.fixture(scope="module")
def packed(networks, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    pack(folder, TINY, networks, {"command": "a test", "figures": {"policy": {"loss": 1.5}}})
    return folder


@pytest.fixture
def folder(packed, tmp_path):
    """A copy to be damaged."""
    return shutil.copytree(packed, tmp_path / "bundle")


def leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def stored(bundle):
    judges = bundle.judges
    return {
        "codec": bundle.codec, "policy": bundle.policy, "fine": bundle.fine, "planner": bundle.planner,
        "reward": judges.reward, "judge": judges.judge, "quality": judges.quality,
    }  # fmt: skip


def test_every_network_comes_back_within_the_rounding_of_its_format(packed, networks):
    found = stored(Bundle.load(packed))
    assert set(found) == set(NETWORKS)
    for name in NETWORKS:
        given = leaves(networks[name])
        assert jax.tree.structure(found[name]) == jax.tree.structure(networks[name])
        for before, after in zip(given, leaves(found[name]), strict=True):
            assert after.dtype == before.dtype == np.float32
            error = np.abs(after - before)
            if name == "codec":  # float16: 11 bits, and a smallest step below its normal range
                assert (error <= 2.0**-11 * np.abs(before) + 2.0**-25).all()
            elif before.ndim < 2:
                assert (error == 0).all()
            else:  # half a step of an eighth bit, the step being that of the output unit
                step = np.abs(before).max(axis=-2, keepdims=True) / 127
                assert (error <= step * 0.5001).all()
        assert any((after != before).any() for before, after in zip(given, leaves(found[name]), strict=True))


def test_packing_makes_them_small(packed, networks):
    for name in NETWORKS:
        full = sum(leaf.nbytes for leaf in leaves(networks[name]))
        size = (packed / f"{name}.safetensors").stat().st_size
        assert size < full * (0.51 if name == "codec" else 0.30)


@pytest.mark.parametrize(("bits", "most"), [(8, 0.01), (4, 0.16)])
def test_a_policy_is_added_as_a_small_difference(folder, bits, most):
    base = Bundle.load(folder).policy
    rng = np.random.default_rng(1)
    tuned = jax.tree.map(lambda leaf: leaf + 0.01 * rng.standard_normal(leaf.shape).astype(np.float32), base)
    said = add_policy(folder, "r", tuned, {"figures": {"text": 0.5}}, bits)
    bundle = Bundle.load(folder)
    assert bundle.policies == ("base", "r")
    assert bundle.made("r") == {"figures": {"text": 0.5}}
    assert bundle.made("base")["command"] == "a test"
    found = bundle.named_policy("r")
    pairs = list(zip(leaves(found), leaves(tuned), leaves(base), strict=True))
    wrong = sum(float(np.square(a - b, dtype=np.float64).sum()) for a, b, _ in pairs)
    moved = sum(float(np.square(b - c, dtype=np.float64).sum()) for _, b, c in pairs)
    assert said == pytest.approx((wrong / moved) ** 0.5, rel=1e-3)
    assert 0 < said < most
    # The base is what it was, and the new file counts among the bundle's.
    for before, after in zip(leaves(base), leaves(bundle.named_policy("base")), strict=True):
        np.testing.assert_array_equal(before, after)
    assert set(bundle.files) == {f"{n}.safetensors" for n in (*NETWORKS, "policy-r")}


def test_a_policy_may_be_a_file(packed, networks, tmp_path):
    path = tmp_path / "mine.safetensors"
    save_tree(path, networks["policy"])
    for before, after in zip(
        leaves(networks["policy"]), leaves(Bundle.load(packed).named_policy(str(path))), strict=True
    ):
        np.testing.assert_array_equal(before, after)


def test_unknown_policies_are_named(packed, networks, tmp_path):
    bundle = Bundle.load(packed)
    with pytest.raises(UserError, match=r"there is no model 'q'; choose base, or a \.safetensors file"):
        bundle.named_policy("q")
    with pytest.raises(UserError, match=r"absent\.safetensors does not exist"):
        bundle.named_policy(str(tmp_path / "absent.safetensors"))
    save_tree(tmp_path / "planner.safetensors", networks["planner"])
    with pytest.raises(UserError, match=r"planner\.safetensors lacks leaf"):
        bundle.named_policy(str(tmp_path / "planner.safetensors"))


@pytest.mark.parametrize("name", ["base", "", "../r", "a b", "r/s"])
def test_names_that_cannot_be_files_are_refused(folder, name):
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(UserError, match="a policy cannot be called"):
        add_policy(folder, name, random_weights()["policy"], {})
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize("name", ["codec", "fine"])
@pytest.mark.parametrize("damage", ["flipped", "short", "absent"])
def test_damaged_weights_are_named(folder, name, damage):
    path = folder / f"{name}.safetensors"
    data = bytearray(path.read_bytes())
    expected = json.loads((folder / "manifest.json").read_text())["sha256"][name]
    if damage == "flipped":
        data[len(data) // 2] ^= 1
    path.unlink() if damage == "absent" else path.write_bytes(data[:-7] if damage == "short" else data)
    with pytest.raises(UserError) as caught:
        getattr(Bundle.load(folder), name)
    said = str(caught.value)
    assert str(path) in said
    assert ("does not exist" in said) if damage == "absent" else (expected in said)
    assert "\n" not in said


def test_an_added_policy_that_was_exchanged_is_named(folder):
    base = Bundle.load(folder).policy
    add_policy(folder, "r", jax.tree.map(lambda leaf: leaf + 0.25, base), {})
    (folder / "policy-r.safetensors").write_bytes((folder / "policy.safetensors").read_bytes())
    with pytest.raises(UserError, match=r"policy-r\.safetensors has SHA-256"):
        Bundle.load(folder).named_policy("r")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text[: len(text) // 2], "is damaged"),
        (lambda text: "[]", "is damaged"),
        (lambda text: text.replace('"layers"', '"layer"'), "is damaged"),
        (lambda text: text.replace('"policies"', '"polices"'), "lacks 'policies'"),
        (lambda text: text.replace('"quality"', '"qualty"'), "lacks 'quality'"),
    ],
)
def test_a_damaged_manifest_is_one_sentence(folder, change, said):
    path = folder / "manifest.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(UserError) as caught:
        Bundle.load(folder)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_models(tmp_path):
    with pytest.raises(UserError, match="holds no music models"):
        Bundle.load(tmp_path)


def test_a_bundle_needs_every_network(networks, tmp_path):
    some = {name: tree for name, tree in networks.items() if name != "judge"}
    with pytest.raises(UserError, match="needs the network 'judge'"):
        pack(tmp_path / "new", TINY, some, {})
    assert not (tmp_path / "new").exists()


def test_a_full_disk_leaves_the_bundle_as_it_was(folder, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    tuned = jax.tree.map(lambda leaf: leaf + 0.25, Bundle.load(folder).policy)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RunError, match="no space left on device; free some disk space"):
        add_policy(folder, "r", tuned, {})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
