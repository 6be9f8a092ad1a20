import json
import pickle
import signal
import threading

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from antiphon.nets import weights
from antiphon.train.errors import Interrupted, NotFinite, RunError
from antiphon.train.fit import fit
from antiphon.train.hooks import Stop, every
from antiphon.train.metrics import read_metrics
from antiphon.train.run_directory import RunDirectory

OPTIMISER = optax.adam(1e-2)
KEY = jax.random.key(5)


def make_state():
    params = {"w": jax.random.normal(jax.random.key(1), (6, 4)), "v": jnp.ones((4, 1))}
    return params, OPTIMISER.init(params)


def batches(i):
    x = np.random.default_rng(i).normal(size=(8, 6)).astype(np.float32)
    return {"x": x, "y": np.sin(x.sum(1, keepdims=True))}


def regress(state, batch, key):
    """Regression with dropout, so that both the batch and the key of a step show in its result."""
    params, moments = state

    def loss(params):
        hidden = jnp.tanh(batch["x"] @ params["w"]) * jax.random.bernoulli(key, 0.8, (8, 4))
        return jnp.mean((hidden @ params["v"] - batch["y"]) ** 2)

    value, gradient = jax.value_and_grad(loss)(params)
    updates, moments = OPTIMISER.update(gradient, moments)
    return (optax.apply_updates(params, updates), moments), {
        "loss": value,
        "norm": optax.tree.norm(gradient),
    }


def count(state, batch, key):
    assert batch is None
    return state + 1, {"value": state, "bad": jnp.where(state == 6, jnp.nan, 0.0)}


def make_run(folder):
    return RunDirectory.create("study", {"width": 4}, seed=5, root=folder)


def bits(tree):
    return weights.tree_sha256(tree)


def numbers_of(run):
    return [(record.fit, record.step, dict(record.values)) for record in read_metrics(run.metrics)]


def train(run=None, steps=11, chunk=4, **options):
    return fit(regress, make_state(), batches=batches, steps=steps, chunk=chunk, key=KEY, run=run, **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run: its final bits and its numbers."""
    run = make_run(tmp_path_factory.mktemp("whole"))
    return bits(train(run)), numbers_of(run)


def test_fit_is_the_plain_loop():
    state = make_state()
    losses = []
    for i in range(11):
        state, metrics = jax.jit(regress)(state, batches(i), jax.random.fold_in(KEY, i))
        losses.append(float(metrics["loss"]))
    seen = []
    fitted = train(hooks=[lambda info: seen.append(info.metrics["loss"])])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), fitted, state)
    np.testing.assert_allclose(np.concatenate(seen), losses, rtol=1e-5)
    assert [len(chunk) for chunk in seen] == [4, 4, 3]


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_chunk_size_changes_no_bit(tmp_path, whole, chunk):
    run = make_run(tmp_path)
    assert bits(train(run, chunk=chunk)) == whole[0]
    assert numbers_of(run) == whole[1]


def test_the_callers_arrays_stay_valid():
    state = make_state()
    before = bits(state)
    fit(regress, state, batches=batches, steps=3, chunk=2, key=KEY)
    assert bits(state) == before
    shared = {"params": state[0], "anchor": state[0]}  # one buffer twice, which may not be donated as it is
    fit(lambda s, b, k: (s, {}), shared, steps=2, chunk=1, key=KEY)


def stop_with_signal_at(step, number):
    def hook(info):
        if info.step == step:
            signal.raise_signal(number)

    return hook


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_resumed_is_uninterrupted_bit_for_bit(tmp_path, whole, capfd, number):
    run = make_run(tmp_path)
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted) as caught:
        train(run, hooks=[stop_with_signal_at(8, number)])
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert (caught.value.run_path, caught.value.step, caught.value.signal_number) == (run.path, 8, number)
    assert str(caught.value) == (
        f"{number.name} stopped fit 'train' after step 8 of 11, all of it saved in {run.path}; "
        f"go on with `antiphon run study --resume {run.path}`."
    )
    assert f"{number.name}: finishing this chunk" in capfd.readouterr().err
    assert bits(train(run)) == whole[0]
    assert "Fit 'train' resumes at step 8 of 11" in capfd.readouterr().err
    assert numbers_of(run) == whole[1]


def test_second_interrupt_stops_at_once(tmp_path):
    run = make_run(tmp_path)

    def twice(info):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(run, hooks=[twice])
    assert signal.getsignal(signal.SIGINT) is before
    assert list(run.checkpoints.glob("train/*")) == []  # it did not wait to save


def test_without_a_run_the_interrupted_state_is_handed_over():
    with pytest.raises(Interrupted, match="the state is in the exception") as caught:
        fit(count, 0, steps=9, chunk=2, key=KEY, hooks=[stop_with_signal_at(4, signal.SIGTERM)])
    assert int(caught.value.state) == 4
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.step, copy.signal_number) == (str(caught.value), 4, signal.SIGTERM)


def test_accident_between_checkpoints_drops_later_numbers(tmp_path, whole, capsys):
    run = make_run(tmp_path)

    def crash(info):
        if info.step == 8:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train(run, hooks=[crash])  # the numbers of steps 5 to 8 are written, their checkpoint is not
    assert read_metrics(run.metrics)[-1].step == 8
    with open(run.metrics, "ab") as file:
        file.write(b'{"fit": "train", "step": 9, "lo')
    assert bits(train(run)) == whole[0]
    said = capsys.readouterr().err
    assert "resumes at step 4 of 11" in said
    assert "dropping 4 later records" in said
    assert "torn line" in said
    assert numbers_of(run) == whole[1]


def test_truncated_checkpoint_is_skipped_and_said(tmp_path, whole, capsys):
    run = make_run(tmp_path)
    with pytest.raises(Interrupted):
        train(run, hooks=[stop_with_signal_at(8, signal.SIGINT)])
    newest = run.checkpoints / "train" / "step-000000008.safetensors"
    newest.write_bytes(newest.read_bytes()[:-7])
    assert bits(train(run)) == whole[0]
    said = capsys.readouterr().err
    assert "Skipped the checkpoint at step 8" in said
    assert "resumes at step 4 of 11" in said
    assert numbers_of(run) == whole[1]


def test_finished_fits_are_loaded_and_the_next_goes_on(tmp_path, capsys):
    run = make_run(tmp_path)
    first = train(run, name="pretrain")
    second = train(run, name="tune", steps=6)
    assert {fit for fit, _, _ in numbers_of(run)} == {"pretrain", "tune"}
    before = run.metrics.read_bytes()

    def never(state, batch, key):
        raise AssertionError("a finished fit calls its step")

    again = fit(never, make_state(), batches=batches, steps=11, key=KEY, run=run, name="pretrain")
    assert bits(again) == bits(first)
    assert bits(train(run, name="tune", steps=6)) == bits(second)
    assert "Fit 'pretrain' is finished at step 11" in capsys.readouterr().err
    assert run.metrics.read_bytes() == before
    assert bits(train(run, name="tune", steps=11)) == bits(first)  # asked for more, it goes on


def test_stop_finishes_early_and_stays_finished(tmp_path, capsys):
    run = make_run(tmp_path)
    seen = []

    def stop(info):
        seen.append(info.step)
        return Stop("the value is large enough") if info.metrics["value"][-1] >= 5 else None

    done = fit(count, 0, steps=20, chunk=3, key=KEY, run=run, hooks=[stop], stop_on_nonfinite=False)
    assert int(done) == 6
    assert "stopped at step 6 of 20: the value is large enough" in capsys.readouterr().err
    assert int(fit(count, 0, steps=20, chunk=3, key=KEY, run=run, hooks=[stop])) == 6
    assert seen == [3, 6]


def test_nonfinite_metric_names_itself_and_keeps_the_good_checkpoint(tmp_path):
    run = make_run(tmp_path)
    sentence = r"Metric 'bad' became nan at step 7 of fit 'train' \(the last good checkpoint is step 6, in "
    with pytest.raises(RunError, match=sentence):
        fit(count, 0, steps=20, chunk=3, key=KEY, run=run)
    assert [record.step for record in read_metrics(run.metrics)] == list(range(1, 8))
    assert sorted(p.name for p in (run.checkpoints / "train").glob("*.json"))[-1] == "step-000000006.json"
    assert int(fit(count, 0, steps=9, chunk=3, key=KEY, stop_on_nonfinite=False)) == 9


def test_thinned_numbers_and_rarer_checkpoints(tmp_path):
    run = make_run(tmp_path)
    due = []
    hook = every(5, lambda info: due.append(info.step))
    options = {"log_every": 4, "checkpoint_every": 2, "keep": 9, "stop_on_nonfinite": False}
    fit(count, 0, steps=11, chunk=2, key=KEY, run=run, hooks=[hook], **options)
    assert [record.step for record in read_metrics(run.metrics)] == [4, 8, 11]
    manifests = sorted((run.checkpoints / "train").glob("*.json"))
    assert [json.loads(p.read_text())["step"] for p in manifests] == [4, 8, 11]
    assert due == [6, 10, 11]


def test_another_key_or_fewer_steps_are_refused(tmp_path):
    run = make_run(tmp_path)
    fit(count, 0, steps=4, chunk=2, key=KEY, run=run)
    with pytest.raises(RunError, match="begun with another key; resume with the same seed"):
        fit(count, 0, steps=6, key=jax.random.key(6), run=run)
    with pytest.raises(RunError, match="has done 4 steps but 3 are asked for"):
        fit(count, 0, steps=3, key=KEY, run=run)


def test_steps_that_cannot_be_looped_are_refused():
    x = {"a": jnp.zeros(2)}
    for step, sentence in (
        (lambda s, b, k: ({"a": s["a"][:1]}, {}), r"leaf 'a' from float32\[2\] to float32\[1\]; return"),
        (lambda s, b, k: ({"a": s["a"] > 0}, {}), r"leaf 'a' from float32\[2\] to bool\[2\]"),
        (lambda s, b, k: (s | {"b": s["a"]}, {}), "structure of its state at leaf 'b'"),
        (lambda s, b, k: (s, {"m": s["a"]}), r"Metric 'm' has shape \[2\]; return scalar"),
        (lambda s, b, k: (s, {"step": 1.0}), "A metric is named 'step'"),
    ):
        with pytest.raises(RunError, match=sentence):
            fit(step, x, steps=1, key=KEY)
    with pytest.raises(RunError, match="chunk=0; give at least 1"):
        fit(count, 0, steps=1, chunk=0, key=KEY)


class Method:
    """As a dataclass with array fields: its bound methods cannot be hashed."""

    __hash__ = None

    def step(self, state, batch, key):
        return state * 2, {"nested": {"x": 0.5}, "list": [1, True]}


def test_unhashable_methods_weak_types_old_keys_and_other_threads():
    results = []
    old_key = jax.random.PRNGKey(0)
    thread = threading.Thread(
        target=lambda: results.append(
            fit(
                Method().step,
                1.5,
                steps=5,
                chunk=2,
                key=old_key,
                hooks=[lambda info: results.append(info.metrics)],
            )
        )
    )
    thread.start()
    thread.join()
    assert results[-1] == 1.5 * 2**5
    assert results[-1].dtype == jnp.float32
    assert {name: value.tolist() for name, value in results[0].items()} == {
        "nested.x": [0.5, 0.5],
        "list.0": [1, 1],
        "list.1": [True, True],
    }


def test_errors_of_the_computation_reach_the_caller():
    def step(state, batch, key):
        def fail(x):
            raise ValueError("the rater is out")

        return state, {"x": jax.pure_callback(fail, jax.ShapeDtypeStruct((), jnp.float32), state)}

    with pytest.raises(Exception, match="the rater is out"):
        fit(step, jnp.float32(0), steps=1, key=KEY)


def test_what_is_fixed_is_an_argument_and_in_no_checkpoint(tmp_path):
    params, _ = make_state()
    fixed = {"w": params["w"]}

    def head_only(state, batch, key, fixed):
        head, moments = state
        hidden = jnp.tanh(batch["x"] @ fixed["w"])
        loss, gradient = jax.value_and_grad(lambda v: jnp.mean((hidden @ v - batch["y"]) ** 2))(head)
        updates, moments = OPTIMISER.update(gradient, moments)
        return (optax.apply_updates(head, updates), moments), {"loss": loss}

    def closed_over(state, batch, key):
        return head_only(state, batch, key, fixed)

    start = params["v"], OPTIMISER.init(params["v"])
    options = {"steps": 6, "key": KEY, "batches": batches, "chunk": 4}
    run = make_run(tmp_path)
    done = fit(head_only, start, fixed=fixed, run=run, **options)
    assert bits(done) == bits(fit(closed_over, start, **options))
    saved = run.checkpoints / "train" / "step-000000006.safetensors"
    assert [4, 1] in shapes_in(saved)
    assert not any(shape == [6, 4] for shape in shapes_in(saved))
    other = fit(head_only, start, fixed={"w": params["w"] + 1}, **options)
    assert bits(done) != bits(other)


def shapes_in(path):
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return [entry["shape"] for name, entry in header.items() if name != "__metadata__"]


def test_a_metric_that_is_not_finite_says_which_and_when():
    with pytest.raises(NotFinite) as raised:
        fit(count, 0, steps=9, chunk=3, key=KEY)
    assert (raised.value.metric, raised.value.step) == ("bad", 7)
    again = pickle.loads(pickle.dumps(raised.value))
    assert (str(again), again.step) == (str(raised.value), 7)
