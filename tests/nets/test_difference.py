import numpy as np
import pytest

from antiphon.nets import difference, weights
from antiphon.nets.weights import WeightsError


@pytest.mark.parametrize("bits", [4, 8])
def test_difference_error_stays_within_half_a_level(tmp_path, bits):
    rng = np.random.default_rng(1)
    reference = {
        "w": rng.normal(size=(2, 33, 7)).astype(np.float32),
        "odd": rng.normal(size=(3, 5)).astype(np.float32),
        "bias": rng.normal(size=7).astype(np.float32),
        "steps": np.asarray(4),
    }
    change = rng.normal(size=(2, 33, 7)) * 10.0 ** rng.integers(-4, 0, size=(2, 1, 7))
    tree = reference | {"w": (reference["w"] + change).astype(np.float32), "bias": reference["bias"] + 1}
    report = difference.save_difference(tmp_path / "d", tree, reference, bits=bits, metadata={"note": 1})
    loaded = difference.load_difference(tmp_path / "d", reference, sha256=report.sha256)
    change = tree["w"] - reference["w"]
    level = np.abs(change).max(axis=1, keepdims=True) / (2 ** (bits - 1) - 1)
    rounding = 4 * np.finfo(np.float32).eps * np.abs(reference["w"]).max()
    assert (np.abs(loaded["w"] - tree["w"]) <= level / 2 + rounding).all()
    assert np.abs(loaded["w"] - tree["w"]).max() == pytest.approx(report.largest)
    assert report.worst_leaf == "w"
    # Uniform rounding noise has deviation level/√12 where a Gaussian row's maximum is about 2.2 deviations.
    assert 0 < report.relative < 2 * 2.2 / (2 ** (bits - 1) - 1) / 12**0.5
    np.testing.assert_array_equal(loaded["odd"], reference["odd"])
    np.testing.assert_allclose(loaded["bias"], tree["bias"], rtol=1e-6)
    assert loaded["steps"] == 4
    stored = weights.load_arrays(tmp_path / "d")["w.integers"]
    assert stored.nbytes == 2 * 33 * 7 * bits // 8
    assert weights.load_metadata(tmp_path / "d")["user"] == {"note": 1}


def test_four_bits_pack_every_level():
    levels = np.arange(-7, 8, dtype=np.int8).reshape(3, 5)
    packed = difference.pack_nibbles(levels)
    assert packed.nbytes == 8
    np.testing.assert_array_equal(difference.unpack_nibbles(packed, (3, 5)), levels)


def test_difference_refuses_another_reference(tmp_path):
    reference = {"w": np.ones((2, 2), np.float32), "n": np.asarray(1)}
    difference.save_difference(tmp_path / "d", reference, reference)
    with pytest.raises(WeightsError, match="taken from weights with checksum"):
        difference.load_difference(tmp_path / "d", reference | {"w": np.zeros((2, 2), np.float32)})
    with pytest.raises(WeightsError, match="'n' is int64 and differs"):
        difference.save_difference(tmp_path / "d", reference | {"n": np.asarray(2)}, reference)
    with pytest.raises(WeightsError, match="not finite"):
        difference.save_difference(tmp_path / "d", reference | {"w": np.full((2, 2), np.nan)}, reference)
    weights.save_tree(tmp_path / "plain", reference)
    with pytest.raises(WeightsError, match="is not a difference"):
        difference.load_difference(tmp_path / "plain", reference)
