"""The one training loop: compiled chunks of steps, with hooks and checkpoints on the host between them."""

import contextlib
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import PyTree

from antiphon.train import chunk as device
from antiphon.train import metrics as numbers
from antiphon.train.checkpoint import CheckpointFolder
from antiphon.train.errors import Interrupted, NotFinite, RunError
from antiphon.train.hooks import FitInfo, Hook, Stop
from antiphon.train.interrupts import stop_requests, wait_until_ready
from antiphon.train.progress import Mode, Progress, say
from antiphon.train.run_directory import RunDirectory
from antiphon.train.sharding import chunk_sharding

State = TypeVar("State")


def fit(
    step: Callable[..., tuple[State, Any]],
    state: State,
    *,
    steps: int,
    key: Any,
    batches: Callable[[int], PyTree] | None = None,
    fixed: PyTree = None,
    chunk: int = 100,
    run: RunDirectory | None = None,
    name: str = "train",
    hooks: Sequence[Hook] = (),
    log_every: int = 1,
    checkpoint_every: int = 1,
    keep: int = 2,
    stop_on_nonfinite: bool = True,
    mesh: Mesh | None = None,
    show: Sequence[str] = (),
    progress: Mode = "auto",
    tensorboard: bool = False,
) -> State:
    """Do ``steps`` steps, or continue a run that was interrupted.

    Step i (from 0) is ``state, metrics = step(state, batches(i), fold_in(key, i))``. Neither the chunk size
    nor an interruption changes a bit of the result. A run may hold several fits of different names: on
    resuming, finished ones are skipped and their final state is loaded.

    Args:
        step: Pure. The state keeps its structure, shapes and dtypes; metrics are scalars, in any pytree.
        state: Initial state; it is copied, so the caller's arrays stay valid.
        steps: Steps to do in all.
        key: PRNG key, the same on resuming.
        batches: ``i -> batch`` of host arrays for step i, a function of i alone; ``None`` when the step
            makes its own data (it then receives ``None``).
        fixed: What every step reads and none changes, such as frozen weights or a teacher: the step's fourth
            argument if given. It is neither copied nor saved; on resuming, give the same.
        chunk: Steps between two visits to the host. Hooks, checkpoints and Ctrl-C wait for its end.
        run: Where numbers and checkpoints go; ``None`` keeps nothing.
        name: Name of this fit in the run.
        hooks: Called in order after each chunk; a ``Stop`` from any of them finishes the fit.
        log_every: Write the metrics of every such step, and of the last.
        checkpoint_every: Checkpoint after every such chunk, and after the last; an accident costs so many.
        keep: Checkpoints to keep.
        stop_on_nonfinite: Stop when a metric is NaN or infinite, keeping the last good checkpoint.
        mesh: Batches are split over it, and the state stays as ``sharding.place`` put it.
        show: Metrics in the progress display; empty shows the first three.
        progress: ``auto``, ``live``, ``plain`` or ``quiet``.
        tensorboard: Also write TensorBoard files into the run (needs tensorboardX).

    Returns:
        The state after the last step.

    Raises:
        RunError: The step cannot be looped, a metric is not finite, the disk refused, or the run was
            made with another key or has already done more steps.
        Interrupted: SIGINT or SIGTERM arrived; the chunk was finished and saved.
        WeightsError: A checkpoint of the run does not fit ``state``.
    """
    _check_arguments(steps, chunk, log_every, checkpoint_every, tensorboard and run is None)
    record = None if run is None else _Record(run, name, CheckpointFolder(run.checkpoints / name, keep), key)
    with contextlib.ExitStack() as stack:
        if run is not None:
            stack.enter_context(run.held())
            run.record_devices()
        done = _Done(device.owned(state), 0, 0.0) if record is None else record.resume(state, steps)
        if done.finished:
            return done.state
        state = done.state
        step = device.hashable_step(step)
        chunk = max(min(chunk, steps), 1)
        if done.step < steps:
            first = None if batches is None else batches(done.step)
            device.check_step(device.with_fixed(step, fixed), state, first, key)
        log = None
        if run is not None:
            board = run.path / "tensorboard" if tensorboard else None
            log = numbers.MetricsFile(run.metrics, tensorboard=board)
            stack.callback(log.close)
        display = Progress(name, steps, start=done.step, show=show, mode=progress)
        stack.callback(display.close)
        request = stack.enter_context(stop_requests())

        shardings = None if mesh is None else tuple(leaf.sharding for leaf in jax.tree.leaves(state))
        began = time.monotonic() - done.seconds
        stacked = _stack(batches, done.step, min(chunk, steps - done.step), chunk, mesh)
        at, chunks_done = done.step, 0
        while at < steps:
            length = min(chunk, steps - at)
            state, history = device.run_chunk(
                step, state, stacked, key, np.int32(at), np.int32(length), fixed, capacity=chunk,
                shardings=shardings,
            )  # fmt: skip
            # The device is busy now; the host uses the time to make the next chunk's batches.
            upcoming = at + length
            stacked = _stack(batches, upcoming, min(chunk, steps - upcoming), chunk, mesh)
            wait_until_ready(history if history else state)
            values = {metric: np.asarray(array)[:length] for metric, array in history.items()}
            seconds = time.monotonic() - began
            bad = _first_nonfinite(values) if stop_on_nonfinite else None
            if log is not None:
                records = _records(name, at, seconds, values, log_every, steps)
                log.append(records if bad is None else [r for r in records if r.step <= at + bad[1] + 1])
            if bad is not None:
                raise _nonfinite_error(record, name, bad[0], values[bad[0]][bad[1]], at + bad[1] + 1)
            previous, at = at, upcoming
            chunks_done += 1
            display.update(at, {metric: float(array[-1]) for metric, array in values.items()})
            info = FitInfo(name, at, previous, steps, state, values, seconds, run)
            answers = [hook(info) for hook in hooks]
            stop = next((answer for answer in answers if isinstance(answer, Stop)), None)
            finished = stop is not None or at == steps
            is_due = finished or request.signal_number is not None or chunks_done % checkpoint_every == 0
            if record is not None and log is not None and is_due:
                log.sync()  # numbers before the checkpoint, so that a checkpoint never outruns them
                record.save(state, at, time.monotonic() - began, None if stop is None else steps)
            if stop is not None:
                display.say(f"Fit {name!r} stopped at step {at} of {steps}: {stop.reason}.")
            if request.signal_number is not None:
                raise _interrupted(run, name, request.signal_number, at, steps, state)
            if stop is not None:
                break
    return state


@dataclass(frozen=True)
class _Done:
    """Where to start from."""

    state: Any
    step: int
    seconds: float
    finished: bool = False


@dataclass(frozen=True)
class _Record:
    """What a fit keeps in its run."""

    run: RunDirectory
    name: str
    folder: CheckpointFolder
    key: Any

    def resume(self, state: Any, steps: int) -> _Done:
        found = self.folder.latest_good(device.on_device(state), say=say)
        if found is None:
            if self.folder.steps():
                say(f"Fit {self.name!r} has no good checkpoint in {self.folder.path}, so it starts again.")
            numbers.drop_after(self.run.metrics, self.name, 0, say=say)
            return _Done(device.owned(state), 0, 0.0)
        if found.metadata["key"] != _key_words(self.key):
            raise RunError(
                f"Fit {self.name!r} of {self.run.path} was begun with another key",
                "resume with the same seed",
            )
        if found.step > steps:
            raise RunError(
                f"Fit {self.name!r} of {self.run.path} has done {found.step} steps but {steps} are asked for",
                "ask for at least as many, or start a new run",
            )
        # A hook's Stop finishes the fit it was returned in; asking for more steps later goes on from there.
        finished = found.step == steps or found.metadata["stopped_for"] == steps
        if finished:
            say(f"Fit {self.name!r} is finished at step {found.step}; its state is loaded from {found.path}.")
        else:
            dropped = numbers.drop_after(self.run.metrics, self.name, found.step, say=say)
            also = f", dropping {dropped} later records of its metrics" if dropped else ""
            say(f"Fit {self.name!r} resumes at step {found.step} of {steps} from {found.path}{also}.")
        return _Done(device.owned(found.state), found.step, found.metadata["seconds"], finished)

    def save(self, state: Any, step: int, seconds: float, stopped_for: int | None) -> None:
        metadata = {"key": _key_words(self.key), "seconds": seconds, "stopped_for": stopped_for}
        self.folder.save(state, step, metadata)


def _check_arguments(steps: int, chunk: int, log_every: int, checkpoint_every: int, lost_board: bool) -> None:
    for argument, value, least in (
        ("steps", steps, 0), ("chunk", chunk, 1), ("log_every", log_every, 1),
        ("checkpoint_every", checkpoint_every, 1),
    ):  # fmt: skip
        if value < least:
            raise RunError(f"fit was given {argument}={value}", f"give at least {least}")
    if lost_board:
        raise RunError("fit was asked for TensorBoard without a run", "give a run directory")


def _stack(
    batches: Callable[[int], PyTree] | None, start: int, length: int, chunk: int, mesh: Mesh | None
) -> PyTree | None:
    """Batches of a chunk, ``[chunk, …]``; a shorter last chunk repeats its last batch, which is not read."""
    if batches is None or length <= 0:
        return None
    made = [batches(start + offset) for offset in range(length)]
    made += [made[-1]] * (chunk - length)
    stacked = jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *made)
    return jax.device_put(stacked, None if mesh is None else chunk_sharding(mesh))


def _records(
    name: str, start: int, seconds: float, values: dict[str, np.ndarray], log_every: int, steps: int
) -> list[numbers.Record]:
    length = len(next(iter(values.values()))) if values else 0
    due = [i for i in range(length) if (start + i + 1) % log_every == 0 or start + i + 1 == steps]
    lists = {metric: array.tolist() for metric, array in values.items()}
    return [
        numbers.Record(name, start + i + 1, seconds, {metric: lists[metric][i] for metric in lists})
        for i in due
    ]


def _first_nonfinite(values: dict[str, np.ndarray]) -> tuple[str, int] | None:
    found = []
    for metric, array in values.items():
        bad = np.flatnonzero(~np.isfinite(array.astype(np.float64)))
        if bad.size:
            found.append((int(bad[0]), metric))
    return (min(found)[1], min(found)[0]) if found else None


def _nonfinite_error(record: _Record | None, name: str, metric: str, value: Any, step: int) -> NotFinite:
    message = f"Metric {metric!r} became {float(value)} at step {step} of fit {name!r}"
    saved = record.folder.steps() if record is not None else []
    if record is not None and saved:
        message += f" (the last good checkpoint is step {saved[-1]}, in {record.folder.path})"
    mend = "lower the learning rate, clip gradients, or look for log(0) and 0/0 in the step"
    return NotFinite(message, mend, metric=metric, step=step)


def _interrupted(
    run: RunDirectory | None, name: str, signal_number: int, step: int, steps: int, state: Any
) -> Interrupted:
    what = f"{signal.Signals(signal_number).name} stopped fit {name!r} after step {step} of {steps}"
    if run is None:
        mend = "the state is in the exception; give fit a run directory to resume by itself"
    else:
        what += f", all of it saved in {run.path}"
        mend = f"go on with `antiphon run {run.study} --resume {run.path}`"
    path = None if run is None else run.path
    return Interrupted(what, mend, run_path=path, signal_number=signal_number, step=step, state=state)


def _key_words(key: Any) -> list[int]:
    is_typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(key) if is_typed else key).reshape(-1).tolist()
